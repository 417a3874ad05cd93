"""Radius and opacity of a libmypaint brush, predicted from its settings."""

import functools
import json
import math
from typing import Any, NamedTuple

# libmypaint's map from speeds, in pixels per second, to a brush's input: the
# input is `_MAPPED` at `_SPEED`, with slope `_SLOPE` there.
_SPEED = 45.0
_MAPPED = 0.5
_SLOPE = 0.015
# Of the logarithm of the radius, far beyond what libmypaint's bounds admit.
_MAX_CHANGE = 20.0

# Settings and inputs by which a brush depends on more than its states.
_RANDOM_SETTINGS = ('offset_by_random', 'radius_by_random', 'tracking_noise')
_HIDDEN_INPUTS = ('random', 'gridmap_x', 'gridmap_y')


class Response(NamedTuple):
  """Radius and opacity of a brush in one place of a stroke, on average."""

  radius: float  # Factor on the radius that the command sets.
  opacity: float  # Opacity of a stroke, in [0, 1].


class BrushSettings:
  """Settings of one libmypaint brush, under libmypaint's names."""

  def __init__(self, settings: dict[str, Any]):
    self._settings = settings

  def base(self, name: str) -> float:
    """Returns a setting's base value; 0 if the brush does not set it."""
    return self._settings.get(name, {}).get('base_value', 0.0)

  def is_deterministic(self) -> bool:
    """Returns true if the brush draws no random numbers, nor has a grid.

    (A brush with a grid looks at where the dab before was, without a state.)
    """
    settings = self._settings
    return not any(
        settings.get(name, {}).get('base_value')
        or any(settings.get(name, {}).get('inputs', {}).values())
        for name in _RANDOM_SETTINGS
    ) and not any(
        setting.get('inputs', {}).get(name)
        for setting in settings.values()
        for name in _HIDDEN_INPUTS
    )

  def value(self, name: str, pressure: float, speed: float) -> float:
    """Returns a setting's value at a pressure and a speed.

    Ignores the other inputs to which brushes react (direction, chance, distance
    along the stroke) and the delay with which a brush follows its speed.

    Args:
      name: name of the setting.
      pressure: pressure, in [0, 1].
      speed: speed, in pixels per second.
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
    """Returns radius and opacity at a pressure and speed; see `value`."""
    value = functools.partial(self.value, pressure=pressure, speed=speed)
    dab = max(value('opaque'), 0.0) * value('opaque_multiply')
    dab = min(max(dab, 0.0), 1.0)
    # Dabs overlap. libmypaint makes each one fainter, so that together they
    # reach the requested opacity; opaque_linearize says how far it does so.
    dabs = 2 * (
        self.base('dabs_per_actual_radius') + self.base('dabs_per_basic_radius')
    )
    dabs = max(dabs, 1.0)
    linearize = max(self.base('opaque_linearize'), 0.0)
    corrected = 1.0 + linearize * (dabs - 1.0)
    name = 'radius_logarithmic'
    change = value(name) - self.base(name)
    return Response(
        radius=math.exp(min(max(change, -_MAX_CHANGE), _MAX_CHANGE)),
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
  """Interpolates linearly; extends the first and last segments outwards."""
  last = next(
      (i for i in range(1, len(points) - 1) if x <= points[i][0]),
      len(points) - 1,
  )
  (x0, y0), (x1, y1) = points[last - 1], points[last]
  return y0 if x0 == x1 else y0 + (y1 - y0) * (x - x0) / (x1 - x0)
