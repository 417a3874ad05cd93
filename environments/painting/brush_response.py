"""What a brush makes of its radius, by its own settings."""

import functools
import json
import math
from typing import Any, NamedTuple

# Where libmypaint fixes how it maps speeds, in pixels a second: a brush's input
# is `_MAPPED` at `_SPEED`, and grows there by `_SLOPE` a unit.
_SPEED = 45.0
_MAPPED = 0.5
_SLOPE = 0.015


class Response(NamedTuple):
  """How a brush paints in one place, as far as an even stroke shows it."""

  radius: float  # What the radius that is set is multiplied by.
  opacity: float  # Of a stroke, in [0, 1].


class BrushSettings:
  """Those of one brush of libmypaint, by its own names."""

  def __init__(self, settings: dict[str, Any]):
    self._settings = settings

  def base(self, name: str) -> float:
    """Returns what a setting is without any input; 0 if the brush has none."""
    return self._settings.get(name, {}).get('base_value', 0.0)

  def value(self, name: str, pressure: float, speed: float) -> float:
    """Returns what a setting is at a pressure and a speed.

    Of the inputs to which brushes react these two count here; all others
    (direction, chance, how far a stroke has come) do not, nor how long a brush
    takes to notice that its speed changed.

    Args:
      name: of the setting.
      pressure: in [0, 1].
      speed: pixels a second.
    """
    curves = self._settings.get(name, {}).get('inputs', {})
    inputs = {
        'pressure': pressure,
        'speed1': _map_speed(speed, self.base('speed1_gamma')),
        'speed2': _map_speed(speed, self.base('speed2_gamma')),
    }
    return self.base(name) + sum(
        _follow(curves[input_name], x)
        for input_name, x in inputs.items()
        if curves.get(input_name)
    )

  def at(self, pressure: float, speed: float) -> Response:
    """Returns how the brush paints; arguments are as `value` has them."""
    value = functools.partial(self.value, pressure=pressure, speed=speed)
    dab = max(value('opaque'), 0.0) * value('opaque_multiply')
    dab = min(max(dab, 0.0), 1.0)
    # Dabs overlap. libmypaint makes each so much fainter that together they
    # are as opaque as told, to the degree that the brush asks for.
    dabs = 2 * (
        self.base('dabs_per_actual_radius') + self.base('dabs_per_basic_radius')
    )
    dabs = max(dabs, 1.0)
    corrected = 1.0 + self.base('opaque_linearize') * (dabs - 1.0)
    name = 'radius_logarithmic'
    return Response(
        radius=math.exp(value(name) - self.base(name)),
        opacity=1.0 - (1.0 - dab) ** (dabs / corrected),
    )


@functools.lru_cache
def read(brush: bytes) -> BrushSettings:
  """Returns the settings in the JSON text of a libmypaint brush."""
  return BrushSettings(json.loads(brush)['settings'])


def _map_speed(speed: float, log_gamma: float) -> float:
  gamma = math.exp(log_gamma)
  factor = _SLOPE * (_SPEED + gamma)
  return _MAPPED + factor * math.log((gamma + speed) / (gamma + _SPEED))


def _follow(points: list[tuple[float, float]], x: float) -> float:
  """Returns y at x; the first and the last line go on beyond their ends."""
  last = next(
      (i for i in range(1, len(points) - 1) if x <= points[i][0]),
      len(points) - 1,
  )
  (x0, y0), (x1, y1) = points[last - 1], points[last]
  return y0 if x0 == x1 else y0 + (y1 - y0) * (x - x0) / (x1 - x0)
