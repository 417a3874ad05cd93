"""Widths, opacities and blurs of strokes, measured on dabs."""

import numpy as np
import pytest

from environments import painting
from environments.painting import stroke_shape


def _dabs(count=200, radius=10.0, hardness=0.99, opacity=1.0):
  """Returns a straight row of dabs, `[D, 13]`."""
  dabs = np.zeros((count, 13), np.float32)
  dabs[:, 0] = np.linspace(50, 250, count)
  dabs[:, 1] = 80
  dabs[:, 2] = radius
  dabs[:, 3:6] = 0.2, 0.4, 0.6
  dabs[:, 6], dabs[:, 7], dabs[:, 8] = opacity, hardness, 1.0
  dabs[:, 9] = 1
  return dabs


def test_a_hard_line_is_as_wide_as_its_dabs_and_sharp():
  shape = stroke_shape.measure(_dabs())
  (piece,) = shape.pieces
  assert piece.width == pytest.approx(20, rel=0.05)
  assert shape.blur == 0 and shape.opacity == pytest.approx(1, abs=0.02)
  assert shape.color == pytest.approx((0.2, 0.4, 0.6), abs=1e-5)
  np.testing.assert_allclose(piece.start, [50, 80], atol=1e-3)
  np.testing.assert_allclose(piece.end, [250, 80], atol=1e-3)
  np.testing.assert_allclose(piece.control[1], 80, atol=1e-3)


def test_softness_is_blur_and_faintness_is_opacity():
  soft = stroke_shape.measure(_dabs(hardness=0.1, opacity=0.3))
  assert soft.blur > 1
  # Overlapping dabs: 1 - (1 - .1)^n in the middle of a row of 20 a diameter.
  faint = stroke_shape.measure(_dabs(opacity=0.05))
  assert faint.opacity == pytest.approx(1 - 0.95**20, abs=0.1)
  assert faint.opacity < soft.opacity


def test_changing_widths_are_pieces():
  dabs = _dabs()
  dabs[:, 2] = np.linspace(4, 16, len(dabs))
  shape = stroke_shape.measure(dabs)
  widths = [piece.width for piece in shape.pieces]
  assert widths == sorted(widths) and len(widths) > 4
  assert widths[0] < 11 and widths[-1] > 28
  ends = [piece.end for piece in shape.pieces]
  for end, piece in zip(ends, shape.pieces[1:]):
    np.testing.assert_allclose(end, piece.start)


def test_no_dabs_no_shape():
  assert stroke_shape.measure(_dabs(0)) is None
  assert stroke_shape.measure(_dabs(1)).pieces[0].width == pytest.approx(
      20, rel=0.1
  )


def test_of_a_painted_stroke_the_shape_holds_the_ink():
  settings = painting.PaintingSettings(brush_sizes=(3,))
  program = painting.Program(
      settings,
      {
          'flag': [0, 1],
          'end': [32 * 10 + 4, 32 * 20 + 28],
          'control': [0, 32 * 4 + 20],
          'pressure': [9, 6],
      },
  )
  *_, dabs = program.recorded_dabs(256)
  shape = stroke_shape.measure(dabs)
  length = 0.0
  area = 0.0
  t = np.linspace(0, 1, 50)[:, np.newaxis]
  for piece in shape.pieces:
    curve = (
        (1 - t) ** 2 * piece.start
        + 2 * (1 - t) * t * piece.control
        + t**2 * piece.end
    )
    step = np.hypot(*np.diff(curve, axis=0).T).sum()
    length += step
    area += step * piece.width
  width = area / length
  area += np.pi / 4 * width**2  # Round ends.
  ink = (255.0 - program.render(256)).sum() / 255
  assert shape.opacity * area == pytest.approx(ink, rel=0.05)
