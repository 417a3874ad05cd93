"""Checks that a renderer returns what it says.

Axes: N canvases, H height, W width, C channels.
"""

import collections
from typing import Any
import weakref

from dm_env import specs
import numpy as np

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
