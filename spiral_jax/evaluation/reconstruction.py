"""Pixel errors and color distances of reconstructions.

Axes: B images, H height, W width, C channels. Images are uint8 in 0..255 or
floats in [0, 1]; errors are on the scale of the latter.
"""

from typing import NamedTuple

import numpy as np

from spiral_jax.evaluation import images


class ReconstructionQuality(NamedTuple):
  """Means over a set of images, no unit."""

  error: float  # Mean squared error per pixel and channel.
  blank_error: float  # Error of a blank page.
  share_of_blank: float  # `error / blank_error`; NaN if that is 0.
  constant_error: float  # Error of the best page of a single color, which is
  # the mean of each target's pixels.
  share_of_constant: float  # `error / constant_error`; NaN if that is 0.
  color_distance: float  # Earth mover's distance between the colors of canvas
  # and target, regardless of position; mean over channels.


def evaluate_reconstructions(
    canvas: np.ndarray, target: np.ndarray, blank: np.ndarray | None = None
) -> ReconstructionQuality:
  """Returns the error of reconstructions and of pages without a drawing.

  Shares are ratios of means, not means of ratios, so that a target with little
  ink has little weight.

  Args:
    canvas: drawn images `[B, H, W, C]`.
    target: target images `[B, H, W, C]`.
    blank: untouched canvas `[H, W, C]`; None means white.

  Raises:
    ValueError: as `reconstruction_error`, or if the blank page is not of the
      targets' shape.
  """
  error = float(reconstruction_error(canvas, target).mean())
  page = np.ones(target.shape[1:]) if blank is None else np.asarray(blank)
  if page.shape != target.shape[1:]:
    raise ValueError(
        f'the blank page is {page.shape} and targets are {target.shape}: give '
        'an untouched canvas [H, W, C] of their shape'
    )
  blank_error = float(
      reconstruction_error(np.broadcast_to(page, target.shape), target).mean()
  )
  # Sorts before converting: bytes are sorted many times faster than floats.
  painted, wanted = (
      images.unit(np.sort(np.reshape(x, (len(x), -1, x.shape[-1])), axis=1))
      for x in (canvas, target)
  )
  constant_error = float(wanted.var(1, dtype=np.float64).mean())
  # With equally many pixels, the optimal transport matches them in order.
  moved = np.abs(painted - wanted)
  return ReconstructionQuality(
      error,
      blank_error,
      _share(error, blank_error),
      constant_error,
      _share(error, constant_error),
      float(moved.mean(dtype=np.float64)),
  )


def _share(error: float, of: float) -> float:
  return error / of if of else float('nan')


def reconstruction_error(canvas: np.ndarray, target: np.ndarray) -> np.ndarray:
  """Returns the mean squared error per pixel and channel, float64 `[B]`.

  Args:
    canvas: drawn images `[B, H, W, C]`.
    target: target images `[B, H, W, C]`.

  Raises:
    ValueError: if the shapes differ, or the values are neither uint8 nor floats
      in [0, 1].
  """
  if np.shape(canvas) != np.shape(target) or np.ndim(canvas) != 4:
    raise ValueError(
        f'canvases {np.shape(canvas)} and targets '
        f'{np.shape(target)}: give two arrays [B, H, W, C] of one '
        'shape'
    )
  difference = images.unit(canvas, 'canvases') - images.unit(target, 'targets')
  squares = np.square(difference, dtype=np.float64)
  return np.asarray(squares.mean(axis=(1, 2, 3)))
