"""Tests of batches.py."""

import hypothesis
from hypothesis import strategies as st
import numpy as np
import pytest

from spiral_jax.datasets import batches
from spiral_jax.datasets import types


def _dataset(n: int) -> types.ImageDataset:
  """Returns images that show their own position."""
  images = np.arange(n, dtype=np.uint8)[:, None, None, None]
  return types.ImageDataset(
      np.broadcast_to(images, (n, 2, 2, 1)).copy(),
      100 + np.arange(n, dtype=np.int32),
  )


def _draw(stream: batches.Batches, count: int) -> np.ndarray:
  return np.concatenate([next(stream).indices for _ in range(count)])


def test_batch():
  batch = next(batches.Batches(_dataset(10), 4, seed=0))
  assert batch.images.shape == (4, 2, 2, 1)
  assert batch.images.dtype == np.uint8
  assert batch.indices.dtype == batch.labels.dtype == np.int32
  np.testing.assert_array_equal(batch.images[:, 1, 1, 0], batch.indices)
  np.testing.assert_array_equal(batch.labels, 100 + batch.indices)


def test_without_labels():
  stream = batches.Batches(_dataset(10)._replace(labels=None), 4)
  assert next(stream).labels is None


@hypothesis.settings(deadline=None, max_examples=50)
@hypothesis.given(n=st.integers(1, 40), batch_size=st.integers(1, 100))
def test_each_image_once_an_epoch(n, batch_size):
  epochs = 3
  stream = batches.Batches(_dataset(n), batch_size, seed=1)
  drawn = _draw(stream, -(-epochs * n // batch_size))
  for epoch in range(epochs):
    part = drawn[epoch * n : (epoch + 1) * n]
    np.testing.assert_array_equal(np.sort(part), np.arange(n))


def test_shuffled_anew_each_epoch_and_seed():
  orders = [
      _draw(batches.Batches(_dataset(50), 50, seed), 2).reshape(2, 50)
      for seed in (0, 1)
  ]
  flat = [tuple(order) for pair in orders for order in pair]
  assert len(set(flat)) == 4
  assert tuple(range(50)) not in flat


def test_places_are_uniform():
  # How often each of 5 images comes in each place of 2,000 epochs: 400 each,
  # with a standard deviation of 18.
  order = _draw(batches.Batches(_dataset(5), 5, seed=3), 2000).reshape(-1, 5)
  counts = [np.bincount(place, minlength=5) for place in order.T]
  np.testing.assert_allclose(counts, 400, atol=90)


def test_order_is_the_same_everywhere():
  # A change of these numbers breaks the resuming of runs.
  drawn = _draw(batches.Batches(_dataset(8), 8, seed=7), 1)
  np.testing.assert_array_equal(drawn, [4, 1, 6, 3, 2, 7, 5, 0])


@pytest.mark.parametrize('before', (0, 1, 4, 5, 17))
def test_resumes_anywhere(before):
  stream = batches.Batches(_dataset(13), 3, seed=5)
  for _ in range(before):
    next(stream)
  state = stream.get_state()
  expected = _draw(stream, 20)
  for value in state.values():
    assert isinstance(value, np.ndarray) and value.dtype == np.int64
  resumed = batches.Batches(_dataset(13), 3, seed=99)
  _draw(resumed, 2)
  resumed.set_state(state)
  np.testing.assert_array_equal(_draw(resumed, 20), expected)


def test_state_is_a_copy():
  stream = batches.Batches(_dataset(13), 3)
  state = stream.get_state()
  first = _draw(stream, 6)
  stream.set_state(state)
  np.testing.assert_array_equal(_draw(stream, 6), first)


def test_refuses_other_data():
  state = batches.Batches(_dataset(13), 3).get_state()
  with pytest.raises(ValueError, match='13 images, this one has 12'):
    batches.Batches(_dataset(12), 3).set_state(state)


def test_arguments_out_of_range():
  with pytest.raises(ValueError, match='no images'):
    batches.Batches(_dataset(0), 3)
  with pytest.raises(ValueError, match='batch size 0'):
    batches.Batches(_dataset(3), 0)
  with pytest.raises(ValueError, match='seed -1'):
    batches.Batches(_dataset(3), 1, -1)


def test_an_image_stream_is_the_images_of_its_batches():
  stream = batches.ImageStream(_dataset(13), 3, seed=5)
  expected = batches.Batches(_dataset(13), 3, seed=5)
  for _ in range(6):
    np.testing.assert_array_equal(stream(), next(expected).images)
  resumed = batches.ImageStream(_dataset(13), 3, seed=9)
  resumed.set_state(stream.get_state())
  np.testing.assert_array_equal(resumed(), next(expected).images)
