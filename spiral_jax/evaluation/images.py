"""Conversion of images, bytes or floats, to one scale."""

import numpy as np


def unit(images: np.ndarray, name: str = 'images') -> np.ndarray:
  """Returns images as float32 in [0, 1].

  Args:
    images: `[...]`, uint8 in 0..255 or floats in [0, 1], of NumPy or JAX.
    name: name of the images in error messages.

  Raises:
    ValueError: if they are of another type, or floats outside [0, 1].
  """
  images = np.asarray(images)
  if images.dtype == np.uint8:
    return images.astype(np.float32) / 255
  if images.dtype.kind != 'f':
    raise ValueError(
        f'{name} are {images.dtype}: give uint8 in 0..255 or '
        'floats in [0, 1]'
    )
  # Negated so that NaN fails too. The slack allows for rounding.
  if images.size and not (images.min() >= -1e-5 and images.max() <= 1 + 1e-5):
    raise ValueError(
        f'{name} go from {images.min()} to {images.max()}: give '
        'floats in [0, 1] or uint8'
    )
  return images.astype(np.float32)
