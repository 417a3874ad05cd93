"""A user's own renderer: fills gray rectangles on paper."""

from collections.abc import Mapping
import dataclasses

from dm_env import specs
import numpy as np

from environments import core


@dataclasses.dataclass(frozen=True)
class Settings:
  """Settings of the rectangles.

  Attributes:
    canvas_size: height and width of the canvas, in pixels.
    episode_length: number of commands in an episode.
  """

  canvas_size: int = 16
  episode_length: int = 3
  channels = 1

  def action_spec(self) -> dict[str, core.Part]:
    return {
        'corner': core.Part(64, grid_shape=(8, 8), name='corner'),
        'side': core.Part(4, name='side'),
    }


class Rectangles:
  """A `core.Renderer` of N canvases."""

  def __init__(self, settings: Settings, count: int, num_threads: int = 1):
    self.count = count
    self._size = settings.canvas_size
    self.action_spec = settings.action_spec

  def canvas_spec(self) -> specs.BoundedArray:
    shape = self._size, self._size, 1
    return specs.BoundedArray(shape, np.uint8, 0, 255, 'canvas')

  def reset(self) -> np.ndarray:
    self._canvas = np.full((self.count, self._size, self._size, 1), 255, 'u1')
    return self._canvas.copy()

  def step(self, command: Mapping[str, np.ndarray]) -> np.ndarray:
    scale = self._size // 8
    for n, (corner, side) in enumerate(zip(command['corner'], command['side'])):
      y, x = scale * (corner // 8), scale * (corner % 8)
      end = scale * (side + 1)
      self._canvas[n, y : y + end, x : x + end] = 80
    return self._canvas.copy()


TASK = core.Task(__name__, Settings, Rectangles)
