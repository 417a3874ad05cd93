"""Parts of a command: what they are, and the check of a command.

Axes: N canvases.
"""

from collections.abc import Mapping
from typing import Any

from dm_env import specs
import numpy as np
import numpy.typing as npt


def _is_whole(value: Any) -> bool:
  """Returns whether a value is a whole number, which a boolean is not."""
  return isinstance(value, (int, np.integer)) and not isinstance(value, bool)


def _checked_shape(shape: Any, name: str | None) -> tuple[int, int]:
  """Returns (height, width); raises ValueError for what is no such pair."""
  if (
      not isinstance(shape, (tuple, list))
      or len(shape) != 2
      or not all(_is_whole(side) and side > 0 for side in shape)
  ):
    raise ValueError(
        f'grid_shape of part {name!r} is {shape!r}, must be (height, width), '
        'two whole numbers from 1 on, as (16, 16)'
    )
  return int(shape[0]), int(shape[1])


def _checked_condition(
    condition: Any, name: str | None
) -> tuple[str, tuple[int, ...]]:
  """Returns (part, values); raises ValueError for what is no such pair."""
  if (
      not isinstance(condition, (tuple, list))
      or len(condition) != 2
      or not isinstance(condition[0], str)
      or not isinstance(condition[1], (tuple, list))
      or not all(map(_is_whole, condition[1]))
  ):
    raise ValueError(
        f'active_if of part {name!r} is {condition!r}, must be the name of an '
        "earlier part and a tuple of its values, as ('flag', (1,))"
    )
  return condition[0], tuple(map(int, condition[1]))


class Part(specs.DiscreteArray):
  """One part of a command: a `DiscreteArray` and two facts that agents use.

  An action spec is a dict of parts. Its order is the order in which an agent
  decides, so that a part may depend on those before it.
  """

  __slots__ = ('_grid_shape', '_active_if')
  __hash__ = None  # type: ignore[assignment]

  def __init__(
      self,
      num_values: int,
      *,
      grid_shape: tuple[int, int] | None = None,
      active_if: tuple[str, tuple[int, ...]] | None = None,
      name: str | None = None,
  ):
    """Initializes a part whose values are `0 .. num_values - 1`, int32.

    Args:
      num_values: number of values.
      grid_shape: (height, width) if the part is a location, whose value is
        then the flat index `y * width + x`; None if it is not.
      active_if: (name of an earlier part, its values for which this part has
        a meaning); None if it always has one.
      name: name of the part.

    Raises:
      ValueError: if one of them is not what it says above, or `grid_shape` does
        not hold `num_values` cells.
    """
    if not _is_whole(num_values) or not 1 <= num_values < 2**31:
      raise ValueError(
          f'num_values of part {name!r} is {num_values!r}, must be a whole '
          'number from 1 to 2^31 - 1'
      )
    super().__init__(int(num_values), dtype=np.int32, name=name)
    if grid_shape is not None:
      grid_shape = _checked_shape(grid_shape, name)
      height, width = grid_shape
      if height * width != num_values:
        raise ValueError(
            f'grid_shape {grid_shape} of part {name!r} has {height * width}'
            f' cells, num_values is {num_values}; they must agree'
        )
    if active_if is not None:
      active_if = _checked_condition(active_if, name)
    self._grid_shape = grid_shape
    self._active_if = active_if

  @property
  def grid_shape(self) -> tuple[int, int] | None:
    """(height, width) of a location, whose value is `y * width + x`."""
    return self._grid_shape

  @property
  def active_if(self) -> tuple[str, tuple[int, ...]] | None:
    """(earlier part, its values for which this part has a meaning)."""
    return self._active_if

  def __repr__(self) -> str:
    return (
        f'Part({self.num_values}, grid_shape={self.grid_shape},'
        f' active_if={self.active_if}, name={self.name!r})'
    )

  def __eq__(self, other: object) -> bool:
    if not isinstance(other, Part):
      return False
    return (
        self.num_values == other.num_values
        and self.grid_shape == other.grid_shape
        and self.active_if == other.active_if
    )

  def __reduce__(self):
    return _unpickle_part, (
        self.num_values,
        self.grid_shape,
        self.active_if,
        self.name,
    )


def check_command(
    action_spec: Mapping[str, Part],
    command: Mapping[str, npt.ArrayLike],
    shape: tuple[int, ...],
) -> dict[str, np.ndarray]:
  """Returns a command as int32 arrays, in the order of its spec.

  Args:
    action_spec: the parts that a command has.
    command: an int array of `shape` for each part.
    shape: `[]` for one canvas, `[N]` for a batch.

  Raises:
    ValueError: that names the part, its value and its range.
  """
  unknown = [name for name in command if name not in action_spec]
  if unknown:
    raise ValueError(
        f'action has an unknown part {unknown[0]!r}; the parts are'
        f' {", ".join(action_spec)}'
    )
  checked = {}
  for name, part in action_spec.items():
    if name not in command:
      raise ValueError(
          f'action lacks part {name!r}, an int from 0 to'
          f' {part.num_values - 1}; it has {", ".join(command) or "none"}'
      )
    value = np.asarray(command[name])
    if not np.issubdtype(value.dtype, np.integer):
      raise ValueError(
          f'part {name!r} of the action has dtype {value.dtype}, must be an'
          f' int from 0 to {part.num_values - 1}'
      )
    if value.shape != shape:
      raise ValueError(
          f'part {name!r} of the action has shape {value.shape}, must be'
          f' {shape}, of ints from 0 to {part.num_values - 1}'
      )
    outside = (value < 0) | (value >= part.num_values)
    if outside.any():
      raise ValueError(
          f'part {name!r} of the action is {value[outside].flat[0]}, must be'
          f' from 0 to {part.num_values - 1}'
      )
    checked[name] = value.astype(np.int32)
  return checked


def _unpickle_part(num_values, grid_shape, active_if, name) -> Part:
  """Rebuilds a part: `__reduce__` cannot pass keyword-only arguments."""
  return Part(num_values, grid_shape=grid_shape, active_if=active_if, name=name)
