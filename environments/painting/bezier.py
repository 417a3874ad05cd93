"""Quadratic Bézier curves."""

import numpy as np


def quadratic_bezier(
    start: np.ndarray,
    control: np.ndarray,
    end: np.ndarray,
    num_points: int,
) -> np.ndarray:
  """Returns points along curves, ends included, evenly spaced in time.

  Args:
    start: first points, float64 `[N, D]`, in any unit.
    control: control points `[N, D]`; the curve leaves `start` and enters `end`
      along the lines to them.
    end: last points `[N, D]`.
    num_points: number of points on each curve, P, 2 or more.

  Returns:
    Points `[N, P, D]`.
  """
  t = np.linspace(0.0, 1.0, num_points)[:, np.newaxis]
  start, control, end = (p[:, np.newaxis] for p in (start, control, end))
  # Keep this order of operations: strokes must match to the last bit.
  return (1 - t) * (1 - t) * start + 2 * (1 - t) * t * control + t * t * end
