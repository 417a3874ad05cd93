"""Programs as SVG; strokes are quadratic Bézier curves."""

from collections.abc import Sequence
import itertools
import math

import numpy as np

from environments.painting import brush_response
from environments.painting import curves as curves_lib
from environments.painting import dabs

# Line width of a plot when it is viewed on a screen. Plotters ignore it.
_PEN_MILLIMETERS = 0.3

# Largest ratio of the widths of adjacent pieces: a stroke is split into as many
# pieces as this needs.
_RATIO = 1.1
_TRIED = 9  # Number of points along a stroke where its width is evaluated.


def picture(
    curves: Sequence[curves_lib.Curve],
    *,
    brush: bytes,
    canvas_size: int,
    background: str,
    millimeters: float | None = None,
) -> str:
  """Returns the picture: curve, width, opacity and color of each stroke.

  An SVG path has one width, while a brush's width depends on pressure and
  speed. A stroke of changing width is therefore a group of paths, each a piece
  of its curve. It extends from the brush's first dab to its last; a stroke
  without dabs is omitted. Other inputs of brushes (direction, chance, ...) are
  ignored.

  Args:
    curves: curves that the commands draw, in order.
    brush: JSON text of the libmypaint brush.
    canvas_size: height and width of the picture in the curves' pixels.
    background: 'white', a color as '#ffe4c0', or 'transparent', which is drawn
      as black.
    millimeters: height and width on paper; None means `canvas_size` pixels.
  """
  paper = {'white': '#ffffff', 'transparent': '#000000'}.get(
      background, background
  )
  lines = [
      f'<rect width="{canvas_size}" height="{canvas_size}" fill="{paper}"/>'
  ]
  for curve, times in zip(curves, dabs.reach(curves, brush)):
    if times is not None:
      lines.extend(_stroke(curve, *times, brush))
  return _document(
      lines, canvas_size, f'{millimeters:g}mm' if millimeters else None
  )


def _stroke(
    curve: curves_lib.Curve, first: float, last: float, brush: bytes
) -> list[str]:
  """Returns the SVG elements of a stroke between two times on its curve."""

  def look(t: float) -> brush_response.Response:
    return brush_response.read(brush).at(curve.pressure(t), curve.speed(t))

  radii = [look(t).radius for t in np.linspace(first, last, _TRIED)]
  ratio = max(radii) / min(radii)
  count = max(1, math.ceil(math.log(ratio) / math.log(_RATIO)))
  times = np.linspace(first, last, count + 1)
  opacity = _number(look((first + last) / 2).opacity)
  paths = []
  for start, end in itertools.pairwise(times.tolist()):
    part = curve.part(start, end)
    width = 2 * curve.radius * look((start + end) / 2).radius
    paths.append(
        f'd="{_move(part.start)}{_bend(part)}" stroke-width="{_number(width)}"'
    )
  color = f'stroke="{hexadecimal(curve.color)}"'
  if count == 1:
    return [f'<path {paths[0]} {color} stroke-opacity="{opacity}"/>']
  # Pieces overlap, so the opacity must apply to the group as a whole.
  return [
      f'<g {color} opacity="{opacity}">',
      *(f'  <path {path}/>' for path in paths),
      '</g>',
  ]


def center_lines(
    curves: Sequence[curves_lib.Curve],
    *,
    canvas_size: int,
    millimeters: float,
) -> str:
  """Returns center lines for a pen plotter: one path until the pen lifts.

  Args:
    curves: curves that the commands draw, in order.
    canvas_size: height and width of the picture in the curves' pixels.
    millimeters: height and width on paper; paths are in millimeters.
  """
  scale = millimeters / canvas_size
  paths: list[list[curves_lib.Curve]] = []
  for curve in curves:
    if not curve.is_paint:
      continue
    # A plotter changes pens between paths, so each path has one color.
    is_new = not paths or curve.is_jump or curve.color != paths[-1][-1].color
    if is_new:
      paths.append([])
    paths[-1].append(curve)
  lines = [
      f'<path d="{_move(path[0].start, scale)}'
      f'{"".join(_bend(curve, scale) for curve in path)}"'
      f' stroke="{hexadecimal(path[0].color)}"'
      f' stroke-width="{_PEN_MILLIMETERS}"/>'
      for path in paths
  ]
  return _document(lines, millimeters, f'{millimeters:g}mm')


def hexadecimal(color: tuple[float, float, float]) -> str:
  """Returns red, green and blue, in [0, 1], as `#rrggbb`."""
  return '#' + ''.join(f'{round(255 * value):02x}' for value in color)


def _document(lines: list[str], side: float, length: str | None) -> str:
  length = length or _number(side)
  body = '\n'.join(f'  {line}' for line in lines)
  return (
      '<svg xmlns="http://www.w3.org/2000/svg"'
      f' width="{length}" height="{length}"'
      f' viewBox="0 0 {_number(side)} {_number(side)}">\n'
      '<g fill="none" stroke-linecap="round" stroke-linejoin="round">\n'
      f'{body}\n</g>\n</svg>\n'
  )


def _move(point: curves_lib.Point, scale: float = 1.0) -> str:
  return 'M' + _place(point, scale)


def _bend(curve: curves_lib.Curve, scale: float = 1.0) -> str:
  return f'Q{_place(curve.control, scale)} {_place(curve.end, scale)}'


def _place(point: curves_lib.Point, scale: float) -> str:
  return f'{_number(scale * point[0])},{_number(scale * point[1])}'


def _number(value: float) -> str:
  return f'{value:.4f}'.rstrip('0').rstrip('.')
