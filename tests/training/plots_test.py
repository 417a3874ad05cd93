"""Pictures of a run."""

import json

import numpy as np
from PIL import Image

from spiral_jax.training import plots


def test_metrics_without_frames_are_where_they_were_in_time():
  records = [
      {'seconds': 1.0, 'd': 5.0},
      {'seconds': 2.0, 'policy/frames': 100, 'p': 1.0},
      {'seconds': 3.0, 'd': 6.0},
      {'seconds': 4.0, 'd': None},  # Not finite.
      {'seconds': 6.0, 'policy/frames': 300, 'p': 2.0},
      {'seconds': 7.0, 'd': 7.0},
  ]
  frames, values = plots._by_frames(records, 'd')
  np.testing.assert_allclose(frames, [50, 150])
  np.testing.assert_allclose(values, [5, 6])
  frames, values = plots._by_frames(records, 'p')
  np.testing.assert_allclose(frames, [100, 300])
  # Before the first batch there is the discriminator alone.
  assert len(plots._by_frames(records[:1], 'd')[0]) == 1


def test_curves_of_what_was_written(tmp_path):
  path = tmp_path / 'metrics.jsonl'
  records = [{'seconds': 2.0, 'policy/frames': 100, 'p': 1.0}]
  path.write_text('\n'.join(map(json.dumps, records)))
  heights = []
  for names in (['p', 'none'], ['p', 'policy/frames']):
    assert plots.curves(path, names, tmp_path / 'curves.png')
    with Image.open(tmp_path / 'curves.png') as image:
      heights.append(image.height)
  assert heights[1] > 1.8 * heights[0]
  # Nothing to plot: no picture, and nobody is told of one.
  assert not plots.curves(path, ['none'], tmp_path / 'none.png')
  missing = tmp_path / 'missing.jsonl'
  assert not plots.curves(missing, ['p'], tmp_path / 'none.png')
  assert not (tmp_path / 'none.png').exists()
  # A crash may cut the last line short.
  path.write_text(path.read_text() + '\n{"seconds": 3.0, "pol')
  assert plots.curves(path, ['p'], tmp_path / 'none.png')
