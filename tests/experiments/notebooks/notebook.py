"""Runs a notebook in this process, with other parameters."""

import json
import re
import sys
import types

from tests import tiny

FOLDER = tiny.ROOT / 'experiments' / 'notebooks'


class Display:
  """What a notebook shows besides what it prints."""

  def __init__(self):
    self.images = []

  def __call__(self, image):
    self.images.append(image)


def read(name):
  """Returns the cells of a notebook."""
  return json.loads((FOLDER / f'{name}.ipynb').read_text())['cells']


def run(name, monkeypatch, **parameters):
  """Runs all cells; returns their names and what was shown.

  Args:
    name: name of the notebook.
    monkeypatch: pytest's. The notebook is the module `__main__`.
    **parameters: values of the constants in the first cell.

  Returns:
    The names of the notebook, and the images that it displayed, the value of
    its last line among them.
  """
  codes = [''.join(c['source']) for c in read(name) if c['cell_type'] == 'code']
  for parameter, value in parameters.items():
    codes[0], count = re.subn(
        rf'^{parameter} = [\d_.]+',
        f'{parameter} = {value}',
        codes[0],
        flags=re.M,
    )
    assert count == 1, parameter
  module = types.ModuleType('__main__')
  monkeypatch.setitem(sys.modules, '__main__', module)
  names, display = module.__dict__, Display()
  names['display'] = display
  for number, code in enumerate(codes):
    exec(compile(code, f'{name}, cell {number}', 'exec'), names)
  last = codes[-1].strip().splitlines()[-1]
  if re.match(r'(show|Image\.\w+)\(', last):
    value = eval(last, names)
    if value is not None:
      display(value)
  return names, display.images
