"""Programs as SVG; strokes are quadratic Bézier curves."""

from collections.abc import Sequence

import numpy as np

from environments.painting import curves as curves_lib
from environments.painting import stroke_shape

# Line width of a plot when it is viewed on a screen. Plotters ignore it.
_PEN_MILLIMETERS = 0.3
_LAYERS = 6  # Largest number of layers.
_IN_A_LAYER = 20  # Least number of strokes in one of several.
_BLUR_REACH = 3.0  # Standard deviations of a blur that are drawn.


def picture(
    shapes: Sequence[stroke_shape.Shape],
    *,
    extent: tuple[float, float],
    scale: float,
    background: str,
    millimeters: float | None = None,
) -> str:
  """Returns the picture: curve, width, opacity, blur and color of each stroke.

  An SVG path has one width, while a brush's width depends on pressure, speed
  and direction. A stroke of changing width is therefore a group of paths, each
  a piece of its curve. Many strokes lie in several layers, from the bottom to
  the top.

  Args:
    shapes: strokes in order, as they were painted `scale` times as large.
    extent: height and width of the picture in pixels of the canvas.
    scale: size of the strokes' pictures by that of the canvas.
    background: 'white', a color as '#ffe4c0', or 'transparent', which is drawn
      as black.
    millimeters: longer side on paper; None means as many pixels as the canvas
      has.
  """
  height, width = map(_number, extent)
  paper = {'white': '#ffffff', 'transparent': '#000000'}.get(
      background, background
  )
  lines = [f'<rect width="{width}" height="{height}" fill="{paper}"/>']
  strokes = [
      _stroke(shape, f'b{number}', 1 / scale)
      for number, shape in enumerate(shapes)
  ]
  count = max(1, min(_LAYERS, len(strokes) // _IN_A_LAYER))
  for index in range(count):
    first = len(strokes) * index // count
    last = len(strokes) * (index + 1) // count
    inside = [line for stroke in strokes[first:last] for line in stroke]
    if count == 1:
      lines += inside
      continue
    name = f'strokes {first + 1} to {last}'
    lines += [
        f'<g id="layer{index + 1}" inkscape:groupmode="layer"'
        f' inkscape:label="{name}">',
        *(f'  {line}' for line in inside),
        '</g>',
    ]
  return _document(lines, extent, millimeters)


def _stroke(shape: stroke_shape.Shape, name: str, scale: float) -> list[str]:
  """Returns the SVG elements of a stroke; `name` is that of its filter."""
  paths = [
      f'd="M{_place(piece.start, scale)}Q{_place(piece.control, scale)}'
      f' {_place(piece.end, scale)}"'
      f' stroke-width="{_number(scale * piece.width)}"'
      for piece in shape.pieces
  ]
  color = f'stroke="{hexadecimal(shape.color)}"'
  opacity = _number(shape.opacity)
  lines = []
  if shape.blur:
    lines.append(_filter(shape, name, scale))
    color += f' filter="url(#{name})"'
  if len(paths) == 1:
    lines.append(f'<path {paths[0]} {color} stroke-opacity="{opacity}"/>')
    return lines
  # Pieces overlap, so the opacity must apply to the group as a whole.
  return [
      *lines,
      f'<g {color} opacity="{opacity}">',
      *(f'  <path {path}/>' for path in paths),
      '</g>',
  ]


def _filter(shape: stroke_shape.Shape, name: str, scale: float) -> str:
  """Returns a blur, and the region that it needs."""
  points = [p for piece in shape.pieces for p in piece[:3]]
  margin = max(piece.width for piece in shape.pieces) / 2
  margin += _BLUR_REACH * shape.blur
  low = [scale * (min(p[i] for p in points) - margin) for i in (0, 1)]
  high = [scale * (max(p[i] for p in points) + margin) for i in (0, 1)]
  return (
      f'<filter id="{name}" filterUnits="userSpaceOnUse"'
      f' x="{_number(low[0])}" y="{_number(low[1])}"'
      f' width="{_number(high[0] - low[0])}"'
      f' height="{_number(high[1] - low[1])}"><feGaussianBlur'
      f' stdDeviation="{_number(scale * shape.blur)}"/></filter>'
  )


def center_lines(
    curves: Sequence[curves_lib.Curve],
    *,
    extent: tuple[float, float],
    millimeters: float,
) -> str:
  """Returns center lines for a pen plotter: one path until the pen lifts.

  Args:
    curves: curves that the commands draw, in order.
    extent: height and width of the picture in the curves' pixels.
    millimeters: longer side on paper; paths are in millimeters.
  """
  scale = millimeters / max(extent)
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
  return _document(lines, (scale * extent[0], scale * extent[1]), millimeters)


def hexadecimal(color: tuple[float, float, float]) -> str:
  """Returns red, green and blue, in [0, 1], as `#rrggbb`."""
  return '#' + ''.join(f'{round(255 * value):02x}' for value in color)


def _document(
    lines: list[str],
    extent: tuple[float, float],
    millimeters: float | None,
) -> str:
  height, width = extent
  if millimeters is None:
    sides = _number(width), _number(height)
  else:
    unit = millimeters / max(extent)
    sides = f'{unit * width:g}mm', f'{unit * height:g}mm'
  body = '\n'.join(f'  {line}' for line in lines)
  return (
      '<svg xmlns="http://www.w3.org/2000/svg"'
      ' xmlns:inkscape="http://www.inkscape.org/namespaces/inkscape"'
      f' width="{sides[0]}" height="{sides[1]}"'
      f' viewBox="0 0 {_number(width)} {_number(height)}">\n'
      '<g fill="none" stroke-linecap="round" stroke-linejoin="round">\n'
      f'{body}\n</g>\n</svg>\n'
  )


def _move(point: curves_lib.Point, scale: float) -> str:
  return 'M' + _place(point, scale)


def _bend(curve: curves_lib.Curve, scale: float) -> str:
  return f'Q{_place(curve.control, scale)} {_place(curve.end, scale)}'


def _place(point: Sequence[float] | np.ndarray, scale: float) -> str:
  return f'{_number(scale * point[0])},{_number(scale * point[1])}'


def _number(value: float) -> str:
  return f'{value:.4f}'.rstrip('0').rstrip('.')
