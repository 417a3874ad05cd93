"""Convolutions, and layers of them, that are fast in both directions on a CPU.

'SAME' padding. Uses the native kernels on CPU when built, XLA's convolutions
otherwise and in exported programs; chosen at lowering.

Axes: N images, H height, W width, C input channels, D output channels,
K height and width of the kernel, s stride.
"""

import functools
from typing import NamedTuple

import chex
import jax
import jax.numpy as jnp

from spiral_jax.ops import native
from spiral_jax.ops import per_platform


def is_native(x: chex.Array, kernel: chex.Array, stride: int) -> bool:
  """Returns True if the native kernels compute this convolution on a CPU."""
  return native.is_built() and native.fits(x, kernel, stride)


# Bare convolutions. Each of the three functions is linear in both arrays, and
# its gradients are the other two: they have reverse-mode derivatives of any
# order, and no forward mode.


def conv(x: chex.Array, kernel: chex.Array, stride: int) -> chex.Array:
  """Returns the convolution, `[N, H / s, W / s, D]`.

  Args:
    x: images `[N, H, W, C]`.
    kernel: `[K, K, C, D]`.
    stride: s, pixels.
  """
  function = _conv if is_native(x, kernel, stride) else _xla_conv
  return function(x, kernel, stride)


def conv_transpose(
    gradient: chex.Array, kernel: chex.Array, stride: int
) -> chex.Array:
  """Returns the gradient of `conv` with respect to x, `[N, H, W, C]`.

  Args:
    gradient: gradient with respect to the output, `[N, H / s, W / s, D]`.
    kernel: `[K, K, C, D]`.
    stride: s, pixels.
  """
  fits = is_native(gradient, kernel.swapaxes(2, 3), 1)
  function = _conv_transpose if fits else _xla_conv_transpose
  return function(gradient, kernel, stride)


@functools.partial(jax.custom_vjp, nondiff_argnums=(2,))
def _conv(x: chex.Array, kernel: chex.Array, stride: int) -> chex.Array:
  return per_platform.call(_CONV, x, kernel, stride=stride)[0]


@functools.partial(jax.custom_vjp, nondiff_argnums=(2,))
def _conv_transpose(
    gradient: chex.Array, kernel: chex.Array, stride: int
) -> chex.Array:
  return per_platform.call(_TRANSPOSE, gradient, kernel, stride=stride)[0]


@functools.partial(jax.custom_vjp, nondiff_argnums=(2,))
def _kernel_gradient(
    x: chex.Array, gradient: chex.Array, size: int
) -> chex.Array:
  """Returns the gradient of `conv` with respect to its kernel, K = `size`."""
  return per_platform.call(_KERNEL_GRADIENT, x, gradient, size=size)[0]


