"""The notebook trains on the reader's own renderer, and the error falls."""

import json

import numpy as np
import pytest

from environments import core
from spiral_jax import training
from tests.experiments.notebooks import notebook


@pytest.mark.slow
def test_the_error_falls(monkeypatch, capsys):
  names, images = notebook.run(
      'own_renderer',
      monkeypatch,
      FRAMES=1_920,
      MORE_FRAMES=4_800,
      DREAM_FRAMES=4_800,
      PICTURES=500,
  )
  error = names['figures']['greedy']['error']
  assert error < 0.7 * names['untrained_error']
  assert f'trained agent: {error:.4f}' in capsys.readouterr().out
  # So few dreams teach little, but something.
  assert names['dreamed']['greedy']['error'] < 0.7 * names['untrained_error']
  # It resumed: 10 updates of 64 episodes of 3 commands, and 15 more.
  assert len(names['errors']) == 25 and names['figures']['frames'] == 4_800
  assert np.mean(names['errors'][-5:]) < 0.7 * np.mean(names['errors'][:5])
  assert isinstance(names['TASK'], core.Task)
  assert training.find_task('__main__') is names['TASK']
  # The task is found by the name that is saved with the run.
  config = json.loads((names['run_dir'] / 'config.json').read_text())
  assert config['task'] == '__main__'
  restored = training.restore(names['run_dir'])
  assert restored.experiment.environment == names['Settings']()
  (shown,) = images
  assert shown.size[0] > 12 * 32 and shown.size[1] > 12 * 32
