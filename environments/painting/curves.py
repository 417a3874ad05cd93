"""Curves that a program's commands draw, computed without painting."""

from collections.abc import Mapping
import math
from typing import NamedTuple

import numpy as np

from environments.painting import settings as settings_lib
from environments.painting import strokes

Point = tuple[float, float]  # (x, y), pixels from the top left corner.

_SECONDS_PER_STROKE = strokes.STEPS_PER_STROKE * strokes.SECONDS_PER_POINT


class Curve(NamedTuple):
  """One command: a quadratic Bézier curve, or a move along a line."""

  is_paint: bool  # If false, a move; its control point has no meaning.
  is_jump: bool  # The brush was lifted: no stroke came right before.
  start: Point
  control: Point
  end: Point
  radius: float  # Radius that the command sets, pixels; brushes scale it.
  first_pressure: float  # Pressure at the start, in [0, 1].
  last_pressure: float  # Pressure at the end, in [0, 1].
  color: tuple[float, float, float]  # Red, green, blue, in [0, 1].

  def place(self, t: float) -> Point:
    """Returns the point at a time in [0, 1]."""
    return self._blossom(t, t)

  def pressure(self, t: float) -> float:
    """Returns the pressure at a time in [0, 1]."""
    return (1 - t) * self.first_pressure + t * self.last_pressure

  def speed(self, t: float) -> float:
    """Returns the speed at a time in [0, 1], in pixels per second."""
    along = (
        2 * (1 - t) * (control - start) + 2 * t * (end - control)
        for start, control, end in zip(self.start, self.control, self.end)
    )
    return math.hypot(*along) / _SECONDS_PER_STROKE

  def part(self, first: float, last: float) -> 'Curve':
    """Returns the piece of the curve between two times in [0, 1]."""
    return self._replace(
        start=self.place(first),
        control=self._blossom(first, last),
        end=self.place(last),
        first_pressure=self.pressure(first),
        last_pressure=self.pressure(last),
    )

  def _blossom(self, s: float, t: float) -> Point:
    x, y = (
        (1 - s) * (1 - t) * start
        + ((1 - s) * t + s * (1 - t)) * control
        + s * t * end
        for start, control, end in zip(self.start, self.control, self.end)
    )
    return x, y


def curves(
    settings: settings_lib.PaintingSettings, commands: Mapping[str, np.ndarray]
) -> list[Curve]:
  """Returns the curves of T commands, in order.

  Args:
    settings: settings of the canvas.
    commands: int `[T]` for each part of the settings' action spec.
  """
  is_paint = commands['flag'] == settings_lib.PAINT
  end = strokes.locate(settings, commands['end'])[:, ::-1]
  control = strokes.locate(settings, commands['control'])[:, ::-1]
  count = len(is_paint)
  zeros = np.zeros(count, np.int64)
  radius = np.array(settings.brush_sizes)[commands.get('size', zeros)]
  pressure = strokes.PRESSURES[commands.get('pressure', zeros - 1)]
  color = np.zeros((count, 3))
  if settings.color:
    shades = [commands[name] for name in settings_lib.COLORS]
    color = strokes.SHADES[np.stack(shades, axis=-1)]
  drawn: list[Curve] = []
  for t in range(count):
    is_jump = t == 0 or not is_paint[t - 1]
    drawn.append(
        Curve(
            is_paint=bool(is_paint[t]),
            is_jump=bool(is_jump),
            start=(0.0, 0.0) if t == 0 else drawn[-1].end,
            control=(float(control[t, 0]), float(control[t, 1])),
            end=(float(end[t, 0]), float(end[t, 1])),
            radius=float(radius[t]),
            first_pressure=float(pressure[t if is_jump else t - 1]),
            last_pressure=float(pressure[t]),
            color=(
                float(color[t, 0]),
                float(color[t, 1]),
                float(color[t, 2]),
            ),
        )
    )
  return drawn
