"""Object-level accuracy of reconstructed scenes.

Objects are first matched, then compared. Axes: B scenes, M slots for objects
(predicted and true scenes may differ in M).
"""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

COLORS = ('red', 'green', 'blue')
_PARTS = ('object', 'location', 'size', *COLORS)


class ObjectAccuracy(NamedTuple):
  """Shares in [0, 1] over a set of scenes; NaN if the total is 0."""

  scenes: int  # Number of scenes, B.
  right_count: float  # Scenes with the right number of objects.
  count_error: float  # Mean absolute error of the number of objects.
  exact: float  # Scenes in which everything is right.
  recall: float  # True objects matched within one cell.
  precision: float  # Predicted objects matched within one cell.
  matched: int  # Number of pairs; the shares below are of these.
  kind: float  # Pairs of the same kind: sphere, box, ...
  location: float  # Pairs at exactly the same location.
  near: float  # Pairs at most one row and one column apart.
  size: float  # Pairs of the same size.
  color: float  # Pairs with the same red, green and blue.
  shade: float  # Single color channels that are the same.


def evaluate_objects(
    predicted: Mapping[str, np.ndarray],
    true: Mapping[str, np.ndarray],
    *,
    grid_shape: tuple[int, int],
) -> ObjectAccuracy:
  """Returns the accuracy of predicted scenes, object by object.

  In each scene, every object of the side that has fewer is matched. The
  matching minimizes the sum of the distances of pairs on the grid; ties go to
  the matching with more other parts right.

  Args:
    predicted: 'present', bool `[B, M]`, and int `[B, M]` for 'object' (its
      kind), 'location' (`row * width + column`), 'size', 'red', 'green' and
      'blue'; these have no meaning where 'present' is false.
    true: true objects in the same form; M may differ.
    grid_shape: height and width of the grid of locations.

  Raises:
    ValueError: if a part is missing, of a wrong shape, or off the grid.
  """
  predicted = _checked(predicted, 'predicted', grid_shape)
  true = _checked(true, 'true', grid_shape)
  if len(predicted['present']) != len(true['present']):
    raise ValueError(
        f'{len(predicted["present"])} predicted scenes and '
        f'{len(true["present"])} true ones: give as many of both'
    )
  num_predicted, num_true = (
      side['present'].sum(1) for side in (predicted, true)
  )
  scene, first, second = _pairs(predicted, true, grid_shape[1])
  is_right = {
      name: predicted[name][scene, first] == true[name][scene, second]
      for name in _PARTS
  }
  row, column = np.abs(
      np.stack(np.divmod(predicted['location'][scene, first], grid_shape[1]))
      - np.stack(np.divmod(true['location'][scene, second], grid_shape[1]))
  )
  is_near = (row <= 1) & (column <= 1)
  shades = np.stack([is_right[name] for name in COLORS], axis=-1)
  wrong = np.bincount(
      scene,
      ~np.logical_and.reduce([*is_right.values()]),
      minlength=len(num_true),
  )
  is_count = num_predicted == num_true
  return ObjectAccuracy(
      scenes=len(num_true),
      right_count=_share(is_count),
      count_error=_share(np.abs(num_predicted - num_true)),
      exact=_share(is_count & (wrong == 0)),
      recall=_ratio(is_near.sum(), num_true.sum()),
      precision=_ratio(is_near.sum(), num_predicted.sum()),
      matched=len(scene),
      kind=_share(is_right['object']),
      location=_share(is_right['location']),
      near=_share(is_near),
      size=_share(is_right['size']),
      color=_share(np.all(shades, axis=-1)),
      shade=_share(shades),
  )


