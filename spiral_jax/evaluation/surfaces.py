"""Surfaces over locations on a grid, and how well they lead to a target.

Axes: P rows and Q columns of locations.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

# Maps the index of a target's location to scores `[P, Q]` of all locations:
# higher is nearer.
Surface = Callable[[int], np.ndarray]


def climb(surface: np.ndarray) -> np.ndarray:
  """Returns the end of hill climbing from each location.

  A step goes to the highest of the eight neighbors, if it is higher.

  Args:
    surface: scores `[P, Q]`.

  Returns:
    Indices of locations, `row * Q + column`, int `[P, Q]`.
  """
  rows, columns = surface.shape
  padded = np.pad(surface, 1, constant_values=-np.inf)
  # Staying comes first, so that it wins against a neighbor of equal height.
  moves = [(0, 0)] + [
      (i, j) for i in (-1, 0, 1) for j in (-1, 0, 1) if (i, j) != (0, 0)
  ]
  heights = np.stack(
      [padded[1 + i : 1 + i + rows, 1 + j : 1 + j + columns] for i, j in moves]
  )
  offset = np.array([i * columns + j for i, j in moves])
  ends = np.arange(surface.size) + offset[heights.argmax(0)].ravel()
  # Each round doubles the number of steps.
  while np.any(ends[ends] != ends):
    ends = ends[ends]
  return ends.reshape(rows, columns)


def points_home(surface: np.ndarray, target: int) -> np.ndarray:
  """Returns the locations whose gradient is within 90 degrees of the target.

  Args:
    surface: scores `[P, Q]`.
    target: index of the target's location, which counts as pointing home.

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
  """Shares of locations, means over targets."""

  pointing: float  # Locations whose gradient points home.
  reaching: float  # Locations from which hill climbing reaches the target.


def measure(surface: Surface, targets: np.ndarray) -> Shares:
  """Returns the shares of locations from which a surface leads to targets.

  Args:
    surface: surface of any target.
    targets: indices of the targets' locations, int `[n]`.
  """
  pointing, reaching = [], []
  for target in targets:
    heights = surface(target)
    pointing.append(points_home(heights, target).mean())
    reaching.append(np.mean(climb(heights) == target))
  return Shares(float(np.mean(pointing)), float(np.mean(reaching)))
