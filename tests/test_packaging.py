"""What setup.py declares, against what lies in the tree."""

import ast
import ctypes
import fnmatch
import os
import pathlib
import re
import runpy
import shutil
import subprocess
import sys
from unittest import mock

import pytest

setuptools = pytest.importorskip('setuptools')

ROOT = pathlib.Path(__file__).resolve().parents[1]
# Where a library is not imported by the name under which it is installed.
DISTRIBUTIONS = {
    'PIL': 'pillow',
    'absl': 'absl-py',
    'dm_env': 'dm-env',
    'orbax': 'orbax-checkpoint',
}
# Usable with the core requirements alone.
CORE_FOLDERS = (
    'environments',
    'spiral_jax/agents',
    'spiral_jax/losses',
    'spiral_jax/networks',
    'spiral_jax/ops',
    'spiral_jax/weights',
)


@pytest.fixture(name='declared', scope='module')
def _declared() -> dict:
  """Returns the keyword arguments of `setuptools.setup` in setup.py."""
  folder = os.getcwd()
  os.chdir(ROOT)
  try:
    with mock.patch.object(setuptools, 'setup') as setup:
      runpy.run_path('setup.py')
  finally:
    os.chdir(folder)
  return setup.call_args.kwargs


def test_every_folder_with_code_is_a_package(declared):
  folders = {
      str(path.parent.relative_to(ROOT)).replace(os.sep, '.')
      for name in ('spiral_jax', 'environments')
      for path in (ROOT / name).rglob('*.py')
  }
  assert set(declared['packages']) == folders


@pytest.mark.parametrize(
    'package, files',
    [
        ('spiral_jax.datasets', 'embedded/**/*'),
        ('spiral_jax.evaluation', 'judge.*'),
        ('environments.painting', '*.html'),
    ],
)
def test_every_file_of_data_is_installed(declared, package, files):
  data = declared['package_data'][package]
  folder = ROOT / package.replace('.', '/')
  found = [path for path in folder.glob(files) if path.is_file()]
  assert found
  for file in found:
    name = str(file.relative_to(folder))
    assert any(fnmatch.fnmatch(name, pattern) for pattern in data), name


def test_weights_are_installed_with_their_cards_and_are_small(declared):
  (pattern,) = declared['package_data']['spiral_jax']
  assert fnmatch.fnmatch('weights/digits/CARD.md', pattern)
  for folder in (ROOT / 'spiral_jax/weights').glob('*/'):
    if folder.name == '__pycache__':
      continue
    assert {path.name for path in folder.iterdir()} == {
        'CARD.md',
        'config.json',
        'weights.npz',
    }
    card = (folder / 'CARD.md').read_text()
    for words in (
        '| license of the data |',
        '| flag file | `experiments/',
        '## Known failures\n\n',
    ):
      assert words in card, folder
    assert (folder / 'weights.npz').stat().st_size < 3_500_000, folder


def test_embedded_data_has_its_license_beside_it_and_is_small():
  for folder in (ROOT / 'spiral_jax/datasets/embedded').iterdir():
    assert 'License' in (folder / 'ATTRIBUTION.md').read_text()
    size = sum(path.stat().st_size for path in folder.iterdir())
    assert size < 3_000_000, folder


def test_every_requirement_has_a_lower_bound_and_no_other(declared):
  extras = declared['extras_require'].values()
  for requirement in sum(extras, declared['install_requires']):
    assert re.fullmatch(r'[\w-]+(\[\w+\])?>=[\d.]+', requirement)


def test_every_imported_library_is_declared(declared):
  core = _names(declared['install_requires'])
  extra = sum(map(_names, declared['extras_require'].values()), [])
  for folder in ('environments', 'spiral_jax', 'experiments'):
    for path in (ROOT / folder).rglob('*.py'):
      is_core = str(path.relative_to(ROOT)).startswith(CORE_FOLDERS)
      for library in _libraries(path):
        assert library in (core if is_core else core + extra), path


@pytest.mark.parametrize('is_built', [True, False])
def test_extensions_are_built_where_there_is_a_compiler(tmp_path, is_built):
  compiler = tmp_path / 'cc'
  if is_built:
    if not shutil.which('cc'):
      pytest.skip('no C compiler')
    # Optimizing takes several seconds.
    compiler.write_text('#!/bin/bash\nexec cc "${@/#-O[23]/-O0}"\n')
  else:
    compiler.write_text('#!/bin/sh\nexit 1\n')
  compiler.chmod(0o755)
  target = tmp_path / 'lib'
  subprocess.run(
      [
          sys.executable,
          'setup.py',
          '-q',
          'build_ext',
          '--build-lib',
          target,
          '--build-temp',
          tmp_path / 'temp',
      ],
      cwd=ROOT,
      env={**os.environ, 'CC': str(compiler)},
      check=True,
      capture_output=True,
  )
  for package in ('environments/painting', 'spiral_jax/ops'):
    library = target / package / '_native.so'
    assert library.exists() == is_built
    if is_built:
      ctypes.CDLL(str(library))


def _names(requirements: list[str]) -> list[str]:
  return [re.split(r'[\[><=]', requirement)[0] for requirement in requirements]


def _libraries(path: pathlib.Path) -> set[str]:
  """Returns what must be installed for a file's imports."""
  local = {'environments', 'experiments', 'spiral_jax'}
  local |= {p.stem for p in (ROOT / 'experiments').rglob('*.py')}
  found = set()
  for node in ast.walk(ast.parse(path.read_text(encoding='utf-8'))):
    if isinstance(node, ast.Import):
      found |= {alias.name.split('.')[0] for alias in node.names}
    elif isinstance(node, ast.ImportFrom):
      found.add(str(node.module).split('.')[0])
  found -= local | sys.stdlib_module_names
  return {DISTRIBUTIONS.get(name, name) for name in found}
