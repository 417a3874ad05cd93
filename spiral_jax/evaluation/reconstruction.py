"""How near reconstructions are to their targets, pixel by pixel.

Axes: B images, H height, W width, C channels. Images are uint8 in 0..255 or
floats in [0, 1]; errors are on the scale of the latter.
"""

from typing import NamedTuple

import numpy as np

from spiral_jax.evaluation import images


class ReconstructionQuality(NamedTuple):
  """Means over a set of images, no unit."""
  error: float            # Mean squared error a pixel and channel.
  blank_error: float      # What a blank page has instead.
  share_of_blank: float   # The first over the second; NaN if that is zero.


def evaluate_reconstructions(
    canvas: np.ndarray, target: np.ndarray,
    blank: np.ndarray | None = None) -> ReconstructionQuality:
  """Returns the error of reconstructions beside that of a blank page.

  The share is one of means, not a mean of shares, so that a target with little
  ink counts for as little as it has.

  Args:
    canvas: what was drawn, `[B, H, W, C]`.
    target: what was to be drawn, `[B, H, W, C]`.
    blank: what an untouched canvas is, `[H, W, C]`; None, white.

  Raises:
    ValueError: as `reconstruction_error`.
  """
  error = float(reconstruction_error(canvas, target).mean())
  page = np.ones(target.shape[1:]) if blank is None else np.asarray(blank)
  blank_error = float(
      reconstruction_error(
          np.broadcast_to(page, target.shape), target).mean())
  return ReconstructionQuality(
      error, blank_error, error / blank_error if blank_error else float('nan'))


def reconstruction_error(
    canvas: np.ndarray, target: np.ndarray) -> np.ndarray:
  """Returns the mean squared error a pixel and channel, float64 `[B]`.

  Args:
    canvas: what was drawn, `[B, H, W, C]`.
    target: what was to be drawn, `[B, H, W, C]`.

  Raises:
    ValueError: if the shapes differ or the values are on no known scale.
  """
  if np.shape(canvas) != np.shape(target) or np.ndim(canvas) != 4:
    raise ValueError(f'canvases {np.shape(canvas)} and targets '
                     f'{np.shape(target)}: give two arrays [B, H, W, C] of one '
                     'shape')
  difference = images.unit(canvas, 'canvases') - images.unit(target, 'targets')
  squares = np.square(difference, dtype=np.float64)
  return np.asarray(squares.mean(axis=(1, 2, 3)))
