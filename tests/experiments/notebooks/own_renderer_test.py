"""The notebook runs, and its agent learns to use the reader's own renderer."""

import json
import re

import numpy as np
from PIL import Image
import pytest

from environments import core
from tests.experiments import tiny

PATH = tiny.ROOT / 'experiments' / 'notebooks' / 'own_renderer.ipynb'
UPDATES = 40  # Of 150.


@pytest.mark.slow
@pytest.mark.usefixtures('compilation_cache')
def test_the_error_falls(capsys):
  notebook = json.loads(PATH.read_text())
  cells = [
      ''.join(cell['source'])
      for cell in notebook['cells']
      if cell['cell_type'] == 'code'
  ]
  parameters, count = re.subn(
      r'^UPDATES = \d+', f'UPDATES = {UPDATES}', cells[0], flags=re.MULTILINE
  )
  assert count == 1
  names = {}
  for source in (parameters, *cells[1:-1]):
    exec(compile(source, PATH.name, 'exec'), names)
  # An untrained agent's drawings are worse than none; compare with them.
  renderer = names['Rectangles'](64)
  assert isinstance(
      core.BatchedEnvironment(renderer, 2).action_spec()['corner'], core.Part
  )
  untrained = names['learner'].init(names['jax'].random.PRNGKey(9)).params
  before = names['redraw'](untrained, 0)
  exec(compile(cells[-1], PATH.name, 'exec'), names)
  error = (
      names['evaluation']
      .reconstruction_error(before.canvas[-1], names['test'])
      .mean()
  )
  assert names['error'] < 0.7 * error
  assert f'held-out error: {names["error"]:.4f}' in capsys.readouterr().out
  # The last cell shows a picture.
  shown = eval(cells[-1].strip().splitlines()[-1], names)
  assert isinstance(shown, Image.Image)
  assert np.asarray(shown).shape == (2 * 2 * 32, 2 * 12 * 32)


def test_it_has_no_output_and_no_flags():
  notebook = json.loads(PATH.read_text())
  for cell in notebook['cells']:
    assert not cell.get('outputs')
    assert 'flags' not in ''.join(cell['source']) or (
        cell['cell_type'] == 'markdown'
    )
