"""Scenes to reconstruct, with the objects that they are made of.

Axes: n scenes, M places for objects, H height, W width.
"""

from collections.abc import Iterator
import dataclasses
import functools
import hashlib

import numpy as np

from environments import core
from environments.scene import commands as commands_lib
from environments.scene import generator
from environments.scene import renderer as renderer_lib
from environments.scene import settings as settings_lib

_BATCH = 64  # Scenes drawn at once; many more do not fit a processor's cache.


@dataclasses.dataclass(frozen=True)
class SceneData:
  """Scenes that are made in memory.

  Attributes:
    train_scenes: number of scenes to train on, if data_dir is empty.
    held_out: number of scenes to evaluate on, if data_dir is empty.
    max_objects: largest number of objects in a scene, if data_dir is empty.
  """

  train_scenes: int = 50_000
  held_out: int = 2_000
  max_objects: int = 5

  def __post_init__(self) -> None:
    """Checks the values.

    Raises:
      ValueError: that names the setting, its value and what it may be.
    """
    core.check_int('train_scenes', self.train_scenes, 1)
    core.check_int('held_out', self.held_out, 1)
    core.check_int('max_objects', self.max_objects, 1, 20)


def make_images(
    settings: settings_lib.SceneSettings,
    data: SceneData,
    split: str,
    seed: int,
) -> core.Images:
  """Returns a split of random scenes, with their objects as programs.

  Args:
    settings: settings of the environment.
    data: number and kind of scenes.
    split: 'train' or 'test'.
    seed: the same seed makes the same scenes.

  Raises:
    NoOpenGLError: if there is no table of sprites yet, and no OpenGL to make
      it with.
    ValueError: if there are too few different scenes.
  """
  return _made(settings, data, seed)[split]


class Splits:
  """Scenes to train on and others, of another seed, to test on.

  The training split is drawn first: no picture of it is in the other.
  """

  def __init__(
      self,
      settings: settings_lib.SceneSettings,
      count: int,
      held_out: int,
      max_objects: int,
      seed: int,
  ):
    """Generates the scenes to train on, without drawing them.

    Raises:
      NoOpenGLError, ValueError: as `make_images` does.
    """
    self._settings = settings
    self._held_out = held_out
    self._max_objects = max_objects
    self._seed = 2 * seed
    self._renderer = renderer_lib.SceneRenderer(settings, _BATCH)
    self._seen: set[bytes] = set()
    self.train = generator.generate(
        settings, count, seed=self._seed, max_objects=max_objects
    )

  def draw_train(self) -> Iterator[np.ndarray]:
    """Yields the training scenes' pictures, uint8 `[some, H, W, 3]`."""
    for images in self.draw(self.train):
      self._seen.update(map(_digest, images))
      yield images

  def test(self) -> commands_lib.Objects:
    """Returns scenes whose pictures `draw_train` did not yield.

    Raises:
      ValueError: if there are too few of them.
    """
    candidates = generator.generate(
        self._settings,
        2 * self._held_out,
        seed=self._seed + 1,
        max_objects=self._max_objects,
    )
    is_new = [
        _digest(image) not in self._seen
        for images in self.draw(candidates)
        for image in images
    ]
    chosen = np.flatnonzero(is_new)[: self._held_out]
    if len(chosen) < self._held_out:
      raise ValueError(
          f'of {2 * self._held_out} other scenes only {len(chosen)} are not in '
          f'the training set, and held_out is {self._held_out}; make fewer, '
          'or more --max_objects'
      )
    return commands_lib.Objects(*(values[chosen] for values in candidates))

  def draw(self, objects: commands_lib.Objects) -> Iterator[np.ndarray]:
    """Yields the scenes' pictures, uint8 `[some, H, W, 3]`, all in turn."""
    total = len(objects.present)
    for start in range(0, total, _BATCH):
      # The last batch is filled up with the first scenes.
      chosen = np.arange(start, start + _BATCH) % total
      images = self._renderer.render(
          commands_lib.Objects(*(x[chosen] for x in objects))
      )
      yield images[: total - start]


@functools.lru_cache(maxsize=1)
def _made(
    settings: settings_lib.SceneSettings, data: SceneData, seed: int
) -> dict[str, core.Images]:
  """Returns both splits."""
  splits = Splits(
      settings, data.train_scenes, data.held_out, data.max_objects, seed
  )

  def collect(
      objects: commands_lib.Objects, drawn: Iterator[np.ndarray]
  ) -> core.Images:
    size = settings.canvas_size
    images = np.empty((len(objects.present), size, size, 3), np.uint8)
    start = 0
    for some in drawn:
      images[start : start + len(some)] = some
      start += len(some)
    return core.Images(images, programs=objects._asdict())

  train = collect(splits.train, splits.draw_train())
  test = splits.test()
  return {'train': train, 'test': collect(test, splits.draw(test))}


def _digest(image: np.ndarray) -> bytes:
  return hashlib.blake2b(image.data, digest_size=16).digest()
