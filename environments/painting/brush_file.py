"""Check of brush files before libmypaint reads them.

A MyPaint brush (.myb) is JSON: a version, and for each setting a base value and
curves over inputs, which are added to it. libmypaint ends the process at curves
that it cannot use, passes over what it does not know, and draws without end
where a value is absurd. So it is handed only what was checked here.
"""

import functools
import json
import math
from typing import Any
import warnings

from environments import reprs

MAX_BYTES = 1 << 20
_VERSION = 3
_MAX_POINTS = 64  # Of a curve; libmypaint's constant.
_MAX_INPUT = 1e5
_SHORTEST = 1e-6  # Distance of points: a slope must remain a number.
# Values may lie this many times the width of a setting's range outside of it:
# MyPaint's own brushes make use of some of that.
_SLACK = 10

# Settings and inputs by which a brush depends on more than its states.
_RANDOM_SETTINGS = ('offset_by_random', 'radius_by_random', 'tracking_noise')
_HIDDEN_INPUTS = ('random', 'gridmap_x', 'gridmap_y')

# Settings by which a dab is more than a cover of the brush's color.
_MIXING_SETTINGS = (
    'smudge',
    'eraser',
    'lock_alpha',
    'colorize',
    'posterize',
    'change_color_h',
    'change_color_l',
    'change_color_hsl_s',
    'change_color_v',
    'change_color_hsv_s',
)

# Lowest and highest value of each setting in MyPaint's editor; from
# brushsettings.json of libmypaint 1.6.
RANGES = {
    'opaque': (0, 2),
    'opaque_multiply': (0, 2),
    'opaque_linearize': (0, 2),
    'radius_logarithmic': (-2, 6),
    'hardness': (0, 1),
    'anti_aliasing': (0, 5),
    'dabs_per_basic_radius': (0, 200),
    'dabs_per_actual_radius': (0, 200),
    'dabs_per_second': (0, 200),
    'radius_by_random': (0, 1.5),
    'speed1_slowness': (0, 0.2),
    'speed2_slowness': (0, 3),
    'speed1_gamma': (-8, 8),
    'speed2_gamma': (-8, 8),
    'offset_by_random': (0, 25),
    'offset_by_speed': (-3, 3),
    'offset_by_speed_slowness': (0, 15),
    'slow_tracking': (0, 10),
    'slow_tracking_per_dab': (0, 10),
    'tracking_noise': (0, 12),
    'color_h': (0, 1),
    'color_s': (-0.5, 1.5),
    'color_v': (-0.5, 1.5),
    'restore_color': (0, 1),
    'change_color_h': (-2, 2),
    'change_color_l': (-2, 2),
    'change_color_hsl_s': (-2, 2),
    'change_color_v': (-2, 2),
    'change_color_hsv_s': (-2, 2),
    'smudge': (0, 1),
    'smudge_length': (0, 1),
    'smudge_radius_log': (-1.6, 1.6),
    'eraser': (0, 1),
    'stroke_threshold': (0, 0.5),
    'stroke_duration_logarithmic': (-1, 14),
    'stroke_holdtime': (0, 10),
    'custom_input': (-5, 5),
    'custom_input_slowness': (0, 10),
    'elliptical_dab_ratio': (1, 10),
    'elliptical_dab_angle': (0, 180),
    'direction_filter': (0, 10),
    'lock_alpha': (0, 1),
    'colorize': (0, 1),
    'snap_to_pixel': (0, 1),
    'pressure_gain_log': (-1.8, 1.8),
    'gridmap_scale': (-10, 10),
    'gridmap_scale_x': (0, 10),
    'gridmap_scale_y': (0, 10),
    'smudge_length_log': (0, 20),
    'smudge_bucket': (0, 255),
    'smudge_transparency': (-1, 1),
    'offset_y': (-40, 40),
    'offset_x': (-40, 40),
    'offset_angle': (-40, 40),
    'offset_angle_asc': (-40, 40),
    'offset_angle_view': (-40, 40),
    'offset_angle_2': (0, 40),
    'offset_angle_2_asc': (0, 40),
    'offset_angle_2_view': (0, 40),
    'offset_angle_adj': (-180, 180),
    'offset_multiplier': (-2, 3),
    'posterize': (0, 1),
    'posterize_num': (0.01, 1.28),
    'paint_mode': (0, 1),
}
INPUTS = (
    'pressure',
    'speed1',
    'speed2',
    'random',
    'stroke',
    'direction',
    'tilt_declination',
    'tilt_ascension',
    'custom',
    'direction_angle',
    'attack_angle',
    'tilt_declinationx',
    'tilt_declinationy',
    'gridmap_x',
    'gridmap_y',
    'viewzoom',
    'barrel_rotation',
    'brush_radius',
)
# libmypaint takes 0 for a setting that is missing. Without these nothing would
# ever be painted.
_NEEDED = ('opaque', 'hardness')


@functools.lru_cache
def check(data: bytes, name: str) -> bytes:
  """Returns a brush as JSON that libmypaint can read.

  Settings and inputs that libmypaint does not know are left out, with a
  warning; so are comments.

  Args:
    data: content of a .myb file.
    name: name of the brush, for messages.

  Raises:
    ValueError: if it is not a brush, or a value is not what it must be; one
      line names the fault and the remedy.
  """
  record = _parse(data, name)
  version = record.get('version')
  if type(version) is not int or version != _VERSION:
    raise _error(
        name,
        f'its version is {reprs.short(version)}, must be {_VERSION}',
        _SAVE,
    )
  settings = record.get('settings')
  if not isinstance(settings, dict):
    raise _error(
        name, f'its settings are {reprs.short(settings)}, no object', _SAVE
    )
  unknown = [key for key in settings if key not in RANGES]
  checked = {
      key: _setting(name, key, setting, unknown)
      for key, setting in settings.items()
      if key in RANGES
  }
  for key in _NEEDED:
    if key not in checked:
      raise _error(
          name, f'it has no setting {key!r}, so it paints nothing', _SAVE
      )
  if unknown:
    shown = ', '.join(map(reprs.short, dict.fromkeys(unknown)))
    warnings.warn(
        f'brush {reprs.short(name)} has settings or inputs that libmypaint 1.6'
        f' does not know; they are left out: {shown[:200]}',
        stacklevel=2,
    )
  return json.dumps({'version': _VERSION, 'settings': checked}).encode()


