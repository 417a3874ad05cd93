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
from environments.painting import svg

_PAGE = pathlib.Path(__file__).with_name('player.html')


def page(
    frames: np.ndarray,
    curves: Sequence[curves_lib.Curve],
    *,
    canvas_size: int,
    title: str,
) -> str:
  """Returns the HTML of the page.

  Args:
    frames: uint8 `[T + 1, size, size, C]`, the canvas before the first command
      and after each; the page shows these pixels.
    curves: curves that the T commands draw.
    canvas_size: height and width of the canvas in the curves' pixels.
    title: title of the page, plain text.

  Raises:
    ImportError: if Pillow is missing.
  """
  data = {
      'canvas_size': canvas_size,
      'size': frames.shape[1],
      'frames': [_data_uri(frame) for frame in frames],
      'commands': [_command(curve) for curve in curves],
  }
  text = _PAGE.read_text(encoding='utf-8')
  # Escaped, so that no text in the data can close the element that holds it.
  embedded = json.dumps(data, separators=(',', ':')).replace('<', '\\u003c')
  return text.replace('{{title}}', html.escape(title)).replace(
      '{{program}}', embedded
  )


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
