"""Ways home on surfaces over a grid."""

import numpy as np
import pytest

from spiral_jax.evaluation import surfaces

P, Q = 7, 9
HOME = 2 * Q + 6


def cone(rows=P, columns=Q, home=HOME):
  """Returns minus the distance from home."""
  row, column = np.indices((rows, columns))
  return -np.hypot(row - home // columns, column - home % columns)


# Hill climbing.


def test_all_ways_lead_up_a_cone():
  assert (surfaces.climb(cone()) == HOME).all()


def test_on_a_plain_nobody_moves():
  ends = surfaces.climb(np.ones((P, Q)))
  np.testing.assert_array_equal(ends, np.arange(P * Q).reshape(P, Q))


def test_of_two_hills_the_nearer_one_is_climbed():
  left, right = 3 * Q + 1, 3 * Q + 7
  surface = np.maximum(cone(home=left), cone(home=right))
  ends = surfaces.climb(surface)
  assert (ends[:, :4] == left).all() and (ends[:, 5:] == right).all()


def test_a_long_way_is_gone_to_its_end():
  surface = np.arange(100.0)[np.newaxis]
  assert (surfaces.climb(surface) == 99).all()
  assert (surfaces.climb(-surface.T) == 0).all()


def test_climbing_is_what_it_says():
  surface = np.random.default_rng(0).normal(size=(P, Q)).cumsum(0).cumsum(1)
  ends = surfaces.climb(surface)
  for start in np.ndindex(P, Q):
    row, column = start
    while True:
      near = [
          (i, j)
          for i in range(max(row - 1, 0), min(row + 2, P))
          for j in range(max(column - 1, 0), min(column + 2, Q))
      ]
      best = max(near, key=surface.__getitem__)
      if best == (row, column):
        break
      row, column = best
    assert ends[start] == row * Q + column
  assert 1 < len(np.unique(ends)) < P * Q


# Gradients.


def test_gradients_of_a_cone_point_home_and_of_a_pit_away():
  assert surfaces.points_home(cone(), HOME).all()
  away = surfaces.points_home(-cone(), HOME)
  assert away.sum() == 1 and away.flat[HOME]
  assert surfaces.points_home(np.ones((P, Q)), HOME).sum() == 1


def test_a_slope_points_home_from_below():
  slope = np.indices((P, Q))[1].astype(float)
  expected = np.indices((P, Q))[1] < HOME % Q
  expected.flat[HOME] = True
  np.testing.assert_array_equal(surfaces.points_home(slope, HOME), expected)


def test_shares_are_means_over_targets():
  def surface(target):
    return cone(home=target) if target % 2 else np.ones((P, Q))

  one = 1 / (P * Q)
  assert surfaces.measure(surface, np.array([HOME + 1, 3])) == (1.0, 1.0)
  shares = surfaces.measure(surface, np.array([HOME, 3, 6, 8]))
  assert shares == pytest.approx(((1 + 3 * one) / 4,) * 2)
