"""Trains SPIRAL on MuJoCo Scenes (Ganin et al., 2018, section 4.6).

For example, on two CPU cores:

  python experiments/mujoco_scenes.py \
      --flagfile=experiments/flags/mujoco_scenes_cpu.flags

The scenes are made when a run starts, unless --data_dir names the folder of
those that tools/make_scenes.py wrote.
"""

from collections.abc import Sequence

from spiral_jax import training
from spiral_jax.training import cli

_EXPERIMENT = training.define_flags('environments.scene', dataset='scenes')


def main(argv: Sequence[str]) -> None:
  """Trains and evaluates as the flags say."""
  del argv
  run_dir = training.train(_EXPERIMENT.value)
  training.evaluate(run_dir)


if __name__ == '__main__':
  cli.run(main)
