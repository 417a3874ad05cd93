"""Building blocks of the image networks: convolutions, blocks of pixels.

Axes: N images, H height, W width, C channels.
"""

import functools

import chex
from flax import linen as nn
import jax
import jax.numpy as jnp

from spiral_jax.networks import native


class ResidualBlock(nn.Module):
  """Two 3x3 convolutions around a skip connection (arXiv:1603.05027)."""

  @nn.compact
  def __call__(self, x: chex.Array) -> chex.Array:
    """Maps features `[N, H, W, C]` to features of the same shape."""
    conv = functools.partial(
      nn.Conv, x.shape[-1], (3, 3), conv_general_dilated=_convolve
    )
    h = conv()(nn.relu(x))
    h = conv()(nn.relu(h))
    return x + h


def _convolve(x: chex.Array, kernel: chex.Array, *args, **kwargs) -> chex.Array:
  """Is `jax.lax.conv_general_dilated` as `nn.Conv` calls it."""
  if native.is_built() and native.fits(x, kernel):
    return conv3x3(x, kernel)
  return jax.lax.conv_general_dilated(x, kernel, *args, **kwargs)


# The branches for CPU and other backends are inside of these rules: the
# gradient of a branch would keep what both of its sides need.


@jax.custom_vjp
def conv3x3(x: chex.Array, kernel: chex.Array) -> chex.Array:
  """Returns the convolution with stride 1 and zeros around, `[N, H, W, D]`.

  On CPU it is computed by `native`.  It has reverse-mode derivatives of any
  order, and no forward mode.

  Args:
    x: `[N, H, W, C]`; see `native.fits`.
    kernel: `[3, 3, C, D]`.
  """
  return jax.lax.platform_dependent(
    x, kernel, cpu=native.conv3x3, default=_plain_conv3x3
  )


@jax.custom_vjp
def _kernel_gradient(x: chex.Array, gradient: chex.Array) -> chex.Array:
  """Returns the gradient of `conv3x3` by its kernel; bilinear as that is."""
  return jax.lax.platform_dependent(
    x,
    gradient,
    cpu=native.conv3x3_kernel_gradient,
    default=_plain_kernel_gradient,
  )


def _transposed(kernel: chex.Array) -> chex.Array:
  """Returns the kernel of the convolution that is the transpose."""
  return kernel[::-1, ::-1].transpose(0, 1, 3, 2)


conv3x3.defvjp(
  lambda x, kernel: (conv3x3(x, kernel), (x, kernel)),
  lambda kept, g: (
    conv3x3(g, _transposed(kept[1])),
    _kernel_gradient(kept[0], g),
  ),
)
_kernel_gradient.defvjp(
  lambda x, gradient: (_kernel_gradient(x, gradient), (x, gradient)),
  lambda kept, g: (
    conv3x3(kept[1], _transposed(g)),
    conv3x3(kept[0], g),
  ),
)


def _plain_conv3x3(x: chex.Array, kernel: chex.Array) -> chex.Array:
  return jax.lax.conv_general_dilated(
    x, kernel, (1, 1), 'SAME', dimension_numbers=('NHWC', 'HWIO', 'NHWC')
  )


def _plain_kernel_gradient(x: chex.Array, gradient: chex.Array) -> chex.Array:
  shape = (3, 3, x.shape[3], gradient.shape[3])
  kernel = jax.ShapeDtypeStruct(shape, x.dtype)
  transpose = jax.linear_transpose(lambda k: _plain_conv3x3(x, k), kernel)
  return transpose(gradient)[0]


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
