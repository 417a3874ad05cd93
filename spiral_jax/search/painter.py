"""Painting of an image with few strokes: the public function.

Axes: P colors, H height, W width, C channels.
"""

from collections.abc import Callable
import math
from typing import Any

import jax
import numpy as np

from spiral_jax.search import clock as clock_lib
from spiral_jax.search import easel as easel_lib
from spiral_jax.search import improvement
from spiral_jax.search import stroke_fit
from spiral_jax.search import stroke_search

SCORES = tuple(stroke_fit.SCORES)


def paint(
    image: np.ndarray,
    renderer: easel_lib.StrokeRenderer,
    *,
    strokes: int,
    key: jax.Array,
    seconds: float | None = None,
    rounds: int | None = None,
    score: str = 'l2',
    palette: np.ndarray | None = None,
    on_progress: (
        Callable[[stroke_search.PaintProgress], bool | None] | None
    ) = None,
) -> Any:
  """Returns a program that paints an image with few strokes.

  ```python
  settings = painting.fine_settings()
  brush = painting.SingleStrokes(settings, num_threads=2)
  program = search.paint(
      image, brush, strokes=100, seconds=30.0, key=jax.random.key(0)
  )
  ```

  No picture is further from the image than the paper alone, in the score, as
  far as a stroke is a cover and a color: brushes that smudge do more, and what
  brushes with random numbers cover is known only on average.

  Args:
    image: uint8 `[H, W, C]`, of any size and shape, with the channels of the
      renderer's paper.
    renderer: a brush, such as `environments.painting.SingleStrokes`.
    strokes: largest number of strokes.
    key: consumed. With `rounds`, the result depends on it alone, and not on the
      number of threads.
    seconds: time to search.
    rounds: number of rounds of 64 proposals; either this or `seconds`.
    score: error to minimize: 'l2', the mean squared error; 'edges', that of
      differences of neighboring pixels; or 'perceptual', that of both at three
      scales.
    palette: colors to choose from, indices of the renderer's shades, int
      `[P, C]`; None means all. Black ink has no palette.
    on_progress: called after each try, whether it helped or not; returns true
      to stop.

  Returns:
    What `renderer.program` returns of the best strokes that were found.

  Raises:
    ValueError: if the image is not that, neither or both of `seconds` and
      `rounds` are given, an argument is out of range, or the renderer has no
      such pictures.
  """
  if (seconds is None) == (rounds is None):
    raise ValueError(
        f'seconds is {seconds} and rounds {rounds}; give one of the two'
    )
  if not 0 < float(rounds or seconds or 0) < math.inf:
    raise ValueError(
        f'seconds is {seconds} and rounds {rounds}; must be above 0 and finite'
    )
  channels = len(renderer.paper)
  is_image = image.dtype == np.uint8 and image.ndim == 3 and image.size
  if not is_image or image.shape[2] != channels:
    raise ValueError(
        f'the image is {image.dtype} {list(image.shape)}, must be uint8'
        f' [height, width, {channels}], with the channels of the paper'
    )
  if strokes < 1:
    raise ValueError(f'strokes is {strokes}, must be 1 or more')
  if score not in stroke_fit.SCORES:
    raise ValueError(f'score is {score!r}, must be one of {", ".join(SCORES)}')
  if palette is not None:
    palette = _checked_palette(palette, channels, len(renderer.shades))
  aspect = image.shape[1] / image.shape[0]
  renderer.program({}, aspect)  # Raises what it would after the search.
  search = stroke_search.Search(
      image,
      renderer,
      strokes,
      stroke_fit.Colors(renderer.shades, palette, is_black=channels == 1),
      stroke_fit.SCORES[score],
      improvement.make_rng(key),
      clock_lib.Clock(seconds, rounds),
  )
  search.run(on_progress)
  return renderer.program(search.easel.layers.strokes(), search.easel.aspect)


def _checked_palette(
    palette: np.ndarray, channels: int, num_shades: int
) -> np.ndarray:
  palette = np.asarray(palette)
  if (
      palette.ndim != 2
      or palette.shape[1] != channels
      or not len(palette)
      or not np.issubdtype(palette.dtype, np.integer)
      or palette.min() < 0
      or palette.max() >= num_shades
  ):
    raise ValueError(
        f'the palette is {palette.dtype} {list(palette.shape)}, must be ints'
        f' [colors, {channels}] from 0 to {num_shades - 1}'
    )
  return palette.astype(np.int32)
