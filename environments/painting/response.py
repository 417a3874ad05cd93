"""What a brush makes of its radius and of pressure, by its own settings."""

import json
from typing import NamedTuple

import numpy as np


class Response(NamedTuple):
  """How a brush paints at one pressure, as far as an even stroke shows it."""

  radius: float  # What the radius that is set is multiplied by.
  opacity: float  # Of a stroke, in [0, 1].


def response(brush: bytes, pressure: float) -> Response:
  """Returns how a brush paints at a pressure.

  Of the inputs to which brushes react only pressure counts here: speed,
  direction and chance do not.

  Args:
    brush: JSON text of a libmypaint brush.
    pressure: in [0, 1].
  """
  settings = json.loads(brush)['settings']

  def base(name: str) -> float:
    return settings.get(name, {}).get('base_value', 0.0)

  def reaction(name: str) -> float:
    curve = settings.get(name, {}).get('inputs', {}).get('pressure')
    if not curve:
      return 0.0
    x, y = np.array(curve).T
    return float(np.interp(pressure, x, y))

  dab = (base('opaque') + reaction('opaque')) * (
      base('opaque_multiply') + reaction('opaque_multiply')
  )
  dab = min(max(dab, 0.0), 1.0)
  # Dabs overlap. libmypaint makes each so much fainter that together they are
  # as opaque as told, to the degree that the brush asks for.
  dabs = 2 * (base('dabs_per_actual_radius') + base('dabs_per_basic_radius'))
  dabs = max(dabs, 1.0)
  corrected = 1.0 + base('opaque_linearize') * (dabs - 1.0)
  return Response(
      radius=float(np.exp(reaction('radius_logarithmic'))),
      opacity=1.0 - (1.0 - dab) ** (dabs / corrected),
  )
