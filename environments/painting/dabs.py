"""Extent of the painted part of a curve, by libmypaint's own rules.

A stroke is a row of dabs: the next one is painted only once the brush has moved
far enough, and the brush lags behind the hand. So paint begins after the start
of a curve and ends before its end. For thin lines this is invisible; for broad
ones it is half a radius or more.
"""

from collections.abc import Sequence
import itertools
import math

import numpy as np

from environments.painting import brush_response
from environments.painting import curves as curves_lib
from environments.painting import strokes

_TIMES = np.linspace(0.0, 1.0, strokes.STEPS_PER_STROKE + 1)
_FINER = 8  # Line segments between two points when measuring lengths.
_SLOW = 100.0  # slow_tracking is in hundredths of a second.
_AT_ONCE = 0.99  # Share of a distance covered in one step that counts as all.
_DENSE = 10_000  # Dabs from a point to the next; more are as good as a line.
_MIN_RADIUS, _MAX_RADIUS = 0.2, 1000.0  # libmypaint's bounds, pixels.


def reach(
    curves: Sequence[curves_lib.Curve], brush: bytes
) -> list[tuple[float, float] | None]:
  """Returns the times of the first and the last dab on each curve.

  Ignores that brushes cut corners. Brushes that lag in time (slow_tracking)
  start a stroke where they were before; for these the whole curve is returned.

  Args:
    curves: curves that the commands draw, in order.
    brush: JSON text of the libmypaint brush.

  Returns:
    For each curve two parameters in [0, 1], in order; None if it has no dab,
    as for moves.
  """
  settings = brush_response.read(brush)
  step = _SLOW * strokes.SECONDS_PER_POINT
  if _share(step, settings.base('slow_tracking')) < _AT_ONCE:
    return [(0.0, 1.0) if curve.is_paint else None for curve in curves]
  found: list[tuple[float, float] | None] = []
  row = _Row(settings)
  for curve in curves:
    if not curve.is_paint:
      found.append(None)
      continue
    if curve.is_jump:
      row = _Row(settings)
    lengths = _lengths(curve)
    dabs = [
        dab
        for (before, t), length in zip(
            itertools.pairwise(_TIMES), lengths[1:], strict=True
        )
        for dab in row.move(length, _dabs_a_pixel(curve, settings, before, t))
    ]
    row.shift(lengths[-1])
    if dabs:
      first, last = np.interp([min(dabs), max(dabs)], lengths, _TIMES)
      found.append((float(first), float(last)))
    else:
      found.append(None)
  return found


class _Row:
  """Dabs along a line. Positions are in pixels from the curve's start."""

  def __init__(self, settings: brush_response.BrushSettings):
    self._per_second = max(settings.base('dabs_per_second'), 0.0)
    self._lag = settings.base('slow_tracking_per_dab')
    self._x = 0.0  # Position of the hand.
    self._brush_x = 0.0  # Position of the brush, which follows the hand.
    self._dabs = 0.0  # Fraction of a dab due since the last one; below 1.

  def shift(self, length: float) -> None:
    """Moves the origin to the next curve; `length` is that of this one."""
    self._x -= length
    self._brush_x -= length

  def move(self, x: float, dabs_a_pixel: float) -> list[float]:
    """Moves to the next point; returns the positions of the dabs painted."""
    seconds = strokes.SECONDS_PER_POINT
    found: list[float] = []
    while True:
      left = x - self._x
      dabs = left * dabs_a_pixel + seconds * self._per_second
      if self._dabs + dabs < 1.0:
        break
      if dabs > _DENSE:
        found.append(self._brush_x)
        self._go(x, dabs)
        self._dabs = 0.0
        found.append(self._brush_x)
        return found
      step = 1.0 - self._dabs
      seconds -= seconds * step / dabs
      self._go(self._x + left * step / dabs, step)
      self._dabs = 0.0
      found.append(self._brush_x)
    self._go(x, dabs)
    self._dabs += dabs
    return found

  def _go(self, x: float, dabs: float) -> None:
    self._x = x
    self._brush_x += (x - self._brush_x) * _share(dabs, self._lag)


def _share(step: float, lag: float) -> float:
  """Returns the share of its distance that a lagging brush covers in a step."""
  return 1.0 - math.exp(-step / lag) if lag > 0 else 1.0


def _dabs_a_pixel(
    curve: curves_lib.Curve,
    settings: brush_response.BrushSettings,
    before: float,
    t: float,
) -> float:
  """Returns the number of dabs per pixel between two times."""
  pressure, speed = curve.pressure(t), curve.speed(t)
  radius = curve.radius * settings.at(pressure, speed).radius
  radius = min(max(radius, _MIN_RADIUS), _MAX_RADIUS)
  density = (
      settings.base('dabs_per_actual_radius') / radius
      + settings.base('dabs_per_basic_radius') / curve.radius
  )
  density = max(density, 0.0)
  # Across an elongated dab, libmypaint counts a pixel as `ratio` pixels.
  ratio = settings.value('elliptical_dab_ratio', pressure, speed)
  (x0, y0), (x1, y1) = curve.place(before), curve.place(t)
  dx, dy = x1 - x0, y1 - y0
  if ratio <= 1.0 or dx == dy == 0.0:
    return density
  angle = math.radians(settings.value('elliptical_dab_angle', pressure, speed))
  along = dx * math.cos(angle) + dy * math.sin(angle)
  across = dy * math.cos(angle) - dx * math.sin(angle)
  return density * math.hypot(along, ratio * across) / math.hypot(dx, dy)


def _lengths(curve: curves_lib.Curve) -> np.ndarray:
  """Returns the length of the curve up to each of its points, in pixels."""
  t = np.linspace(0.0, 1.0, _FINER * (len(_TIMES) - 1) + 1)
  places = np.array([curve.place(time) for time in t])
  steps = np.hypot(*np.diff(places, axis=0).T)
  return np.concatenate([[0.0], np.cumsum(steps)])[::_FINER]
