"""Pictures scaled down by area."""

import numpy as np

_BLOCK = 256  # Columns of an image that are scaled at once.


def reduce(image: np.ndarray, size: int) -> np.ndarray:
  """Returns an image `[s, s, C]` scaled down to `[size, size, C]` by area."""
  if len(image) == size:
    return image
  rows = _reduce_rows(image, size).swapaxes(0, 1)  # [s, size, C]
  return np.rint(_reduce_rows(rows, size).swapaxes(0, 1)).astype(np.uint8)


def _reduce_rows(image: np.ndarray, size: int) -> np.ndarray:
  """Returns means `[size, n, C]` over equal shares of rows of `[s, n, C]`."""
  height = len(image)
  if not height % size:  # Needs no running sums.
    shares = image.reshape(size, height // size, *image.shape[1:])
    kind = np.uint32 if image.dtype == np.uint8 else image.dtype
    return shares.sum(axis=1, dtype=kind) * (size / height)
  edges = np.arange(size + 1) * (height / size)
  row = np.minimum(edges.astype(int), height - 1)
  share = (edges - row)[:, np.newaxis, np.newaxis]
  reduced = np.empty((size, *image.shape[1:]))
  # In blocks: the sums of a large image would take eight times its memory.
  for start in range(0, image.shape[1], _BLOCK):
    block = image[:, start : start + _BLOCK]
    above = np.zeros((height + 1, *block.shape[1:]))
    np.cumsum(block, axis=0, out=above[1:])
    reduced[:, start : start + _BLOCK] = np.diff(
        above[row] + share * block[row], axis=0
    ) * (size / height)
  return reduced
