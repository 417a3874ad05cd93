"""The README's examples run, and the pictures that it shows are there."""

import pathlib
import re

import numpy as np
from PIL import Image
import pytest

from spiral_jax import evaluation

ROOT = pathlib.Path(__file__).resolve().parents[1]
TEXT = (ROOT / 'README.md').read_text()
BLOCKS = re.findall(r'```python\n(.*?)```', TEXT, re.DOTALL)


def run(marker):
  """Runs the example that contains `marker`; returns its names."""
  (block,) = [block for block in BLOCKS if marker in block]
  names = {}
  exec(compile(block, 'README.md', 'exec'), names)
  return names


@pytest.mark.slow
def test_the_notebook_example_learns_one_step():
  names = run('make_learner')
  assert names['trajectory'].canvas.shape == (9, 16, 64, 64, 1)
  assert names['trajectory'].canvas.dtype == np.uint8
  assert np.any(names['trajectory'].canvas[-1] < 255)
  assert int(names['state'].frames) == 8 * 16
  assert np.isfinite(names['logs']['loss'])


def test_the_example_of_weights_draws_what_it_is_shown():
  names = run('agents.load')
  canvas, digits = names['canvas'], names['digits']
  assert canvas.shape == digits.shape == (16, 64, 64, 1)
  error = evaluation.reconstruction_error
  assert error(canvas, digits).mean() < error(canvas, digits[::-1]).mean()


def test_the_painting_example_paints():
  canvas = run('dry_brush')['time_step'].observation['canvas']
  assert canvas.shape == (64, 64, 3) and canvas.dtype == np.float32
  assert canvas.min() < 0.9


def test_the_example_of_a_program_makes_all_that_it_says():
  names = run('Program')
  assert names['picture'].shape == (512, 512, 1)
  assert names['picture'].dtype == np.uint8 and names['picture'].min() < 128
  assert names['page'].startswith('<!DOCTYPE html>')
  assert 'width="150mm"' in names['lines']


def test_the_names_of_the_losses_example_exist():
  (block,) = [block for block in BLOCKS if 'spiral_jax.losses' in block]
  imports, *calls = block.strip().split('\n\n')
  names = {}
  exec(imports, names)
  for module, function in re.findall(r'(\w+)\.(\w+)\(', calls[0]):
    assert callable(getattr(names[module], function))


def test_pictures_are_there():
  paths = re.findall(r'!\[[^]]*\]\(([^)]*)\)', TEXT)
  assert paths
  for path in paths:
    with Image.open(ROOT / path) as image:
      image.load()


def test_files_that_are_named_are_there():
  for path in re.findall(r'(?:experiments|docs)/[\w/]+\.\w+', TEXT):
    assert (ROOT / path).exists(), path
