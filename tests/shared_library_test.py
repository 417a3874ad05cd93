"""Libraries that do not load; the two copies of the module, one a package."""

import logging
import pathlib
import sys

from absl import logging as absl_logging
import pytest

from environments import shared_library as of_environments
from environments.painting import native as painting_native
from spiral_jax import shared_library as of_spiral_jax
from spiral_jax.ops import native as ops_native

PYTHON = pathlib.Path(sys.executable).resolve()
IS_ELF = PYTHON.read_bytes()[:6] == b'\x7fELF\x02\x01'
needs_elf = pytest.mark.skipif(not IS_ELF, reason='needs ELF, of 64 bits')


def cut_short(data):
  return data[:4096]


def for_another_machine(data):
  return data[:18] + bytes([data[18] ^ 1]) + data[19:]


FAULTS = {
    'cut short': (cut_short, 'cut short, 4096 of'),
    'cut to its header': (lambda data: data[:60], 'cut short, 60 bytes'),
    'another machine': (for_another_machine, 'made for another machine'),
    'empty': (lambda data: b'', ''),
    'text': (lambda data: b'not a library' * 100, ''),
}


def test_both_packages_have_the_same_module():
  ours, theirs = of_environments.__file__, of_spiral_jax.__file__
  assert pathlib.Path(ours).read_text() == pathlib.Path(theirs).read_text()


@needs_elf
@pytest.mark.parametrize('name', FAULTS)
def test_a_library_that_does_not_load_is_an_error_of_one_line(tmp_path, name):
  damage, words = FAULTS[name]
  path = tmp_path / '_native.so'
  path.write_bytes(damage(PYTHON.read_bytes()))
  with pytest.raises(ImportError) as error:
    of_spiral_jax.load(path, ['f'])
  assert words in str(error.value) and 'pip install' in str(error.value)
  assert str(path) in str(error.value) and '\n' not in str(error.value)


@pytest.mark.parametrize('native', [painting_native, ops_native])
def test_a_library_that_lacks_functions_is_one_of_another_version(native):
  if not native.is_built():
    pytest.skip('the native extension was not built')
  of_spiral_jax.load(native._EXTENSION, [])
  with pytest.raises(ImportError, match='no_such_function'):
    of_spiral_jax.load(native._EXTENSION, ['no_such_function'])


@needs_elf
@pytest.mark.parametrize('name', FAULTS)
@pytest.mark.parametrize('native', [painting_native, ops_native])
def test_an_extension_that_does_not_load_is_left_with_one_warning(
    native, name, tmp_path, monkeypatch
):
  path = tmp_path / '_native.so'
  path.write_bytes(FAULTS[name][0](PYTHON.read_bytes()))
  monkeypatch.setattr(native, '_EXTENSION', path)
  warnings = []
  monkeypatch.setattr(
      logging, 'warning', lambda text, *args: warnings.append(text % args)
  )
  monkeypatch.setattr(absl_logging, 'warning', logging.warning)
  caches = [native.is_built]
  if native is painting_native:
    caches.append(native._functions)
  for cache in caches:
    cache.cache_clear()
  try:
    assert not native.is_built() and not native.is_built()
  finally:
    for cache in caches:
      cache.cache_clear()
  assert len(warnings) == 1 and str(path) in warnings[0]
