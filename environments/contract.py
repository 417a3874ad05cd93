"""Checks of what a renderer returns, and of which canvases it is asked for.

Axes: N canvases, M of them, H height, W width, C channels.
"""

import collections
from typing import Any
import weakref

from dm_env import specs
import numpy as np
import numpy.typing as npt

from environments import reprs

# Canvases that are remembered, more than a renderer has buffers.
_REMEMBERED = 8


class CanvasCheck:
  """Checks each canvas of one renderer."""

  def __init__(self, renderer: Any):
    """Initializes the check.

    Args:
      renderer: a `core.Renderer`.

    Raises:
      ValueError: if its spec of a canvas is not uint8 `[H, W, C]`.
    """
    self._name = type(renderer).__name__
    spec: specs.BoundedArray = renderer.canvas_spec()
    if spec.dtype != np.uint8 or len(spec.shape) != 3:
      raise ValueError(
          f'canvas_spec of renderer {self._name} is {spec.dtype} '
          f'{list(spec.shape)}, must be uint8 [H, W, C], from 0 to 255'
      )
    self._shape = (renderer.count, *spec.shape)
    self._given: collections.deque[weakref.ref[np.ndarray]] = collections.deque(
        maxlen=_REMEMBERED
    )

  def __call__(self, canvas: Any, method: str) -> np.ndarray:
    """Returns a canvas as it is.

    Args:
      canvas: what the renderer returned.
      method: name of the method that returned it.

    Raises:
      ValueError: that names the renderer, what it said and what it gave: if
        this is another type or shape, or shares memory with canvases that it
        gave before and that are still in use.
    """
    if not isinstance(canvas, np.ndarray) or (
        canvas.dtype != np.uint8 or canvas.shape != self._shape
    ):
      raise ValueError(
          f'{method} of renderer {self._name} returned {_described(canvas)}; '
          f'by its count and canvas_spec it must be uint8 {list(self._shape)}, '
          'from 0 to 255'
      )
    for reference in self._given:
      earlier = reference()
      if earlier is not None and np.may_share_memory(canvas, earlier):
        raise ValueError(
            f'{method} of renderer {self._name} returned memory of canvases '
            'that it gave before, so that these change when it draws; return a '
            'copy, as in `return self._canvas.copy()`'
        )
    self._given.append(weakref.ref(canvas))
    return canvas


def _described(canvas: Any) -> str:
  if not isinstance(canvas, np.ndarray):
    return f'a {type(canvas).__name__}'
  return f'{canvas.dtype} {list(canvas.shape)}'


def check_which(which: npt.ArrayLike, count: int) -> np.ndarray:
  """Returns indices of some of `count` canvases as int32 `[M]`.

  Raises:
    ValueError: if they are no such indices, or one comes twice.
  """
  array = np.asarray(which)
  if array.ndim != 1 or (
      array.size and not np.issubdtype(array.dtype, np.integer)
  ):
    raise ValueError(
        f'canvases are {array.dtype} {list(array.shape)}, must be ints [M]'
    )
  array = array.astype(np.int32)
  if not _within(array, count) or len(np.unique(array)) < len(array):
    raise ValueError(
        f'canvases {reprs.short(array.tolist())} must be different ones from 0'
        f' to {count - 1}'
    )
  return array


def check_copy(
    source: npt.ArrayLike, target: npt.ArrayLike, count: int
) -> tuple[np.ndarray, np.ndarray]:
  """Returns canvases to copy and to replace, int32 `[M]` each.

  Raises:
    ValueError: if they are not, or a target is also a source.
  """
  target = check_which(target, count)
  array = np.asarray(source)
  if array.shape != target.shape or not _within(array, count):
    raise ValueError(
        f'sources {reprs.short(array.tolist())} must be as many canvases as'
        f' there are targets, {len(target)}, from 0 to {count - 1}'
    )
  source = np.ascontiguousarray(array, np.int32)
  if np.isin(source, target).any():
    raise ValueError(
        f'targets {reprs.short(target.tolist())} must not be sources'
    )
  return source, target


def _within(indices: np.ndarray, count: int) -> bool:
  return not indices.size or (indices.min() >= 0 and indices.max() < count)
