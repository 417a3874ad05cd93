"""Convolutions in C for XLA's CPU backend: see csrc/conv3x3.c.

XLA's own are far slower on small feature maps.  The extension is optional;
`is_built` says whether it is there.

Axes: N images, H height, W width, C input channels, D output channels.
"""

import ctypes
import functools
import pathlib

import chex
import jax
import jax.numpy as jnp

_EXTENSION = pathlib.Path(__file__).with_name('_native.so')
_LANES = 32  # kLanes of conv3x3.h.


@functools.cache
def is_built() -> bool:
  """Whether the extension was built, which needs a C compiler."""
  return _EXTENSION.is_file()


def fits(images: chex.Array, kernel: chex.Array) -> bool:
  """Whether `conv3x3` and its gradients can be computed for such arrays."""
  return (
    images.ndim == 4
    and images.dtype == kernel.dtype == jnp.float32
    and kernel.shape[:2] == (3, 3)
    and all(channels % _LANES == 0 for channels in kernel.shape[2:])
  )


def conv3x3(images: chex.Array, kernel: chex.Array) -> chex.Array:
  """Returns the convolution with stride 1 and zeros around, `[N, H, W, D]`.

  Not differentiable: convolution.py says how its gradients are computed.

  Args:
    images: float32 `[N, H, W, C]`; C a multiple of 32.
    kernel: float32 `[3, 3, C, D]`; D a multiple of 32.
  """
  _register()
  shape = (*images.shape[:3], kernel.shape[3])
  return jax.ffi.ffi_call(
    'spiral_jax_conv3x3',
    jax.ShapeDtypeStruct(shape, jnp.float32),
    vmap_method='sequential',
  )(images, kernel)


def conv3x3_kernel_gradient(
  images: chex.Array, gradient: chex.Array
) -> chex.Array:
  """Returns the gradient of `conv3x3` by its kernel, `[3, 3, C, D]`.

  Args:
    images: float32 `[N, H, W, C]`; C a multiple of 32.
    gradient: of a loss by the output, float32 `[N, H, W, D]`.
  """
  _register()
  shape = (3, 3, images.shape[3], gradient.shape[3])
  return jax.ffi.ffi_call(
    'spiral_jax_conv3x3_kernel_gradient',
    jax.ShapeDtypeStruct(shape, jnp.float32),
    vmap_method='sequential',
  )(images, gradient)


@functools.cache
def _register() -> None:
  library = ctypes.CDLL(str(_EXTENSION))
  for name in ('conv3x3', 'conv3x3_kernel_gradient'):
    handler = jax.ffi.pycapsule(getattr(library, f'handle_{name}'))
    jax.ffi.register_ffi_target(f'spiral_jax_{name}', handler, platform='cpu')
