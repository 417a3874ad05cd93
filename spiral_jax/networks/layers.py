"""Building blocks of the image networks: convolutions, blocks of pixels.

Axes: N images, H height, W width, C input channels, D output channels,
K height and width of the kernel, s stride.
"""

import functools
from typing import Any

import chex
from flax import linen as nn
import jax
import jax.numpy as jnp

from spiral_jax.networks import initializers
from spiral_jax.ops import convolution as conv_ops


def linear(features: int, **kwargs: Any) -> nn.Dense:
  """Returns an `nn.Dense` whose kernel is drawn with all others."""
  kwargs.setdefault('kernel_init', initializers.scaled_normal())
  return nn.Dense(features, **kwargs)


class Conv(nn.Module):
  """A 'SAME' convolution, fast in both directions on a CPU.

  Attributes:
    features: D.
    size: K, pixels.
    stride: s, pixels.
    rectify: True applies a ReLU to the input first.
    kernel_init: initializer of the kernel.
  """

  features: int
  size: int
  stride: int = 1
  rectify: bool = False
  kernel_init: nn.initializers.Initializer = initializers.scaled_normal()

  @nn.compact
  def __call__(
      self, x: chex.Array, shift: chex.Array | None = None
  ) -> chex.Array:
    """Maps `[N, H, W, C]` to `[N, H / s, W / s, D]`.

    Args:
      x: features.
      shift: addend to the bias of each image, `[N, D]`.
    """
    shape = (self.size, self.size, x.shape[-1], self.features)
    kernel = self.param('kernel', self.kernel_init, shape, jnp.float32)
    bias = self.param(
        'bias', nn.initializers.zeros_init(), (self.features,), jnp.float32
    )
    weights = _with_shift(kernel, bias, shift)
    return conv_ops.layer(x, weights, self.stride, self.rectify)


class Dense(nn.Module):
  """A dense layer for each pixel, with the parameters of an `nn.Dense`.

  The class has the same name as well, so that Flax numbers both as `Dense_0`,
  `Dense_1`, ... Unlike `nn.Dense`, it needs pixels and parameters of one type.

  Attributes:
    features: D.
    rectify: True applies a ReLU to the input first.
    kernel_init: initializer of the kernel.
  """

  features: int
  rectify: bool = False
  kernel_init: nn.initializers.Initializer = initializers.scaled_normal()

  @nn.compact
  def __call__(
      self, x: chex.Array, shift: chex.Array | None = None
  ) -> chex.Array:
    """Maps `[N, H, W, C]` to `[N, H, W, D]`.

    Args:
      x: features.
      shift: addend to the bias of each image, `[N, D]`.
    """
    shape = (x.shape[-1], self.features)
    kernel = self.param('kernel', self.kernel_init, shape, jnp.float32)
    bias = self.param(
        'bias', nn.initializers.zeros_init(), (self.features,), jnp.float32
    )
    weights = _with_shift(kernel[None, None], bias, shift)
    return conv_ops.layer(x, weights, 1, self.rectify)


def _with_shift(
    kernel: chex.Array, bias: chex.Array, shift: chex.Array | None
) -> conv_ops.Weights:
  """Returns weights with a shift `[N, D]`, if any, added to the bias `[D]`."""
  biases = bias.reshape(1, -1) if shift is None else bias + shift
  return conv_ops.Weights(kernel, biases)


class ResidualBlock(nn.Module):
  """Two 3x3 convolutions around a skip connection (arXiv:1603.05027)."""

  @nn.compact
  def __call__(self, x: chex.Array) -> chex.Array:
    """Maps features `[N, H, W, C]` to features of the same shape."""
    first = _Weights(x.shape[-1], name='Conv_0')()
    second = _Weights(x.shape[-1], name='Conv_1')()
    return conv_ops.residual(x, first, second)


