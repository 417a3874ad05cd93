import pytest

from environments.painting import native
from tests import chromium


@pytest.fixture(scope='session')
def page(tmp_path_factory):
  """A page of a headless browser, or the test is skipped."""
  if chromium.find() is None:
    pytest.skip(f'needs a browser: none of {", ".join(chromium.NAMES)} found')
  folder = tmp_path_factory.mktemp('browser')
  with chromium.Page(folder, 1000, 800) as page:
    yield page


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
