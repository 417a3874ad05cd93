"""Torsos of the policy: from canvas, target and last command to features.

Axes: N images, H height, W width, C channels, E embedding.
"""

from collections.abc import Sequence

import chex
from flax import linen as nn
import jax.numpy as jnp

from spiral_jax.networks import layers


class ConvTorso(nn.Module):
  """The torso of figure 12 of Ganin et al. (arXiv:1804.01118).

  Attributes:
    channels: channels of all layers.
    num_blocks: number of residual blocks.
    hidden_size: size of the vector.
    map_size: height and width of the feature map, in cells.
    as_stated: True builds what the figure states. False adds planes of
      coordinates and one more layer for the last command, and has residual
      blocks that begin with a ReLU.
  """

  channels: int
  num_blocks: int
  hidden_size: int
  map_size: int
  as_stated: bool = False

  @nn.compact
  def __call__(
      self,
      images: Sequence[chex.Array],
      condition: chex.Array,
      planes: chex.Array,
  ) -> tuple[chex.Array, chex.Array]:
    """Returns a feature map and a vector, of the type of the images.

    Args:
      images: one or more images such as canvas and target, floats
        `[N, H, W, C]` each; C may be 0.
      condition: embedded command and noise, `[N, E]`.
      planes: unused; see `PatchTorso`.

    Returns:
      Map `[N, map_size, map_size, channels]`, vector `[N, hidden_size]`.
    """
    del planes
    if self.as_stated:
      x, shift = jnp.concatenate(images, axis=-1), condition
    else:
      x = jnp.concatenate([*images, _coordinates(images[0])], axis=-1)
      shift = layers.linear(self.channels)(condition)
    x = layers.Conv(self.channels, size=5)(x, shift)
    while x.shape[1] > self.map_size:
      x = layers.Conv(self.channels, size=4, stride=2, rectify=True)(x)
    x = nn.relu(x)
    for _ in range(self.num_blocks):
      if self.as_stated:
        x = layers.PlainResidualBlock()(x)
      else:
        x = layers.ResidualBlock()(x)
    x = nn.relu(x)
    flat = x.reshape(x.shape[0], -1)
    return x, nn.relu(layers.linear(self.hidden_size)(flat))


class PatchTorso(nn.Module):
  """A torso of matrix products: patches instead of strided convolutions.

  It sees the locations of the last command as marks on the feature map.

  Attributes:
    channels: channels of the feature map.
    num_blocks: number of residual blocks.
    hidden_size: size of the vector.
    map_size: height and width of the feature map, in cells.
    mix_cells: True lets each cell of the map see all others through one learned
      matrix, initially zero. It serves pictures in which a location appears
      elsewhere than on the map, such as those of an oblique camera.
  """

  channels: int
  num_blocks: int
  hidden_size: int
  map_size: int
  mix_cells: bool = False

  @nn.compact
  def __call__(
      self,
      images: Sequence[chex.Array],
      condition: chex.Array,
      planes: chex.Array,
  ) -> tuple[chex.Array, chex.Array]:
    """Returns a feature map and a vector, of the type of the images.

    Args:
      images: one or more images such as canvas and target, floats
        `[N, H, W, C]` each; C may be 0.
      condition: embedded command and noise, `[N, E]`.
      planes: marks of the last command, `[N, map_size, map_size, any]`.

    Returns:
      Map `[N, map_size, map_size, channels]`, vector `[N, hidden_size]`.
    """
    rows = _rows_of_all(images, self.map_size)
    x = jnp.concatenate([*rows, planes, _coordinates(rows[0])], axis=-1)
    x = layers.Dense(2 * self.channels)(x)
    # Flax numbers modules in order of creation, and saved weights are found by
    # these numbers.
    to_features = layers.Dense(self.channels, rectify=True)
    shift = layers.linear(self.channels)(condition)
    if self.mix_cells:
      x = to_features(x)
      x = x + _from_other_cells(x) + shift[:, None, None]
    else:
      x = to_features(x, shift)
    return _blocks_and_vector(x, self.num_blocks, self.hidden_size)


