"""The notebook's loop trains, and drawings get closer to digits."""

import numpy as np
import pytest

from tests.experiments.notebooks import notebook


@pytest.mark.slow
def test_drawings_get_closer_to_digits(monkeypatch, capsys):
  names, images = notebook.run(
      'training_loop', monkeypatch, UPDATES=25, BATCH=32, SAMPLES=128
  )
  distance = names['distance']
  real = distance(names['test'].images[:128])
  untrained = distance(names['untrained'])
  assert real < names['final'] < 0.5 * untrained
  assert int(names['state'].frames) == 25 * 32 * names['COMMANDS']
  # The discriminator tells digits from scribbles.
  score = names['discriminator'].score
  params = names['score_state'].params
  digits, scribbles = (
      np.float32(x[:64]) / 255
      for x in (names['test'].images, names['untrained'])
  )
  assert score(params, digits).mean() > score(params, scribbles).mean()
  assert len(names['replay']) == 4
  assert all(image.size[0] > 100 for image in images) and len(images) >= 5
  assert 'trained agent: ' in capsys.readouterr().out
