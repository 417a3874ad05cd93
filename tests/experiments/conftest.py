import jax
import pytest

import process


@pytest.fixture(scope='package', autouse=True)
def compilation_cache(tmp_path_factory):
  """Compiles what several tests run once; leaves the user's cache alone."""
  with pytest.MonkeyPatch.context() as patch:
    patch.setenv('XDG_CACHE_HOME', str(tmp_path_factory.mktemp('cache')))
    names = (
      'jax_compilation_cache_dir', 'jax_persistent_cache_min_compile_time_secs'
    )
    before = [getattr(jax.config, name) for name in names]
    process.prepare()
    yield
    for name, value in zip(names, before):
      jax.config.update(name, value)
