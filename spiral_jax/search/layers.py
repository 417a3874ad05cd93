"""A painting as a stack of strokes, each a cover and a color.

A stroke of cover A and color c makes (1 - A) x + A c of what is below. So the
canvas follows from the strokes without a renderer, and how it depends on one of
them is known: if x is the canvas after stroke k, the picture is P + Q x, where
Q is what the strokes above leave to be seen.

Axes: N strokes, H = W pixels of a square canvas, C channels.
"""

import dataclasses
from typing import NamedTuple

import numpy as np

from spiral_jax.search import pixels

# Boxes of covers are aligned to this many pixels, so that all coarser levels of
# a canvas have whole pixels of them.
ALIGNMENT = 16

# A stroke: ints by name; see `StrokeRenderer`.
Stroke = dict[str, int]


class Box(NamedTuple):
  """A rectangle of pixels, from the first to the one after the last."""

  top: int
  left: int
  bottom: int
  right: int

  @property
  def slices(self) -> tuple[slice, slice]:
    """Its rows and columns."""
    return slice(self.top, self.bottom), slice(self.left, self.right)

  def union(self, other: 'Box') -> 'Box':
    """Returns the least box that holds both."""
    return Box(
        min(self.top, other.top),
        min(self.left, other.left),
        max(self.bottom, other.bottom),
        max(self.right, other.right),
    )

  def coarser(self, factor: int) -> 'Box':
    """Returns the box in pixels that are `factor` times as large."""
    return Box(
        self.top // factor,
        self.left // factor,
        -(-self.bottom // factor),
        -(-self.right // factor),
    )


@dataclasses.dataclass(frozen=True, eq=False)
class Layer:
  """One stroke of the stack."""

  stroke: Stroke  # With its color.
  box: Box  # At the finest level, aligned.
  color: np.ndarray  # float32 [C].
  covers: dict[int, np.ndarray]  # uint8 by level, cut to the box.

  def cover(self, coarseness: int) -> np.ndarray:
    """Returns the cover where pixels are 2^coarseness as large, float32."""
    if coarseness not in self.covers:
      reduced = pixels.reduce_mean(self.covers[0], 1 << coarseness)
      self.covers[coarseness] = np.rint(reduced).astype(np.uint8)
    return self.covers[coarseness] * np.float32(1 / 255)


class Around(NamedTuple):
  """Surroundings of one stroke in a region: the picture is above + seen * x."""

  below: np.ndarray  # float32 [h, w, C], canvas before the stroke.
  above: np.ndarray  # float32 [h, w, C].
  seen: np.ndarray  # float32 [h, w], share of the stroke that is not covered.


class Layers:
  """A stack of strokes on paper, and the canvas that they make."""

  def __init__(self, size: int, paper: np.ndarray, num_levels: int):
    """Initializes a clear canvas.

    Args:
      size: height and width, pixels; a multiple of 2^(num_levels - 1).
      paper: float32 `[C]`.
      num_levels: number of resolutions; each halves the one before.
    """
    self.paper = np.asarray(paper, np.float32)
    self.stack: list[Layer] = []
    self._boxes = np.zeros((0, 4), np.int32)
    # The canvas by coarseness.
    self.canvas = [
        np.broadcast_to(self.paper, (size >> c, size >> c, len(paper))).copy()
        for c in range(num_levels)
    ]

  def __len__(self) -> int:
    """Returns the number of strokes."""
    return len(self.stack)

  def around(self, index: int, box: Box, coarseness: int = 0) -> Around:
    """Returns what surrounds a stroke in a region.

    Args:
      index: number of the stroke; N for one on top of all.
      box: the region, in pixels of that level.
      coarseness: level of detail; pixels are 2^coarseness as large.
    """
    height, width = box.bottom - box.top, box.right - box.left
    if index == len(self):
      below = self.canvas[coarseness][box.slices]
      return Around(
          below, np.zeros_like(below), np.ones((height, width), np.float32)
      )
    below = np.broadcast_to(self.paper, (height, width, len(self.paper))).copy()
    above = np.zeros_like(below)
    seen = np.ones((height, width), np.float32)
    for other in self._overlapping(box, coarseness):
      if other == index:
        continue
      layer = self.stack[other]
      own, shared = _intersection(layer.box.coarser(1 << coarseness), box)
      cover = layer.cover(coarseness)[own]
      _lay(below if other < index else above, shared, cover, layer.color)
      if other > index:
        seen[shared] *= 1 - cover
    return Around(below, above, seen)

  def replace(self, index: int, layer: Layer) -> None:
    """Puts a stroke in the place of another."""
    box = self.stack[index].box.union(layer.box)
    self.stack[index] = layer
    self._boxes[index] = layer.box
    self._show(box, self._picture_of(box))

  def insert(self, index: int, layer: Layer) -> None:
    """Puts a stroke below that of a number; N puts it on top of all."""
    is_top = index == len(self)
    self.stack.insert(index, layer)
    self._boxes = np.insert(self._boxes, index, layer.box, axis=0)
    if is_top:
      picture = self.canvas[0][layer.box.slices]
      _lay(picture, ..., layer.cover(0), layer.color)
    else:
      picture = self._picture_of(layer.box)
    self._show(layer.box, picture)

  def remove(self, index: int) -> Layer:
    """Takes a stroke out, and returns it."""
    layer = self.stack.pop(index)
    self._boxes = np.delete(self._boxes, index, axis=0)
    self._show(layer.box, self._picture_of(layer.box))
    return layer

  def _show(self, box: Box, picture: np.ndarray) -> None:
    for coarseness, canvas in enumerate(self.canvas):
      if coarseness:
        picture = pixels.reduce_mean(picture, 2)
      canvas[box.coarser(1 << coarseness).slices] = picture

  def strokes(self) -> dict[str, np.ndarray]:
    """Returns the strokes from the bottom to the top, int32 `[N]` by name.

    Without any stroke it is empty.
    """
    if not self.stack:
      return {}
    return {
        name: np.array([layer.stroke[name] for layer in self.stack], np.int32)
        for name in self.stack[0].stroke
    }

  def _picture_of(self, box: Box) -> np.ndarray:
    """Returns a region of the picture, computed from the strokes alone."""
    shape = (box.bottom - box.top, box.right - box.left, len(self.paper))
    canvas = np.broadcast_to(self.paper, shape).copy()
    for index in self._overlapping(box, 0):
      layer = self.stack[index]
      own, shared = _intersection(layer.box, box)
      _lay(canvas, shared, layer.cover(0)[own], layer.color)
    return canvas

  def _overlapping(self, box: Box, coarseness: int) -> list[int]:
    top, left, bottom, right = (x << coarseness for x in box)
    boxes = self._boxes
    return np.flatnonzero(
        (boxes[:, 0] < bottom)
        & (boxes[:, 2] > top)
        & (boxes[:, 1] < right)
        & (boxes[:, 3] > left)
    ).tolist()


def _lay(canvas, where, cover, color) -> None:
  """Paints a cover `[h, w]` in a color on a part of a canvas, in place."""
  part = canvas[where]
  part += cover[..., np.newaxis] * (color - part)


def _intersection(
    own: Box, other: Box
) -> tuple[tuple[slice, slice], tuple[slice, slice]]:
  """Returns what two boxes share, as slices of each."""
  top, left = max(own.top, other.top), max(own.left, other.left)
  bottom = max(min(own.bottom, other.bottom), top)
  right = max(min(own.right, other.right), left)

  def within(box: Box) -> tuple[slice, slice]:
    return (
        slice(top - box.top, bottom - box.top),
        slice(left - box.left, right - box.left),
    )

  return within(own), within(other)
