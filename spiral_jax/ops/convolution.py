"""Convolutions that are fast in both directions on a CPU, and layers of them.

Zeros are around the images ('SAME'). On a CPU the loops of `native` do it all,
elsewhere, and without these, XLA does: for each backend that is decided when a
program is lowered.

Axes: N images, H height, W width, C channels of images, D channels of what a
convolution makes of them, K height and width of its kernel, s stride.
"""

from collections.abc import Callable
import functools
from typing import Any, NamedTuple

import chex
import jax
import jax.numpy as jnp

from spiral_jax.ops import native


def is_native(x: chex.Array, kernel: chex.Array, stride: int) -> bool:
  """Whether `native` computes this convolution on a CPU."""
  return native.is_built() and native.fits(x, kernel, stride)


# Convolutions alone. Each is linear in either array, and the others are its
# gradients: they have reverse-mode derivatives of any order, and no forward
# mode.


def conv(x: chex.Array, kernel: chex.Array, stride: int) -> chex.Array:
  """Returns the convolution, `[N, H / s, W / s, D]`.

  Args:
    x: `[N, H, W, C]`.
    kernel: `[K, K, C, D]`.
    stride: s, pixels.
  """
  function = _conv if is_native(x, kernel, stride) else _plain_conv
  return function(x, kernel, stride)


def conv_transpose(
    gradient: chex.Array, kernel: chex.Array, stride: int
) -> chex.Array:
  """Returns the gradient of `conv` by x, `[N, H, W, C]`.

  Args:
    gradient: `[N, H / s, W / s, D]`.
    kernel: `[K, K, C, D]`.
    stride: s, pixels.
  """
  fits = is_native(gradient, kernel.swapaxes(2, 3), 1)
  function = _conv_transpose if fits else _plain_conv_transpose
  return function(gradient, kernel, stride)


@functools.partial(jax.custom_vjp, nondiff_argnums=(2,))
def _conv(x: chex.Array, kernel: chex.Array, stride: int) -> chex.Array:
  return _branch(native.conv, _plain_conv, x, kernel, stride=stride)


@functools.partial(jax.custom_vjp, nondiff_argnums=(2,))
def _conv_transpose(
    gradient: chex.Array, kernel: chex.Array, stride: int
) -> chex.Array:
  return _branch(
      native.conv_transpose,
      _plain_conv_transpose,
      gradient,
      kernel,
      stride=stride,
  )


@functools.partial(jax.custom_vjp, nondiff_argnums=(2,))
def _kernel_gradient(
    x: chex.Array, gradient: chex.Array, size: int
) -> chex.Array:
  """Returns the gradient of `conv` by its kernel of K = `size`."""
  return _branch(
      lambda x, gradient: native.conv_gradients(x, gradient, size=size)[0],
      functools.partial(_plain_kernel_gradient, size=size),
      x,
      gradient,
  )


