"""Surfaces over places on a grid, and whether they lead to a target.

Axes: P rows and Q columns of places.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

# (index of the target's location) -> score `[P, Q]` of what lies at each
# location: higher is nearer.
Surface = Callable[[int], np.ndarray]


def climb(surface: np.ndarray) -> np.ndarray:
  """Returns where hill climbing ends, from each location.

  A step goes to the highest of the eight neighbors, if that is higher.

  Args:
    surface: `[P, Q]`.

  Returns:
    Indices of locations, `row * Q + column`, int `[P, Q]`.
  """
  rows, columns = surface.shape
  padded = np.pad(surface, 1, constant_values=-np.inf)
  # To stay comes first, and wins where a neighbor is as high.
  moves = [(0, 0)] + [
      (i, j) for i in (-1, 0, 1) for j in (-1, 0, 1) if (i, j) != (0, 0)
  ]
  heights = np.stack(
      [padded[1 + i : 1 + i + rows, 1 + j : 1 + j + columns] for i, j in moves]
  )
  offset = np.array([i * columns + j for i, j in moves])
  ends = np.arange(surface.size) + offset[heights.argmax(0)].ravel()
  # Each round doubles the steps.
  while np.any(ends[ends] != ends):
    ends = ends[ends]
  return ends.reshape(rows, columns)


def points_home(surface: np.ndarray, target: int) -> np.ndarray:
  """Returns from where the gradient points to a target, by < 90 degrees.

  Args:
    surface: `[P, Q]`.
    target: index of its location, where there is no direction.

  Returns:
    bool `[P, Q]`.
  """
  row, column = np.indices(surface.shape)
  home_row, home_column = divmod(target, surface.shape[1])
  along_rows, along_columns = np.gradient(surface)
  towards = (home_row - row) * along_rows + (
      home_column - column
  ) * along_columns
  towards[home_row, home_column] = 1.0
  return towards > 0


class Shares(NamedTuple):
  """Of all locations, means over targets."""

  pointing: float  # Whose gradient points home.
  reaching: float  # From which hill climbing gets there.


def measure(surface: Surface, targets: np.ndarray) -> Shares:
  """Returns how well a surface leads to targets.

  Args:
    surface: of each target.
    targets: indices of their locations, int `[n]`.
  """
  pointing, reaching = [], []
  for target in targets:
    heights = surface(target)
    pointing.append(points_home(heights, target).mean())
    reaching.append(np.mean(climb(heights) == target))
  return Shares(float(np.mean(pointing)), float(np.mean(reaching)))
