"""Lines as programs: curves, widths and a good order."""

import itertools
import math

import numpy as np
import pytest

from environments.painting import lines as lines_lib


def _line(*points, count=40):
  """Returns points along straight pieces."""
  t = np.linspace(0, len(points) - 1, count)
  at = np.array(points, float)
  return np.stack(
      [np.interp(t, np.arange(len(points)), at[:, i]) for i in (0, 1)], axis=-1
  )


def test_a_line_is_drawn_where_it_is_and_as_wide():
  program = lines_lib.of_lines(
      [_line((40, 100), (160, 100))], [8.0], shape=(200, 200)
  )
  picture = 255 - program.render(200)[..., 0].astype(float)
  rows = picture[:, 70:130].mean(axis=1) / 255
  assert rows.sum() == pytest.approx(8, rel=0.1)
  assert (rows * np.arange(200)).sum() / rows.sum() == pytest.approx(
      99.5, abs=0.6
  )
  columns = np.flatnonzero(picture.max(axis=0) > 128)
  assert abs(columns[0] - 36) <= 4 and abs(columns[-1] - 163) <= 4


def test_a_curve_takes_few_commands_and_a_corner_is_kept():
  t = np.linspace(0, np.pi, 200)
  half_circle = np.stack([100 + 60 * np.cos(t), 100 - 60 * np.sin(t)], axis=-1)
  program = lines_lib.of_lines([half_circle], [4.0], shape=(200, 200))
  curves = [curve for curve in program.curves() if curve.is_paint]
  assert 2 <= len(curves) <= 6
  for curve in curves:
    for time in np.linspace(0, 1, 9):
      x, y = np.array(curve.place(time)) * 200 / 64
      assert math.hypot(x - 100, y - 100) == pytest.approx(60, abs=1.2)
  corner = lines_lib.of_lines(
      [_line((20, 20), (180, 20), (180, 180))], [4.0], shape=(200, 200)
  )
  picture = corner.render(200)[..., 0]
  assert picture[21, 176] < 128 and picture[60, 140] == 255


def test_lines_of_like_widths_share_a_pen():
  paths = [_line((10, y), (90, y)) for y in (10, 30, 50, 70)]
  program = lines_lib.of_lines(paths, [2.0, 2.4, 2.2, 9.0], shape=(100, 100))
  assert len(program.settings.brush_sizes) == 2
  fine, broad = program.settings.brush_sizes
  assert 2.5 < broad / fine < 6
  one = lines_lib.of_lines(paths, [2.0, 2.4, 2.2, 2.9], shape=(100, 100))
  assert len(one.settings.brush_sizes) == 1


def test_the_order_is_as_short_as_can_be_for_a_few():
  rng = np.random.default_rng(0)
  worst = 1.0
  for _ in range(10):
    paths = [rng.random((2, 2)) for _ in range(5)]

    def travel(order, paths=paths):
      place, total = np.zeros(2), 0.0
      for number, is_reversed in order:
        path = paths[number][::-1] if is_reversed else paths[number]
        total += math.dist(place, path[0])
        place = path[-1]
      return total

    found = travel(lines_lib.shortest_order(paths))
    shortest = min(
        travel(list(zip(order, turns)))
        for order in itertools.permutations(range(5))
        for turns in itertools.product([False, True], repeat=5)
    )
    given = travel([(n, False) for n in range(5)])
    assert shortest <= found + 1e-9 and found <= given
    worst = max(worst, found / shortest)
  assert worst < 1.35


def test_pen_up_travel_is_told():
  paths = [_line((0, 0), (100, 0)), _line((0, 50), (100, 50))]
  there = lines_lib.of_lines(paths, [2, 2], shape=(100, 100), reorders=False)
  short = lines_lib.of_lines(paths, [2, 2], shape=(100, 100))
  # From the end of the first to the beginning of the second, or across.
  assert lines_lib.pen_up_travel(there) == pytest.approx(
      math.hypot(1, 0.5), abs=0.01
  )
  assert lines_lib.pen_up_travel(short) == pytest.approx(0.5, abs=0.01)


def test_dots_leave_ink():
  dot = np.array([[50.0, 50.0]])
  program = lines_lib.of_lines([dot], [6.0], shape=(100, 100))
  assert program.render(200).min() < 100


def test_what_is_wrong_is_said():
  with pytest.raises(ValueError, match='no lines'):
    lines_lib.of_lines([], [], shape=(9, 9))
  with pytest.raises(ValueError, match='no number'):
    lines_lib.of_lines([np.full((2, 2), np.nan)], [1], shape=(9, 9))


def test_corners_of_few_points_stay_sharp():
  corner = np.array([[20.0, 20.0], [180.0, 20.0], [180.0, 180.0]])
  program = lines_lib.of_lines([corner], [4.0], shape=(200, 200))
  for curve in program.curves():
    if curve.is_paint:
      for time in np.linspace(0, 1, 9):
        x, y = np.array(curve.place(time)) * 200 / 64
        assert min(abs(y - 20), abs(x - 180)) < 1
  picture = program.render(200)[..., 0]
  assert picture[21, 177] < 128 and picture[60, 140] == 255
  # One stroke: the pen is lifted once.
  assert (program.commands['flag'] == 0).sum() == 1