class FineTorso(nn.Module):
  """A torso that looks at patches of half the size, with convolutions.

  It tells small shapes apart that `PatchTorso` does not, and takes longer. It
  sees the locations of the last command as marks on the feature map.

  Attributes:
    channels: channels of the feature map.
    num_blocks: number of residual blocks.
    hidden_size: size of the vector.
    map_size: height and width of the feature map, in cells.
    mix_cells: as in `PatchTorso`.
  """

  channels: int
  num_blocks: int
  hidden_size: int
  map_size: int
  mix_cells: bool = False

  @nn.compact
  def __call__(
      self,
      images: Sequence[chex.Array],
      condition: chex.Array,
      planes: chex.Array,
  ) -> tuple[chex.Array, chex.Array]:
    """Returns a feature map and a vector, of the type of the images.

    Args:
      images: one or more images such as canvas and target, floats
        `[N, H, W, C]` each; H and W are multiples of 2 map_size.
      condition: embedded command and noise, `[N, E]`.
      planes: marks of the last command, `[N, map_size, map_size, any]`.

    Returns:
      Map `[N, map_size, map_size, channels]`, vector `[N, hidden_size]`.
    """
    pixels = jnp.concatenate(_rows_of_all(images, 2 * self.map_size), axis=-1)
    if not pixels.shape[-1]:  # Nothing to see.
      pixels = _coordinates(pixels)
    x = layers.ResidualBlock()(layers.Dense(self.channels)(pixels))
    coarse = _rows_of_patches(x, 2)
    x = jnp.concatenate([*coarse, planes, _coordinates(coarse[0])], axis=-1)
    to_features = layers.Dense(self.channels, rectify=True)
    x = to_features(x, layers.linear(self.channels)(condition))
    if self.mix_cells:
      x = x + _from_other_cells(x)
    return _blocks_and_vector(x, self.num_blocks, self.hidden_size)


def _blocks_and_vector(
    x: chex.Array, num_blocks: int, hidden_size: int
) -> tuple[chex.Array, chex.Array]:
  """Returns `[N, H, W, C]` after residual blocks, and a vector `[N, hidden]`.

  Their parameters belong to the module that calls this.
  """
  for _ in range(num_blocks):
    x = layers.ResidualBlock()(x)
  x = nn.relu(x)
  flat = x.reshape(x.shape[0], -1)
  return x, nn.relu(layers.linear(hidden_size)(flat))


def _from_other_cells(x: chex.Array) -> chex.Array:
  """Returns a linear map over cells, equal for all channels, like `x`.

  Its matrix belongs to the module that calls this.
  """
  n, height, width, channels = x.shape
  mix = layers.linear(
      height * width,
      use_bias=False,
      kernel_init=nn.initializers.zeros,
      name='mix_cells',
  )
  cells = x.reshape(n, height * width, channels)
  return mix(cells.swapaxes(1, 2)).swapaxes(1, 2).reshape(x.shape)


def _rows_of_all(
    images: Sequence[chex.Array], num_patches: int
) -> list[chex.Array]:
  """Returns the rows of patches of all images.

  Args:
    images: `[N, H, W, C]` each.
    num_patches: number of patches in a row and in a column.
  """
  return [
      row
      for image in images
      for row in _rows_of_patches(image, image.shape[1] // num_patches)
  ]


def _rows_of_patches(image: chex.Array, size: int) -> list[chex.Array]:
  """Returns the pixels of each patch, in one array for each of its rows.

  Concatenated they equal `layers.space_to_depth`. XLA's CPU backend copies
  whole rows here; there it transposes pixel by pixel, which is slower.

  Args:
    image: `[N, H, W, C]`.
    size: height and width of a patch, in pixels; divides H and W.

  Returns:
    `size` arrays `[N, H / size, W / size, size * C]`.
  """
  n, height, width, channels = image.shape
  shape = n, height // size, size, width // size, size * channels
  patches = image.reshape(shape)
  return [patches[:, :, row] for row in range(size)]


def _coordinates(like: chex.Array) -> chex.Array:
  """Returns planes of y and x in [-1, 1], `[N, H, W, 2]`."""
  n, height, width, _ = like.shape
  y = jnp.linspace(-1.0, 1.0, height, dtype=like.dtype)
  x = jnp.linspace(-1.0, 1.0, width, dtype=like.dtype)
  planes = jnp.stack(jnp.meshgrid(y, x, indexing='ij'), axis=-1)
  return jnp.broadcast_to(planes, (n, height, width, 2))
