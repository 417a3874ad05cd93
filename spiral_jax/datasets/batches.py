"""Endless shuffled stream of batches that can be saved and resumed.

Axes: B batch, H height, W width, C channels.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from spiral_jax.datasets import augmentation
from spiral_jax.datasets import types

State = dict[str, np.ndarray]


class Batch(NamedTuple):
  """Copies of some images of a dataset."""

  images: np.ndarray  # uint8 [B, H, W, C].
  indices: np.ndarray  # int32 [B], positions in the dataset.
  labels: np.ndarray | None  # int32 [B], or None.


class Batches(Iterator[Batch]):
  """Draws batches without replacement, epoch after epoch.

  Each image appears exactly once per epoch. A batch may begin in one epoch and
  end in the next, so all batches have the same size and no image is dropped.

  The order of an epoch depends only on the seed and the epoch, so three
  integers describe the position in the stream. It is computed from raw Philox
  output, which NumPy keeps stable between versions, unlike
  `Generator.permutation`.

  Not thread-safe: give each consumer its own stream, with its own seed.
  """

  def __init__(
      self, dataset: types.ImageDataset, batch_size: int, seed: int = 0
  ):
    """Initializes a stream at the beginning of the first epoch.

    Args:
      dataset: images to draw; not copied.
      batch_size: images per batch, B; may exceed the size of the dataset.
      seed: random seed of the order, 0 to 2**63 - 1.

    Raises:
      ValueError: if the dataset is empty or a number is out of range.
    """
    if not len(dataset.images):
      raise ValueError('the dataset has no images: nothing to draw batches of')
    if batch_size < 1:
      raise ValueError(f'batch size {batch_size} is below 1')
    if not 0 <= seed < 2**63:
      raise ValueError(f'seed {seed} is outside 0 to 2**63 - 1')
    self._dataset = dataset
    self._batch_size = batch_size
    self._seed = seed
    self._epoch = 0
    self._cursor = 0  # Number of images drawn in this epoch.
    self._order = self._shuffled()

  def __next__(self) -> Batch:
    """Returns the next batch; never raises StopIteration."""
    parts = []
    missing = self._batch_size
    while missing:
      if self._cursor == len(self._order):
        self._epoch += 1
        self._cursor = 0
        self._order = self._shuffled()
      part = self._order[self._cursor : self._cursor + missing]
      self._cursor += len(part)
      missing -= len(part)
      parts.append(part)
    indices = np.concatenate(parts)
    labels = self._dataset.labels
    return Batch(
        self._dataset.images[indices],
        indices,
        None if labels is None else labels[indices],
    )

  def get_state(self) -> State:
    """Returns the position in the stream, as int64 scalars `[]` by name."""
    return {
        'seed': np.asarray(self._seed, np.int64),
        'epoch': np.asarray(self._epoch, np.int64),
        'cursor': np.asarray(self._cursor, np.int64),
        'num_images': np.asarray(len(self._order), np.int64),
    }

  def set_state(self, state: Mapping[str, np.ndarray | int]) -> None:
    """Resumes exactly where `get_state` was called, with the seed of then.

    Args:
      state: result of `get_state` for the same images; the batch size may
        differ.

    Raises:
      ValueError: if the state belongs to a dataset of another size.
    """
    if int(state['num_images']) != len(self._order):
      raise ValueError(
          f'the state is of a dataset of {int(state["num_images"])} images, '
          f'this one has {len(self._order)}: resume with the same data'
      )
    self._seed = int(state['seed'])
    self._epoch = int(state['epoch'])
    self._cursor = int(state['cursor'])
    self._order = self._shuffled()

  def _shuffled(self) -> np.ndarray:
    """Returns the order of the current epoch, int32 `[n]`."""
    key = np.array([self._seed, self._epoch], np.uint64)
    noise = np.random.Philox(key=key).random_raw(len(self._dataset.images))
    return np.argsort(noise, kind='stable').astype(np.int32)


class ImageStream:
  """Returns the images of an endless stream's next batch, when called.

  Their order and their changes depend on the seed and the position in the
  stream alone.
  """

  def __init__(
      self,
      dataset: types.ImageDataset,
      batch_size: int,
      *,
      seed: int = 0,
      augment: Sequence[str] = (),
  ):
    """Stands at the beginning of the first epoch; see `Batches`.

    Args:
      dataset: images to draw; not copied.
      batch_size: images per batch, B.
      seed: random seed of the order and of the changes.
      augment: kinds of random changes; see `augmentation.augment`.

    Raises:
      ValueError: as `Batches` and `augmentation.augment`.
    """
    augmentation.check(augment)
    self._batches = Batches(dataset, batch_size, seed=seed)
    self._augment = tuple(augment)
    self.get_state = self._batches.get_state
    self.set_state = self._batches.set_state

  def __call__(self) -> np.ndarray:
    """Returns uint8 `[B, H, W, C]`."""
    place = [int(number) for number in self.get_state().values()]
    images = next(self._batches).images
    if not self._augment:
      return images
    return augmentation.augment(
        images, np.random.default_rng(place), self._augment
    )