_conv.defvjp(
    lambda x, kernel, stride: (_conv(x, kernel, stride), (x, kernel)),
    lambda stride, kept, g: (
        _conv_transpose(g, kept[1], stride),
        _kernel_gradient(kept[0], g, kept[1].shape[0]),
    ),
)
_conv_transpose.defvjp(
    lambda gradient, kernel, stride: (
        _conv_transpose(gradient, kernel, stride),
        (gradient, kernel),
    ),
    lambda stride, kept, g: (
        _conv(g, kept[1], stride),
        _kernel_gradient(g, kept[0], kept[1].shape[0]),
    ),
)
_kernel_gradient.defvjp(
    lambda x, gradient, size: (
        _kernel_gradient(x, gradient, size),
        (x, gradient),
    ),
    lambda size, kept, g: (
        _conv_transpose(kept[1], g, kept[0].shape[1] // kept[1].shape[1]),
        _conv(kept[0], g, kept[0].shape[1] // kept[1].shape[1]),
    ),
)


# Layers: convolutions with what lies between them. It costs nothing where the
# numbers are at hand, and a walk through memory elsewhere. Layers have one
# derivative, in reverse mode.


class Weights(NamedTuple):
  """Those of a layer."""

  kernel: chex.Array  # [K, K, C, D].
  biases: chex.Array  # [N or 1, D].


def layer(
    x: chex.Array, weights: Weights, stride: int, rectify: bool
) -> chex.Array:
  """Returns the convolution of x, rectified if so told, plus the biases.

  Args:
    x: `[N, H, W, C]`.
    weights: of the layer.
    stride: s, pixels.
    rectify: x first.

  Returns:
    `[N, H / s, W / s, D]`.
  """
  fits = is_native(x, weights.kernel, stride)
  function = _layer if fits else _plain_layer
  return function(x, weights, stride=stride, rectify=rectify)


def residual(x: chex.Array, first: Weights, second: Weights) -> chex.Array:
  """Returns x plus two layers of it, either of which rectifies first.

  Args:
    x: `[N, H, W, C]`.
    first: with C = D, as is `second`.
    second: is after it.
  """
  if is_native(x, first.kernel, 1):
    return _residual(x, first, second)
  h = _plain_layer(x, first, stride=1, rectify=True)
  return x + _plain_layer(h, second, stride=1, rectify=True)


@functools.partial(jax.custom_vjp, nondiff_argnums=(2, 3))
def _layer(
    x: chex.Array, weights: Weights, stride: int, rectify: bool
) -> chex.Array:
  return _forward(x, weights, stride, rectify)


def _layer_backward(stride: int, rectify: bool, kept, g: chex.Array):
  x, weights = kept
  return (
      _by_images(g, x, weights, stride, rectify),
      _by_weights(g, x, weights, rectify),
  )


_layer.defvjp(
    lambda x, weights, stride, rectify: (
        _forward(x, weights, stride, rectify),
        (x, weights),
    ),
    _layer_backward,
)


@jax.custom_vjp
def _residual(x: chex.Array, first: Weights, second: Weights) -> chex.Array:
  return _residual_forward(x, first, second)[0]


def _residual_forward(x: chex.Array, first: Weights, second: Weights):
  h = _forward(x, first)
  return _forward(h, second, add=x), (x, h, first, second)


def _residual_backward(kept, g: chex.Array):
  x, h, first, second = kept
  h_gradient = _by_images(g, h, second)
  return (
      _by_images(h_gradient, x, first, add=g),
      _by_weights(h_gradient, x, first),
      _by_weights(g, h, second),
  )


_residual.defvjp(_residual_forward, _residual_backward)


def _forward(
    x: chex.Array,
    weights: Weights,
    stride: int = 1,
    rectify: bool = True,
    add: chex.Array | None = None,
) -> chex.Array:
  """Returns `layer`, plus `add`."""

  def elsewhere(x, kernel, biases, *adds):
    return sum(adds, _plain_layer(x, Weights(kernel, biases), stride, rectify))

  return _branch(
      functools.partial(native.conv, stride=stride, rectify=rectify),
      elsewhere,
      x,
      *weights,
      *([] if add is None else [add]),
  )


def _by_images(
    g: chex.Array,
    x: chex.Array,
    weights: Weights,
    stride: int = 1,
    rectify: bool = True,
    add: chex.Array | None = None,
) -> chex.Array:
  """Returns the gradient by x of <layer, g>, plus `add`."""

  def on_cpu(g, kernel, x, *adds):
    return native.conv_transpose(
        g, kernel, x if rectify else None, *adds, stride=stride
    )

  def elsewhere(g, kernel, x, *adds):
    gradient = _plain_conv_transpose(g, kernel, stride)
    return sum(adds, jnp.where(x > 0, gradient, 0) if rectify else gradient)

  return _branch(
      on_cpu, elsewhere, g, weights.kernel, x, *([] if add is None else [add])
  )


def _by_weights(
    g: chex.Array, x: chex.Array, weights: Weights, rectify: bool = True
) -> Weights:
  """Returns the gradient by weights of <layer, g>."""
  size, count = weights.kernel.shape[0], weights.biases.shape[0]

  def elsewhere(x, g):
    by_bias = g.sum((1, 2))
    if count == 1:
      by_bias = by_bias.sum(0, keepdims=True)
    x = jax.nn.relu(x) if rectify else x
    return _plain_kernel_gradient(x, g, size), by_bias

  on_cpu = functools.partial(
      native.conv_gradients, size=size, num_biases=count, rectify=rectify
  )
  return Weights(*_branch(on_cpu, elsewhere, x, g))


def _branch(
    on_cpu: Callable[..., Any],
    elsewhere: Callable[..., Any],
    *arrays: chex.Array,
    **kwargs: Any,
) -> Any:
  """Returns one of the two, of the arrays."""
  return jax.lax.platform_dependent(
      *arrays,
      cpu=functools.partial(on_cpu, **kwargs),
      default=functools.partial(elsewhere, **kwargs),
  )


def _plain_layer(
    x: chex.Array, weights: Weights, stride: int, rectify: bool
) -> chex.Array:
  x = jax.nn.relu(x) if rectify else x
  y = _plain_conv(x, weights.kernel, stride)
  return y + weights.biases[:, None, None]


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
