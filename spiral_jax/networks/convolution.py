"""Building blocks of the image networks: convolutions, blocks of pixels.

Axes: N images, H height, W width, C channels of images, D channels of what a
convolution makes of them, K height and width of its kernel, s stride.
"""

from collections.abc import Callable, Sequence
import functools
from typing import Any

import chex
from flax import linen as nn
import jax
import jax.numpy as jnp

from spiral_jax.networks import native


def _convolve(
  x: chex.Array,
  kernel: chex.Array,
  strides: Sequence[int],
  padding: Any,
  **kwargs: Any,
) -> chex.Array:
  """Is `jax.lax.conv_general_dilated` as `nn.Conv` calls it below."""
  if native.is_built() and native.fits(x, kernel, strides[0]):
    return conv(x, kernel, strides[0])
  return jax.lax.conv_general_dilated(x, kernel, strides, padding, **kwargs)


# `nn.Conv` in two dimensions, fast in both directions on a CPU too. Strides are
# alike, padding is 'SAME', and there are neither groups nor dilation.
Conv = functools.partial(nn.Conv, conv_general_dilated=_convolve)


class ResidualBlock(nn.Module):
  """Two 3x3 convolutions around a skip connection (arXiv:1603.05027)."""

  @nn.compact
  def __call__(self, x: chex.Array) -> chex.Array:
    """Maps features `[N, H, W, C]` to features of the same shape."""
    h = Conv(x.shape[-1], (3, 3))(nn.relu(x))
    h = Conv(x.shape[-1], (3, 3))(nn.relu(h))
    return x + h


class HalvingConv(nn.Module):
  """A 4x4 convolution with stride 2: `nn.Conv(features, (4, 4), strides=2)`.

  On a CPU without `native` it is computed as a matrix product over patches. The
  gradient penalty differentiates twice, and XLA's CPU backend is two to three
  times slower at that through strided convolutions.
  """

  features: int

  @nn.compact
  def __call__(self, x: chex.Array) -> chex.Array:
    """Maps `[N, H, W, C]`, H and W even, to `[N, H / 2, W / 2, features]`."""
    shape = (4, 4, x.shape[-1], self.features)
    kernel = self.param('kernel', nn.initializers.lecun_normal(), shape)
    bias = self.param('bias', nn.initializers.zeros_init(), (self.features,))
    if native.is_built() and native.fits(x, kernel, 2):
      return bias + conv(x, kernel, 2)
    return bias + jax.lax.platform_dependent(
      x,
      kernel,
      cpu=_halve_as_product,
      default=functools.partial(_plain_conv, stride=2),
    )


class DoublingConv(nn.Module):
  """Is `nn.ConvTranspose(features, (4, 4), strides=(2, 2))`."""

  features: int

  @nn.compact
  def __call__(self, x: chex.Array) -> chex.Array:
    """Maps `[N, H, W, C]` to `[N, 2 * H, 2 * W, features]`."""
    shape = (4, 4, x.shape[-1], self.features)
    kernel = self.param('kernel', nn.initializers.lecun_normal(), shape)
    bias = self.param('bias', nn.initializers.zeros_init(), (self.features,))
    # Of the convolution whose transpose this is.
    kernel = kernel[::-1, ::-1].swapaxes(2, 3)
    if native.is_built() and native.fits(x, kernel, 1):
      return bias + conv_transpose(x, kernel, 2)
    return bias + _plain_conv_transpose(x, kernel, 2)


# The branches for CPU and other backends are inside of these three rules: the
# gradient of a branch would keep what both of its sides need. Each is linear in
# either array, and the others are its gradients.


