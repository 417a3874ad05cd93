"""Errors of pictures in which two strokes, one on the other, are exchanged.

A first stroke of cover A and color c and then a second one of B and d make
b + U (c - b) + V (d - b) of what is below, b, where U = A (1 - B) of the first
is left to be seen, and V = B. So the squared error is a parabola in both
colors, and all that it takes of covers are five products with few columns.

Axes: K pairs, M pixels, C channels.
"""

from typing import NamedTuple

import numpy as np

from spiral_jax.search import stroke_fit

_TINY = 1e-9
_SWEEPS = 3  # Over the two colors, each best given the other.


class Region(NamedTuple):
  """Surroundings of a pair of strokes: the picture is above + seen * x."""

  residual: np.ndarray  # [M, C], picture without the pair, minus the target.
  below: np.ndarray  # [M, C].
  seen: np.ndarray  # [M].


class Fit(NamedTuple):
  """Errors of K pairs, and the colors with which they have them."""

  errors: np.ndarray  # [K], sums of squares.
  first: np.ndarray  # [K, C].
  second: np.ndarray | None  # [K, C].


class _Parabola(NamedTuple):
  """bend x^2 + 2 slope x + constant, for each pair and channel."""

  bend: np.ndarray  # [K, 1]
  slope: np.ndarray  # [K, C]
  constant: np.ndarray  # [K, C]


def fit(
    first: np.ndarray,
    second: np.ndarray | None,
    region: Region,
    first_color: np.ndarray,
    second_color: np.ndarray | None = None,
    shades: np.ndarray | None = None,
) -> Fit:
  """Returns the errors of pairs of strokes in their best colors, or nearly so.

  Args:
    first: covers of the lower strokes, float32 `[K, M]`, in [0, 1].
    second: covers of the upper ones, or None for single strokes.
    region: what surrounds them.
    first_color: color of the lower strokes, `[C]`; where the search begins.
    second_color: color of the upper ones.
    shades: values of a channel, evenly spaced from 0 to 1, `[S]`; None keeps
      the colors that are given.
  """
  shape = len(first), region.below.shape[1]
  color = np.broadcast_to(first_color, shape)
  error = float(np.vdot(region.residual, region.residual))
  if second is None or second_color is None:
    one = _parabola(first, region)
    if shades is not None:
      color = _best(one.bend, one.slope, shades)
    return Fit(error + _value(one, color), color, None)
  shared = first * second
  one = _parabola(first - shared, region)
  two = _parabola(second, region)
  # 2 U V (c - b) (d - b), of which both strokes have a part.
  cross = stroke_fit.product(
      shared - shared * second, _columns_of_squares(region)
  )
  channels = shape[1]
  cross, linear, constant = np.split(cross, [1, 1 + channels], axis=1)
  one = one._replace(slope=one.slope - linear)
  two = two._replace(slope=two.slope - linear)
  other = np.broadcast_to(second_color, shape)
  if shades is not None:
    # The minimum without bounds and steps, then each given the other.
    bend = two.bend - cross**2 / np.maximum(one.bend, _TINY)
    slope = two.slope - cross * one.slope / np.maximum(one.bend, _TINY)
    other = _best(bend, slope, shades)
    for _ in range(_SWEEPS):
      color = _best(one.bend, one.slope + cross * other, shades)
      other = _best(two.bend, two.slope + cross * color, shades)
  both = 2 * (cross * color * other + constant).sum(axis=1)
  return Fit(
      error + _value(one, color) + _value(two, other) + both, color, other
  )


def _parabola(visible: np.ndarray, region: Region) -> _Parabola:
  """Returns the parabolas of strokes, of which `[K, M]` are visible."""
  channels = region.below.shape[1]
  seen = (region.seen[:, np.newaxis] * region.residual).astype(np.float32)
  linear = stroke_fit.product(
      visible, np.concatenate([seen, seen * region.below], axis=1)
  )
  square = stroke_fit.product(visible * visible, _columns_of_squares(region))
  return _Parabola(
      square[:, :1],
      linear[:, :channels] - square[:, 1 : 1 + channels],
      square[:, 1 + channels :] - 2 * linear[:, channels:],
  )


def _columns_of_squares(region: Region) -> np.ndarray:
  weight = (region.seen * region.seen)[:, np.newaxis]
  below = weight * region.below
  return np.concatenate([weight, below, below * region.below], axis=1)


def _best(
    bend: np.ndarray, slope: np.ndarray, shades: np.ndarray
) -> np.ndarray:
  color = np.clip(-slope / np.maximum(bend, _TINY), 0, 1)
  return shades[np.rint(color * (len(shades) - 1)).astype(int)]


def _value(parabola: _Parabola, color: np.ndarray) -> np.ndarray:
  return (
      parabola.constant + 2 * parabola.slope * color + parabola.bend * color**2
  ).sum(axis=1)
