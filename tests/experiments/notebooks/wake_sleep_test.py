"""The notebook of both halves trains them, and shows what they made."""

import math

import numpy as np
import pytest

from tests.experiments.notebooks import notebook


@pytest.mark.slow
def test_both_agents_learn_and_are_shown(monkeypatch, capsys):
  names, images = notebook.run(
      'wake_sleep',
      monkeypatch,
      MINUTES=0.02,
      DREAMS=1,
      REMEMBERED=12,
      SEARCHED=12,
      PICTURES=64,  # As many as an actor draws at once.
      REDRAWN=64,
      SEARCH_SECONDS=0.005,
  )
  output = capsys.readouterr().out
  assert '% are read as a digit' in output and 'nats' in output
  state = names['trained'].state
  assert state['policy']['version'] and state['recognizer']['version']
  # All have been searched for, and are better than a blank page.
  assert len(names['found']) == 10 and np.isfinite(names['errors']).all()
  np.testing.assert_allclose(
      names['errors'][names['found']].mean(), names['error'], rtol=1e-4
  )
  assert names['error'] < names['blank'].mean()
  assert math.isfinite(names['redrawn']['greedy']['error'])
  assert len(images) == 1