@functools.partial(jax.custom_vjp, nondiff_argnums=(2,))
def conv(x: chex.Array, kernel: chex.Array, stride: int) -> chex.Array:
  """Returns the convolution with zeros around ('SAME'), `[N, H / s, W / s, D]`.

  On a CPU it is computed by `native`, to which the arrays must fit. It has
  reverse-mode derivatives of any order, and no forward mode.

  Args:
    x: `[N, H, W, C]`.
    kernel: `[K, K, C, D]`.
    stride: s, pixels.
  """
  return _branch(native.conv, _plain_conv, stride)(x, kernel)


@functools.partial(jax.custom_vjp, nondiff_argnums=(2,))
def conv_transpose(
  gradient: chex.Array, kernel: chex.Array, stride: int
) -> chex.Array:
  """Returns the gradient of `conv` by x, `[N, H, W, C]`.

  Args:
    gradient: `[N, H / s, W / s, D]`.
    kernel: `[K, K, C, D]`.
    stride: s, pixels.
  """
  return _branch(native.conv_transpose, _plain_conv_transpose, stride)(
    gradient, kernel
  )


@functools.partial(jax.custom_vjp, nondiff_argnums=(2,))
def _kernel_gradient(
  x: chex.Array, gradient: chex.Array, size: int
) -> chex.Array:
  """Returns the gradient of `conv` by its kernel of K = `size`."""
  return _branch(native.conv_kernel_gradient, _plain_kernel_gradient, size)(
    x, gradient
  )


def _branch(
  on_cpu: Callable[..., chex.Array],
  elsewhere: Callable[..., chex.Array],
  number: int,
) -> Callable[[chex.Array, chex.Array], chex.Array]:
  """Returns what is decided for one of the two when it is lowered."""
  return lambda first, second: jax.lax.platform_dependent(
    first,
    second,
    cpu=lambda first, second: on_cpu(first, second, number),
    default=lambda first, second: elsewhere(first, second, number),
  )


conv.defvjp(
  lambda x, kernel, stride: (conv(x, kernel, stride), (x, kernel)),
  lambda stride, kept, g: (
    conv_transpose(g, kept[1], stride),
    _kernel_gradient(kept[0], g, kept[1].shape[0]),
  ),
)
conv_transpose.defvjp(
  lambda gradient, kernel, stride: (
    conv_transpose(gradient, kernel, stride),
    (gradient, kernel),
  ),
  lambda stride, kept, g: (
    conv(g, kept[1], stride),
    _kernel_gradient(g, kept[0], kept[1].shape[0]),
  ),
)
_kernel_gradient.defvjp(
  lambda x, gradient, size: (
    _kernel_gradient(x, gradient, size),
    (x, gradient),
  ),
  lambda size, kept, g: (
    conv_transpose(kept[1], g, kept[0].shape[1] // kept[1].shape[1]),
    conv(kept[0], g, kept[0].shape[1] // kept[1].shape[1]),
  ),
)


def _plain_conv(x: chex.Array, kernel: chex.Array, stride: int) -> chex.Array:
  return jax.lax.conv_general_dilated(
    x,
    kernel,
    (stride, stride),
    'SAME',
    dimension_numbers=('NHWC', 'HWIO', 'NHWC'),
  )


def _plain_conv_transpose(
  gradient: chex.Array, kernel: chex.Array, stride: int
) -> chex.Array:
  n, height, width, _ = gradient.shape
  shape = n, height * stride, width * stride, kernel.shape[2]
  x = jax.ShapeDtypeStruct(shape, gradient.dtype)
  transpose = jax.linear_transpose(lambda x: _plain_conv(x, kernel, stride), x)
  return transpose(gradient)[0]


def _plain_kernel_gradient(
  x: chex.Array, gradient: chex.Array, size: int
) -> chex.Array:
  stride = x.shape[1] // gradient.shape[1]
  shape = size, size, x.shape[3], gradient.shape[3]
  kernel = jax.ShapeDtypeStruct(shape, x.dtype)
  transpose = jax.linear_transpose(lambda k: _plain_conv(x, k, stride), kernel)
  return transpose(gradient)[0]


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
