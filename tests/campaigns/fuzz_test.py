"""The fuzzing program: what it counts, and a short run of each kind."""

import itertools
import os

import numpy as np
import pytest

from tests.campaigns import fuzz
from tests.campaigns import fuzz_data

OUTCOMES = ('accept', 'refuse', 'mask', 'type', 'lines', 'memory', 'abort')


def toy(rng, folder):
  """Does what the first random number says."""
  assert not list(folder.iterdir())
  (folder / 'input').write_bytes(b'')
  match OUTCOMES[rng.integers(len(OUTCOMES))]:
    case 'refuse':
      raise ValueError(f'{folder} is damaged: replace it')
    case 'mask':
      raise ValueError('it is damaged')
    case 'type':
      raise TypeError(f'{folder} is damaged')
    case 'lines':
      raise ValueError(f'{folder}\nis damaged')
    case 'memory':
      np.zeros(1 << 31, np.uint8)
    case 'abort':
      os.abort()


def hang(rng, folder):
  while True:
    pass


def seed_of(outcome):
  index = OUTCOMES.index(outcome)
  return next(
      seed
      for seed in itertools.count()
      if np.random.default_rng(seed).integers(len(OUTCOMES)) == index
  )


def test_outcomes_are_told_apart():
  seeds = [seed_of(outcome) for outcome in OUTCOMES]
  result = fuzz.fuzz(toy, [*seeds, seeds[0]], memory=1024)
  # The child is started again after its crash.
  assert result.counts == {
      'accepted': 2,
      'refused': 1,
      'errors': 4,
      'slow': 0,
      'crashes': 1,
  }
  failures = dict(result.failures)
  assert [*failures] == seeds[2:]
  assert 'names no file' in failures[seed_of('mask')]
  assert 'TypeError' in failures[seed_of('type')]
  assert 'is damaged' in failures[seed_of('lines')]
  assert 'MemoryError' in failures[seed_of('memory')]
  assert failures[seed_of('abort')] == 'crashes: SIGABRT'
  assert 20 < result.peak < 1024


def test_an_input_that_takes_too_long_ends():
  result = fuzz.fuzz(hang, [7], seconds=0.1)
  assert result.failures == [(7, 'slow: longer than 0.1 seconds')]


def test_damage_is_of_any_length_and_depends_on_the_seed():
  content = bytes(range(200))
  found = [
      fuzz_data.damaged(np.random.default_rng(i), content) for i in range(60)
  ]
  again = [
      fuzz_data.damaged(np.random.default_rng(i), content) for i in range(60)
  ]
  assert found == again
  assert sum(new == content for new in found) < 20
  assert {len(new) < 200 for new in found} == {True, False}
  rng = np.random.default_rng(0)
  assert fuzz_data.damaged(rng, content, share_sound=1) == content


@pytest.mark.parametrize('kind', fuzz.KINDS)
def test_a_short_run_of_each_kind_finds_nothing(kind):
  count = 40 if kind != 'brushes' else 12
  result = fuzz.fuzz(fuzz.KINDS[kind], range(count))
  assert result.failures == []
  assert result.counts['accepted'] > 3 and result.counts['refused'] > 3
  assert sum(result.counts.values()) == count
