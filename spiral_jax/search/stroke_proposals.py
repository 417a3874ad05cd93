"""Proposals of strokes: from the image, and by changing strokes.

Lengths are in pixels of the level at which strokes are tried.

Axes: K strokes, H = W pixels of a window.
"""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from scipy import ndimage

Strokes = dict[str, np.ndarray]  # int [K] by name.
POINTS = ('start', 'control', 'end')

_LONGEST = 44.0  # Pixels of a window of 64.
_ALONG = 0.7  # Share of the strokes that follow the image's edges.
_TURN = 0.35  # Of these, the standard deviation of the angle, radians.
_BEND = 0.15  # Standard deviation of a control point, in lengths.


class Scale(NamedTuple):
  """Units of a level."""

  grid_size: int
  cells_a_pixel: float  # Cells of the grid in a pixel of the level.
  corner: np.ndarray  # int [2], of the window, pixels (y, x).
  sizes: np.ndarray  # int [S], sizes of strokes that fit the level, in order.
  radii: np.ndarray  # Of all sizes, pixels of the level.


def from_image(
    error: np.ndarray,
    angle: np.ndarray,
    scale: Scale,
    num_values: Mapping[str, int],
    count: int,
    rng: np.random.Generator,
) -> Strokes:
  """Returns strokes where the error is, along the image's edges.

  Args:
    error: squared error of each pixel of the window, `[H, W]`.
    angle: direction of the edges, radians, `[H, W]`.
    scale: units of the level.
    num_values: number of values of each further part of a stroke.
    count: number of strokes, K.
    rng: source of all random numbers.
  """
  pixels = pick_pixels(error, count, rng)
  y, x = pixels.T
  turn = np.where(
      rng.random(count) < _ALONG,
      angle[y, x] + _TURN * rng.standard_normal(count),
      rng.random(count) * np.pi,
  )
  size = rng.choice(scale.sizes, count)
  radius = scale.radii[size]
  length = np.exp(
      rng.uniform(np.log(radius), np.log(np.maximum(_LONGEST, 2 * radius)))
  )
  along = np.stack([np.sin(turn), np.cos(turn)], axis=-1)
  across = along[:, ::-1] * np.array([1.0, -1.0])
  middle = pixels + rng.random((count, 2))
  half = (length / 2)[:, np.newaxis] * along
  bend = (_BEND * length * rng.standard_normal(count))[:, np.newaxis] * across
  strokes = {
      'start': _to_cells(middle - half, scale),
      'control': _to_cells(middle + bend, scale),
      'end': _to_cells(middle + half, scale),
  }
  for name, number in num_values.items():
    strokes[name] = rng.integers(number, size=count)
  if 'size' in strokes:
    strokes['size'] = size
  return strokes


def pick_pixels(
    weight: np.ndarray, count: int, rng: np.random.Generator
) -> np.ndarray:
  """Returns pixels (y, x) drawn by weight, int `[K, 2]`.

  Args:
    weight: 0 or more, `[H, W]`.
    count: number of pixels, K.
    rng: source of all random numbers.
  """
  chance = np.cumsum(weight.ravel() + 1e-12)
  at = np.searchsorted(chance, rng.random(count) * chance[-1])
  at = np.minimum(at, weight.size - 1)
  return np.stack(np.divmod(at, weight.shape[1]), axis=-1)


def changed(
    strokes: Strokes,
    scale: Scale,
    num_values: Mapping[str, int],
    rng: np.random.Generator,
) -> Strokes:
  """Returns strokes that are changed a little.

  Args:
    strokes: int `[K]` by name.
    scale: units of the level.
    num_values: number of values of each further part of a stroke.
    rng: source of all random numbers.
  """
  count = len(strokes['end'])
  reach = np.exp(rng.uniform(np.log(0.5), np.log(8.0), (count, 1)))
  points = np.stack([_from_cells(strokes[n], scale) for n in POINTS])
  step = reach * rng.standard_normal((3, count, 2))
  way = rng.random(count)
  # All points alike, or one of them, or each on its own.
  step = np.where((way < 0.25)[:, np.newaxis], step[:1], step)
  which = np.arange(3)[:, np.newaxis] == rng.integers(3, size=count)
  is_moved = which | (way < 0.25) | (way > 0.65)
  is_moved &= (way < 0.85)[np.newaxis]
  points = points + step * is_moved[..., np.newaxis]
  new = {name: _to_cells(p, scale) for name, p in zip(POINTS, points)}
  for name, values in strokes.items():
    if name in POINTS:
      continue
    # Where no point moves something else does.
    chance = np.where(way < 0.85, 0.2, 0.7)
    jump = rng.integers(1, 3, size=count) * rng.choice([-1, 1], count)
    jump = np.where(rng.random(count) < chance, jump, 0)
    low, high = 0, num_values[name] - 1
    if name == 'size':
      low, high = scale.sizes[0], scale.sizes[-1]
    new[name] = np.clip(values + jump, low, high)
  return new


def _to_cells(points: np.ndarray, scale: Scale) -> np.ndarray:
  """Returns the nearest locations of points of the window, `[..., 2]`."""
  cells = np.rint((points + scale.corner) * scale.cells_a_pixel)
  y, x = np.moveaxis(np.clip(cells, 0, scale.grid_size - 1), -1, 0)
  return (y * scale.grid_size + x).astype(np.int64)


def _from_cells(locations: np.ndarray, scale: Scale) -> np.ndarray:
  """Returns points of the window, `[..., 2]`."""
  cells = np.stack(np.divmod(locations, scale.grid_size), axis=-1)
  return cells / scale.cells_a_pixel - scale.corner


def edge_angles(image: np.ndarray) -> np.ndarray:
  """Returns the direction along the edges of an image `[H, W, C]`, `[H, W]`.

  It is that of the least eigenvalue of the smoothed structure tensor.
  """
  dy, dx = np.gradient(image, axis=(0, 1))
  tensor = np.stack(
      [(dx * dx).sum(-1), (dy * dy).sum(-1), (dx * dy).sum(-1)], axis=-1
  )
  tensor = ndimage.gaussian_filter(tensor, (1.5, 1.5, 0))
  xx, yy, xy = np.moveaxis(tensor, -1, 0)
  return 0.5 * np.arctan2(2 * xy, xx - yy) + np.pi / 2
