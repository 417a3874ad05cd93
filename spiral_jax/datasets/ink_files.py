"""Strokes from files: SVG, InkML, and those of Omniglot's own drawings.

Axes: P points of a stroke.
"""

import logging
import math
import pathlib
import re
from typing import NamedTuple
from xml.etree import ElementTree

import numpy as np

SUFFIXES = ('.svg', '.inkml', '.txt')

_OMNIGLOT_SIZE = 105.0  # Pixels, height and width of its drawings.
_WIDTH = 1 / 50  # Of lines whose width is not told, as a share of the picture.
_MARGIN = 1 / 16  # Around ink that says nothing of its paper.
# Errors of svgpathtools at paths that are none.
_UNREADABLE = (
    ValueError,
    AttributeError,
    TypeError,
    LookupError,
    AssertionError,
    ZeroDivisionError,
)
_SHAPES = ('path', 'line', 'polyline', 'polygon', 'circle', 'ellipse', 'rect')
_INHERITED = ('stroke', 'stroke-width', 'fill')
_ENDS, _SIDES = ('x1', 'y1', 'x2', 'y2'), ('x', 'y', 'width', 'height')
_STEPS = 200  # Points of a path from which strokes are drawn, at most.


class Ink(NamedTuple):
  """Strokes of a drawing."""

  strokes: list[np.ndarray]  # float64 [P, 2] each, (x, y).
  widths: list[float]  # In the unit of the points.
  shape: tuple[float, float]  # Height and width of the picture.


def read(path: pathlib.Path) -> Ink:
  """Returns the strokes of a file.

  Args:
    path: file whose name ends with .svg (paths and shapes, of which the lines
      are drawn and not the areas), .inkml (traces), or .txt (a drawing of
      Omniglot, from its folder of strokes).

  Raises:
    FileNotFoundError: if there is no such file.
    ImportError: if svgpathtools is missing, for SVG.
    ValueError: if it is not such a file, or has no strokes.
  """
  if not path.is_file():
    raise FileNotFoundError(f'{path} does not exist; name a file of strokes')
  readers = {'.svg': _svg, '.inkml': _inkml, '.txt': _omniglot}
  reader = readers.get(path.suffix.lower())
  if reader is None:
    raise ValueError(
        f'{path} is no file of strokes, whose names end with'
        f' {", ".join(SUFFIXES)}'
    )
  try:
    ink = reader(path)
  # LookupError: an unknown encoding, or a trace of too few numbers.
  except (ElementTree.ParseError, UnicodeDecodeError, LookupError) as error:
    raise ValueError(
        f'{path} is not a valid {path.suffix} file'
        f' ({" ".join(str(error).split())}); save it again'
    ) from None
  if not ink.strokes:
    raise ValueError(f'{path} has no strokes; name another file')
  if not all(np.isfinite(stroke).all() for stroke in ink.strokes):
    raise ValueError(f'{path} has a point that is no number; save it again')
  return ink


def _svg(path: pathlib.Path) -> Ink:
  try:
    import svgpathtools
  except ImportError:
    raise ImportError(
        'reading SVG needs svgpathtools; run `pip install svgpathtools`'
    ) from None
  root = ElementTree.parse(path).getroot()
  strokes: list[np.ndarray] = []
  widths: list[float] = []
  for element, transform in _drawn(root, np.eye(3)):
    try:
      found = svgpathtools.parse_path(_path_of(element))
      for part in found.continuous_subpaths():
        points = np.array(_points(part))
        flat = np.stack([points.real, points.imag, np.ones(len(points))])
        strokes.append((transform @ flat)[:2].T)
        scale = math.sqrt(abs(np.linalg.det(transform[:2, :2])))
        widths.append(scale * _stroke_width(element))
    except _UNREADABLE as error:
      logging.warning(
          '%s: a %s is left out, since it cannot be read (%s)',
          path,
          _kind(element),
          error,
      )
  box = _view_box(root)
  if box is None:
    return _fitted(strokes)
  left, top, width, height = box
  known = [w for w in widths if w > 0]
  usual = float(np.median(known)) if known else _WIDTH * max(width, height)
  seen: list[np.ndarray] = []
  seen_widths: list[float] = []
  for stroke, pen in zip(strokes, widths):
    parts = _inside(stroke - [left, top], height, width)
    seen += parts
    seen_widths += [pen if pen > 0 else usual] * len(parts)
  return Ink(seen, seen_widths, (height, width))


def _inside(
    stroke: np.ndarray, height: float, width: float
) -> list[np.ndarray]:
  """Returns the parts of a stroke that lie on the page."""
  low, high = stroke.min(axis=0), stroke.max(axis=0)
  if (low >= 0).all() and (high <= [width, height]).all():
    return [stroke]
  way = np.concatenate([[0.0], np.cumsum(np.hypot(*np.diff(stroke, axis=0).T))])
  fine = np.linspace(0, way[-1], 1 + int(way[-1] / max(height, width) * _STEPS))
  at = np.union1d(way, fine)
  points = np.stack([np.interp(at, way, stroke[:, i]) for i in (0, 1)], axis=-1)
  is_in = ((points >= 0) & (points <= [width, height])).all(axis=-1)
  edges = np.flatnonzero(np.diff(np.pad(is_in.astype(int), 1)))
  return [points[a:b] for a, b in edges.reshape(-1, 2)]


