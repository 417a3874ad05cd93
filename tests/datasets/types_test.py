"""The type of all data sets."""

import numpy as np
import pytest

from spiral_jax import datasets


def test_spread_takes_evenly_spaced_images_with_all_that_belongs_to_them():
  index = np.arange(9)
  images = np.zeros((9, 2, 2, 1), np.uint8) + index[:, None, None, None]
  settings = {'grid_size': 8}
  data = datasets.ImageDataset(
      images,
      labels=10 * index,
      programs={'present': index > 3, 'size': 7 * index},
      settings=settings,
  )
  spread = data.spread(3)
  np.testing.assert_array_equal(spread.images, images[[0, 4, 8]])
  np.testing.assert_array_equal(spread.labels, [0, 40, 80])
  np.testing.assert_array_equal(spread.programs['present'], [False, True, True])
  np.testing.assert_array_equal(spread.programs['size'], [0, 28, 56])
  assert spread.settings == settings
  np.testing.assert_array_equal(data.spread(4).images[:, 0, 0, 0], [0, 2, 5, 8])
  many = data.spread(20)  # Some repeat.
  assert len(many.images) == len(many.programs['size']) == 20
  np.testing.assert_array_equal(np.unique(many.labels), 10 * index)


def test_spread_of_images_alone():
  data = datasets.ImageDataset(np.zeros((5, 2, 2, 1), np.uint8)).spread(2)
  assert len(data.images) == 2
  assert data.labels is None and data.programs is None


@pytest.mark.parametrize('name', ['mnist', 'omniglot'])
def test_what_comes_with_the_package_is_scaled_once(name):
  first, second = (datasets.load(name, 'test', size=14) for _ in range(2))
  assert first.images is second.images
  with pytest.raises(ValueError, match='read-only'):
    first.images[0] = 0
  with pytest.raises(ValueError, match='read-only'):
    first.labels[0] = 0
