"""Episodes recorded from DeepMind's environment, bit for bit."""

import numpy as np
import pytest

from environments import painting
from tests.environments.painting import golden


@pytest.mark.parametrize(
    'record', golden.RECORD['sets'], ids=lambda r: r['name']
)
def test_golden_episodes(record, backend):
  settings = golden.settings_of(record)
  actions, expected = golden.load(record)
  count, num_steps = actions['flag'].shape
  assert (count, num_steps) == (3, 20)
  renderer = painting.PaintingRenderer(settings, count, backend=backend)
  assert set(actions) == set(renderer.action_spec())
  np.testing.assert_array_equal(renderer.reset(), expected[:, 0])
  for step in range(num_steps):
    canvas = renderer.step(
        {name: part[:, step] for name, part in actions.items()}
    )
    np.testing.assert_array_equal(canvas, expected[:, step + 1], f'{step=}')
