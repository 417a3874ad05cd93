import threading
import time

from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st
import numpy as np
import pytest

from spiral_jax.driver import channel as channel_lib
from spiral_jax.driver import replay as replay_lib
from spiral_jax.driver import serialization


def batch(index, size=4):
  """Rows that say where they come from; `target` is paired with `canvas`."""
  rows = 100 * index + np.arange(size)
  return {
      'canvas': np.repeat(rows[:, None], 3, 1).astype(np.uint16),
      'target': (rows + 7).astype(np.int64),
  }


@given(
    sizes=st.lists(st.integers(1, 5), min_size=1, max_size=12),
    capacity=st.integers(1, 5),
    seed=st.integers(0, 9),
)
@settings(max_examples=50, deadline=None)
def test_samples_whole_rows_of_the_last_batches(sizes, capacity, seed):
  replay = replay_lib.Replay(capacity, 16, seed=seed)
  for index, size in enumerate(sizes):
    replay.insert(batch(index, size))
  sample = replay.sample()
  assert sample['canvas'].shape == (16, 3)
  assert sample['canvas'].dtype == np.uint16
  rows = sample['canvas'][:, 0].astype(int)
  assert np.all(sample['canvas'] == rows[:, None])
  assert np.all(sample['target'] == rows + 7)
  kept = range(len(sizes))[-capacity:]
  assert len(replay) == len(kept)
  assert set(rows) <= {100 * i + j for i in kept for j in range(sizes[i])}


def test_sampling_is_uniform_over_rows_not_batches():
  replay = replay_lib.Replay(3, 64, seed=1)
  for index, size in enumerate([9, 2, 6, 4]):  # The first is evicted.
    replay.insert(batch(index, size))
  draws = 400 * 64
  rows = np.concatenate([replay.sample()['target'] for _ in range(400)])
  values, counts = np.unique(rows, return_counts=True)
  assert len(values) == 12
  expected = draws / 12
  chi_squared = np.sum((counts - expected) ** 2 / expected)
  assert chi_squared < 31.3  # 99.9% of chi squared with 11 degrees.


def test_samples_are_the_callers_own():
  replay = replay_lib.Replay(1, 8)
  replay.insert(batch(0))
  replay.sample()['canvas'][:] = 999
  assert replay.sample()['canvas'].max() < 100


def test_rate_is_bounded():
  replay = replay_lib.Replay(20, 4, samples_per_insert=1.5)
  replay.blocking = False
  taken = []
  for index in range(4):
    replay.insert(batch(index))
    count = 0
    try:
      while True:
        replay.sample()
        count += 1
    except channel_lib.WouldBlock:
      taken.append(count)
  assert taken == [2, 1, 2, 1]


def test_without_a_bound_only_the_first_insert_is_waited_for():
  replay = replay_lib.Replay(20, 4)
  replay.blocking = False
  with pytest.raises(channel_lib.WouldBlock):
    replay.sample()
  replay.insert(batch(0))
  for _ in range(100):
    replay.sample()


@pytest.mark.parametrize('wake', ['insert', 'close'])
def test_sample_waits_until(wake):
  replay = replay_lib.Replay(20, 4, samples_per_insert=1)
  replay.insert(batch(0))
  replay.sample()
  result = []

  def sample():
    try:
      result.append(replay.sample())
    except channel_lib.ChannelClosed as error:
      result.append(error)

  thread = threading.Thread(target=sample)
  thread.start()
  time.sleep(0.05)
  assert not result
  if wake == 'insert':
    replay.insert(batch(1))
  else:
    replay.close()
  thread.join(600)
  assert isinstance(result[0], dict) == (wake == 'insert')


def test_closed_replay_refuses_inserts():
  replay = replay_lib.Replay(20, 4)
  replay.close()
  with pytest.raises(channel_lib.ChannelClosed):
    replay.insert(batch(0))


@given(inserts=st.integers(0, 7), samples=st.integers(0, 9))
@settings(max_examples=30, deadline=None)
def test_state_round_trip_is_exact(inserts, samples):
  one = replay_lib.Replay(3, 5, samples_per_insert=3, seed=4)
  one.blocking = False
  for index in range(inserts):
    one.insert(batch(index, 2 + index % 3))
  for _ in range(min(samples, 3 * inserts)):
    one.sample()
  state = serialization.to_plain(one.get_state())
  two = replay_lib.Replay(3, 5, samples_per_insert=3, seed=99)
  two.blocking = False
  two.insert(batch(50))
  two.set_state(state)
  for step in range(24):
    results = []
    for replay in (one, two):
      if step % 6 == 0:  # Then sampled until it would wait, and beyond.
        replay.insert(batch(20 + step))
      try:
        results.append(replay.sample())
      except channel_lib.WouldBlock:
        results.append(None)
    assert (results[0] is None) == (results[1] is None)
    if results[0] is not None:
      for name in results[0]:
        assert results[0][name].dtype == results[1][name].dtype
        np.testing.assert_array_equal(results[0][name], results[1][name])


def test_bad_batches_are_named():
  replay = replay_lib.Replay(2, 4)
  with pytest.raises(ValueError, match='same number of rows'):
    replay.insert({'a': np.zeros(3), 'b': np.zeros(4)})
  replay.insert({'a': np.zeros(3)})
  with pytest.raises(ValueError, match=r"holds \['a'\], got \['b'\]"):
    replay.insert({'b': np.zeros(3)})
  with pytest.raises(ValueError, match='capacity 0'):
    replay_lib.Replay(0, 4)
