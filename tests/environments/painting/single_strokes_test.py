"""Single strokes: what they cover is what a program of them paints."""

import numpy as np
import pytest

from environments import painting
from environments.painting import native
from environments.painting import portable
from environments.painting import single_strokes

BRUSHES = ('classic/pen', 'classic/brush', 'classic/calligraphy')


def _strokes(settings, count, seed=0):
  rng = np.random.default_rng(seed)
  spec = settings.action_spec()
  strokes = {
      name: rng.integers(part.num_values, size=count)
      for name, part in spec.items()
      if name != 'flag'
  }
  return {'start': rng.integers(settings.grid_size**2, size=count), **strokes}


@pytest.mark.parametrize('brush', BRUSHES)
@pytest.mark.parametrize('size', [64, 128])
def test_a_cover_is_what_the_program_paints(brush, size):
  settings = painting.fine_settings(brush=brush, color=False)
  renderer = painting.SingleStrokes(settings)
  strokes = _strokes(settings, 4)
  covers = renderer.cover(strokes, np.zeros(2, int), size=size, window=size)
  assert covers.shape == (4, size, size) and covers.dtype == np.uint8
  for k, cover in enumerate(covers):
    one = {name: values[k : k + 1] for name, values in strokes.items()}
    painted = renderer.program(one).render(size)[..., 0]
    np.testing.assert_array_equal(255 - cover, painted)
  assert covers.max() > 200


def test_windows_show_parts_of_the_whole():
  settings = painting.fine_settings(color=False)
  renderer = painting.SingleStrokes(settings, num_threads=2)
  strokes = _strokes(settings, 3)
  whole = renderer.cover(strokes, np.zeros(2, int), size=256, window=256)
  corners = np.array([[0, 0], [100, 40], [192, 192]])
  for corner in corners:
    part = renderer.cover(strokes, corner, size=256, window=64)
    y, x = corner
    difference = part.astype(int) - whole[:, y : y + 64, x : x + 64]
    assert np.abs(difference).max() <= 1  # Tiles round differently.
  each = renderer.cover(strokes, corners, size=256, window=64)
  y, x = corners[1]
  difference = each[1].astype(int) - whole[1, y : y + 64, x : x + 64]
  assert np.abs(difference).max() <= 1


def test_without_the_extension_it_covers_the_same(monkeypatch):
  settings = painting.fine_settings(color=False)
  strokes = _strokes(settings, 2)
  corner = np.array([3, 5])
  fast = painting.SingleStrokes(settings).cover(
      strokes, corner, size=100, window=64
  )
  monkeypatch.setattr(native, 'is_built', lambda: False)
  slow = painting.SingleStrokes(settings)
  found = slow.cover(strokes, corner, size=100, window=64)
  assert isinstance(slow._canvases_of(100, 64, 2), portable.PortableCanvases)
  np.testing.assert_array_equal(found, fast)


def test_a_program_lifts_the_pen_before_each_stroke():
  settings = painting.fine_settings(background='#204060')
  renderer = painting.SingleStrokes(settings)
  strokes = _strokes(settings, 3)
  program = renderer.program(strokes, aspect=2)
  assert program.aspect == 2 and program.render().shape == (32, 64, 3)
  np.testing.assert_array_equal(program.commands['flag'], [0, 1] * 3)
  ends = program.commands['end']
  np.testing.assert_array_equal(ends[::2], strokes['start'])
  np.testing.assert_array_equal(ends[1::2], strokes['end'])
  np.testing.assert_allclose(
      renderer.paper, np.array([0x20, 0x40, 0x60]) / 255, atol=1e-4
  )
  empty = renderer.program({})
  assert not empty.commands['flag'].any()
  assert (empty.render() == [0x20, 0x40, 0x60]).all()


def test_fine_settings():
  settings = painting.fine_settings()
  assert settings.brush_sizes[0] == 16 and settings.brush_sizes[-1] < 0.2
  assert painting.fine_settings(brush_sizes=[3, 1]).brush_sizes == (3, 1)
  renderer = painting.SingleStrokes(settings)
  np.testing.assert_allclose(renderer.radii[:2], [0.25, 0.1768], atol=1e-3)
  assert set(renderer.num_values) == {'size', 'pressure'}
  with pytest.raises(ValueError, match='classic/pn'):
    painting.SingleStrokes(painting.fine_settings(brush='classic/pn'))
  assert single_strokes.fine_settings is painting.fine_settings


@pytest.mark.parametrize('brush', ['classic/slow_ink', 'classic/marker_fat'])
def test_brushes_that_lag_arrive_before_they_paint(brush):
  settings = painting.fine_settings(
      brush=brush, color=False, brush_sizes=(2, 1)
  )
  renderer = painting.SingleStrokes(settings)
  strokes = _strokes(settings, 3)
  program = renderer.program(strokes)
  frames = program.frames(128)
  covers = renderer.cover(strokes, np.zeros(2, int), size=128, window=128)
  times = 1 + np.flatnonzero(program.commands['flag'])
  for cover, time in zip(covers, times):
    before, after = frames[time - 1], frames[time]
    expected = before[..., 0] * (1 - cover / 255.0)
    assert np.abs(after[..., 0] - expected).mean() < 0.05 * cover.mean()


def test_what_cannot_be_searched_is_refused():
  with pytest.raises(ValueError, match='canvas_size is 128'):
    painting.SingleStrokes(painting.PaintingSettings(canvas_size=128))
  with pytest.raises(ValueError, match="'transparent'"):
    painting.SingleStrokes(painting.fine_settings(background='transparent'))
