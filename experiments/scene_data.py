"""Scenes to reconstruct: made in memory, or read from make_scenes.py's files.

Axes: n scenes, M places for objects, H height, W width.
"""

from collections.abc import Iterator
import dataclasses
import functools
import hashlib

import numpy as np

from environments import scene
from spiral_jax import datasets

_BATCH = 64  # Scenes drawn at once; many more do not fit a processor's cache.


@dataclasses.dataclass(frozen=True)
class SceneData:
  """Which scenes are made where --data_dir names no files of them.

  Attributes:
    train_scenes: scenes to train on, made in memory if there is no data_dir.
    held_out: likewise, scenes to evaluate on.
    max_objects: objects in a scene that is made, at most.
  """

  train_scenes: int = 50_000
  held_out: int = 2_000
  max_objects: int = 5

  def __post_init__(self) -> None:
    """Checks the values.

    Raises:
      ValueError: that names the setting, its value and what it may be.
    """
    for name in ('train_scenes', 'held_out'):
      if getattr(self, name) < 1:
        raise ValueError(f'{name} is {getattr(self, name)}, must be 1 or more')
    if not 1 <= self.max_objects <= 20:
      raise ValueError(
          f'max_objects is {self.max_objects}, must be from 1 to 20'
      )


def load(
    settings: scene.SceneSettings,
    data: SceneData,
    split: str,
    *,
    data_dir: str = '',
    seed: int = 0,
) -> datasets.SceneDataset:
  """Returns a split with the objects that its scenes are made of.

  Args:
    settings: of the agent's environment.
    data: what to make; with `data_dir`, unused.
    split: 'train' or 'test'.
    data_dir: folder of files by make_scenes.py; empty, scenes are made.
    seed: of scenes that are made.

  Raises:
    NoOpenGLError: if there is no table of sprites yet, and no OpenGL to make
      it with.
    FileNotFoundError: if a file is missing.
    ValueError: if it is damaged, or of scenes that the environment cannot
      make; if there are too few different scenes.
  """
  if not data_dir:
    return _made(settings, data, seed)[split]
  found = datasets.load_scenes(
      split, data_dir=data_dir, size=settings.canvas_size
  )
  # How long an episode is says nothing about a scene.
  theirs = scene.SceneSettings(
      **{**found.settings, 'episode_length': settings.episode_length}
  )
  for name, value in dataclasses.asdict(settings).items():
    other = getattr(theirs, name)
    if value != other:
      raise ValueError(
          f'the scenes in {data_dir} have --{name}={other}, the environment '
          f'has {value}; give the same, or make other scenes'
      )
  return found


class Splits:
  """Scenes to train on and others, of another seed, to test on.

  The training split is drawn first: no picture of it is in the other.
  """

  def __init__(
      self,
      settings: scene.SceneSettings,
      count: int,
      held_out: int,
      max_objects: int,
      seed: int,
  ):
    """Generates the scenes to train on, without drawing them.

    Raises:
      As `load`.
    """
    self._settings = settings
    self._held_out = held_out
    self._max_objects = max_objects
    self._seed = 2 * seed
    self._renderer = scene.SceneRenderer(settings, _BATCH)
    self._seen: set[bytes] = set()
    self.train = scene.generate(
        settings, count, seed=self._seed, max_objects=max_objects
    )

  def draw_train(self) -> Iterator[np.ndarray]:
    """Yields the training scenes' pictures, uint8 `[some, H, W, 3]`."""
    for images in self.draw(self.train):
      self._seen.update(map(_digest, images))
      yield images

  def test(self) -> scene.Objects:
    """Returns scenes whose pictures `draw_train` did not yield.

    Raises:
      ValueError: if there are too few of them.
    """
    candidates = scene.generate(
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
          f'the training set, and --held_out is {self._held_out}; make fewer, '
          'or more --max_objects'
      )
    return scene.Objects(*(values[chosen] for values in candidates))

  def draw(self, objects: scene.Objects) -> Iterator[np.ndarray]:
    """Yields the scenes' pictures, uint8 `[some, H, W, 3]`, all in turn."""
    total = len(objects.present)
    for start in range(0, total, _BATCH):
      # The last batch is filled up with the first scenes.
      chosen = np.arange(start, start + _BATCH) % total
      images = self._renderer.render(
          scene.Objects(*(x[chosen] for x in objects))
      )
      yield images[: total - start]


@functools.lru_cache(maxsize=1)
def _made(
    settings: scene.SceneSettings, data: SceneData, seed: int
) -> dict[str, datasets.SceneDataset]:
  """Returns both splits, made in memory."""
  made = Splits(
      settings, data.train_scenes, data.held_out, data.max_objects, seed
  )

  def dataset(
      objects: scene.Objects, drawn: Iterator[np.ndarray]
  ) -> datasets.SceneDataset:
    size = settings.canvas_size
    images = np.empty((len(objects.present), size, size, 3), np.uint8)
    start = 0
    for some in drawn:
      images[start : start + len(some)] = some
      start += len(some)
    return datasets.SceneDataset(
        images,
        objects._asdict(),
        dataclasses.asdict(settings),
    )

  train = dataset(made.train, made.draw_train())
  test = made.test()
  return {'train': train, 'test': dataset(test, made.draw(test))}


def _digest(image: np.ndarray) -> bytes:
  return hashlib.blake2b(image.data, digest_size=16).digest()
