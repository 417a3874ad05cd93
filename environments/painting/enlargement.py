"""The same picture on a larger canvas.

A canvas and radii of f times the size put strokes in the right place, but
libmypaint's brushes also look at how fast and how far they go, in pixels. So
that they do what they did on the small canvas, a stroke takes f times as long
(speeds are then what they were) and every time and length among a brush's
settings is multiplied by f. What is left to differ is detail: dabs have edges
a pixel wide, whatever the size.
"""

from collections.abc import Callable
import dataclasses
import json
import math
from typing import NamedTuple

from environments.painting import settings as settings_lib
from environments.painting import strokes as strokes_lib

# libmypaint takes a point that comes 5 seconds after the one before for the
# start of another stroke.
_MAX_SECONDS_PER_POINT = 4.0


class Enlarged(NamedTuple):
  """What to paint with, so that the canvas shows the same picture."""

  settings: settings_lib.PaintingSettings  # Of the larger canvas.
  brush: bytes  # JSON text.
  steps_per_stroke: int
  seconds_per_point: float


def enlarge(
    settings: settings_lib.PaintingSettings, brush: bytes, size: int
) -> Enlarged:
  """Returns what paints, at `size`, what `settings` and `brush` paint.

  Args:
    settings: of the picture as it is.
    brush: JSON text of a libmypaint brush.
    size: height and width of the larger canvas, pixels; with the canvas's own
      size nothing changes, to the last bit.

  Raises:
    ValueError: if `size` is below that of the canvas, or above 8192.
  """
  if not settings.canvas_size <= size <= settings_lib.MAX_CANVAS_SIZE:
    raise ValueError(
        f'size is {size!r}, must be from {settings.canvas_size}, the size of'
        f' the canvas, to {settings_lib.MAX_CANVAS_SIZE} pixels'
    )
  factor = size / settings.canvas_size
  seconds = strokes_lib.SECONDS_PER_POINT * factor
  finer = math.ceil(seconds / _MAX_SECONDS_PER_POINT)
  if factor != 1:
    brush = _enlarge_brush(brush, factor)
    settings = dataclasses.replace(
        settings,
        canvas_size=size,
        brush_sizes=tuple(factor * radius for radius in settings.brush_sizes),
    )
  return Enlarged(
      settings, brush, finer * strokes_lib.STEPS_PER_STROKE, seconds / finer
  )


def _enlarge_brush(brush: bytes, factor: float) -> bytes:
  """Returns a brush whose times and lengths are `factor` times as long."""
  try:
    record = json.loads(brush)
    for name, enlarged in _settings(factor).items():
      setting = record['settings'].get(name)
      if setting is not None:
        base = setting['base_value']
        setting['base_value'] = enlarged(base)
        # Inputs add to the base. Those to lengths grow with them; those to
        # logarithms of lengths (no classic brush has any) stay.
        if name in _LINEAR:
          for curve in setting.get('inputs', {}).values():
            for point in curve:
              point[1] *= factor
  except (ValueError, KeyError, TypeError, AttributeError):
    return brush  # libmypaint refuses it, in the same words as ever.
  return json.dumps(record).encode()


_LINEAR = (
    'speed1_slowness',
    'speed2_slowness',
    'slow_tracking',
    'offset_by_speed',
)


def _settings(factor: float) -> dict[str, Callable[[float], float]]:
  """Returns how settings change, in the units of libmypaint's brush files."""

  def log_of_length(unit: float) -> Callable[[float], float]:
    # libmypaint's filters work over a length of exp(unit * value) - 1.
    return lambda value: math.log1p(factor * math.expm1(unit * value)) / unit

  return {
      **dict.fromkeys(_LINEAR, lambda value: factor * value),
      'dabs_per_second': lambda value: value / factor,
      # Edges fade over this many pixels at least. One keeps them from showing
      # pixels as stairs, whatever their size; more is the brush's softness.
      'anti_aliasing': lambda value: value + (factor - 1) * max(value - 1, 0),
      'stroke_duration_logarithmic': lambda value: value + math.log(factor),
      'direction_filter': log_of_length(0.5),
      'offset_by_speed_slowness': log_of_length(0.01),
  }
