import jax
import pytest

from environments import scene
import process
from tests.experiments import tiny
import training


@pytest.fixture(scope='package', autouse=True)
def compilation_cache(tmp_path_factory):
  """Compiles what several tests run once; leaves the user's cache alone."""
  with pytest.MonkeyPatch.context() as patch:
    patch.setenv('XDG_CACHE_HOME', str(tmp_path_factory.mktemp('cache')))
    names = (
        'jax_compilation_cache_dir',
        'jax_persistent_cache_min_compile_time_secs',
    )
    before = [getattr(jax.config, name) for name in names]
    process.prepare()
    yield
    for name, value in zip(names, before):
      jax.config.update(name, value)


@pytest.fixture(scope='package')
def scene_table(compilation_cache):
  """Puts the table of tiny scenes into the cache, or skips without OpenGL."""
  del compilation_cache
  try:
    scene.make(**tiny.SCENES)
  except scene.NoOpenGLError as error:
    pytest.skip(str(error))


@pytest.fixture(scope='package')
def scene_run(scene_table, tmp_path_factory):
  """Returns the folder of a run that saw a few scenes; not to be changed."""
  del scene_table
  run_dir = tmp_path_factory.mktemp('scenes')
  return training.train(
      tiny.scene_setup(run_dir, learner=dict(reward='l2', reward_at='step'))
  )
