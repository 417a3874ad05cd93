"""Tests of random changes of images."""

import numpy as np
import pytest

from spiral_jax import datasets
from spiral_jax import evaluation
from spiral_jax.datasets import augmentation


def _rng():
  return np.random.default_rng(0)


def _images(count=6, shape=(24, 40, 3)):
  return _rng().integers(256, size=(count, *shape)).astype(np.uint8)


def _centers(images):
  """Returns the centers of the ink `[n, H, W, 1]`, shares of height, width."""
  ink = 255.0 - images[..., 0]
  count, height, width = ink.shape
  y, x = np.mgrid[:height, :width] + 0.5
  total = ink.sum(axis=(1, 2))
  return np.stack(
      [
          (ink * y).sum(axis=(1, 2)) / total / height,
          (ink * x).sum(axis=(1, 2)) / total / width,
      ],
      axis=-1,
  )


def _spot(count, size=64):
  """Returns pages with a round spot in the middle."""
  y, x = np.mgrid[:size, :size] - (size - 1) / 2
  page = np.where(np.hypot(y, x) < size / 8, 0, 255).astype(np.uint8)
  return np.repeat(page[None, :, :, None], count, axis=0)


@pytest.mark.parametrize('kinds', [(kind,) for kind in augmentation.KINDS])
@pytest.mark.parametrize(
    'shape', [(24, 40, 3), (9, 7, 1), (64, 64, 4), (3, 2, 1)]
)
def test_images_stay_images_and_those_given_as_they_are(kinds, shape):
  images = _images(shape=shape)
  before = images.copy()
  changed = augmentation.augment(images, _rng(), kinds)
  assert changed.shape == images.shape and changed.dtype == np.uint8
  np.testing.assert_array_equal(images, before)
  assert (changed != images).any(axis=(1, 2, 3)).mean() > 0.3


def test_no_kinds_change_nothing():
  images = _images()
  changed = augmentation.augment(images, _rng(), ())
  np.testing.assert_array_equal(changed, images)


def test_what_comes_from_outside_repeats_the_edge():
  white = np.full((20, 32, 32, 1), 255, np.uint8)
  changed = augmentation.augment(white, _rng(), ('warp',))
  np.testing.assert_array_equal(changed, white)


def test_warps_go_to_all_sides_and_not_far():
  centers = _centers(augmentation.augment(_spot(500), _rng(), ('warp',))) - 0.5
  np.testing.assert_allclose(centers.mean(axis=0), 0, atol=0.01)
  assert 0.02 < centers.std() < 0.06
  assert np.abs(centers).max() < 0.15


def test_warps_change_sizes_on_both_sides_of_none():
  ink = (augmentation.augment(_spot(500), _rng(), ('warp',)) < 128).sum(
      axis=(1, 2, 3)
  )
  factors = ink / (_spot(1) < 128).sum()
  assert factors.min() < 0.85 and factors.max() > 1.2
  np.testing.assert_allclose(np.median(factors), 1, atol=0.05)


def test_every_other_image_is_mirrored():
  images = _images(400)
  changed = augmentation.augment(images, _rng(), ('mirror',))
  is_mirrored = (changed == images[:, :, ::-1]).all(axis=(1, 2, 3))
  is_same = (changed == images).all(axis=(1, 2, 3))
  assert (is_mirrored ^ is_same).all()
  assert 0.4 < is_mirrored.mean() < 0.6


def test_colors_change_alike_all_over_an_image():
  colors = _images(200, (1, 1, 3))
  images = np.broadcast_to(colors, (200, 8, 8, 3))
  changed = augmentation.augment(images, _rng(), ('colors',))
  assert (changed == changed[:, :1, :1]).all()
  assert (changed != images).any(axis=(1, 2, 3)).mean() > 0.9
  gray = np.full((500, 1, 1, 3), 128, np.uint8)
  levels = augmentation.augment(gray, _rng(), ('colors',)) / 255.0
  np.testing.assert_allclose(levels.mean(), 0.5, atol=0.01)
  assert np.ptp(levels, axis=-1).max() < 0.1


def test_digits_stay_digits():
  digits = datasets.load('mnist', 'test').images[:200]
  changed = augmentation.augment(digits, _rng(), ('warp',))
  assert (changed != digits).any(axis=(1, 2, 3)).all()
  assert evaluation.is_digit(changed).mean() > 0.85


def test_unknown_kinds_are_named():
  with pytest.raises(ValueError, match="'wrap' is none of warp, mirror"):
    augmentation.augment(_images(), _rng(), ('mirror', 'wrap'))
  with pytest.raises(ValueError, match="'x' is none of"):
    datasets.ImageStream(datasets.ImageDataset(_images()), 2, augment=('x',))
  with pytest.raises(ValueError, match='name each kind once'):
    augmentation.augment(_images(), _rng(), ('warp', 'warp'))


def test_a_stream_changes_an_image_anew_each_time_and_can_be_resumed():
  dataset = datasets.ImageDataset(_images(5))

  def make(seed):
    return datasets.ImageStream(dataset, 5, seed=seed, augment=('warp',))

  stream = make(3)
  plain = datasets.ImageStream(dataset, 5, seed=3)
  first, second = ([stream(), plain()] for _ in range(2))
  assert (first[0] != first[1]).any()
  for index in range(5):  # The same image in two epochs.
    [again] = np.flatnonzero((second[1] == first[1][index]).all(axis=(1, 2, 3)))
    assert (second[0][again] != first[0][index]).any()
  resumed = make(9)
  resumed.set_state(stream.get_state())
  np.testing.assert_array_equal(resumed(), stream())
