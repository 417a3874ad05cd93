"""An image to be painted and the painting so far, at several resolutions.

Level 0 is the finest. Each further one has half the height and width, down to a
window of 64 pixels that holds the whole picture. The canvas is square; the part
of it that the picture leaves free has no weight.

Axes: H = W pixels of the canvas, C channels.
"""

from collections.abc import Mapping
import math
from typing import Any, Protocol

import jax
import numpy as np

from spiral_jax.search import layers as layers_lib
from spiral_jax.search import pixels
from spiral_jax.search import stroke_fit
from spiral_jax.search import stroke_proposals

WINDOW = 64  # Pixels, height and width of what is looked at, at any level.
_FINEST = 512  # Pixels of the canvas at most.
_DETAIL = 24  # Pixels of the finest canvas in a row, for each root of a stroke.


class StrokeRenderer(Protocol):
  """Draws single strokes, as `environments.painting.SingleStrokes` does.

  Strokes are ints `[K]` by name: the locations `start`, `control` and `end`,
  the parts in `num_values`, and `red`, `green` and `blue` in color.
  """

  @property
  def grid_size(self) -> int:
    """Number of locations in a row and in a column."""

  @property
  def radii(self) -> np.ndarray:
    """Nominal radius of each size, as a share of the picture's longer side."""

  @property
  def num_values(self) -> Mapping[str, int]:
    """Number of values of each further part, without colors."""

  @property
  def paper(self) -> np.ndarray:
    """Color of the paper, float32 `[C]`."""

  @property
  def shades(self) -> np.ndarray:
    """Values that a channel of a color chooses from, evenly spaced, float32."""

  def cover(
      self,
      strokes: Mapping[str, np.ndarray],
      corner: np.ndarray,
      *,
      size: int,
      window: int,
  ) -> np.ndarray:
    """Returns what each of K strokes covers of a window.

    Args:
      strokes: int `[K]` by name; colors are not needed.
      corner: top left pixel (y, x) of the window, int `[2]`.
      size: length of the picture's longer side, pixels.
      window: height and width of the window, pixels.

    Returns:
      Opacities, uint8 `[K, window, window]`.
    """

  def program(self, strokes: Mapping[str, np.ndarray], aspect: float) -> Any:
    """Returns the program that draws strokes one after the other."""


