import pytest

from environments.painting import native


@pytest.fixture
def require_backend():
  """A function that skips the test where a backend cannot run."""

  def require(backend):
    if backend == 'native' and not native.is_built():
      pytest.skip('the native painting step is not built here')

  return require


@pytest.fixture(params=['native', 'ctypes'])
def backend(request, require_backend):
  require_backend(request.param)
  return request.param
