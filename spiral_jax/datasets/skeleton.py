"""Center lines of ink: what a pen drew, as far as a picture tells.

Ink is thinned to lines a pixel wide. Where lines cross or branch, those that
continue each other are taken for one.

Axes: H height, W width, P points.
"""

import itertools
from typing import NamedTuple

import numpy as np
from scipy import ndimage

_BEHIND = 1.5  # Widths over which the direction of an end is measured.
_BEND = -0.35  # Cosine between directions away from a junction: 110 degrees.
_SHORT = 0.35  # Widths that thinning takes off an end.
_SMOOTH = 0.2  # Standard deviation along a line, in its widths.

# Steps to the eight neighbors of a pixel (y, x), clockwise from above.
_AROUND = ((-1, 0), (-1, 1), (0, 1), (1, 1), (1, 0), (1, -1), (0, -1), (-1, -1))


class Line(NamedTuple):
  """A line of a drawing."""

  points: np.ndarray  # float64 [P, 2], (x, y), pixels; P 2 or more.
  width: float  # Pixels.


def center_lines(ink: np.ndarray) -> list[Line]:
  """Returns the lines of a drawing.

  Args:
    ink: bool `[H, W]`, true where there is ink.
  """
  ink = np.pad(ink, 1)
  distance = ndimage.distance_transform_edt(ink)
  graph = _Graph(thin(ink), distance)
  graph.prune()
  paths = [np.array(path) for path in graph.joined()]
  widths = [2 * float(np.median(distance[tuple(path.T)])) for path in paths]
  lengths = [np.hypot(*np.diff(path, axis=0).T).sum() for path in paths]
  # Distances are to whole pixels; as much ink as there is tells the rest.
  area = sum(w * (n + w) for w, n in zip(widths, lengths))
  scale = float(np.clip(ink.sum() / max(area, 1e-9), 0.5, 1.2))
  lines = []
  for path, width in zip(paths, widths):
    points = ndimage.gaussian_filter1d(
        path.astype(float), _SMOOTH * width, axis=0, mode='nearest'
    )
    points[[0, -1]] = path[[0, -1]]
    points = _extended(_centered(points, ink, width), _SHORT * width)
    # Pixels lie half a pixel in; the margin is taken off.
    lines.append(Line(points[:, ::-1] - 0.5, max(scale * width, 1.0)))
  return lines


def _centered(points: np.ndarray, ink: np.ndarray, width: float) -> np.ndarray:
  """Returns points (y, x) of a line moved to its middle, by less than a pixel.

  A skeleton lies on whole pixels, half a pixel off in lines of an even width.
  """
  if len(points) < 4:
    return points
  soft = ndimage.gaussian_filter(ink.astype(np.float32), max(width / 3, 0.7))
  along = np.gradient(
      ndimage.gaussian_filter1d(points, 1.5, axis=0, mode='nearest'), axis=0
  )
  length = np.hypot(*along.T)[:, np.newaxis]
  across = along[:, ::-1] * [1.0, -1.0] / np.maximum(length, 1e-9)
  before, here, after = (
      ndimage.map_coordinates(soft, (points + step * across).T, order=1)
      for step in (-1.0, 0.0, 1.0)
  )
  # The top of a parabola through the three.
  bend = np.minimum(before - 2 * here + after, -1e-3)
  step = np.clip((before - after) / (2 * bend), -0.75, 0.75)
  step = ndimage.gaussian_filter1d(step, max(width / 2, 2.0), mode='nearest')
  return points + step[:, np.newaxis] * across


def _extended(points: np.ndarray, length: float) -> np.ndarray:
  """Returns a line that is longer at both ends, if it is not closed."""
  if len(points) < 4 or np.hypot(*(points[-1] - points[0])) < 2 * length:
    return points
  near = min(int(length) + 2, len(points) - 1)
  ends = []
  for end, inner in ((0, near), (-1, -1 - near)):
    way = points[end] - points[inner]
    ends.append(points[end] + length * way / max(float(np.hypot(*way)), 1e-9))
  return np.concatenate([ends[:1], points, ends[1:]])