def _drawn(element, transform, style=None):
  """Yields shapes below an element that have a line, and their transforms.

  Args:
    element: element of an SVG's tree.
    transform: transform of the elements outside, `[3, 3]`.
    style: attributes that are inherited.
  """
  from svgpathtools import parser

  own = dict(style or {})
  own |= {k: v for k, v in element.attrib.items() if k in _INHERITED}
  for entry in element.get('style', '').split(';'):
    name, _, value = entry.partition(':')
    if name.strip() in _INHERITED:
      own[name.strip()] = value.strip()
  if element.get('transform'):
    transform = transform @ parser.parse_transform(element.get('transform'))
  kind = _kind(element)
  if kind in ('defs', 'clipPath', 'mask', 'symbol', 'pattern', 'marker'):
    return
  if kind in _SHAPES:
    # A shape that is filled and has no line is an area.
    fill = own.get('fill', 'none')
    has_line = own.get('stroke', 'none' if fill != 'none' else '') != 'none'
    if has_line:
      element.attrib.update(own)
      yield element, transform
    return
  for child in element:
    yield from _drawn(child, transform, own)


def _kind(element) -> str:
  return str(element.tag).rpartition('}')[2]


def _path_of(element) -> str:
  """Returns the path data of a shape."""
  from svgpathtools import svg_to_paths

  kind = _kind(element)
  if kind == 'path':
    return element.get('d', '')
  if kind == 'line':
    x1, y1, x2, y2 = (_length(element.get(n, '0')) for n in _ENDS)
    return f'M{x1},{y1}L{x2},{y2}'
  if kind == 'rect':
    sides = {n: _length(element.get(n, '0')) for n in _SIDES}
    if '%' in element.get('width', '') + element.get('height', ''):
      raise ValueError('its sides are shares of the page')
    return svg_to_paths.rect2pathd(sides)
  convert = {
      'polyline': svg_to_paths.polyline2pathd,
      'polygon': svg_to_paths.polygon2pathd,
      'circle': svg_to_paths.ellipse2pathd,
      'ellipse': svg_to_paths.ellipse2pathd,
  }[kind]
  return convert(element.attrib)


def _points(part) -> list[complex]:
  """Returns points along a path."""
  import svgpathtools

  points: list[complex] = []
  for segment in part:
    count = 2
    if not isinstance(segment, svgpathtools.Line):
      count = max(8, _STEPS // len(part))
    at = [segment.point(t) for t in np.linspace(0, 1, count)]
    points += at if not points else at[1:]
  return points


def _stroke_width(element) -> float:
  """Returns the width that an element states; 0 if it states none."""
  return max(_length(element.get('stroke-width', '')), 0.0)


def _view_box(root) -> tuple[float, float, float, float] | None:
  """Returns (left, top, width, height) of the picture, if it is told."""
  numbers = [
      _length(text)
      for text in root.get('viewBox', '').replace(',', ' ').split()
  ]
  if len(numbers) == 4 and numbers[2] > 0 and numbers[3] > 0:
    return numbers[0], numbers[1], numbers[2], numbers[3]
  sides = root.get('width', ''), root.get('height', '')
  # Other units than pixels do not say how many the page has.
  width, height = (
      _length(text) if re.fullmatch(r'\s*[\d.]+(px)?\s*', text) else 0.0
      for text in sides
  )
  if width > 0 and height > 0:
    return 0.0, 0.0, width, height
  return None


def _length(text: str) -> float:
  """Returns a number, whatever its unit; 0 if it is none."""
  digits = text.strip().rstrip('abcdefghijklmnopqrstuvwxyz% ')
  try:
    number = float(digits)
  except ValueError:
    return 0.0
  return number if math.isfinite(number) else 0.0


def _inkml(path: pathlib.Path) -> Ink:
  root = ElementTree.parse(path).getroot()
  names = [
      channel.get('name')
      for channel in root.iter()
      if _kind(channel) == 'channel'
  ]
  x, y = (names.index(n) if n in names else i for i, n in enumerate('XY'))
  strokes = []
  for trace in root.iter():
    is_ink = trace.get('type', 'penDown') == 'penDown'
    text = (trace.text or '').strip()
    if _kind(trace) != 'trace' or not is_ink or not text:
      continue
    try:
      points = [
          [float(number) for number in point.split()]
          for point in text.strip(',').split(',')
      ]
    except ValueError:
      raise ValueError(
          f'{path} has a trace of other than plain numbers; save it with'
          ' absolute coordinates'
      ) from None
    strokes.append(np.array([[point[x], point[y]] for point in points]))
  return _fitted(strokes)


def _omniglot(path: pathlib.Path) -> Ink:
  lines = path.read_text(encoding='utf-8').split()
  if not lines or lines[0] != 'START':
    raise ValueError(
        f'{path} is not a drawing of Omniglot, which begins with START; name'
        ' another file'
    )
  strokes: list[np.ndarray] = []
  points: list[list[float]] = []
  for line in lines[1:]:
    if line == 'BREAK':
      if points:
        strokes.append(np.array(points))
      points = []
      continue
    try:
      x, y = (float(number) for number in line.split(',')[:2])
    except ValueError:
      raise ValueError(
          f'{path} has the line {line[:40]!r}, must be x,y,t or BREAK'
      ) from None
    points.append([x, -y])  # Its y axis points up.
  if points:
    strokes.append(np.array(points))
  width = 2.5  # What Omniglot's own pictures were drawn with, about.
  return Ink(strokes, [width] * len(strokes), (_OMNIGLOT_SIZE, _OMNIGLOT_SIZE))


def _fitted(strokes: list[np.ndarray]) -> Ink:
  """Returns strokes on paper that is a little larger than they are."""
  if not strokes:
    return Ink([], [], (1.0, 1.0))
  points = np.concatenate(strokes)
  low, high = points.min(axis=0), points.max(axis=0)
  margin = max(_MARGIN * float((high - low).max()), 1e-6)
  width, height = (high - low + 2 * margin).tolist()
  pen = _WIDTH * max(width, height)
  return Ink(
      [stroke - low + margin for stroke in strokes],
      [pen] * len(strokes),
      (height, width),
  )