class Easel:
  """The target, the strokes so far, and where the picture is wrong."""

  def __init__(
      self,
      image: np.ndarray,
      renderer: StrokeRenderer,
      num_strokes: int,
      score: stroke_fit.Score,
  ):
    """Initializes a clear canvas.

    Args:
      image: uint8 `[h, w, C]`.
      renderer: a brush.
      num_strokes: number of strokes, which decides on the resolution.
      score: error to minimize.
    """
    self._renderer = renderer
    self._score = score
    height, width, channels = image.shape
    self.aspect = width / height
    wanted = _DETAIL * math.sqrt(num_strokes)
    levels = round(math.log2(max(wanted / WINDOW, 2)))
    self.size = min(WINDOW << levels, _FINEST)
    self.num_levels = (self.size // WINDOW).bit_length()
    self.shape = (
        max(1, round(self.size / max(self.aspect, 1.0))),
        max(1, round(self.size * min(self.aspect, 1.0))),
    )
    self.layers = layers_lib.Layers(self.size, renderer.paper, self.num_levels)
    target = self.layers.canvas[0].copy()
    target[: self.shape[0], : self.shape[1]] = _resized(image, self.shape)
    inside = np.zeros((self.size, self.size), np.float32)
    inside[: self.shape[0], : self.shape[1]] = 1
    self._targets, self._inside = [target], [inside]
    for images in (self._targets, self._inside):
      for _ in range(1, self.num_levels):
        images.append(pixels.reduce_mean(images[-1], 2))
    self._angles = [stroke_proposals.edge_angles(t) for t in self._targets]
    # Mean squared errors at each level, in blocks of a 64th of the canvas.
    shape = (self.num_levels, WINDOW, WINDOW)
    self._errors = np.zeros(shape, np.float32)
    self.measure(layers_lib.Box(0, 0, self.size, self.size))
    self._num_numbers = self.shape[0] * self.shape[1] * channels

  @property
  def error(self) -> float:
    """Mean squared error."""
    block = self.size // WINDOW
    return (
        float(self._errors[0].sum(dtype=float)) * block**2 / self._num_numbers
    )

  def picture(self) -> np.ndarray:
    """Returns the picture as it is now, uint8 `[h, w, C]`."""
    canvas = self.layers.canvas[0][: self.shape[0], : self.shape[1]]
    return np.rint(255 * canvas).astype(np.uint8)

  def wrong_place(self, level: int, rng: np.random.Generator) -> np.ndarray:
    """Returns a pixel of a level (y, x) where the picture is wrong."""
    (place,) = stroke_proposals.pick_pixels(self._errors[level], 1, rng)
    return (place + rng.random(2)) * ((self.size >> level) // WINDOW)

  def window(self, level: int, center: np.ndarray) -> layers_lib.Box:
    """Returns the window of a level around a pixel (y, x), or nearly so."""
    most = (self.size >> level) - WINDOW
    top, left = np.clip(np.rint(center - WINDOW / 2), 0, most).astype(int)
    return layers_lib.Box(top, left, top + WINDOW, left + WINDOW)

  def angles(self, box: layers_lib.Box, level: int) -> np.ndarray:
    """Returns directions of the image's edges, radians `[h, w]`."""
    return self._angles[level][box.slices]

  def region(
      self, index: int, box: layers_lib.Box, level: int
  ) -> stroke_fit.Region:
    """Returns what is known of strokes at a place of the stack in a box."""
    around = self.layers.around(index, box, level)
    inside = self._inside[level][box.slices]
    residual = around.above + around.seen[..., np.newaxis] * around.below
    residual -= self._targets[level][box.slices]
    residual *= inside[..., np.newaxis]
    return stroke_fit.Region(residual, around.below, around.seen * inside)

  def loss(self, box: layers_lib.Box) -> float:
    """Returns what the score makes of a box and of what is next to it."""
    box = self.widened(box)
    residual = self.layers.canvas[0][box.slices] - self._targets[0][box.slices]
    residual *= self._inside[0][box.slices][..., np.newaxis]
    return stroke_fit.loss(residual, self._score)

  def widened(self, box: layers_lib.Box) -> layers_lib.Box:
    """Returns a box with all that the score sees of it."""
    step = layers_lib.ALIGNMENT
    margin = -(-self._score.margin // step) * step
    return layers_lib.Box(
        max(box.top - margin, 0),
        max(box.left - margin, 0),
        min(box.bottom + margin, self.size),
        min(box.right + margin, self.size),
    )

  def measure(self, box: layers_lib.Box) -> None:
    """Brings errors up to date where the canvas has changed."""
    part = box.coarser(self.size // WINDOW)
    for level, errors in enumerate(self._errors):
      block = (self.size >> level) // WINDOW
      where = layers_lib.Box(*(edge * block for edge in part)).slices
      error = self.layers.canvas[level][where] - self._targets[level][where]
      error = (error**2).sum(axis=-1) * self._inside[level][where]
      errors[part.slices] = pixels.reduce_mean(error, block)

  def cover(
      self, stroke: layers_lib.Stroke
  ) -> tuple[layers_lib.Box, np.ndarray] | None:
    """Returns what a stroke covers at the finest level, cut to an aligned box.

    None if that is nothing.
    """
    grid_size, size = self._renderer.grid_size, self.size
    one = {name: np.array([value]) for name, value in stroke.items()}
    cells = [
        divmod(stroke[name], grid_size) for name in stroke_proposals.POINTS
    ]
    points = np.array(cells) * (size / grid_size)
    margin = 2 * self._renderer.radii[stroke.get('size', 0)] * size + 6
    low = points.min(axis=0) - margin
    extent = (points.max(axis=0) + margin - low).max() + layers_lib.ALIGNMENT
    window = WINDOW
    while window < min(extent, size):
      window *= 2
    while True:
      corner = low // layers_lib.ALIGNMENT * layers_lib.ALIGNMENT
      corner = np.clip(corner, 0, size - window).astype(int)
      (cover,) = self._renderer.cover(one, corner, size=size, window=window)
      if window == size or not _continues(cover, corner, size):
        return _cut(cover, corner)
      low -= window / 2
      window *= 2


def _continues(cover: np.ndarray, corner: np.ndarray, size: int) -> bool:
  """Returns whether a cover continues beyond its window."""
  (top, left), window = corner, len(cover)
  return bool(
      (top > 0 and cover[0].any())
      or (left > 0 and cover[:, 0].any())
      or (top + window < size and cover[-1].any())
      or (left + window < size and cover[:, -1].any())
  )


def _cut(
    cover: np.ndarray, corner: np.ndarray
) -> tuple[layers_lib.Box, np.ndarray] | None:
  """Returns the least aligned box of a cover and the cover in it."""
  step = layers_lib.ALIGNMENT
  edges = []
  for axis in (1, 0):
    where = np.flatnonzero(cover.any(axis=axis))
    if not len(where):
      return None
    edges.append(
        (int(where[0]) // step * step, -(-int(where[-1] + 1) // step) * step)
    )
  (top, bottom), (left, right) = edges
  y, x = map(int, corner)
  box = layers_lib.Box(top + y, left + x, bottom + y, right + x)
  return box, cover[top:bottom, left:right].copy()


def _resized(image: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
  """Returns an image, uint8, as floats of another size."""
  resized = jax.image.resize(
      image.astype(np.float32) / 255, (*shape, image.shape[2]), 'linear'
  )
  return np.clip(np.asarray(resized), 0, 1)
