"""How near reconstructions are to their targets, pixel by pixel.

Axes: B images, H height, W width, C channels. Images are uint8 in 0..255 or
floats in [0, 1]; errors are on the scale of the latter.
"""

from typing import NamedTuple

import numpy as np

from spiral_jax.evaluation import images


class ReconstructionQuality(NamedTuple):
  """Means over a set of images, no unit."""

  error: float  # Mean squared error a pixel and channel.
  blank_error: float  # What a blank page has instead.
  share_of_blank: float  # The first over the second; NaN if that is zero.
  constant_error: float  # What the best page of one color has instead, for
  # each target its own: the mean of its pixels.
  share_of_constant: float  # The first over that; NaN if that is zero.
  color_distance: float  # Earth mover's, between the colors of canvas and
  # target wherever they lie, mean over channels.


def evaluate_reconstructions(
    canvas: np.ndarray, target: np.ndarray, blank: np.ndarray | None = None
) -> ReconstructionQuality:
  """Returns the error of reconstructions beside that of pages without drawing.

  The shares are of means, not means of shares, so that a target with little
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
      reconstruction_error(np.broadcast_to(page, target.shape), target).mean()
  )
  # Bytes are sorted many times faster than floats.
  painted, wanted = (
      images.unit(np.sort(np.reshape(x, (len(x), -1, x.shape[-1])), axis=1))
      for x in (canvas, target)
  )
  constant_error = float(wanted.var(1, dtype=np.float64).mean())
  # Of as many pixels each, the least work moves them in their order.
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
  """Returns the mean squared error a pixel and channel, float64 `[B]`.

  Args:
    canvas: what was drawn, `[B, H, W, C]`.
    target: what was to be drawn, `[B, H, W, C]`.

  Raises:
    ValueError: if the shapes differ or the values are on no known scale.
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
