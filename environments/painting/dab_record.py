"""Records of dabs: what a brush stamped on the canvas, in a few knots a stroke.

Between knots, dabs are what linear interpolation says. So a smooth stroke of
hundreds of dabs takes a dozen of knots, while a brush that strews at random
takes as many as it has dabs.

Axes: D dabs, K knots.
"""

from typing import NamedTuple

import numpy as np

from environments.painting import dab_columns as columns

# How far interpolated dabs may be off: pixels, radii (logarithm), opacity,
# hardness, ratio (logarithm), degrees, and channels of the color.
_TOLERANCE = np.array([0.02, 0.02, 1e-3, 2e-3, 2e-3, 2e-3, 0.2, *[2e-3] * 3])
# Share of the dabs that are off the line between their neighbors: with more of
# them, looking for knots is not worth the time.
_ROUGH = 0.3


class Knots(NamedTuple):
  """Some of the dabs of a stroke, in order, float32 `[K]` each."""

  number: np.ndarray  # Number of the dab in the stroke, from 0.
  x: np.ndarray  # Pixels.
  y: np.ndarray
  radius: np.ndarray  # Pixels.
  opacity: np.ndarray
  hardness: np.ndarray
  ratio: np.ndarray  # Of the long axis to the short one, 1 or more.
  angle: np.ndarray  # Of the long axis, degrees.
  color: np.ndarray  # [K, 3].


def knots(dabs: np.ndarray) -> Knots | None:
  """Returns knots of dabs; None if they do not simply lay color on the canvas.

  Those of brushes that erase, colorize or keep to what is painted do not.

  Args:
    dabs: recorded dabs, float32 `[D, 13]`.
  """
  if len(dabs) and not (
      (dabs[:, columns.ALPHA] == 1).all()
      and (dabs[:, columns.LOCK_ALPHA] == 0).all()
      and (dabs[:, columns.COLORIZE] == 0).all()
  ):
    return None
  ratio = np.maximum(dabs[:, columns.RATIO], 1.0)
  # It counts for small round dabs, too: libmypaint antialiases along it.
  angle = dabs[:, columns.ANGLE]
  values = np.stack(
      [
          dabs[:, columns.X],
          dabs[:, columns.Y],
          np.log(dabs[:, columns.RADIUS]),
          np.clip(dabs[:, columns.OPACITY], 0, 1),
          np.clip(dabs[:, columns.HARDNESS], 0, 1),
          np.log(ratio),
          np.rad2deg(np.unwrap(np.deg2rad(angle), period=np.pi)),
          *np.clip(dabs[:, columns.RED : columns.BLUE + 1].T, 0, 1),
      ],
      axis=1,
  ).astype(np.float64)
  index = _chosen(values / _TOLERANCE)
  kept = values[index].astype(np.float32)
  x, y, log_radius, opacity, hardness, log_ratio, turn = kept.T[:7]
  return Knots(
      index.astype(np.float32),
      x,
      y,
      np.exp(log_radius),
      opacity,
      hardness,
      np.exp(log_ratio),
      turn,
      kept[:, 7:],
  )


def _chosen(values: np.ndarray) -> np.ndarray:
  """Returns indices of rows between which the others lie, within 1."""
  count = len(values)
  if count < 3:
    return np.arange(count)
  middle = (values[:-2] + values[2:]) / 2
  if (np.abs(values[1:-1] - middle).max(axis=1) > 1).mean() > _ROUGH:
    return np.arange(count)
  chosen = {0, count - 1}
  segments = [(0, count - 1)]
  while segments:
    first, last = segments.pop()
    share = np.arange(1, last - first)[:, np.newaxis] / (last - first)
    line = values[first] + share * (values[last] - values[first])
    away = np.abs(values[first + 1 : last] - line).max(axis=1)
    if len(away) and away.max() > 1:
      worst = first + 1 + int(away.argmax())
      chosen.add(worst)
      segments += [(first, worst), (worst, last)]
  return np.array(sorted(chosen))