_conv.defvjp(
    lambda x, kernel, stride: (_conv(x, kernel, stride), (x, kernel)),
    lambda stride, saved, g: (
        _conv_transpose(g, saved[1], stride),
        _kernel_gradient(saved[0], g, saved[1].shape[0]),
    ),
)
_conv_transpose.defvjp(
    lambda gradient, kernel, stride: (
        _conv_transpose(gradient, kernel, stride),
        (gradient, kernel),
    ),
    lambda stride, saved, g: (
        _conv(g, saved[1], stride),
        _kernel_gradient(g, saved[0], saved[1].shape[0]),
    ),
)
_kernel_gradient.defvjp(
    lambda x, gradient, size: (
        _kernel_gradient(x, gradient, size),
        (x, gradient),
    ),
    lambda size, saved, g: (
        _conv_transpose(saved[1], g, saved[0].shape[1] // saved[1].shape[1]),
        _conv(saved[0], g, saved[0].shape[1] // saved[1].shape[1]),
    ),
)


# Layers: convolutions fused with rectifier, bias and skip connection. Done
# while the numbers are in registers these are free; done alone, each is one
# more pass through memory. Layers have one derivative, in reverse mode.


class Weights(NamedTuple):
  """Weights of a layer."""

  kernel: chex.Array  # [K, K, C, D].
  biases: chex.Array  # [N, D], or [1, D] if all images share one.


def layer(
    x: chex.Array, weights: Weights, stride: int, rectify: bool
) -> chex.Array:
  """Returns the convolution of x, or of its ReLU, plus the biases.

  Args:
    x: images `[N, H, W, C]`.
    weights: kernel and biases.
    stride: s, pixels.
    rectify: True applies a ReLU to x first.

  Returns:
    `[N, H / s, W / s, D]`.
  """
  fits = is_native(x, weights.kernel, stride)
  function = _layer if fits else _xla_layer
  return function(x, weights, stride=stride, rectify=rectify)


def residual(x: chex.Array, first: Weights, second: Weights) -> chex.Array:
  """Returns x plus two layers of it, each of which rectifies its input first.

  Args:
    x: images `[N, H, W, C]`.
    first: weights of the first layer, D = C.
    second: weights of the second layer, D = C.
  """
  if is_native(x, first.kernel, 1):
    return _residual(x, first, second)
  h = _xla_layer(x, first, stride=1, rectify=True)
  return x + _xla_layer(h, second, stride=1, rectify=True)


@functools.partial(jax.custom_vjp, nondiff_argnums=(2, 3))
def _layer(
    x: chex.Array, weights: Weights, stride: int, rectify: bool
) -> chex.Array:
  return _forward(x, weights, stride, rectify)


def _layer_backward(stride: int, rectify: bool, saved, g: chex.Array):
  x, weights = saved
  return (
      _input_gradient(g, x, weights, stride, rectify),
      _weight_gradients(g, x, weights, rectify),
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


def _residual_backward(saved, g: chex.Array):
  x, h, first, second = saved
  h_gradient = _input_gradient(g, h, second)
  return (
      _input_gradient(h_gradient, x, first, add=g),
      _weight_gradients(h_gradient, x, first),
      _weight_gradients(g, h, second),
  )


_residual.defvjp(_residual_forward, _residual_backward)


def _forward(
    x: chex.Array,
    weights: Weights,
    stride: int = 1,
    rectify: bool = True,
    add: chex.Array | None = None,
) -> chex.Array:
  """Returns `layer` plus `add`."""
  adds = [] if add is None else [add]
  return per_platform.call(
      _LAYER, x, *weights, *adds, stride=stride, rectify=rectify
  )[0]


def _input_gradient(
    g: chex.Array,
    x: chex.Array,
    weights: Weights,
    stride: int = 1,
    rectify: bool = True,
    add: chex.Array | None = None,
) -> chex.Array:
  """Returns the gradient of <layer, g> with respect to x, plus `add`."""
  adds = [] if add is None else [add]
  return per_platform.call(
      _INPUT_GRADIENT,
      g,
      weights.kernel,
      x,
      *adds,
      stride=stride,
      rectify=rectify,
  )[0]


def _weight_gradients(
    g: chex.Array, x: chex.Array, weights: Weights, rectify: bool = True
) -> Weights:
  """Returns the gradient of <layer, g> with respect to the weights."""
  return Weights(
      *per_platform.call(
          _WEIGHT_GRADIENTS,
          x,
          g,
          size=weights.kernel.shape[0],
          num_biases=weights.biases.shape[0],
          rectify=rectify,
      )
  )


def _native_input_gradient(g, kernel, x, *adds, stride, rectify):
  return native.conv_transpose(
      g, kernel, x if rectify else None, *adds, stride=stride
  )


def _xla_layer(
    x: chex.Array, weights: Weights, stride: int, rectify: bool
) -> chex.Array:
  x = jax.nn.relu(x) if rectify else x
  y = _xla_conv(x, weights.kernel, stride)
  return y + weights.biases[:, None, None]


def _xla_conv(x: chex.Array, kernel: chex.Array, stride: int) -> chex.Array:
  return jax.lax.conv_general_dilated(
      x,
      kernel,
      (stride, stride),
      'SAME',
      dimension_numbers=('NHWC', 'HWIO', 'NHWC'),
  )


def _xla_conv_transpose(
    gradient: chex.Array, kernel: chex.Array, stride: int
) -> chex.Array:
  n, height, width, _ = gradient.shape
  shape = n, height * stride, width * stride, kernel.shape[2]
  x = jax.ShapeDtypeStruct(shape, gradient.dtype)
  transpose = jax.linear_transpose(lambda x: _xla_conv(x, kernel, stride), x)
  return transpose(gradient)[0]


def _xla_kernel_gradient(
    x: chex.Array, gradient: chex.Array, size: int
) -> chex.Array:
  stride = x.shape[1] // gradient.shape[1]
  shape = size, size, x.shape[3], gradient.shape[3]
  kernel = jax.ShapeDtypeStruct(shape, x.dtype)
  transpose = jax.linear_transpose(lambda k: _xla_conv(x, k, stride), kernel)
  return transpose(gradient)[0]


def _xla_layer_plus(x, kernel, biases, *adds, stride, rectify):
  return sum(adds, _xla_layer(x, Weights(kernel, biases), stride, rectify))


def _xla_input_gradient(g, kernel, x, *adds, stride, rectify):
  gradient = _xla_conv_transpose(g, kernel, stride)
  return sum(adds, jnp.where(x > 0, gradient, 0) if rectify else gradient)


def _xla_weight_gradients(x, g, *, size, num_biases, rectify):
  bias_gradients = g.sum((1, 2))
  if num_biases == 1:
    bias_gradients = bias_gradients.sum(0, keepdims=True)
  x = jax.nn.relu(x) if rectify else x
  return _xla_kernel_gradient(x, g, size), bias_gradients


def _pair_of_one(natively, with_xla) -> per_platform.Pair:
  """Returns a pair of functions that return one array each."""
  return per_platform.Pair(
      lambda *arrays, **kwargs: (natively(*arrays, **kwargs),),
      lambda *arrays, **kwargs: (with_xla(*arrays, **kwargs),),
  )


_CONV = _pair_of_one(native.conv, _xla_conv)
_TRANSPOSE = _pair_of_one(native.conv_transpose, _xla_conv_transpose)
_KERNEL_GRADIENT = _pair_of_one(
    lambda x, gradient, size: native.conv_gradients(x, gradient, size=size)[0],
    _xla_kernel_gradient,
)
_LAYER = _pair_of_one(native.conv, _xla_layer_plus)
_INPUT_GRADIENT = _pair_of_one(_native_input_gradient, _xla_input_gradient)
_WEIGHT_GRADIENTS = per_platform.Pair(
    native.conv_gradients, _xla_weight_gradients
)