class PlainResidualBlock(nn.Module):
  """The residual block of He et al. (arXiv:1512.03385), which ends in a ReLU.

  It has no batch normalization, so that rows do not depend on each other.
  """

  @nn.compact
  def __call__(self, x: chex.Array) -> chex.Array:
    """Maps features `[N, H, W, C]` to features of the same shape."""
    channels = x.shape[-1]
    y = Conv(channels, size=3)(x)
    return _rectified_sum(x, Conv(channels, size=3, rectify=True)(y))


@jax.jit  # Lowered once for all blocks, with its derivatives.
def _rectified_sum(x: chex.Array, y: chex.Array) -> chex.Array:
  return nn.relu(x + y)


class _Weights(nn.Module):
  """Weights of a 3x3 convolution whose input and output channels are equal."""

  channels: int

  @nn.compact
  def __call__(self) -> conv_ops.Weights:
    shape = (3, 3, self.channels, self.channels)
    kernel = self.param(
        'kernel', initializers.scaled_normal(), shape, jnp.float32
    )
    bias = self.param(
        'bias', nn.initializers.zeros_init(), (self.channels,), jnp.float32
    )
    return conv_ops.Weights(kernel, bias.reshape(1, -1))


class HalvingConv(nn.Module):
  """A 4x4 convolution with stride 2: `nn.Conv(features, (4, 4), strides=2)`.

  It can be differentiated any number of times; the gradient penalty does so
  twice.
  """

  features: int

  @nn.compact
  def __call__(self, x: chex.Array) -> chex.Array:
    """Maps `[N, H, W, C]`, H and W even, to `[N, H / 2, W / 2, features]`."""
    shape = (4, 4, x.shape[-1], self.features)
    kernel = self.param(
        'kernel', initializers.scaled_normal(), shape, jnp.float32
    )
    bias = self.param(
        'bias', nn.initializers.zeros_init(), (self.features,), jnp.float32
    )
    if conv_ops.is_native(x, kernel, 2):
      return bias + conv_ops.conv(x, kernel, 2)
    return bias + jax.lax.platform_dependent(
        x,
        kernel,
        cpu=_halve_as_product,
        default=functools.partial(conv_ops.conv, stride=2),
    )


class DoublingConv(nn.Module):
  """A 4x4 transposed convolution with stride 2.

  Equals `nn.ConvTranspose(features, (4, 4), strides=(2, 2))`.
  """

  features: int

  @nn.compact
  def __call__(self, x: chex.Array) -> chex.Array:
    """Maps `[N, H, W, C]` to `[N, 2 * H, 2 * W, features]`."""
    shape = (4, 4, x.shape[-1], self.features)
    kernel = self.param(
        'kernel', initializers.scaled_normal(), shape, jnp.float32
    )
    bias = self.param(
        'bias', nn.initializers.zeros_init(), (self.features,), jnp.float32
    )
    # Kernel of the convolution whose transpose this is.
    kernel = kernel[::-1, ::-1].swapaxes(2, 3)
    return bias + conv_ops.conv_transpose(x, kernel, 2)


def _halve_as_product(x: chex.Array, kernel: chex.Array) -> chex.Array:
  """Returns `conv_ops.conv(x, kernel, 2)` as one matrix product over patches.

  Each output's 4x4 patch is gathered as 2x2 blocks of 2x2 pixels.
  """
  # The discriminator uses it, through `HalvingConv`, on a CPU without a C
  # compiler: there the gradient penalty takes several times as long through
  # XLA's strided convolutions.
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
    x: features `[N, H, W, C]`.
    size: height and width of a block, in pixels; divides H and W.

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
    x: features `[N, H, W, size * size * C]`.
    size: height and width of a block, in pixels.

  Returns:
    `[N, H * size, W * size, C]`.
  """
  n, height, width, _ = x.shape
  x = x.reshape(n, height, width, size, size, -1)
  x = x.transpose(0, 1, 3, 2, 4, 5)
  return x.reshape(n, height * size, width * size, -1)
