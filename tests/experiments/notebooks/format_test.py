"""Notebooks are committed without outputs, and formatted as the code is."""

import subprocess
import sys

import pytest

from tests import tiny
from tests.experiments.notebooks import notebook

NAMES = sorted(path.stem for path in notebook.FOLDER.glob('*.ipynb'))


def test_there_are_five():
  assert NAMES == [
      'drawing',
      'first_steps',
      'own_renderer',
      'training_loop',
      'wake_sleep',
  ]


@pytest.mark.parametrize('name', NAMES)
def test_it_has_no_output_and_no_flags(name):
  for cell in notebook.read(name):
    assert not cell.get('outputs') and cell.get('execution_count') is None
    if cell['cell_type'] == 'code':
      assert 'flags' not in ''.join(cell['source'])


@pytest.mark.parametrize('name', NAMES)
def test_its_code_is_formatted(name, tmp_path):
  for number, cell in enumerate(notebook.read(name)):
    if cell['cell_type'] == 'code':
      source = ''.join(cell['source']) + '\n'
      (tmp_path / f'cell_{number}.py').write_text(source)
  settings = ('--config', str(tiny.ROOT / 'pyproject.toml'))
  result = subprocess.run(
      [sys.executable, '-m', 'pyink', '--diff', *settings, str(tmp_path)],
      capture_output=True,
      text=True,
      check=True,
  )
  assert result.stdout == ''
  assert 'would be left unchanged' in result.stderr  # It found them.
