"""Images at several resolutions, in NumPy."""

import numpy as np


def reduce_mean(image: np.ndarray, factor: int) -> np.ndarray:
  """Returns means over squares of pixels, float32.

  Args:
    image: `[H, W, ...]`; H and W are multiples of the factor.
    factor: height and width of a square.

  Returns:
    `[H / factor, W / factor, ...]`.
  """
  if factor == 1:
    return image
  height, width = image.shape[:2]
  rows = image.reshape(height // factor, factor, width, *image.shape[2:])
  sums = rows.sum(axis=1, dtype=np.float32)
  sums = sums.reshape(len(sums), width // factor, factor, *image.shape[2:])
  return sums.sum(axis=2) * np.float32(1 / factor**2)
