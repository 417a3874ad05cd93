"""Building blocks of the image networks: convolutions, blocks of pixels.

Axes: N images, H height, W width, C channels.
"""

import chex
from flax import linen as nn
import jax
import jax.numpy as jnp


class ResidualBlock(nn.Module):
  """Two 3x3 convolutions around a skip connection (arXiv:1603.05027)."""

  @nn.compact
  def __call__(self, x: chex.Array) -> chex.Array:
    """Maps features `[N, H, W, C]` to features of the same shape."""
    channels = x.shape[-1]
    h = nn.Conv(channels, (3, 3))(nn.relu(x))
    h = nn.Conv(channels, (3, 3))(nn.relu(h))
    return x + h


class HalvingConv(nn.Module):
  """A 4x4 convolution with stride 2: `nn.Conv(features, (4, 4), strides=2)`.

  On CPU it is computed as a matrix product over patches.  The gradient penalty
  differentiates twice, and XLA's CPU backend is two to three times slower at
  that through strided convolutions.
  """

  features: int

  @nn.compact
  def __call__(self, x: chex.Array) -> chex.Array:
    """Maps `[N, H, W, C]`, H and W even, to `[N, H / 2, W / 2, features]`."""
    shape = (4, 4, x.shape[-1], self.features)
    kernel = self.param('kernel', nn.initializers.lecun_normal(), shape)
    bias = self.param('bias', nn.initializers.zeros_init(), (self.features,))
    return bias + jax.lax.platform_dependent(
      x, kernel, cpu=_halve_as_product, default=_halve_as_convolution
    )


def _halve_as_convolution(x: chex.Array, kernel: chex.Array) -> chex.Array:
  return jax.lax.conv_general_dilated(
    x,
    kernel,
    window_strides=(2, 2),
    padding=((1, 1), (1, 1)),
    dimension_numbers=('NHWC', 'HWIO', 'NHWC'),
  )


def _halve_as_product(x: chex.Array, kernel: chex.Array) -> chex.Array:
  """Gathers each output's 4x4 patch as 2x2 blocks of 2x2 pixels."""
  n, height, width, channels = x.shape
  height, width = height // 2, width // 2
  x = jnp.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))
  blocks = space_to_depth(x, 2)
  patches = jnp.concatenate(
    [
      blocks[:, row : row + height, column : column + width]
      for row in range(2)
      for column in range(2)
    ],
    axis=-1,
  )
  # Kernel rows and columns as (block, pixel in block), blocks outermost.
  kernel = kernel.reshape(2, 2, 2, 2, channels, -1).transpose(0, 2, 1, 3, 4, 5)
  product = patches.reshape(-1, 16 * channels) @ kernel.reshape(
    16 * channels, -1
  )
  return product.reshape(n, height, width, -1)


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
