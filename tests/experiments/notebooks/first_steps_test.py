"""The notebook of first steps runs: sample, render, one update."""

import jax
import numpy as np

from tests.experiments.notebooks import notebook


def test_it_samples_renders_and_learns_once(monkeypatch, capsys):
  names, _ = notebook.run('first_steps', monkeypatch, COUNT=4)
  trained, blank, untrained = names['errors'].values()
  assert trained < 0.6 * blank < untrained
  assert names['trajectory'].canvas.shape == (9, 4, 64, 64, 1)
  painted = np.stack(names['pages'])
  assert painted.shape == (2, 256, 256, 1)
  # The program is what was drawn: small again, it is the canvas.
  mean = painted[0].reshape(64, 4, 64, 4).mean((1, 3))
  canvas = names['trajectory'].canvas[-1, 0, :, :, 0]
  assert np.corrcoef(mean.ravel(), canvas.ravel())[0, 1] > 0.95
  assert int(names['state'].frames) == 8 * 4
  first = names['small'].init(jax.random.key(0))
  changes = jax.tree.map(
      lambda a, b: float(np.abs(a - b).max()), first, names['state'].params
  )
  assert 0 < max(jax.tree.leaves(changes)) < 0.01
  assert 'commands learned from: 32' in capsys.readouterr().out