def colorizes(brush: bytes) -> bool:
  """Returns true if a checked brush may change colors alone."""
  return _uses(json.loads(brush)['settings'], 'colorize')


def lays_covers(brush: bytes) -> bool:
  """Returns true if a brush lays its own color over whatever is below.

  Others smudge, erase, or paint in colors other than theirs.

  Args:
    brush: JSON text of a brush that was checked.
  """
  settings = json.loads(brush)['settings']
  return not any(_uses(settings, name) for name in _MIXING_SETTINGS)


def _uses(settings: dict[str, Any], name: str) -> bool:
  setting = settings.get(name, {})
  return bool(
      setting.get('base_value') or any(setting.get('inputs', {}).values())
  )


def _parse(data: bytes, name: str) -> dict[str, Any]:
  if len(data) > MAX_BYTES:
    raise _error(name, f'it has more than {MAX_BYTES} bytes')
  # Comments may be in any encoding; all else is ASCII.
  text = data.decode(json.detect_encoding(data), errors='replace')
  if text.lstrip().startswith('#'):
    raise _error(name, "it is of MyPaint's old format", _SAVE)
  try:
    record = json.loads(text)
  except (ValueError, RecursionError) as error:
    fault = ' '.join(str(error).split())
    raise _error(name, f'it is not JSON ({fault})') from None
  if not isinstance(record, dict):
    raise _error(name, f'it is {reprs.short(record)}, no object')
  return record


def _setting(
    name: str, key: str, setting: Any, unknown: list[str]
) -> dict[str, Any]:
  """Returns a setting; appends inputs that nobody knows to `unknown`."""
  if not isinstance(setting, dict):
    raise _error(name, f'setting {key!r} is {reprs.short(setting)}, no object')
  low, high = RANGES[key]
  slack = _SLACK * (high - low)
  base = setting.get('base_value')
  if not _is_number(base, low - slack, high + slack):
    raise _error(
        name,
        f'base_value of {key!r} is {reprs.short(base)}, must be a number from'
        f' {low - slack:g} to {high + slack:g}',
    )
  inputs = setting.get('inputs')
  if inputs is None:
    inputs = {}
  if not isinstance(inputs, dict):
    raise _error(
        name, f'inputs of {key!r} are {reprs.short(inputs)}, no object'
    )
  curves = {}
  for source, points in inputs.items():
    if source not in INPUTS:
      unknown.append(source)
      continue
    where = f'the curve of {key!r} over {source!r}'
    curves[source] = _curve(name, where, points, slack)
  return {'base_value': base, 'inputs': curves}


def _curve(name: str, where: str, points: Any, slack: float) -> list[Any]:
  if not isinstance(points, list):
    raise _error(name, f'{where} is {reprs.short(points)}, must be a list')
  if len(points) == 1 or len(points) > _MAX_POINTS:
    raise _error(
        name,
        f'{where} has {len(points)} points, must have none, or from 2 to'
        f' {_MAX_POINTS}',
    )
  last = -math.inf
  for point in points:
    if (
        not isinstance(point, list)
        or len(point) != 2
        or not _is_number(point[0], -_MAX_INPUT, _MAX_INPUT)
        or not _is_number(point[1], -slack, slack)
    ):
      raise _error(
          name,
          f'{where} has the point {reprs.short(point)}, must be two numbers,'
          f' the second from {-slack:g} to {slack:g}',
      )
    if point[0] != last and point[0] < last + _SHORTEST:
      raise _error(
          name,
          f'{where} has the point {reprs.short(point)} after {last:g}; points'
          f' must ascend, by {_SHORTEST:g} or more',
      )
    last = point[0]
  return points


def _is_number(value: Any, low: float, high: float) -> bool:
  return type(value) in (int, float) and low <= value <= high


_SAVE = 'open it in MyPaint and save it again'


def _error(
    name: str, fault: str, remedy: str = 'give a .myb file of MyPaint'
) -> ValueError:
  return ValueError(
      f'libmypaint does not take the brush {reprs.short(name)}, a .myb file:'
      f' {fault}; {remedy}'
  )


def base_value(brush: bytes, name: str) -> float:
  """Returns a setting's base value; 0 if the brush does not set it.

  Args:
    brush: JSON text of a brush that was checked.
    name: name of the setting.
  """
  setting = json.loads(brush)['settings'].get(name, {})
  return float(setting.get('base_value', 0.0))


def is_deterministic(brush: bytes) -> bool:
  """Returns true if a brush draws no random numbers and has no grid.

  (A brush with a grid looks at where the dab before was, without a state.)

  Args:
    brush: JSON text of a brush that was checked.
  """
  settings = json.loads(brush)['settings']
  return not any(
      _uses(settings, name) for name in _RANDOM_SETTINGS
  ) and not any(
      setting.get('inputs', {}).get(name)
      for setting in settings.values()
      for name in _HIDDEN_INPUTS
  )
