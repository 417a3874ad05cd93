"""Painterly rendering with curved strokes of several sizes (Hertzmann, 1998).

Layers are painted from the broadest brush to the finest. Each compares the
canvas with the image blurred to the brush, and where a cell of the grid is too
wrong, a stroke begins at its worst pixel: it follows the edges, across the
gradient, as long as its color is nearer to the image than the canvas.

Axes: H height, W width, P points.
"""

import math
from typing import NamedTuple

import numpy as np
from PIL import Image
from PIL import ImageDraw
from scipy import ndimage

_RADII = 1 / 16, 1 / 32, 1 / 64  # Shares of the longer side.
_BLUR = 0.5  # Standard deviation, in radii.
_GRID = 1.0  # Width of a cell, in radii.
_CURVATURE = 0.5  # Filter of the direction, 0 straight to 1 free.
_LEAST, _MOST = 4, 16  # Points of a stroke.
_FINER = 2  # Pixels of the painting in one of the result, for smooth edges.


class Stroke(NamedTuple):
  """A stroke of one color."""

  points: np.ndarray  # float [P, 2], (x, y), pixels.
  radius: float
  color: np.ndarray  # uint8 [3].


def paint(image: np.ndarray, strokes: int, seed: int = 0) -> np.ndarray:
  """Returns a painting with about as many strokes, uint8 `[H, W, 3]`.

  The threshold of the error is the one that gives the number, or a little less.

  Args:
    image: uint8 `[H, W, 3]`.
    strokes: largest number of strokes.
    seed: seed of their order.
  """
  low, high = 0.0, 450.0
  best = np.broadcast_to(image.mean((0, 1)), image.shape).astype(np.uint8)
  for _ in range(10):
    threshold = (low + high) / 2
    canvas, count = _paint(image, threshold, strokes, seed)
    if count <= strokes:
      best, high = canvas, threshold
    else:
      low = threshold
  return best


def _paint(image, threshold, most, seed) -> tuple[np.ndarray, int]:
  """Returns a painting and its number of strokes, which may go beyond most."""
  rng = np.random.default_rng(seed)
  height, width = image.shape[:2]
  paper = tuple(np.rint(image.mean((0, 1))).astype(int).tolist())
  canvas = Image.new('RGB', (width * _FINER, height * _FINER), paper)
  count = 0
  for share in _RADII:
    radius = max(share * max(height, width), 1.0)
    reference = ndimage.gaussian_filter(
        image.astype(float), (_BLUR * radius, _BLUR * radius, 0)
    )
    now = np.asarray(canvas.resize((width, height), Image.Resampling.BOX))
    found = _layer(now.astype(float), reference, radius, threshold)
    count += len(found)
    if count > most:
      return now, count
    draw = ImageDraw.Draw(canvas)
    for index in rng.permutation(len(found)):
      _draw(draw, found[index])
  small = canvas.resize((width, height), Image.Resampling.BOX)
  return np.asarray(small), count


def _layer(canvas, reference, radius, threshold) -> list[Stroke]:
  """Returns the strokes of a layer, begun where cells are too wrong."""
  difference = np.sqrt(((canvas - reference) ** 2).sum(axis=-1))
  luminance = reference @ np.array([0.30, 0.59, 0.11])
  gradient = np.stack(np.gradient(luminance), axis=-1)  # (y, x)
  step = max(1, round(_GRID * radius))
  height, width = difference.shape
  strokes = []
  for top in range(0, height, step):
    for left in range(0, width, step):
      cell = difference[top : top + step, left : left + step]
      if cell.mean() > threshold:
        y, x = np.unravel_index(cell.argmax(), cell.shape)
        strokes.append(
            _stroke(
                top + int(y), left + int(x), radius, canvas, reference, gradient
            )
        )
  return strokes


def _stroke(y0, x0, radius, canvas, reference, gradient) -> Stroke:
  """Returns a stroke that follows the edges from a pixel on."""
  height, width = canvas.shape[:2]
  color = reference[y0, x0]
  points = [(x0, y0)]
  x, y, last = float(x0), float(y0), None
  for number in range(1, _MOST):
    at = min(int(y), height - 1), min(int(x), width - 1)
    away = np.abs(reference[at] - canvas[at]).sum()
    if number > _LEAST and away < np.abs(reference[at] - color).sum():
      break
    gy, gx = gradient[at]
    if math.hypot(gx, gy) == 0:
      break
    dx, dy = -gy, gx
    if last is not None:
      if last[0] * dx + last[1] * dy < 0:
        dx, dy = -dx, -dy
      dx = _CURVATURE * dx + (1 - _CURVATURE) * last[0]
      dy = _CURVATURE * dy + (1 - _CURVATURE) * last[1]
    length = math.hypot(dx, dy)
    if length == 0:
      break
    last = dx / length, dy / length
    x, y = x + radius * last[0], y + radius * last[1]
    if not (0 <= x < width and 0 <= y < height):
      break
    points.append((x, y))
  return Stroke(np.array(points), radius, np.rint(color).astype(np.uint8))


def _draw(draw: ImageDraw.ImageDraw, stroke: Stroke) -> None:
  """Draws a stroke as a row of discs joined by lines."""
  points = (stroke.points + 0.5) * _FINER
  radius = stroke.radius * _FINER
  color = tuple(stroke.color.tolist())
  if len(points) > 1:
    draw.line(
        [tuple(p) for p in points.tolist()],
        fill=color,
        width=round(2 * radius),
        joint='curve',
    )
  for x, y in (points[0], points[-1]):
    draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=color)
