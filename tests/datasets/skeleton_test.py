"""Center lines of drawings."""

import numpy as np
from PIL import Image
from PIL import ImageDraw
import pytest
from scipy import ndimage

from spiral_jax.datasets import skeleton


def _ink(*strokes, size=120, width=6, closed=False):
  """Returns strokes as ink, bool `[H, W]`."""
  page = Image.new('L', (size, size), 0)
  draw = ImageDraw.Draw(page)
  for points in strokes:
    if closed:
      draw.ellipse(points, outline=255, width=width)
      continue
    draw.line(points, fill=255, width=width, joint='curve')
    for x, y in points:
      radius = width / 2
      draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=255)
  return np.asarray(page) > 128


@pytest.mark.parametrize('width', [2, 5, 9])
def test_a_line_is_found_with_its_width(width):
  (line,) = skeleton.center_lines(_ink([(20, 60), (100, 60)], width=width))
  assert line.width == pytest.approx(width, abs=1.2)
  assert np.abs(line.points[:, 1] - 60).max() < 1.2
  x = sorted(line.points[[0, -1], 0])
  assert abs(x[0] - 20) < width and abs(x[1] - 100) < width


def test_crossing_lines_are_two_and_go_straight_on():
  lines = skeleton.center_lines(
      _ink([(15, 20), (105, 100)], [(15, 100), (105, 20)])
  )
  assert len(lines) == 2
  for line in lines:
    x = line.points[[0, -1], 0]
    y = line.points[[0, -1], 1]
    assert abs(x[1] - x[0]) > 70 and abs(y[1] - y[0]) > 60


def test_a_branch_ends_at_the_line_it_leaves():
  lines = skeleton.center_lines(
      _ink([(10, 30), (110, 30)], [(60, 30), (60, 110)])
  )
  assert len(lines) == 2
  spans = sorted(np.ptp(line.points, axis=0).tolist() for line in lines)
  assert spans[0][1] > 60 and spans[1][0] > 85


def test_a_ring_is_one_closed_line():
  (line,) = skeleton.center_lines(_ink((20, 20, 100, 100), closed=True))
  np.testing.assert_allclose(line.points[0], line.points[-1], atol=3)
  away = np.hypot(*(line.points - 60).T)
  assert np.abs(away - 37).max() < 3


def test_corners_are_no_ends_and_blots_leave_no_spurs():
  zigzag = [(10, 20), (110, 20), (10, 100), (110, 100)]
  assert len(skeleton.center_lines(_ink(zigzag, width=9))) == 1


def test_dots_and_nothing():
  (dot,) = skeleton.center_lines(_ink([(60, 60), (60, 60)], width=8))
  assert np.ptp(dot.points, axis=0).max() < 5
  assert skeleton.center_lines(np.zeros((20, 20), bool)) == []


def test_thinning_keeps_what_hangs_together():
  rng = np.random.default_rng(0)
  ink = np.pad(ndimage.gaussian_filter(rng.random((80, 80)), 3) > 0.505, 2)
  thin = skeleton.thin(ink)
  eight = np.ones((3, 3))
  assert (thin <= ink).all() and thin.sum() < 0.5 * ink.sum()
  assert ndimage.label(thin, eight)[1] == ndimage.label(ink, eight)[1]
  # Holes as well.
  assert ndimage.label(~thin)[1] == ndimage.label(~ink)[1]


def test_small_dots_are_not_lost():
  ink = np.zeros((20, 30), bool)
  ink[5:7, 5:7] = ink[12:14, 4:26] = True
  lines = skeleton.center_lines(ink)
  assert len(lines) == 2
