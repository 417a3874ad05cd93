"""Trains an agent to read pictures of scenes into objects, then evaluates it.

  python experiments/mujoco_scenes.py --flagfile=<one of these two>

experiments/flags/mujoco_scenes.flags is the paper's run and
experiments/flags/mujoco_scenes_cpu.flags one for two CPU cores.  The scenes are
made when a run starts, unless --data_dir names the folder of those that
make_scenes.py wrote.
"""

import cli
import evaluate
import process
import run_setup
import training


def main() -> None:
  """Trains as the flags say, then evaluates."""
  process.prepare()
  evaluate.evaluate(training.train(run_setup.read_flags('scenes', 'scene')))


if __name__ == '__main__':
  run_setup.define_flags('scene')
  cli.run(main)
