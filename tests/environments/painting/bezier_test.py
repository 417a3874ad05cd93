"""Closed forms of quadratic Bézier curves."""

import numpy as np

from environments.painting import bezier


def test_curve_starts_and_ends_where_told_and_bends_half_way():
  start = np.array([[0.0, 0.0], [1.0, 2.0]])
  control = np.array([[1.0, 0.0], [5.0, 2.0]])
  end = np.array([[1.0, 1.0], [3.0, 6.0]])
  points = bezier.quadratic_bezier(start, control, end, 5)
  assert points.shape == (2, 5, 2)
  np.testing.assert_array_equal(points[:, 0], start)
  np.testing.assert_array_equal(points[:, -1], end)
  np.testing.assert_allclose(
      points[:, 2], 0.25 * start + 0.5 * control + 0.25 * end
  )


def test_control_in_the_middle_gives_a_line_at_even_speed():
  start, end = np.array([[2.0, -4.0]]), np.array([[8.0, 4.0]])
  points = bezier.quadratic_bezier(start, (start + end) / 2, end, 11)
  np.testing.assert_allclose(points[0], np.linspace(start[0], end[0], 11))


def test_curve_leaves_towards_control_and_arrives_from_it():
  start, end = np.array([[0.0, 0.0]]), np.array([[10.0, 0.0]])
  control = np.array([[0.0, 10.0]])
  points = bezier.quadratic_bezier(start, control, end, 1001)[0]
  leaving, arriving = points[1] - points[0], points[-1] - points[-2]
  np.testing.assert_allclose(leaving * 1000, 2 * control[0], atol=0.05)
  np.testing.assert_allclose(arriving * 1000, [20.0, -20.0], atol=0.05)


def test_parabola_in_closed_form():
  t = np.linspace(0, 1, 51)
  points = bezier.quadratic_bezier(
      np.array([[0.0, 0.0]]), np.array([[0.5, 1.0]]), np.array([[1.0, 0.0]]), 51
  )
  np.testing.assert_allclose(points[0, :, 0], t)
  np.testing.assert_allclose(points[0, :, 1], 2 * t * (1 - t))
