"""Parts of a command as the networks see them: sizes, embeddings, planes."""

from typing import NamedTuple

import chex
from flax import linen as nn
import jax
import jax.numpy as jnp

from spiral_jax.networks import layers


class ActionPart(NamedTuple):
  """One part of a command.  Hashable, so that a module can hold it."""

  name: str
  num_values: int
  grid_shape: tuple[int, int] | None = None  # (height, width) of a location.
  active_if: tuple[str, tuple[int, ...]] | None = None


class PartEmbedding(nn.Module):
  """Embeds a value of one part; no value yet (-1) embeds as zeros."""

  part: ActionPart
  size: int = 16

  @nn.compact
  def __call__(self, value: chex.Array) -> chex.Array:
    """Maps values `[N]` to embeddings `[N, size]`."""
    if self.part.grid_shape is None:
      code = jax.nn.one_hot(value, self.part.num_values)
    else:  # A row and a column generalize better than one of 1,024 names.
      height, width = self.part.grid_shape
      rows = jnp.where(value >= 0, value // width, -1)
      columns = jnp.where(value >= 0, value % width, -1)
      code = jnp.concatenate(
          [jax.nn.one_hot(rows, height), jax.nn.one_hot(columns, width)], -1
      )
    return nn.Dense(self.size, use_bias=False)(code)


def locate(
    part: ActionPart, value: chex.Array, map_size: int
) -> tuple[chex.Array, chex.Array, int]:
  """Returns where on a feature map locations are.

  Args:
    part: a location whose grid is a multiple of `map_size`.
    value: `[N]`.
    map_size: height and width of the map, in cells.

  Returns:
    The map's cell `[N]`, row by row; which of the grid's cells within it
    `[N]`, likewise; how many of these there are.
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
    part: a location whose grid is a multiple of `map_size`.
    value: `[N]`; -1 marks nothing.
    map_size: height and width of the map, in cells.

  Returns:
    `[N, map_size, map_size, cells of the grid in a cell of the map]`, one-hot.
  """
  assert part.grid_shape is not None
  height, width = part.grid_shape
  plane = jax.nn.one_hot(value, height * width)
  plane = plane.reshape(-1, height, width, 1)
  return layers.space_to_depth(plane, height // map_size)


def is_active(parts: tuple[ActionPart, ...], action: dict) -> chex.Array:
  """Returns where each part has a meaning, `[..., P]`, 1.0 or 0.0."""
  columns = []
  for part in parts:
    like = action[part.name]
    if part.active_if is None:
      columns.append(jnp.ones(like.shape))
    else:
      name, values = part.active_if
      columns.append(jnp.isin(action[name], jnp.array(values)))
  return jnp.stack(columns, axis=-1).astype(jnp.float32)
