"""Lines as programs: curves, pens as wide as the lines, and a good order.

Axes: P points, L lines.
"""

from collections.abc import Callable, Sequence
import itertools
import math

import numpy as np

from environments.painting import bezier
from environments.painting import polyline
from environments.painting import program as program_lib
from environments.painting import settings as settings_lib
from environments.painting import single_strokes
from environments.painting import stroke_shape

_TOLERANCE = 1 / 250  # Of curves, as a share of the picture's longer side.
_SAMPLES = 48  # Points of a line between corners, at most, to which is fitted.
_ROUNDS = 30  # Of the improvement of an order.
_CORNER = 0.7  # Cosine of a turn that a curve would round off.
_DOT = 0.6  # Least length of a line, in its widths.
_ALIKE = 1.6  # Ratio of the widest and the finest line of one pen.
_MEASURED = 256  # Pixels of pictures on which pens are measured.


def of_lines(
    lines: Sequence[np.ndarray],
    widths: Sequence[float],
    *,
    shape: tuple[float, float],
    brush: str = 'classic/pen',
    tolerance: float = _TOLERANCE,
    reorders: bool = True,
) -> program_lib.Program:
  """Returns a program that draws lines in black, each in one go.

  Args:
    lines: lines of points (x, y), float `[P, 2]` each, P 1 or more.
    widths: width of each line, in the points' unit. Widths that differ little
      become one.
    shape: height and width of the picture, in the points' unit.
    brush: name of the brush.
    tolerance: how far a curve may be off a line, as a share of the longer side.
    reorders: whether lines may be drawn in another order and from their other
      ends, so that the pen is lifted over less way.

  Raises:
    ValueError: if there is no line, or a point is not a number.
    ImportError, FileNotFoundError: as `Program.render` does.
  """
  if not lines:
    raise ValueError('there are no lines to draw; give a drawing with ink')
  paths = [
      _with_length(np.asarray(line, float), width)
      for line, width in zip(lines, widths, strict=True)
  ]
  if not all(np.isfinite(path).all() for path in paths):
    raise ValueError('a point of a line is no number; mend the drawing')
  height, width = shape
  longest = max(height, width)
  pens, pen_of = _pens(np.asarray(widths, float) / longest)

  def with_radii(radii: Sequence[float]) -> settings_lib.PaintingSettings:
    return single_strokes.fine_settings(
        brush=brush, brush_sizes=radii, color=False
    )

  settings = with_radii([_radius_of(pen, with_radii) for pen in pens])
  order = [(number, False) for number in range(len(paths))]
  if reorders:
    order = shortest_order(paths)
  cells = settings.grid_size / longest
  commands: dict[str, list[int]] = {n: [] for n in settings.action_spec()}

  def add(flag: int, end: np.ndarray, control: np.ndarray, size: int) -> None:
    values = {
        'flag': flag,
        'end': _cell(end * cells, settings.grid_size),
        'control': _cell(control * cells, settings.grid_size),
        'size': size,
        'pressure': settings_lib.NUM_PRESSURES - 1,
    }
    for name, column in commands.items():
      column.append(values[name])

  for number, is_reversed in order:
    path = paths[number][::-1] if is_reversed else paths[number]
    size = int(pen_of[number])
    add(1 - settings_lib.PAINT, path[0], path[0], size)
    for part in _between_corners(path, tolerance * longest):
      for control, end in _curves(part, tolerance * longest):
        add(settings_lib.PAINT, end, control, size)
  return program_lib.Program(
      settings,
      {name: np.array(column) for name, column in commands.items()},
      width / height,
  )


def pen_up_travel(program: program_lib.Program) -> float:
  """Returns how far the pen moves lifted, in longer sides of the picture."""
  moves = [
      math.dist(curve.start, curve.end)
      for curve in program.curves()
      if not curve.is_paint
  ]
  return sum(moves) / program.settings.canvas_size


def shortest_order(paths: Sequence[np.ndarray]) -> list[tuple[int, bool]]:
  """Returns an order of lines over which a pen is lifted over little way.

  The nearest line comes next; then parts of the order are turned round while
  that helps (2-opt).

  Args:
    paths: lines of points (x, y), `[P, 2]` each.

  Returns:
    Numbers of lines, and whether each is drawn from its end.
  """
  ends = np.array([[path[0], path[-1]] for path in paths])  # [L, 2, 2]
  numbers = np.empty(len(paths), int)
  is_reversed = np.empty(len(paths), bool)
  is_left = np.ones(len(paths), bool)
  place = np.zeros(2)
  for at in range(len(paths)):
    left = np.flatnonzero(is_left)
    away = ((ends[left] - place) ** 2).sum(axis=-1)
    nearest, end = np.divmod(int(away.argmin()), 2)
    numbers[at], is_reversed[at] = left[nearest], end
    is_left[left[nearest]] = False
    place = ends[left[nearest], 1 - end]
  # First and last points of the lines, as they are drawn.
  entry = ends[numbers, is_reversed.astype(int)]
  leave = ends[numbers, 1 - is_reversed.astype(int)]
  for _ in range(_ROUNDS):
    has_changed = False
    for first in range(len(paths)):
      last = _worth_turning(entry, leave, first)
      if last is not None:
        part = slice(first, last + 1)
        entry[part], leave[part] = leave[part][::-1], entry[part][::-1].copy()
        numbers[part] = numbers[part][::-1].copy()
        is_reversed[part] = ~is_reversed[part][::-1]
        has_changed = True
    if not has_changed:
      break
  return list(zip(numbers.tolist(), is_reversed.tolist()))


