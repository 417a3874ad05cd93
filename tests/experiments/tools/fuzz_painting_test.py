"""A few damaged programs and brushes; fuzz_painting.py makes any number."""

import collections

import numpy as np
import pytest

from experiments.tools import fuzz_painting

# Enough that each kind has some of both.
_COUNTS = {'programs': 60, 'brushes': 12}


@pytest.mark.parametrize('kind', fuzz_painting.KINDS)
def test_damaged_inputs_are_taken_or_refused_in_one_line(kind, tmp_path):
  seen = collections.Counter()
  for seed in range(_COUNTS[kind]):
    folder = tmp_path / f'{seed}'
    folder.mkdir()
    try:
      fuzz_painting.KINDS[kind](np.random.default_rng(seed), folder)
      seen['taken'] += 1
    except (ValueError, OSError):
      seen['refused'] += 1
  assert set(seen) == {'taken', 'refused'}


def test_refusals_of_many_lines_are_faults():
  def refuse():
    raise ValueError('a line\nand another')

  with pytest.raises(AssertionError, match='not one short line'):
    fuzz_painting._try(refuse)
