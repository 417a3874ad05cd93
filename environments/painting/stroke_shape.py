"""Shapes of painted strokes, for SVG: center line, widths, opacity and blur.

They are measured on the dabs that libmypaint stamped: across the stroke, dabs
that overlap make a profile of opacity, which is matched by a line of even
opacity with blurred edges. So whatever changes a brush's dabs (pressure, speed,
direction, chance) counts.

Axes: D dabs, S sections across a stroke, P points of a section.
"""

import math
from typing import NamedTuple

import numpy as np

from environments.painting import bezier
from environments.painting import dab_columns as columns
from environments.painting import polyline

_POINTS = 65  # Of a section.
_MOST_SECTIONS = 32
_MOST_DABS = 4000  # That are looked at; of more, every second or so.
_TOGETHER = 32  # Dabs in a row that few points are near to.
_REACH = 1.1  # Half of a section, in what the dabs next to it reach.
_RATIO_OF_WIDTHS = 1.1  # Of neighboring pieces, at most.
_STRAY = 0.05  # Pieces of a curve may be this far off the dabs, in widths.
_SHARP = 0.04  # Blur that nobody sees, as a share of the width.


class Piece(NamedTuple):
  """A quadratic Bézier curve of one width, in the dabs' pixels."""

  start: np.ndarray  # (x, y)
  control: np.ndarray
  end: np.ndarray
  width: float


class Shape(NamedTuple):
  """A stroke as a line of even opacity, in the dabs' pixels."""

  pieces: list[Piece]
  opacity: float
  blur: float  # Standard deviation, 0 if edges are sharp.
  color: tuple[float, float, float]  # Red, green, blue, in [0, 1].


