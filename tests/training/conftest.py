import pytest

from environments import scene
from spiral_jax import training
from tests import tiny


@pytest.fixture(scope='session')
def scene_table():
  """Puts the table of tiny scenes into the cache, or skips without OpenGL."""
  try:
    scene.make(**tiny.SCENES)
  except scene.NoOpenGLError as error:
    pytest.skip(str(error))


@pytest.fixture(scope='session')
def scene_run(scene_table, tmp_path_factory):
  """Returns the folder of a run that saw a few scenes; not to be changed."""
  del scene_table
  run_dir = tmp_path_factory.mktemp('scenes')
  return training.train(
      tiny.scene_experiment(
          run_dir, learner=dict(reward='l2', reward_at='step')
      )
  )
