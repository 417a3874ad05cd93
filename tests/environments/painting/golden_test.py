"""Episodes recorded from DeepMind's environment, bit for bit."""

import json
import pathlib

import numpy as np
import pytest

from environments import painting

_FILE = pathlib.Path(__file__).parents[2] / 'data' / 'painting_golden.npz'
_RECORD = json.loads(str(np.load(_FILE)['json']))


@pytest.mark.parametrize('record', _RECORD['sets'], ids=lambda r: r['name'])
def test_golden_episodes(record, backend):
  index, recorded = record['index'], record['settings']
  settings = painting.PaintingSettings(
      canvas_size=recorded['canvas_width'],
      grid_size=recorded['grid_width'],
      brush=recorded['brush_type'],
      brush_sizes=tuple(recorded['brush_sizes']),
      colour=recorded['use_color'],
      pressure=recorded['use_pressure'],
      background=recorded['background'],
  )
  with np.load(_FILE) as data:
    actions = data[f's{index}_actions']
    expected = data[f's{index}_canvas']
  count, num_steps = actions.shape[:2]
  assert (count, num_steps) == (3, 20)
  renderer = painting.PaintingRenderer(settings, count, backend=backend)
  columns = {
      name: _RECORD['action_keys'].index(name)
      for name in renderer.action_spec()
  }
  np.testing.assert_array_equal(renderer.reset(), expected[:, 0])
  for step in range(num_steps):
    canvas = renderer.step(
        {name: actions[:, step, i] for name, i in columns.items()}
    )
    np.testing.assert_array_equal(canvas, expected[:, step + 1], f'{step=}')
