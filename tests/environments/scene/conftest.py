import pytest

from environments import scene
from environments.scene import gl as gl_lib
from environments.scene import sprites as sprites_lib


@pytest.fixture(scope='package', autouse=True)
def cache_folder(tmp_path_factory):
  """Tables are made once for these tests; the user's cache is left alone."""
  folder = tmp_path_factory.mktemp('cache')
  with pytest.MonkeyPatch.context() as patch:
    patch.setenv('XDG_CACHE_HOME', str(folder))
    sprites_lib.load.cache_clear()
    yield folder
    sprites_lib.load.cache_clear()


@pytest.fixture(scope='package')
def needs_gl():
  """Skips a test where MuJoCo cannot draw."""
  try:
    gl_lib.open_context('auto', 64).free()
  except scene.NoOpenGLError as error:
    pytest.skip(str(error))


@pytest.fixture
def no_gl(monkeypatch):
  """Has a machine without any OpenGL."""

  def missing(*names):
    raise OSError(f'no {" or ".join(names)}')

  monkeypatch.setattr(gl_lib, '_load', missing)
  monkeypatch.setattr(gl_lib, '_used', [])
  monkeypatch.delenv('MUJOCO_GL', raising=False)
