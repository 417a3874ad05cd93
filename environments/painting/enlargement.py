"""Settings and brushes that paint the same picture on a larger canvas.

Scaling the canvas and the radii by f puts strokes in the right place, but
libmypaint's brushes also react to speeds and lengths in pixels. To preserve
their behavior, a stroke takes f times as long, which keeps its speed, and every
time and length among a brush's settings is multiplied by f. Only detail
differs: the edges of dabs are a pixel wide at any size.
"""

from collections.abc import Callable
import dataclasses
import json
import math
from typing import NamedTuple

from environments.painting import settings as settings_lib
from environments.painting import strokes as strokes_lib

# libmypaint starts another stroke at a point that comes 5 seconds or more after
# the one before.
_MAX_SECONDS_PER_POINT = 4.0


class Enlarged(NamedTuple):
  """Settings, brush and timing that paint the same picture, enlarged."""

  settings: settings_lib.PaintingSettings  # Settings of the larger canvas.
  brush: bytes  # JSON text of the brush.
  steps_per_stroke: int
  seconds_per_point: float


def enlarge(
    settings: settings_lib.PaintingSettings, brush: bytes, size: int
) -> Enlarged:
  """Returns what paints at `size` the picture of `settings` and `brush`.

  Args:
    settings: settings of the original canvas.
    brush: JSON text of a libmypaint brush, checked by `brush_file.check`.
    size: height and width of the larger canvas, pixels. At the original size
      nothing changes, to the last bit.

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
        brush_sizes=tuple(
            min(factor * radius, settings_lib.MAX_CANVAS_SIZE)
            for radius in settings.brush_sizes
        ),
    )
  return Enlarged(
      settings, brush, finer * strokes_lib.STEPS_PER_STROKE, seconds / finer
  )


def _enlarge_brush(brush: bytes, factor: float) -> bytes:
  """Returns a brush whose times and lengths are `factor` times as long."""
  record = json.loads(brush)
  for name, enlarged in _settings(factor).items():
    setting = record['settings'].get(name)
    if setting is not None:
      setting['base_value'] = enlarged(setting['base_value'])
      # Inputs add to the base value. They scale for settings that are lengths
      # or times, but not for logarithms (no classic brush has such inputs).
      if name in _LINEAR:
        for curve in setting['inputs'].values():
          for point in curve:
            point[1] *= factor
  return json.dumps(record).encode()


_LINEAR = (
    'speed1_slowness',
    'speed2_slowness',
    'slow_tracking',
    'offset_by_speed',
)


def _settings(factor: float) -> dict[str, Callable[[float], float]]:
  """Returns a function for each setting that changes, in brush files' units."""

  def log_of_length(unit: float) -> Callable[[float], float]:
    # libmypaint's filters act over a length of exp(unit * value) - 1, and only
    # if that is positive.
    def enlarged(value: float) -> float:
      if value <= 0.0:
        return value
      return math.log1p(factor * math.expm1(unit * value)) / unit

    return enlarged

  return {
      **dict.fromkeys(_LINEAR, lambda value: factor * value),
      'dabs_per_second': lambda value: value / factor,
      # Edges fade over at least this many pixels. The first one is
      # antialiasing, needed at any size; only the rest is the brush's softness.
      'anti_aliasing': lambda value: value + (factor - 1) * max(value - 1, 0),
      'stroke_duration_logarithmic': lambda value: value + math.log(factor),
      'direction_filter': log_of_length(0.5),
      'offset_by_speed_slowness': log_of_length(0.01),
  }
