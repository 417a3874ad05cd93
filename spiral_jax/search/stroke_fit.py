"""Gains of strokes, and the colors in which they gain most, in closed form.

The picture of a stroke with cover w and color c on what is below, b, is
r + w (c - b) away from the target, if it is r away without the stroke. So a sum
of squares of linear features of that is a parabola in each channel of c.

Axes: K strokes, H height and W width of a region, C channels, F features.
"""

from collections.abc import Callable
import dataclasses
from typing import NamedTuple

import numpy as np

# Images `[K, H, W]` -> linear features in groups `[K, F]`, whose squares are
# summed.
Features = Callable[[np.ndarray], list[np.ndarray]]

_TINY = 1e-9
_PIECE = 256  # Pixels; boxes are aligned so that they have a multiple.


@dataclasses.dataclass(frozen=True)
class Score:
  """Measure of nearness: a sum of squares of linear features of differences.

  Attributes:
    name: name of the score.
    features: the features; None for the pixels themselves.
    margin: how far a pixel reaches in them, pixels.
  """

  name: str
  features: Features | None = None
  margin: int = 0


class Region(NamedTuple):
  """Region of the picture in which strokes are tried."""

  # [H, W, C], picture without the stroke, minus the target; 0 outside.
  residual: np.ndarray
  below: np.ndarray  # [H, W, C], what the stroke is painted on.
  seen: np.ndarray  # [H, W], share that is seen; 0 outside of the picture.


class Fit(NamedTuple):
  """Best colors of K strokes, and what they gain."""

  gains: np.ndarray  # [K], decrease of the sum of squares.
  shades: np.ndarray  # int32 [K, C], indices of shades.


@dataclasses.dataclass(frozen=True, eq=False)
class Colors:
  """Colors that strokes choose from.

  Attributes:
    shades: values of a channel, evenly spaced from 0 to 1, float32 `[S]`.
    palette: indices of shades, int32 `[P, C]`; None for all colors.
    is_black: true if ink is always black.
  """

  shades: np.ndarray
  palette: np.ndarray | None = None
  is_black: bool = False

  def nearest(self, color: np.ndarray) -> np.ndarray:
    """Returns the nearest colors to some `[K, C]`, indices of shades."""
    if self.is_black:
      return np.zeros(color.shape, np.int32)
    if self.palette is not None:
      offered = self.shades[self.palette]
      away = ((color[:, np.newaxis] - offered) ** 2).sum(axis=-1)
      return self.palette[away.argmin(axis=1)]
    steps = len(self.shades) - 1
    return np.rint(np.clip(color, 0, 1) * steps).astype(np.int32)


def fit(cover: np.ndarray, region: Region, colors: Colors, score: Score) -> Fit:
  """Returns the best color of each stroke and its gain.

  Args:
    cover: float32 `[K, H, W]`, in [0, 1].
    region: where strokes are tried.
    colors: colors to choose from.
    score: what is to become small.
  """
  parabola = _of_pixels if score.features is None else _of_features
  bend, slope, constant = parabola(cover, region, score)
  shades = colors.nearest(-slope / np.maximum(bend, _TINY))
  color = colors.shades[shades]
  change = (constant + 2 * slope * color + bend * color**2).sum(axis=1)
  return Fit(-change, shades)


def loss(residual: np.ndarray, score: Score) -> float:
  """Returns the sum of squares of a difference `[H, W, C]`."""
  if score.features is None:
    return float(np.vdot(residual, residual))
  groups = score.features(np.moveaxis(residual, -1, 0))
  return sum(float(np.vdot(group, group)) for group in groups)


def _edges(images: np.ndarray, own: float = 0.3) -> list[np.ndarray]:
  """Returns pixels, which count `own`, and differences of neighbors."""
  parts = own * images, np.diff(images, axis=1), np.diff(images, axis=2)
  return [part.reshape(len(part), -1) for part in parts]


def _several_scales(images: np.ndarray) -> list[np.ndarray]:
  """Returns what `_edges` does, of images at three scales."""
  groups = _edges(images)
  for _ in range(2):
    rows = images[:, ::2] + images[:, 1::2]
    # Half of the sum of four: a pixel counts as much as the four together.
    images = 0.5 * (rows[:, :, ::2] + rows[:, :, 1::2])
    groups += _edges(images)
  return groups


SCORES = {
    score.name: score
    for score in (
        Score('l2'),
        Score('edges', _edges, margin=1),
        Score('perceptual', _several_scales, margin=4),
    )
}


def _of_pixels(cover, region, score):
  """Returns bend `[K, 1]`, slope and constant `[K, C]` of the parabolas."""
  del score
  channels = region.below.shape[-1]
  seen = region.seen.reshape(-1, 1)
  below = region.below.reshape(-1, channels)
  residual = region.residual.reshape(-1, channels)
  cover = cover.reshape(len(cover), -1)
  # Cheaper than images of differences for each stroke.
  linear = product(
      cover,
      np.concatenate([seen * residual, seen * residual * below], axis=1),
  )
  square = product(
      cover * cover,
      np.concatenate([seen**2, seen**2 * below, seen**2 * below**2], axis=1),
  )
  return (
      square[:, :1],
      linear[:, :channels] - square[:, 1 : 1 + channels],
      square[:, 1 + channels :] - 2 * linear[:, channels:],
  )


def product(covers: np.ndarray, columns: np.ndarray) -> np.ndarray:
  """Returns covers `[K, M]` times columns `[M, D]`.

  In pieces so small that BLAS computes each on one thread: starting several
  takes longer than the product, most of all where other programs run.
  """
  count, length = covers.shape
  if length % _PIECE:
    return covers @ columns
  pieces = covers.reshape(count, -1, _PIECE).swapaxes(0, 1)
  columns = columns.reshape(length // _PIECE, _PIECE, -1)
  return (pieces @ columns).sum(axis=0)


def _of_features(cover, region, score):
  """As `_of_pixels`, for a score of any features."""
  count, height, width = cover.shape
  channels = region.below.shape[-1]
  # For each stroke: what it covers, and what it hides of each channel.
  images = np.empty((count, 1 + channels, height, width), np.float32)
  np.multiply(cover, region.seen, out=images[:, 0])
  for c in range(channels):
    np.multiply(images[:, 0], region.below[..., c], out=images[:, 1 + c])
  groups = score.features(images.reshape(-1, height, width))
  residuals = score.features(np.moveaxis(region.residual, -1, 0))
  products = np.zeros((count, 1 + channels, 1 + channels))
  linear = np.zeros((count, 1 + channels, channels))
  for group, residual in zip(groups, residuals):
    group = group.reshape(count, 1 + channels, -1)
    products += group @ group.swapaxes(1, 2)
    linear += group @ residual.T
  hidden = np.arange(1, 1 + channels)
  own = np.arange(channels)
  return (
      products[:, :1, 0],
      linear[:, 0] - products[:, 0, 1:],
      products[:, hidden, hidden] - 2 * linear[:, hidden, own],
  )