def thin(ink: np.ndarray) -> np.ndarray:
  """Returns the skeleton of ink, bool `[H, W]`, by Zhang and Suen (1984).

  Of dots, which that may delete, a pixel stays.

  Args:
    ink: bool `[H, W]`, false along the border.
  """
  labels, count = ndimage.label(ink, np.ones((3, 3)))
  ink = _thin(ink.copy())
  lost = np.setdiff1d(np.arange(1, count + 1), labels[ink])
  flat = labels.ravel()
  for label in lost.tolist():
    ink.ravel()[np.flatnonzero(flat == label)[0]] = True
  return ink


def _thin(ink: np.ndarray) -> np.ndarray:
  while True:
    before = int(ink.sum())
    for first, second in (((0, 2, 4), (2, 4, 6)), ((0, 2, 6), (0, 4, 6))):
      around = np.stack([np.roll(ink, (-y, -x), (0, 1)) for y, x in _AROUND])
      count = around.sum(axis=0)
      rises = (~around & np.roll(around, -1, axis=0)).sum(axis=0)
      ink &= ~(
          (count >= 2)
          & (count <= 6)
          & (rises == 1)
          & ~around[list(first)].all(axis=0)
          & ~around[list(second)].all(axis=0)
      )
    if ink.sum() == before:
      return ink


class _Graph:
  """Junctions and ends of a skeleton, and the paths between them."""

  def __init__(self, skeleton: np.ndarray, distance: np.ndarray):
    self._distance = distance
    pixels = {(int(y), int(x)) for y, x in np.argwhere(skeleton)}
    neighbors = {pixel: _neighbors(pixel, pixels) for pixel in pixels}
    junction = np.zeros(skeleton.shape, bool)
    for pixel, near in neighbors.items():
      if len(near) > 2:
        junction[pixel] = True
    labels, _ = ndimage.label(junction, np.ones((3, 3)))
    # Node of each pixel that ends a path.
    self._node: dict[tuple[int, int], int] = {
        pixel: int(labels[pixel]) for pixel in pixels if labels[pixel]
    }
    self._fresh = itertools.count(int(labels.max()) + 1)
    for pixel, near in neighbors.items():
      if len(near) < 2:
        self._node[pixel] = next(self._fresh)
    # Paths: (node, node, pixels from the one to the other).
    self.paths: list[tuple[int, int, list]] = []
    self._trace(pixels, neighbors)

  def _trace(self, pixels, neighbors) -> None:
    """Finds the paths between nodes, and closed ones without any."""
    seen: set[tuple[int, int]] = set()
    for start, node in list(self._node.items()):
      if not neighbors[start]:  # A dot.
        self.paths.append((node, node, [start, start]))
      for step in neighbors[start]:
        if step in seen or self._node.get(step) == node:
          continue
        path = _follow(start, step, neighbors, self._node)
        if path[-1] in self._node:
          if len(path) > 2:
            seen.update(path[1:-1])
          elif start > step:  # Two nodes side by side: once is enough.
            continue
          self.paths.append((node, self._node[path[-1]], path))
    left = pixels - seen - set(self._node)
    while left:
      start = min(left)
      near = [p for p in neighbors[start] if p in left]
      if not near:
        left.discard(start)
        continue
      path = [start, near[0]]
      while True:
        after = [p for p in neighbors[path[-1]] if p in left and p not in path]
        if not after:
          break
        path.append(after[0])
      node = next(self._fresh)
      self.paths.append((node, node, [*path, start]))
      left -= set(path)

  def prune(self) -> None:
    """Takes out spurs: short paths to an end, which thinning leaves."""
    degree = self._degrees()
    kept = []
    for a, b, path in self.paths:
      is_spur = (degree[a] == 1) != (degree[b] == 1)
      base = path[0] if degree[a] != 1 else path[-1]
      if not is_spur or len(path) > self._distance[base] + 1:
        kept.append((a, b, path))
    self.paths = kept

  def joined(self) -> list[list[tuple[int, int]]]:
    """Returns paths, of which those that continue each other are joined."""
    # Junctions within the width of a line are one.
    merged: dict[int, int] = {}

    def root(node: int) -> int:
      while node in merged:
        node = merged[node]
      return node

    degree = self._degrees()
    paths = []
    for a, b, path in self.paths:
      length = len(path) - 1
      is_short = length <= 1.5 * self._distance[path[0]]
      if is_short and degree[a] > 1 and degree[b] > 1 and a != b:
        if root(a) != root(b):
          merged[root(a)] = root(b)
      else:
        paths.append((a, b, path))
    ends: dict[int, list[tuple[int, int]]] = {}
    for number, (a, b, _) in enumerate(paths):
      ends.setdefault(root(a), []).append((number, 0))
      ends.setdefault(root(b), []).append((number, 1))
    partner: dict[tuple[int, int], tuple[int, int]] = {}
    for group in ends.values():
      ways = {end: self._direction(paths[end[0]][2], end[1]) for end in group}
      pairs = sorted(
          (float(ways[e] @ ways[f]), e, f)
          for e, f in itertools.combinations(group, 2)
      )
      for cosine, e, f in pairs:
        is_free = e not in partner and f not in partner and e[0] != f[0]
        if is_free and (cosine < _BEND or len(group) == 2):
          partner[e], partner[f] = f, e
    return _chains([path for _, _, path in paths], partner)

  def _degrees(self) -> dict[int, int]:
    degree: dict[int, int] = {}
    for a, b, _ in self.paths:
      degree[a] = degree.get(a, 0) + 1
      degree[b] = degree.get(b, 0) + 1
    return degree

  def _direction(self, path, end: int) -> np.ndarray:
    """Returns the direction in which a path leaves one of its ends."""
    points = np.array(path if end == 0 else path[::-1], float)
    width = 2 * self._distance[path[0 if end == 0 else -1]]
    # What is next to a junction bends towards its middle.
    near = min(int(width / 2), len(points) - 2)
    far = min(near + max(int(_BEHIND * width), 2), len(points) - 1)
    step = points[far] - points[max(near, 0)]
    return step / max(float(np.hypot(*step)), 1e-9)


