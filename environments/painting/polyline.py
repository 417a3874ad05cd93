"""Lines of points, measured along their way.

Axes: P points, N places.
"""

import numpy as np


def lengths(points: np.ndarray) -> np.ndarray:
  """Returns the way from the first of some points to each, `[P]`.

  Args:
    points: (x, y), `[P, 2]`.
  """
  steps = np.hypot(*np.diff(points, axis=0).T)
  return np.concatenate([[0.0], np.cumsum(steps)])


def places(points: np.ndarray, way: np.ndarray, at: np.ndarray) -> np.ndarray:
  """Returns places on a line, `[N, 2]`.

  Args:
    points: (x, y), `[P, 2]`.
    way: what `lengths` returns of them.
    at: ways from the first point, `[N]`; the ends where that is beyond.
  """
  return np.stack([np.interp(at, way, points[:, i]) for i in (0, 1)], axis=-1)
