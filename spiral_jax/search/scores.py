"""Scores of canvases, in NumPy: searches call them thousands of times.

Axes: M images, H height, W width, C channels.
"""

from collections.abc import Callable

import numpy as np

# (canvases, targets), uint8 `[M, H, W, C]` each, -> scores `[M]`; more is
# better.
Score = Callable[[np.ndarray, np.ndarray], np.ndarray]

_AT_ONCE = 16  # Images, so that differences stay in the cache.


def negative_l2(canvases: np.ndarray, targets: np.ndarray) -> np.ndarray:
  """Returns minus the mean squared error per pixel, float64 `[M]`.

  As `spiral_jax.losses.rewards.negative_l2`, for uint8 alone, and exact: the
  sum of squares is one of integers.

  Args:
    canvases: uint8 `[M, H, W, C]`.
    targets: images to match, as `canvases`.

  Raises:
    ValueError: if the two differ in shape, or are not uint8.
  """
  if canvases.shape != targets.shape or not (
      canvases.dtype == targets.dtype == np.uint8
  ):
    raise ValueError(
        f'canvases are {canvases.dtype} {list(canvases.shape)} and targets'
        f' {targets.dtype} {list(targets.shape)}; give uint8 of one shape'
    )
  count = len(canvases)
  canvases = canvases.reshape(count, -1)
  targets = targets.reshape(count, -1)
  squares = np.empty(count)
  for first in range(0, count, _AT_ONCE):
    part = slice(first, first + _AT_ONCE)
    difference = np.subtract(canvases[part], targets[part], dtype=np.int16)
    squares[part] = _squares(difference.astype(np.float32))
  return -squares / (canvases.shape[1] * 255.0**2)


def _squares(values: np.ndarray) -> np.ndarray:
  """Returns sums of squares of integers `[M, D]`, float64 `[M]`.

  Sums of 256 squares of bytes are below 2^24, so float32 holds them exactly.
  """
  count, size = values.shape
  whole = size // 256 * 256
  blocks = values[:, :whole].reshape(count, -1, 256)
  sums = np.einsum('mbd,mbd->mb', blocks, blocks).sum(1, dtype=np.float64)
  rest = values[:, whole:]
  return sums + np.einsum('md,md->m', rest, rest)
