"""Quadratic Bézier curves."""

import numpy as np

_FINE = 65  # Points of a curve, among which the nearest one is looked for.
_FITS = 4


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


def place(
    start: np.ndarray, control: np.ndarray, end: np.ndarray, t: np.ndarray
) -> np.ndarray:
  """Returns points of one curve `[P, D]` at times `[P, 1]`."""
  return (1 - t) ** 2 * start + 2 * (1 - t) * t * control + t**2 * end


def fit_quadratic(points: np.ndarray) -> tuple[np.ndarray, float]:
  """Returns the curve from the first of some points to the last, near all.

  Args:
    points: points in order, float64 `[P, D]`, P 2 or more.

  Returns:
    The control point `[D]` that makes squared distances least, or nearly so,
    and the largest distance.
  """
  first, last = points[0], points[-1]
  steps = np.sqrt((np.diff(points, axis=0) ** 2).sum(axis=-1))
  t = np.concatenate([[0.0], np.cumsum(steps)])
  if not t[-1] > 0:
    return (first + last) / 2, 0.0
  t = (t / t[-1])[:, np.newaxis]
  fine = np.linspace(0.0, 1.0, _FINE)[:, np.newaxis]
  for _ in range(_FITS):
    weight = 2 * (1 - t) * t
    ends = (1 - t) ** 2 * first + t**2 * last
    total = max(float((weight**2).sum()), 1e-12)
    control = (weight * (points - ends)).sum(axis=0) / total
    # Where on the curve each point is nearest to it.
    curve = place(first, control, last, fine)
    away = ((points[:, np.newaxis] - curve) ** 2).sum(axis=-1)  # [P, fine]
    t = fine[away.argmin(axis=1)]
  return control, float(np.sqrt(away.min(axis=1).max()))
