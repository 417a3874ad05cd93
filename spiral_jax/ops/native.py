"""Bindings of the convolutions in C (csrc/conv.h) for XLA's CPU backend.

XLA's own convolutions are far slower. The extension is optional: `is_built`
tells if it is there.

Axes: N images, H height, W width, C input channels, D output channels,
K height and width of the kernel, s stride.
"""

import ctypes
import functools
import pathlib
from typing import Any

from absl import logging
import chex
import jax
import jax.numpy as jnp

from spiral_jax import shared_library

_EXTENSION = pathlib.Path(__file__).with_name('_native.so')


@functools.cache
def is_built() -> bool:
  """Returns True if the extension was built, which needs a C compiler.

  One that does not load counts as not built, with one warning.
  """
  if not _EXTENSION.is_file():
    return False
  try:
    _load()
  except ImportError as error:
    logging.warning('convolutions are left to XLA, which is slower: %s', error)
    return False
  return True


def fits(images: chex.Array, kernel: chex.Array, stride: int) -> bool:
  """Returns True if `conv` and its gradients support such arrays."""
  return (
      images.ndim == kernel.ndim == 4
      and images.dtype == kernel.dtype == jnp.float32
      and kernel.shape[0] == kernel.shape[1] >= stride
      and images.shape[1] % stride == images.shape[2] % stride == 0
      and 0 not in images.shape + kernel.shape
  )


# None of these is differentiable: convolution.py composes gradients of them.


def conv(
    images: chex.Array,
    kernel: chex.Array,
    bias: chex.Array | None = None,
    add: chex.Array | None = None,
    *,
    stride: int,
    rectify: bool = False,
) -> chex.Array:
  """Returns the 'SAME' convolution, `[N, H / s, W / s, D]`.

  Args:
    images: float32 `[N, H, W, C]`; s divides H and W.
    kernel: float32 `[K, K, C, D]`; K is at least s.
    bias: float32 `[N, D]`, or `[1, D]` for all images; None means zeros.
    add: addend of the shape of the output; None adds nothing.
    stride: s, pixels.
    rectify: True applies a ReLU to the images first.
  """
  n, height, width, _ = images.shape
  shape = n, height // stride, width // stride, kernel.shape[3]
  if bias is None:
    bias = jnp.zeros((1, shape[3]), jnp.float32)
  name = 'relu_conv' if rectify else 'conv'
  return _call(name, _floats(shape), images, kernel, bias, _optional(add))


def conv_transpose(
    gradient: chex.Array,
    kernel: chex.Array,
    rectified: chex.Array | None = None,
    add: chex.Array | None = None,
    *,
    stride: int,
) -> chex.Array:
  """Returns the gradient of `conv` with respect to its images, `[N, H, W, C]`.

  Args:
    gradient: gradient with respect to the output, float32
      `[N, H / s, W / s, D]`.
    kernel: float32 `[K, K, C, D]`; K is at least s.
    rectified: images before the ReLU; None if `conv` did not rectify them.
    add: addend of the shape of the images; None adds nothing.
    stride: s, pixels.
  """
  n, height, width, _ = gradient.shape
  shape = n, height * stride, width * stride, kernel.shape[2]
  return _call(
      'conv_transpose',
      _floats(shape),
      gradient,
      kernel,
      _optional(rectified),
      _optional(add),
  )


def conv_gradients(
    images: chex.Array,
    gradient: chex.Array,
    *,
    size: int,
    num_biases: int = 1,
    rectify: bool = False,
) -> tuple[chex.Array, chex.Array]:
  """Returns the gradients of `conv` with respect to kernel and bias.

  Args:
    images: float32 `[N, H, W, C]`.
    gradient: gradient with respect to the output, float32
      `[N, H / s, W / s, D]`.
    size: K, pixels.
    num_biases: N, or 1 if all images share a bias.
    rectify: True applies a ReLU to the images first.

  Returns:
    `[K, K, C, D]` and `[num_biases, D]`.
  """
  channels = images.shape[3], gradient.shape[3]
  shapes = _floats((size, size, *channels)), _floats((num_biases, channels[1]))
  name = 'relu_conv_gradients' if rectify else 'conv_gradients'
  return _call(name, shapes, images, gradient)


def _floats(shape: tuple[int, ...]) -> jax.ShapeDtypeStruct:
  return jax.ShapeDtypeStruct(shape, jnp.float32)


def _optional(array: chex.Array | None) -> chex.Array:
  """Returns the array, or an empty one for None, as the handlers expect."""
  return jnp.zeros((0, 0, 0, 0), jnp.float32) if array is None else array


def _call(name: str, results: Any, *arrays: chex.Array) -> Any:
  _register()
  return jax.ffi.ffi_call(
      f'spiral_jax_{name}', results, vmap_method='sequential'
  )(*arrays)


_NAMES = (
    'conv',
    'relu_conv',
    'conv_transpose',
    'conv_gradients',
    'relu_conv_gradients',
)


@functools.cache
def _register() -> None:
  for name in _NAMES:
    handler = jax.ffi.pycapsule(getattr(_load(), f'handle_{name}'))
    jax.ffi.register_ffi_target(f'spiral_jax_{name}', handler, platform='cpu')


def _load() -> ctypes.CDLL:
  """Returns the extension.

  Raises:
    ImportError: if it does not load.
  """
  return shared_library.load(_EXTENSION, [f'handle_{name}' for name in _NAMES])
