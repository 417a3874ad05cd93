"""Parts of a command as the networks see them: sizes, embeddings, planes.

Axes: N rows, P parts.
"""

from typing import NamedTuple

import chex
from flax import linen as nn
import jax
import jax.numpy as jnp

from spiral_jax.networks import layers


class ActionPart(NamedTuple):
  """One part of a command. Hashable, so that a module can hold it.

  Attributes:
    name: key of the part in a command.
    num_values: number of values, which are 0, 1, ...
    grid_shape: (height, width) of a location's grid; None for other parts.
    active_if: name of another part and those of its values with which this part
      has a meaning; None means always.
  """

  name: str
  num_values: int
  grid_shape: tuple[int, int] | None = None
  active_if: tuple[str, tuple[int, ...]] | None = None


class PartEmbedding(nn.Module):
  """Embeds a value of one part; -1, which means no value, embeds as zeros."""

  part: ActionPart
  size: int = 16
  num_layers: int = 1  # More than one make a multilayer perceptron.

  @nn.compact
  def __call__(self, value: chex.Array) -> chex.Array:
    """Maps values `[N]` to embeddings `[N, size]`."""
    if self.part.grid_shape is None:
      code = jax.nn.one_hot(value, self.part.num_values, dtype=jnp.float32)
    else:  # A row and a column generalize better than one of 1,024 cells.
      height, width = self.part.grid_shape
      rows = jnp.where(value >= 0, value // width, -1)
      columns = jnp.where(value >= 0, value % width, -1)
      code = jnp.concatenate(
          [
              jax.nn.one_hot(rows, height, dtype=jnp.float32),
              jax.nn.one_hot(columns, width, dtype=jnp.float32),
          ],
          -1,
      )
    code = layers.linear(self.size, use_bias=False)(code)
    for _ in range(self.num_layers - 1):
      code = layers.linear(self.size, use_bias=False)(nn.relu(code))
    return code


def locate(
    part: ActionPart, value: chex.Array, map_size: int
) -> tuple[chex.Array, chex.Array, int]:
  """Converts locations to cells of a feature map and sub-cells within them.

  Args:
    part: location whose grid is a multiple of `map_size`.
    value: cells of the grid `[N]`.
    map_size: height and width of the map, in cells.

  Returns:
    cell: index of the map's cell, row by row, `[N]`.
    sub_cell: index of the grid's cell within the map's cell, row by row, `[N]`.
    num_sub_cells: number of the grid's cells in a cell of the map.
  """
  assert part.grid_shape is not None
  rows, columns = (size // map_size for size in part.grid_shape)
  row, column = value // part.grid_shape[1], value % part.grid_shape[1]
  cell = row // rows * map_size + column // columns
  return cell, row % rows * columns + column % columns, rows * columns


def location_planes(
    part: ActionPart, value: chex.Array, map_size: int
) -> chex.Array:
  """Marks a location on a feature map, exact to the grid's cell.

  Args:
    part: location whose grid is a multiple of `map_size`.
    value: cells of the grid `[N]`; -1 marks nothing.
    map_size: height and width of the map, in cells.

  Returns:
    One-hot planes `[N, map_size, map_size, num_sub_cells]`.
  """
  assert part.grid_shape is not None
  height, width = part.grid_shape
  plane = jax.nn.one_hot(value, height * width, dtype=jnp.float32)
  plane = plane.reshape(-1, height, width, 1)
  return layers.space_to_depth(plane, height // map_size)


def is_active(parts: tuple[ActionPart, ...], action: dict) -> chex.Array:
  """Returns 1.0 for each part that has a meaning, else 0.0, `[..., P]`."""
  columns = []
  for part in parts:
    like = action[part.name]
    if part.active_if is None:
      columns.append(jnp.ones(like.shape, jnp.float32))
    else:
      name, values = part.active_if
      columns.append(jnp.isin(action[name], jnp.array(values)))
  return jnp.stack(columns, axis=-1).astype(jnp.float32)
