"""Convolutions in C for XLA's CPU backend: see csrc/conv.h.

XLA's own are far slower.  The extension is optional; `is_built` says whether it
is there.

Axes: N images, H height, W width, C channels of images, D channels of what a
convolution makes of them, K height and width of its kernel, s stride.
"""

import ctypes
import functools
import pathlib

import chex
import jax
import jax.numpy as jnp

_EXTENSION = pathlib.Path(__file__).with_name('_native.so')


@functools.cache
def is_built() -> bool:
  """Whether the extension was built, which needs a C compiler."""
  return _EXTENSION.is_file()


def fits(images: chex.Array, kernel: chex.Array, stride: int) -> bool:
  """Whether `conv` and its gradients can be computed for such arrays."""
  return (
    images.ndim == kernel.ndim == 4
    and images.dtype == kernel.dtype == jnp.float32
    and kernel.shape[0] == kernel.shape[1] >= stride
    and images.shape[1] % stride == images.shape[2] % stride == 0
    and 0 not in images.shape + kernel.shape
  )


# None of these is differentiable: convolution.py says how gradients are made
# of each other.


def conv(
  images: chex.Array, kernel: chex.Array, stride: int
) -> chex.Array:
  """Returns the convolution with zeros around, `[N, H / s, W / s, D]`.

  Args:
    images: float32 `[N, H, W, C]`; s divides H and W.
    kernel: float32 `[K, K, C, D]`; K is not below s.
    stride: s, pixels.
  """
  n, height, width, _ = images.shape
  shape = n, height // stride, width // stride, kernel.shape[3]
  return _call('conv', shape, images, kernel)


def conv_transpose(
  gradient: chex.Array, kernel: chex.Array, stride: int
) -> chex.Array:
  """Returns the gradient of `conv` by its images, `[N, H, W, C]`.

  Args:
    gradient: of a loss by the output, float32 `[N, H / s, W / s, D]`.
    kernel: float32 `[K, K, C, D]`; K is not below s.
    stride: s, pixels.
  """
  n, height, width, _ = gradient.shape
  shape = n, height * stride, width * stride, kernel.shape[2]
  return _call('conv_transpose', shape, gradient, kernel)


def conv_kernel_gradient(
  images: chex.Array, gradient: chex.Array, size: int
) -> chex.Array:
  """Returns the gradient of `conv` by its kernel, `[K, K, C, D]`.

  Args:
    images: float32 `[N, H, W, C]`.
    gradient: of a loss by the output, float32 `[N, H / s, W / s, D]`.
    size: K, pixels.
  """
  shape = size, size, images.shape[3], gradient.shape[3]
  return _call('conv_kernel_gradient', shape, images, gradient)


def _call(
  name: str, shape: tuple[int, ...], first: chex.Array, second: chex.Array
) -> chex.Array:
  _register()
  return jax.ffi.ffi_call(
    f'spiral_jax_{name}',
    jax.ShapeDtypeStruct(shape, jnp.float32),
    vmap_method='sequential',
  )(first, second)


@functools.cache
def _register() -> None:
  library = ctypes.CDLL(str(_EXTENSION))
  for name in ('conv', 'conv_transpose', 'conv_kernel_gradient'):
    handler = jax.ffi.pycapsule(getattr(library, f'handle_{name}'))
    jax.ffi.register_ffi_target(f'spiral_jax_{name}', handler, platform='cpu')
