"""Visualization of the order of strokes: colors by time, lines for moves."""

from collections.abc import Sequence

import numpy as np

from environments import optional
from environments.painting import curves as curves_lib

# Perceptually uniform; its last tenth is too light for white paper.
_COLOR_MAP, _LATEST = 'plasma', 0.9
_MOVE_OPACITY = 0.35
_MOVE_WIDTH = 1 / 200  # As a share of the canvas size, like _MOVE_DASH.
_MOVE_DASH = 1 / 40


def colors(is_paint: np.ndarray) -> np.ndarray:
  """Returns a color for each command, by its rank among the strokes.

  Args:
    is_paint: bool `[T]`, true for strokes, false for moves.

  Returns:
    Red, green, blue `[T, 3]`, in [0, 1]. A move has the color of the preceding
    stroke.

  Raises:
    ImportError: if matplotlib is missing.
  """
  maps = optional.load('matplotlib', 'matplotlib', 'a trace').colormaps
  rank = np.maximum(np.cumsum(is_paint) - 1, 0)
  return maps[_COLOR_MAP](_LATEST * rank / max(1, rank[-1]))[:, :3]


def with_moves(
    image: np.ndarray, curves: Sequence[curves_lib.Curve], scale: float
) -> np.ndarray:
  """Returns an image with a faint dashed line for each move.

  Args:
    image: uint8 `[H, W, C]`.
    curves: curves of the program, in pixels of its canvas.
    scale: size of the image relative to that of the canvas.
  """
  ink = np.zeros(image.shape[:2])
  for curve in curves:
    if not curve.is_paint and curve.start != curve.end:
      line = np.array([curve.start, curve.end]) * scale
      ink = np.maximum(ink, _dashes(ink.shape, *line))
  shade = 1 - _MOVE_OPACITY * ink[..., np.newaxis]
  return np.round(image * shade).astype(np.uint8)


def _dashes(
    shape: tuple[int, ...], start: np.ndarray, end: np.ndarray
) -> np.ndarray:
  """Returns a dashed line's share of each pixel, `[H, W]`."""
  size = max(shape)
  y, x = np.mgrid[: shape[0], : shape[1]] + 0.5
  along = (end - start) / np.hypot(*(end - start))
  # Distances in pixels: along the line from its start, and to the line.
  traveled = (x - start[0]) * along[0] + (y - start[1]) * along[1]
  nearest = np.clip(traveled, 0.0, np.hypot(*(end - start)))
  away = np.hypot(
      x - start[0] - nearest * along[0], y - start[1] - nearest * along[1]
  )
  width = max(1.0, _MOVE_WIDTH * size)
  is_dash = nearest % (2 * _MOVE_DASH * size) < _MOVE_DASH * size
  return np.clip(width / 2 + 0.5 - away, 0.0, 1.0) * is_dash