def measure(dabs: np.ndarray) -> Shape | None:
  """Returns the shape of a stroke; None if it has no dabs.

  Args:
    dabs: recorded dabs of the stroke, float32 `[D, 13]`.
  """
  if not len(dabs):
    return None
  color = dabs[:, columns.RED : columns.BLUE + 1].mean(axis=0)
  dabs = dabs.astype(np.float64)
  line = _center_line(dabs)
  arc = polyline.lengths(line)
  # Fewer dabs stand for all: each counts as several.
  step = -(-len(dabs) // _MOST_DABS)
  radii = dabs[:, columns.RADIUS]
  # As many sections as the finest part of the stroke needs.
  finest = max(radii.min(), radii.max() / 8, 1e-3)
  count = int(np.clip(np.ceil(arc[-1] / finest), 1, _MOST_SECTIONS))
  at = (np.arange(count) + 0.5) / count * arc[-1]
  middle = polyline.places(line, arc, at)
  across = _normals(line, arc, at, float(np.median(radii)))
  # How far the dabs next to a section reach.
  is_near = np.abs(arc - at[:, np.newaxis]) <= radii + arc[-1] / count
  astray = np.hypot(*(dabs[:, [columns.X, columns.Y]] - line).T)
  reach = np.where(is_near, radii + astray, 0).max(axis=1) * _REACH
  offset = np.linspace(-1, 1, _POINTS) * reach[:, np.newaxis]  # [S, P]
  points = (
      middle[:, np.newaxis] + offset[..., np.newaxis] * across[:, np.newaxis]
  )
  profile = _opacity(points.reshape(-1, 2), dabs[::step], step)
  fits = [_fit_box(*pair) for pair in zip(profile.reshape(count, -1), offset)]
  found = np.array([fit for fit in fits if fit is not None])
  if not len(found):
    return None
  # What is seen well counts more.
  weight = found[:, 0] * found[:, 1]
  opacity = float(np.average(found[:, 1], weights=weight))
  blur = float(np.average(found[:, 2], weights=weight))
  widths = np.array([0.0 if fit is None else fit[0] for fit in fits])
  if blur < _SHARP * widths.max():
    blur = 0.0
  pieces = _pieces(line, arc, at, np.maximum(widths, 1e-2 * widths.max()))
  return Shape(pieces, opacity, blur, tuple(np.clip(color, 0, 1).tolist()))


def _center_line(dabs: np.ndarray) -> np.ndarray:
  """Returns the middle of the stroke at each dab, `[D, 2]`.

  Where dabs are strewn, it is that of many in a row.
  """
  line = dabs[:, [columns.X, columns.Y]]
  if len(line) < 8:
    return line
  bend = line[1:-1] - (line[:-2] + line[2:]) / 2
  step = np.hypot(*np.diff(line, axis=0).T)
  if np.hypot(*bend.T).mean() < 0.25 * step.mean():
    return line
  width = max(3, len(line) // 6) | 1
  padded = np.pad(
      line,
      ((width // 2, width // 2), (0, 0)),
      mode='reflect',
      reflect_type='odd',
  )
  kernel = np.ones(width) / width
  return np.stack(
      [np.convolve(padded[:, i], kernel, mode='valid') for i in (0, 1)], axis=-1
  )


def _normals(line, arc, at, radius) -> np.ndarray:
  """Returns unit vectors across the line at some lengths, `[S, 2]`."""
  if arc[-1] <= 0:
    return np.tile([0.0, 1.0], (len(at), 1))
  near = max(0.5 * radius, 1e-3 * arc[-1])
  before = polyline.places(line, arc, at - near)
  along = polyline.places(line, arc, at + near) - before
  length = np.hypot(*along.T)[:, np.newaxis]
  along = np.where(length > 0, along / np.maximum(length, 1e-9), [1.0, 0.0])
  return along[:, ::-1] * [-1.0, 1.0]


def _opacity(points: np.ndarray, dabs: np.ndarray, times: int) -> np.ndarray:
  """Returns the opacity of dabs together at some points, `[P]`.

  Args:
    points: (x, y), `[P, 2]`.
    dabs: recorded dabs `[D, 13]`.
    times: how many each of them stands for.
  """
  clear = np.zeros(len(points))  # Logarithm of what is seen through.
  for start in range(0, len(dabs), _TOGETHER):
    some = dabs[start : start + _TOGETHER]
    x, y, radius = some[:, [columns.X, columns.Y, columns.RADIUS]].T
    is_near = (
        (points[:, 0] >= (x - radius).min())
        & (points[:, 0] <= (x + radius).max())
        & (points[:, 1] >= (y - radius).min())
        & (points[:, 1] <= (y + radius).max())
    )
    near = points[is_near]
    opacity, hardness = some[:, [columns.OPACITY, columns.HARDNESS]].T
    turn = np.deg2rad(some[:, columns.ANGLE])
    ratio = np.maximum(some[:, columns.RATIO], 1.0)
    dx, dy = near[:, :1] - x, near[:, 1:] - y
    across = (dy * np.cos(turn) - dx * np.sin(turn)) * ratio
    along = dy * np.sin(turn) + dx * np.cos(turn)
    share = (across**2 + along**2) / radius**2
    hardness = np.clip(hardness, 1e-6, 1 - 1e-6)
    mask = np.where(
        share <= hardness,
        1 - share * (1 / hardness - 1),
        hardness / (1 - hardness) * (1 - share),
    )
    mask = np.where(share <= 1, np.clip(mask, 0, 1), 0) * np.clip(opacity, 0, 1)
    clear[is_near] += np.log1p(-np.minimum(mask, 1 - 1e-6)).sum(axis=1)
  return 1 - np.exp(times * clear)


def _fit_box(
    profile: np.ndarray, offset: np.ndarray
) -> tuple[float, float, float] | None:
  """Returns width, opacity and blur of an even line with this profile.

  The area and the variance are the profile's, and as nearly as can be the
  peak. None if there is nothing.
  """
  step = offset[1] - offset[0]
  area = profile.sum() * step
  if not area > 1e-3 * step:
    return None
  middle = (profile * offset).sum() * step / area
  variance = (profile * (offset - middle) ** 2).sum() * step / area
  if not variance > 0:
    return None
  peak = float(profile.max())
  low, high = min(area, math.sqrt(12 * variance)), math.sqrt(12 * variance)
  for _ in range(30):
    width = (low + high) / 2
    blur = math.sqrt(max(variance - width**2 / 12, 1e-12))
    reached = area / width * math.erf(width / (2 * math.sqrt(2) * blur))
    # Wider boxes have lower peaks.
    low, high = (width, high) if reached > peak else (low, width)
  width = (low + high) / 2
  blur = math.sqrt(max(variance - width**2 / 12, 0.0))
  return width, min(area / width, 1.0), blur


def _pieces(line, arc, at, widths) -> list[Piece]:
  """Returns pieces of a line, as few as its widths and bends allow."""

  def cut(low: float, high: float, depth: int) -> list[Piece]:
    inside = (at >= low) & (at <= high)
    own = widths[inside]
    if not len(own):
      own = np.interp([(low + high) / 2], at, widths)
    points = polyline.places(line, arc, np.linspace(low, high, 17))
    control, error = bezier.fit_quadratic(points)
    is_even = own.max() <= _RATIO_OF_WIDTHS * own.min()
    if depth == 0 or (is_even and error <= _STRAY * own.mean() + 0.1):
      return [Piece(points[0], control, points[-1], float(own.mean()))]
    middle = (low + high) / 2
    return cut(low, middle, depth - 1) + cut(middle, high, depth - 1)

  return cut(0.0, arc[-1], 5)