def _worth_turning(
    entry: np.ndarray, leave: np.ndarray, first: int
) -> int | None:
  """Returns the last line of a part that is better turned round, or None.

  Args:
    entry: first points of lines, in order, `[L, 2]`.
    leave: last points.
    first: number of the part's first line.
  """
  before = leave[first - 1] if first else np.zeros(2)
  # Turned round, the part begins where it ended.
  gain = math.dist(before, entry[first]) - np.hypot(*(leave[first:] - before).T)
  after = np.hypot(*(entry[first + 1 :] - leave[first:-1]).T)
  turned = np.hypot(*(entry[first + 1 :] - entry[first]).T)
  gain[:-1] += after - turned
  return first + int(gain.argmax()) if gain.max() > 1e-9 else None


def _between_corners(path: np.ndarray, least: float) -> list[np.ndarray]:
  """Returns the parts of a line between its corners, of many points each.

  Args:
    path: points of the line, `[P, 2]`; far apart if it comes from a file.
    least: distance of points at most; pieces next to a corner are three times
      as long, or it is none.
  """
  steps = np.diff(path, axis=0)
  lengths = np.hypot(*steps.T)
  cosine = (steps[:-1] * steps[1:]).sum(axis=-1)
  is_sharp = cosine < _CORNER * lengths[:-1] * lengths[1:]
  is_long = np.minimum(lengths[:-1], lengths[1:]) > 3 * least
  corners = 1 + np.flatnonzero(is_sharp & is_long)
  edges = [0, *corners.tolist(), len(path) - 1]
  parts = []
  for first, last in itertools.pairwise(edges):
    part = path[first : last + 1]
    way = polyline.lengths(part)
    count = max(len(part), math.ceil(way[-1] / least) + 1)
    at = np.union1d(way, np.linspace(0, way[-1], count))
    parts.append(polyline.places(part, way, at))
  return parts


def _curves(
    path: np.ndarray, tolerance: float
) -> list[tuple[np.ndarray, np.ndarray]]:
  """Returns control points and ends of curves along a line."""
  picked = path
  if len(path) > _SAMPLES:
    picked = path[np.rint(np.linspace(0, len(path) - 1, _SAMPLES)).astype(int)]
  control, error = bezier.fit_quadratic(picked)
  if error <= tolerance or len(path) < 4:
    return [(control, path[-1])]
  # Where the curve is farthest off, or near there.
  away = _distances(picked, control)
  share = float(np.clip(away.argmax() / (len(picked) - 1), 0.25, 0.75))
  middle = int(np.clip(round(share * (len(path) - 1)), 1, len(path) - 2))
  return _curves(path[: middle + 1], tolerance) + _curves(
      path[middle:], tolerance
  )


def _distances(points: np.ndarray, control: np.ndarray) -> np.ndarray:
  t = np.linspace(0, 1, 65)[:, np.newaxis]
  curve = bezier.place(points[0], control, points[-1], t)
  return np.hypot(*(points[:, np.newaxis] - curve).T).min(axis=0)


def _cell(point: np.ndarray, grid_size: int) -> int:
  x, y = np.clip(np.rint(point), 0, grid_size - 1).astype(int)
  return int(y) * grid_size + int(x)


def _with_length(path: np.ndarray, width: float) -> np.ndarray:
  """Returns a line, longer if it is a dot: brushes that rest leave nothing."""
  if np.ptp(path, axis=0).max() >= _DOT * width:
    return path
  middle = path.mean(axis=0)
  half = np.array([_DOT * width / 2, 0.0])
  return np.stack([middle - half, middle, middle + half])


def _pens(widths: np.ndarray) -> tuple[list[float], np.ndarray]:
  """Returns a few widths of pens, and which of them draws each line."""
  order = np.argsort(widths)
  pens: list[float] = []
  pen_of = np.zeros(len(widths), int)
  first = 0
  for end in range(1, len(order) + 1):
    group = widths[order[first:end]]
    if end < len(order) and widths[order[end]] <= _ALIKE * group[0]:
      continue
    pen_of[order[first:end]] = len(pens)
    pens.append(float(np.median(group)))
    first = end
  return pens, pen_of


def _radius_of(
    width: float,
    with_radii: Callable[[Sequence[float]], settings_lib.PaintingSettings],
) -> float:
  """Returns the radius with which a brush paints lines of some width.

  Args:
    width: as a share of the picture's longer side.
    with_radii: returns settings with some radii.
  """
  radius = width * with_radii([1]).canvas_size / 2
  for _ in range(3):
    painted = _painted_width(with_radii([radius]))
    if painted <= 0:
      break
    radius *= float(np.clip(width / painted, 0.2, 5.0))
  return radius


def _painted_width(settings: settings_lib.PaintingSettings) -> float:
  """Returns the width of a straight line, as a share of the longer side."""
  grid = settings.grid_size
  middle, low, high = grid // 2 * (grid + 1), -(grid // 4), grid // 4
  full = settings_lib.NUM_PRESSURES - 1
  line = {
      'flag': [1 - settings_lib.PAINT, settings_lib.PAINT],
      'end': [middle + low, middle + high],
      'control': [middle, middle],
      'pressure': [full, full],
  }
  program = program_lib.Program(
      settings,
      {name: np.array(line[name]) for name in settings.action_spec()},
  )
  *_, dabs = program.recorded_dabs(_MEASURED)
  shape = stroke_shape.measure(dabs)
  if shape is None:
    return 0.0
  return float(np.mean([piece.width for piece in shape.pieces])) / _MEASURED
