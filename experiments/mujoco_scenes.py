"""Trains an agent to read pictures of scenes into objects, then evaluates it.

  python experiments/mujoco_scenes.py --flagfile=<one of these two>

experiments/flags/mujoco_scenes.flags is the paper's run and
experiments/flags/mujoco_scenes_cpu.flags one for two CPU cores.  The scenes are
made when a run starts, unless --data_dir names the folder of those that
make_scenes.py wrote.
"""

import experiment

if __name__ == '__main__':
  experiment.run('scenes', 'scene')
