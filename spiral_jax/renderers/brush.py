"""Brushes of libmypaint as their settings say, for those that JAX can draw.

A brush's settings are functions of what its hand does: each is a base value
plus piecewise linear functions of inputs, here pressure and two smoothed
speeds.
"""

from collections.abc import Mapping
import json
import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

# libmypaint's map from speeds, in pixels per second, to a brush's inputs: the
# input is `_MAPPED` at `_SPEED`, with slope `_SLOPE` there.
_SPEED, _MAPPED, _SLOPE = 45.0, 0.5, 0.015

_INPUTS = ('pressure', 'speed1', 'speed2')
# Settings that make no difference to a brush without the others below.
_IRRELEVANT = {
    'color_h',
    'color_s',
    'color_v',
    'custom_input',
    'custom_input_slowness',
    'direction_filter',
    'gridmap_scale',
    'gridmap_scale_x',
    'gridmap_scale_y',
    'offset_by_speed_slowness',
    'offset_multiplier',
    'paint_mode',
    'posterize_num',
    'smudge_length',
    'smudge_length_log',
    'smudge_radius_log',
    'stroke_duration_logarithmic',
    'stroke_holdtime',
    'stroke_threshold',
}
# Settings that are drawn, of any input in `_INPUTS`.
_DRAWN = {
    'anti_aliasing',
    'elliptical_dab_angle',
    'elliptical_dab_ratio',
    'hardness',
    'opaque',
    'opaque_multiply',
    'radius_logarithmic',
    'slow_tracking_per_dab',
    'speed1_slowness',
    'speed2_slowness',
}
# Settings of which the base value alone is drawn.
_CONSTANT = {
    'dabs_per_actual_radius',
    'dabs_per_basic_radius',
    'dabs_per_second',
    'opaque_linearize',
    'pressure_gain_log',
    'slow_tracking',
    'speed1_gamma',
    'speed2_gamma',
}


class Inputs(NamedTuple):
  """Inputs of a brush's settings; `[]` each."""

  pressure: jax.Array
  speed1: jax.Array
  speed2: jax.Array


class Brush:
  """Settings of one brush, under libmypaint's names. See `read`."""

  def __init__(self, settings: Mapping[str, Any]):
    self._settings = settings

  def base(self, name: str) -> float:
    """Returns a setting's base value; 0 if the brush does not set it."""
    return float(self._settings.get(name, {}).get('base_value', 0.0))

  def value(self, name: str, inputs: Inputs) -> jax.Array | float:
    """Returns a setting's value, `[]`."""
    curves = self._curves(name)
    value: jax.Array | float = self.base(name)
    for input_name, points in curves.items():
      value += _follow(points, getattr(inputs, input_name))
    return value

  def inputs(
      self, pressure: jax.Array, speed1: jax.Array, speed2: jax.Array
  ) -> Inputs:
    """Returns inputs at a pressure in [0, 1] and speeds in pixels a second."""
    gain = math.exp(self.base('pressure_gain_log'))
    return Inputs(
        pressure * gain,
        self._speed_input('speed1_gamma', speed1),
        self._speed_input('speed2_gamma', speed2),
    )

  def extremes(self, name: str, max_speed: float) -> tuple[float, float]:
    """Returns the least and the largest value of a setting, or bounds of them.

    Args:
      name: name of the setting.
      max_speed: largest speed, pixels per second.
    """
    zero = jnp.zeros(())
    lowest = self.inputs(zero, zero, zero)
    highest = self.inputs(zero + 1, zero + max_speed, zero + max_speed)
    low = high = self.base(name)
    for input_name, points in self._curves(name).items():
      first = float(getattr(lowest, input_name))
      last = float(getattr(highest, input_name))
      heights = [height for x, height in points if first < x < last]
      heights += [float(_follow(points, jnp.asarray(x))) for x in (first, last)]
      low, high = low + min(heights), high + max(heights)
    return low, high

  def _speed_input(self, gamma_name: str, speed: jax.Array) -> jax.Array:
    gamma = math.exp(self.base(gamma_name))
    factor = _SLOPE * (_SPEED + gamma)
    return _MAPPED + factor * (
        jnp.log(gamma + speed) - math.log(gamma + _SPEED)
    )

  def _curves(self, name: str) -> dict[str, list[tuple[float, float]]]:
    inputs = self._settings.get(name, {}).get('inputs', {})
    return {key: points for key, points in inputs.items() if points}


def read(text: bytes, name: str) -> Brush:
  """Returns a brush that can be drawn here.

  Args:
    text: JSON text of a libmypaint brush, a `.myb` file.
    name: name of the brush, for errors.

  Raises:
    ValueError: if it is no brush, draws random numbers, picks up color, reacts
      to its direction, or has another setting that is not drawn here; names
      these.
  """
  try:
    settings = json.loads(text)['settings']
    reasons = [
        reason
        for key, setting in sorted(settings.items())
        for reason in _reasons(key, setting)
    ]
  except (ValueError, KeyError, TypeError, AttributeError) as error:
    raise ValueError(
        f'brush {name!r} is no brush of libmypaint ({error!r}); name another'
    ) from error
  if reasons:
    raise ValueError(
        f'brush {name!r} has {"; ".join(reasons)}, which is not drawn in JAX; '
        'choose another brush, as classic/pen, or draw with libmypaint '
        '(without --on_device)'
    )
  return Brush(settings)


def _reasons(name: str, setting: Mapping[str, Any]) -> list[str]:
  """Returns why a setting is not drawn here."""
  base = setting.get('base_value', 0.0)
  curves = [key for key, points in setting.get('inputs', {}).items() if points]
  if name in _IRRELEVANT or not (base or curves):
    return []
  if name in _DRAWN:
    return [f'{name} by {key}' for key in curves if key not in _INPUTS]
  if name in _CONSTANT:
    return [f'{name} by {key}' for key in curves]
  return [f'{name} by {", ".join(curves)}' if curves else f'{name} {base:g}']


def _follow(points: Any, x: jax.Array) -> jax.Array:
  """Interpolates linearly; extends the first and last segments outwards."""
  xs, ys = np.asarray(points, np.float32).T
  last = 1 + jnp.sum(x > xs[1:-1]) if len(xs) > 2 else 1
  x0, x1 = jnp.asarray(xs)[last - 1], jnp.asarray(xs)[last]
  y0, y1 = jnp.asarray(ys)[last - 1], jnp.asarray(ys)[last]
  run = x1 - x0
  share = (x - x0) / jnp.where(run == 0, 1.0, run)
  return jnp.where(run == 0, y0, y0 + (y1 - y0) * share)
