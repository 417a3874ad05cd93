"""Fixtures of searches."""

import pytest

from environments import scene
from environments.scene import gl


@pytest.fixture(scope='package')
def needs_gl():
  """Skips a test where MuJoCo cannot draw."""
  try:
    gl.open_context('auto', 64).free()
  except scene.NoOpenGLError as error:
    pytest.skip(str(error))
