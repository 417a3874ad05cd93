"""Images of the losses: uint8 from 0 to 255, or floats in [0, 1].

Axes: H height, W width, C channels.
"""

import chex
import jax
import jax.numpy as jnp
import numpy as np

_ROUNDING = 1e-5


def to_float(images: chex.Array, name: str = 'images') -> chex.Array:
  """Returns images as floats in [0, 1].

  Args:
    images: `[...]`; uint8 is divided by 255, floats stay as they are. Inside
      of `jax.jit` and other transformations, where their values are not known,
      floats outside of [0, 1] become NaN.
    name: name of the images in errors.

  Raises:
    ValueError: as `check_values`.
  """
  check_values(images, name)
  if images.dtype == jnp.uint8:
    return images.astype(jnp.float32) / 255.0
  if images.dtype == np.float64:
    images = images.astype(jnp.float32)
  if isinstance(images, jax.core.Tracer) and not _is_jit_disabled():
    is_fine = (images >= -_ROUNDING) & (images <= 1.0 + _ROUNDING)
    images = jnp.where(is_fine, images, jnp.nan)
  return images


def _is_jit_disabled() -> bool:
  """Returns whether operations run at once, and `jax_debug_nans` sees them."""
  return jax.config.jax_disable_jit  # type: ignore[attr-defined]


def check_values(images: chex.Array, name: str = 'images') -> None:
  """Checks that images are uint8, or floats in [0, 1].

  Values of floats are known outside of `jax.jit` and other transformations
  only; for inside, see `to_float`.

  Args:
    images: `[...]`.
    name: name of the images in errors.

  Raises:
    ValueError: if they are of another type, or known to be outside of [0, 1].
  """
  if images.dtype == jnp.uint8:
    return
  if not jnp.issubdtype(images.dtype, jnp.floating):
    raise ValueError(
        f'{name} are {images.dtype}; give uint8 from 0 to 255, or floats in '
        '[0, 1]'
    )
  if isinstance(images, jax.core.Tracer) or not images.size:
    return
  if not getattr(images, 'is_fully_addressable', True):
    return
  low, high = float(images.min()), float(images.max())
  if not (low >= -_ROUNDING and high <= 1.0 + _ROUNDING):  # NaN fails as well.
    raise ValueError(
        f'{name} are floats from {low:g} to {high:g}; give floats in [0, 1], '
        'or uint8 from 0 to 255'
    )


def assert_paired(
    canvas: chex.Array, target: chex.Array, *, any_size: bool = False
) -> None:
  """Asserts that no axis of one array would be repeated for the other.

  Args:
    canvas: images `[..., H, W, C]`.
    target: images of the same shape, but for leading axes that one of the two
      may lack.
    any_size: True allows H and W to differ.

  Raises:
    AssertionError: if the shapes do not fit.
  """
  shapes = [
      (*x.shape[:-3], x.shape[-1]) if any_size else x.shape
      for x in (canvas, target)
  ]
  common = min(map(len, shapes))
  if (
      min(canvas.ndim, target.ndim) < 3
      or shapes[0][len(shapes[0]) - common :]
      != shapes[1][len(shapes[1]) - common :]
  ):
    raise AssertionError(
        f'canvases are {list(canvas.shape)} and targets {list(target.shape)}; '
        'give [..., H, W, C] of one shape, of which one may lack leading axes '
        '(an axis of size 1 is not repeated)'
    )