def match(cost: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
  """Returns the pairs of rows and columns whose costs have the least sum.

  Uses shortest augmenting paths (Jonker and Volgenant, 1987), for matrices of
  some tens of rows.

  Args:
    cost: finite costs `[R, C]`.

  Returns:
    Rows and columns, int `[min(R, C)]` each, ordered by row.
  """
  cost = np.asarray(cost, np.float64)
  if cost.shape[0] > cost.shape[1]:
    columns, rows = match(cost.T)
    order = np.argsort(rows)
    return rows[order], columns[order]
  num_rows, num_columns = cost.shape
  row_price, column_price = np.zeros(num_rows), np.zeros(num_columns)
  row_of = np.full(num_columns, -1)  # Row matched with a column, or -1.
  for start in range(num_rows):
    distance = np.full(num_columns, np.inf)
    before = np.full(num_columns, -1)  # Previous column; -1 is the start.
    is_done = np.zeros(num_columns, bool)
    row, column, so_far = start, -1, 0.0
    while row >= 0:
      step = so_far + cost[row] - row_price[row] - column_price
      is_shorter = ~is_done & (step < distance)
      distance[is_shorter] = step[is_shorter]
      before[is_shorter] = column
      column = int(np.argmin(np.where(is_done, np.inf, distance)))
      so_far = distance[column]
      is_done[column] = True
      row = row_of[column]
    # Update the prices so that no reduced cost is negative.
    reached = is_done & (row_of >= 0)
    row_price[row_of[reached]] += so_far - distance[reached]
    column_price[is_done] -= so_far - distance[is_done]
    row_price[start] += so_far
    while column >= 0:
      previous = before[column]
      row_of[column] = row_of[previous] if previous >= 0 else start
      column = previous
  columns = np.flatnonzero(row_of >= 0)
  order = np.argsort(row_of[columns])
  return row_of[columns][order], columns[order]


def _pairs(
    predicted: Mapping[str, np.ndarray],
    true: Mapping[str, np.ndarray],
    width: int,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
  """Returns scene, predicted slot and true slot of each pair, int `[pairs]`."""
  parts = []
  for b in range(len(true['present'])):
    first = np.flatnonzero(predicted['present'][b])
    second = np.flatnonzero(true['present'][b])
    rows, columns = (
        np.subtract.outer(x, y)
        for x, y in zip(
            np.divmod(predicted['location'][b, first], width),
            np.divmod(true['location'][b, second], width),
        )
    )
    wrong = sum(
        predicted[name][b, first][:, None] != true[name][b, second]
        for name in _PARTS
    )
    # Breaks ties: far below any relevant difference of two sums of distances.
    i, j = match(np.hypot(rows, columns) + 1e-6 * wrong)
    parts.append((np.full(len(i), b), first[i], second[j]))
  if not parts:
    return np.zeros(0, int), np.zeros(0, int), np.zeros(0, int)
  scene, i, j = map(np.concatenate, zip(*parts))
  return scene, i, j


def _checked(
    objects: Mapping[str, np.ndarray], name: str, grid_shape: tuple[int, int]
) -> dict[str, np.ndarray]:
  """Returns the parts as arrays of one shape `[B, M]`."""
  missing = [part for part in ('present', *_PARTS) if part not in objects]
  if missing:
    raise ValueError(
        f"{name} objects have no part '{missing[0]}' but "
        f'{", ".join(objects)}'
    )
  arrays = {part: np.asarray(objects[part]) for part in ('present', *_PARTS)}
  present = arrays['present']
  if present.dtype != bool or present.ndim != 2:
    raise ValueError(
        f"'present' of {name} objects is {present.dtype} "
        f'{present.shape}: give bool [B, M]'
    )
  for part in _PARTS:
    if arrays[part].shape != present.shape or arrays[part].dtype.kind not in (
        'i',
        'u',
    ):
      raise ValueError(
          f"'{part}' of {name} objects is {arrays[part].dtype} "
          f"{arrays[part].shape}: give ints of the shape of 'present', "
          f'{present.shape}'
      )
    arrays[part] = arrays[part].astype(np.int64)
  cells = grid_shape[0] * grid_shape[1]
  location = arrays['location'][present]
  if location.size and not 0 <= location.min() <= location.max() < cells:
    raise ValueError(
        f"'location' of {name} objects goes from {location.min()} to "
        f'{location.max()}; the grid {grid_shape} has {cells} cells'
    )
  return arrays


def _share(values: np.ndarray) -> float:
  return float(values.mean()) if values.size else float('nan')


def _ratio(part: int, whole: int) -> float:
  return float(part) / float(whole) if whole else float('nan')
