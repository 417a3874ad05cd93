"""Conversion of colors to the HSV values that libmypaint's brushes take."""

import numpy as np


def rgb_to_hsv(rgb: np.ndarray) -> np.ndarray:
  """Returns hue, saturation and value of colors.

  Args:
    rgb: red, green and blue `[..., 3]`, in [0, 1].

  Returns:
    HSV `[..., 3]`, in [0, 1]; grays have hue and saturation 0.
  """
  red, green, blue = np.moveaxis(np.asarray(rgb, np.float64), -1, 0)
  value = np.max(rgb, axis=-1)
  delta = value - np.min(rgb, axis=-1)
  is_gray = delta <= 0.0001
  divisor = np.where(is_gray, 1.0, delta)
  hue = np.select(
      [red == value, green == value],
      [(green - blue) / divisor, 2.0 + (blue - red) / divisor],
      4.0 + (red - green) / divisor,
  )
  hue = np.where(hue < 0.0, hue + 6.0, hue) / 6.0
  saturation = delta / np.where(is_gray, 1.0, value)
  return np.stack(
      [np.where(is_gray, 0.0, hue), np.where(is_gray, 0.0, saturation), value],
      axis=-1,
  )
