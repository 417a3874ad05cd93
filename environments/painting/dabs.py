"""How far along its curve a brush paints, by libmypaint's own rules.

A brush is a row of round dabs, and the next one comes only when the brush has
gone far enough. It also follows the hand at a distance. So what it paints
begins after the start of a curve and ends before its end: not to be seen of
thin lines, by half a radius and more of broad ones.
"""

from collections.abc import Sequence
import math

import numpy as np

from environments.painting import curves as curves_lib
from environments.painting import response
from environments.painting import strokes

_TIMES = np.linspace(0.0, 1.0, strokes.STEPS_PER_STROKE)
_FINER = 8  # Straight lines between two points by which lengths are measured.
_SLOW = 100.0  # slow_tracking counts hundredths of a second.
_MIN_RADIUS, _MAX_RADIUS = 0.2, 1000.0  # libmypaint's bounds, pixels.


def reach(
    curves: Sequence[curves_lib.Curve], brush: bytes
) -> list[tuple[float, float] | None]:
  """Returns, of each curve, where its first and its last dab are.

  Curves are taken for straight here: that a brush cuts corners is left out.

  Args:
    curves: what the commands draw, in order.
    brush: JSON text of the libmypaint brush.

  Returns:
    Two parameters of the curve, in [0, 1] and in order; None if there is no
    dab, as on moves.
  """
  settings = response.read(brush)
  found: list[tuple[float, float] | None] = []
  row = _Row(settings)
  for curve in curves:
    if not curve.is_paint:
      found.append(None)
      continue
    lengths = _lengths(curve)
    if curve.is_jump:
      row = _Row(settings)
    dabs = [
        dab
        for t, length in zip(_TIMES, lengths)
        for dab in row.move(length, curve.radius, _radius(curve, settings, t))
    ]
    row.shift(lengths[-1])
    if dabs:
      first, last = np.interp([min(dabs), max(dabs)], lengths, _TIMES)
      found.append((float(first), float(last)))
    else:
      found.append(None)
  return found


class _Row:
  """Dabs along a line. Places are pixels from the start of the curve."""

  def __init__(self, settings: response.Settings):
    self._per_radius = settings.base('dabs_per_actual_radius')
    self._per_set_radius = settings.base('dabs_per_basic_radius')
    self._per_second = settings.base('dabs_per_second')
    self._lag = settings.base('slow_tracking_per_dab')
    self._follow = _share(
        _SLOW * strokes.SECONDS_PER_POINT, settings.base('slow_tracking')
    )
    self._x = 0.0  # Where the hand is, for the brush.
    self._brush_x = 0.0  # Where the brush is, which follows it.
    self._dabs = 0.0  # Since the last one; below 1.

  def shift(self, length: float) -> None:
    """Goes on to the next curve, which begins where one so long ends."""
    self._x -= length
    self._brush_x -= length

  def move(self, x: float, set_radius: float, radius: float) -> list[float]:
    """Moves to the next point; returns where dabs are painted."""
    goal = self._x + self._follow * (x - self._x)
    seconds = strokes.SECONDS_PER_POINT
    density = self._per_radius / radius + self._per_set_radius / set_radius
    found: list[float] = []
    while True:
      left = goal - self._x
      dabs = left * density + seconds * self._per_second
      if self._dabs + dabs < 1.0:
        break
      step = 1.0 - self._dabs
      seconds -= seconds * step / dabs
      self._go(self._x + left * step / dabs, step)
      self._dabs = 0.0
      found.append(self._brush_x)
    self._go(goal, dabs)
    self._dabs += dabs
    return found

  def _go(self, x: float, dabs: float) -> None:
    self._x = x
    self._brush_x += (x - self._brush_x) * _share(dabs, self._lag)


def _share(step: float, lag: float) -> float:
  """Returns how much of a distance is made up for in a step."""
  return 1.0 - math.exp(-step / lag) if lag > 0 else 1.0


def _radius(
    curve: curves_lib.Curve, settings: response.Settings, t: float
) -> float:
  factor = settings.at(curve.pressure(t), curve.speed(t)).radius
  return min(max(curve.radius * factor, _MIN_RADIUS), _MAX_RADIUS)


def _lengths(curve: curves_lib.Curve) -> np.ndarray:
  """Returns the length of the curve up to each of its points, pixels."""
  t = np.linspace(0.0, 1.0, _FINER * (len(_TIMES) - 1) + 1)
  places = np.array([curve.place(time) for time in t])
  steps = np.hypot(*np.diff(places, axis=0).T)
  return np.concatenate([[0.0], np.cumsum(steps)])[::_FINER]
