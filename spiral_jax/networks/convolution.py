"""Building blocks of the image networks: residual blocks, blocks of pixels.

Axes: N images, H height, W width, C channels.
"""

import chex
from flax import linen as nn


class ResidualBlock(nn.Module):
  """Two 3x3 convolutions around a skip connection (arXiv:1603.05027)."""

  @nn.compact
  def __call__(self, x: chex.Array) -> chex.Array:
    """Maps features `[N, H, W, C]` to features of the same shape."""
    channels = x.shape[-1]
    h = nn.Conv(channels, (3, 3))(nn.relu(x))
    h = nn.Conv(channels, (3, 3))(nn.relu(h))
    return x + h


def space_to_depth(x: chex.Array, size: int) -> chex.Array:
  """Moves blocks of `size` by `size` pixels into channels.

  Args:
    x: `[N, H, W, C]`.
    size: divides H and W.

  Returns:
    `[N, H / size, W / size, size * size * C]`, ordered (row, column, channel).
  """
  n, height, width, channels = x.shape
  x = x.reshape(n, height // size, size, width // size, size, channels)
  x = x.transpose(0, 1, 3, 2, 4, 5)
  return x.reshape(n, height // size, width // size, -1)


def depth_to_space(x: chex.Array, size: int) -> chex.Array:
  """Undoes `space_to_depth`.

  Args:
    x: `[N, H, W, size * size * C]`.
    size: of the blocks, in pixels.

  Returns:
    `[N, H * size, W * size, C]`.
  """
  n, height, width, _ = x.shape
  x = x.reshape(n, height, width, size, size, -1)
  x = x.transpose(0, 1, 3, 2, 4, 5)
  return x.reshape(n, height * size, width * size, -1)
