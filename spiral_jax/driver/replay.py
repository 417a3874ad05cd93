"""Replay buffer of the latest batches of examples, sampled uniformly.

The discriminator of SPIRAL learns from the final canvases of the last 20
batches (Ganin et al., 2018, appendix C).
"""

import collections
from collections.abc import Mapping
import math
from typing import Any

import numpy as np

from spiral_jax.driver import channel as channel_lib
from spiral_jax.driver import serialization

# Arrays of examples by name, `[B, ...]` each. Rows of the same index belong
# together, such as a canvas and its target.
Examples = Mapping[str, np.ndarray]


class Replay(channel_lib.Resource):
  """Replay buffer of the last `capacity` batches, with rate-limited sampling.

  Sampling is uniform, with replacement, over all rows kept. As with Reverb's
  rate limiter, it waits until fewer than `samples_per_insert` batches were
  sampled per batch inserted, so that the discriminator cannot run far ahead of
  the actors. Inserting never waits.
  """

  def __init__(
      self,
      capacity: int,
      batch_size: int,
      *,
      samples_per_insert: float = math.inf,
      seed: int = 0,
      name: str = 'replay',
  ):
    """Creates an empty replay.

    Args:
      capacity: number of batches kept; the oldest is dropped first.
      batch_size: number of rows in a sample.
      samples_per_insert: upper bound on batches sampled per batch inserted. If
        infinite, sampling waits only for the first insert.
      seed: random seed of the sampling.
      name: name for errors, unique in its program.
    """
    if capacity < 1 or batch_size < 1 or not samples_per_insert > 0:
      raise ValueError(
          f'replay {name!r} has capacity {capacity}, batch_size {batch_size}, '
          f'samples_per_insert {samples_per_insert}; all must be positive'
      )
    super().__init__(name)
    self.batch_size = batch_size
    self.samples_per_insert = samples_per_insert
    self._batches: collections.deque[dict[str, np.ndarray]] = collections.deque(
        maxlen=capacity
    )
    self._rng = np.random.default_rng(seed)
    self._inserts = 0
    self._samples = 0

  def __len__(self) -> int:
    """Returns the number of batches kept."""
    return len(self._batches)

  def insert(self, batch: Examples) -> None:
    """Inserts arrays `[B, ...]`, which the caller must not write to anymore.

    Raises:
      ChannelClosed: if closed.
      ValueError: if the names differ from those of earlier batches, or the
        arrays differ in their number of rows.
    """
    arrays = {name: np.asarray(array) for name, array in batch.items()}
    if len({len(array) for array in arrays.values()}) != 1:
      shapes = {name: array.shape for name, array in arrays.items()}
      raise ValueError(
          f'{self.name!r} got arrays {shapes}; all need the same '
          'number of rows'
      )
    with self._condition:
      if self._closed:
        raise channel_lib.ChannelClosed(self.name)
      if self._batches and self._batches[0].keys() != arrays.keys():
        raise ValueError(
            f'{self.name!r} holds {sorted(self._batches[0])}, '
            f'got {sorted(arrays)}; names must not change'
        )
      self._batches.append(arrays)
      self._inserts += 1
      self._condition.notify_all()

  def wait(self) -> None:
    """Waits until there is something to sample.

    Raises:
      ChannelClosed: if closed before or while waiting.
    """
    with self._condition:
      self._wait_until(self._may_sample, 'waits for an insert')

  def sample(self) -> dict[str, np.ndarray]:
    """Returns `batch_size` random rows, in fresh arrays `[batch_size, ...]`.

    Raises:
      ChannelClosed: if closed before or while waiting.
    """
    while True:
      self.wait()
      rows = self.try_sample()
      if rows is not None:  # No other thread was faster.
        return rows

  def try_sample(self) -> dict[str, np.ndarray] | None:
    """Returns what `sample` does, or None if that would wait.

    Raises:
      ChannelClosed: if closed.
    """
    with self._condition:
      if self._closed:
        raise channel_lib.ChannelClosed(self.name)
      if not self._may_sample():
        return None
      self._samples += 1
      ends = np.cumsum([_num_rows(batch) for batch in self._batches])
      rows = self._rng.integers(ends[-1], size=self.batch_size)
      batches = list(self._batches)
    which = np.searchsorted(ends, rows, side='right')
    places = rows - np.concatenate([[0], ends])[which]
    return {
        name: np.stack([batches[b][name][row] for b, row in zip(which, places)])
        for name in batches[0]
    }

  def get_state(self) -> dict[str, Any]:
    """Returns contents, counters and random state, as plain state."""
    with self._condition:
      batches = list(self._batches)
      counters = dict(
          inserts=self._inserts,
          samples=self._samples,
          rng=serialization.rng_to_array(self._rng),
      )
    names = batches[0] if batches else ()
    return dict(
        examples={
            name: np.concatenate([batch[name] for batch in batches])
            for name in names
        },
        num_rows=np.array([_num_rows(batch) for batch in batches], np.int64),
        **counters,
    )

  def set_state(self, state: Mapping[str, Any]) -> None:
    """Resumes exactly where `get_state` was called."""
    ends = np.cumsum(state['num_rows'])[:-1]
    pieces = {
        name: np.split(np.asarray(rows), ends)
        for name, rows in state.get('examples', {}).items()
    }
    with self._condition:
      self._batches.clear()
      for i in range(len(state['num_rows'])):
        self._batches.append({name: pieces[name][i] for name in pieces})
      self._inserts = int(state['inserts'])
      self._samples = int(state['samples'])
      self._rng = serialization.rng_from_array(state['rng'])
      self._condition.notify_all()

  def _may_sample(self) -> bool:
    return self._inserts > 0 and (
        self._samples < self.samples_per_insert * self._inserts
    )


def _num_rows(batch: Examples) -> int:
  return len(next(iter(batch.values())))
