"""Web page that plays a program and loads nothing from the network.

The page itself is player.html; this module inserts a program's data.
"""

import base64
from collections.abc import Sequence
import html
import json
import pathlib
from typing import Any

import numpy as np

from environments.painting import animation
from environments.painting import curves as curves_lib
from environments.painting import dab_record
from environments.painting import svg

_MOST = (1 << 15) - 1
_UNIT_OF_SHARE = 1 / _MOST  # Of what is in [0, 1].
# Of logarithms of radii, from pixels; of ratios; and of angles, degrees.
_UNITS = 1 / 4000, 1 / 4000, 1 / 40
_PAGE = pathlib.Path(__file__).with_name('player.html')


def page(
    curves: Sequence[curves_lib.Curve],
    pictures: Sequence[dab_record.Knots] | np.ndarray,
    *,
    shape: tuple[int, int],
    extent: tuple[float, float],
    paper: tuple[int, int, int, int],
    title: str,
) -> str:
  """Returns the HTML of the page.

  Args:
    curves: curves that the T commands draw.
    pictures: the dabs of each command, which the page draws; or the canvas
      before the first command and after each, uint8 `[T + 1, H, W, C]`.
    shape: height and width of the page's canvas, pixels.
    extent: height and width of the picture in the curves' pixels.
    paper: red, green, blue and alpha of a clear canvas, 0 to `settings.ONE`.
    title: title of the page, plain text.

  Raises:
    ImportError: if Pillow is missing and `pictures` are canvases.
  """
  commands = [_command(curve) for curve in curves]
  data: dict[str, Any] = {
      'extent': [round(x, 4) for x in extent],
      'shape': shape,
      'paper': paper,
      'commands': commands,
  }
  if isinstance(pictures, np.ndarray):
    data['frames'] = [_data_uri(frame) for frame in pictures]
  else:
    # Strokes may leave the picture.
    pixel = 2 * max(shape) / _MOST
    share = _UNIT_OF_SHARE
    units = np.array([1, pixel, pixel, *_UNITS[:1], share, share, *_UNITS[1:]])
    data |= {'units': units.tolist(), 'ink_unit': share}
    for command, knots in zip(commands, pictures):
      if len(knots.number):
        command |= _dabs(knots, units)
  text = _PAGE.read_text(encoding='utf-8')
  # Escaped, so that no text in the data can close the element that holds it.
  embedded = json.dumps(data, separators=(',', ':')).replace('<', '\\u003c')
  return text.replace('{{title}}', html.escape(title)).replace(
      '{{program}}', embedded
  )


def _dabs(knots: dab_record.Knots, units: np.ndarray) -> dict[str, Any]:
  """Returns the dabs of a stroke: numbers of each knot, and its ink.

  The ink is one color, or that of each knot. Numbers are whole units, of 16
  bits: the index less that of the knot before, place, logarithm of the radius,
  opacity, hardness, logarithm of the ratio, and angle less that of the knot
  before.
  """
  numbers = np.stack(
      [
          np.diff(knots.number, prepend=0),
          knots.x,
          knots.y,
          np.log(knots.radius),
          knots.opacity,
          knots.hardness,
          np.log(knots.ratio),
          np.diff(knots.angle, prepend=0),
      ],
      axis=1,
  )
  color = knots.color
  is_plain = (color == color[0]).all()
  return {
      'dabs': _base64(numbers / units),
      'ink': color[0].tolist() if is_plain else _base64(color / _UNIT_OF_SHARE),
  }


def _base64(array: np.ndarray) -> str:
  whole = np.clip(np.rint(array), -_MOST, _MOST)
  data = np.ascontiguousarray(whole, dtype='<i2').tobytes()
  return base64.b64encode(data).decode('ascii')


def _data_uri(frame: np.ndarray) -> str:
  encoded = base64.b64encode(animation.png(frame)).decode('ascii')
  return f'data:image/png;base64,{encoded}'


def _command(curve: curves_lib.Curve) -> dict[str, Any]:
  """Returns the data from which the page shows a command."""
  if not curve.is_paint:
    return {
        'kind': 'move',
        'text': f'to {_place(curve.end)}',
        'path': f'M{_point(curve.start)}L{_point(curve.end)}',
    }
  return {
      'kind': 'paint',
      'text': (
          f'to {_place(curve.end)} by {_place(curve.control)}, radius'
          f' {curve.radius:g}, pressure {curve.last_pressure:.1f}'
      ),
      'color': svg.hexadecimal(curve.color),
      'path': (
          f'M{_point(curve.start)}Q{_point(curve.control)}'
          f' {_point(curve.end)}'
      ),
      'control': [curve.start, curve.control, curve.end],
  }


def _place(point: curves_lib.Point) -> str:
  return f'({point[0]:g}, {point[1]:g})'


def _point(point: curves_lib.Point) -> str:
  return f'{point[0]:g},{point[1]:g}'
