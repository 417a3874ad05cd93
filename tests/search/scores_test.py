"""Scores of canvases."""

import numpy as np
import pytest

from spiral_jax import search
from spiral_jax.losses import rewards


def test_known_distances():
  black = np.zeros((3, 8, 8, 1), np.uint8)
  targets = black.copy()
  targets[1] = 255
  targets[2, 0, 0] = 255
  scores = search.negative_l2(black, targets)
  np.testing.assert_array_equal(scores, [0.0, -1.0, -1.0 / 64])


@pytest.mark.parametrize(
    'shape', [(40, 64, 64, 3), (3, 5, 7, 1), (17, 16, 16, 1)]
)
def test_equals_the_reward_and_is_exact(shape):
  rng = np.random.default_rng(0)
  canvases, targets = rng.integers(0, 256, (2, *shape), dtype=np.uint8)
  scores = search.negative_l2(canvases, targets)
  squares = (canvases.astype(int) - targets) ** 2
  np.testing.assert_allclose(
      scores, -squares.sum((1, 2, 3)) / np.prod(shape[1:]) / 255**2, rtol=1e-15
  )
  np.testing.assert_allclose(
      scores, rewards.negative_l2(canvases, targets), rtol=1e-5
  )


def test_extremes_do_not_overflow():
  black = np.zeros((1, 64, 64, 3), np.uint8)
  assert search.negative_l2(black, black + 255) == -1.0
  assert search.negative_l2(black + 255, black) == -1.0


@pytest.mark.parametrize(
    'shape, dtype',
    [
        ((2, 8, 8), np.uint8),
        ((1, 8, 8, 1), np.uint8),
        ((2, 8, 8, 1), np.float32),
    ],
)
def test_other_images_are_refused(shape, dtype):
  with pytest.raises(ValueError, match='uint8 of one shape'):
    search.negative_l2(np.zeros((2, 8, 8, 1), np.uint8), np.zeros(shape, dtype))