def _neighbors(pixel, pixels) -> list[tuple[int, int]]:
  """Returns neighbors in a set; diagonal ones if nothing leads there."""
  y, x = pixel
  found = [(y + dy, x + dx) for dy, dx in _AROUND[::2]]
  found = [p for p in found if p in pixels]
  for dy, dx in _AROUND[1::2]:
    if (y + dy, x + dx) in pixels:
      if (y + dy, x) not in pixels and (y, x + dx) not in pixels:
        found.append((y + dy, x + dx))
  return found


def _follow(start, step, neighbors, nodes) -> list[tuple[int, int]]:
  """Returns the path from a node through a neighbor to the next node."""
  path = [start, step]
  while path[-1] not in nodes:
    after = [p for p in neighbors[path[-1]] if p != path[-2]]
    if not after or after[0] in path[1:]:
      break
    path.append(after[0])
  return path


def _chains(paths, partner) -> list[list[tuple[int, int]]]:
  """Returns paths joined at ends that are partners."""
  chains = []
  used: set[int] = set()

  def walk(number: int, end: int) -> list[tuple[int, int]]:
    """Returns the chain that enters a path at an end."""
    chain: list[tuple[int, int]] = []
    while number not in used:
      used.add(number)
      path = paths[number] if end == 0 else paths[number][::-1]
      chain += path
      following = partner.get((number, 1 - end))
      if following is None:
        break
      number, end = following
    return chain

  # From free ends first; what is left then is closed.
  starts = [
      (number, end)
      for number in range(len(paths))
      for end in (0, 1)
      if (number, end) not in partner
  ]
  for number, end in starts + [(number, 0) for number in range(len(paths))]:
    chain = walk(number, end)
    if chain:
      if partner.get((number, end)) is not None:
        chain.append(chain[0])
      chains.append(chain)
  return chains
