"""Tests of recognition.py."""

import functools

import numpy as np
import pytest

from experiments.tools import measure_judge
from spiral_jax import datasets
from spiral_jax.evaluation import recognition


@functools.cache
def _digits(size: int = 64) -> datasets.ImageDataset:
  return datasets.load('mnist', 'test', size=size)


@pytest.mark.parametrize('size', [16, 28, 64, 100])
def test_reads_digits_of_any_size(size):
  digits = _digits(size)
  found = recognition.read_digits(digits.images)
  assert found.dtype == np.int32
  assert np.mean(found != recognition.NO_DIGIT) > 0.95
  assert np.mean(found == digits.labels) > 0.95
  is_wrong = (found != digits.labels) & (found != recognition.NO_DIGIT)
  assert np.mean(is_wrong) < 0.01


@pytest.mark.parametrize('kind', measure_judge.JUNK)
def test_refuses_what_is_no_digit(kind):
  # Some characters are digits to anyone, and so are some turned ones.
  most = 0.04 if 'alphabets' in kind or 'letters' in kind else 0.02
  images = measure_judge.JUNK[kind](500)
  assert len(images) >= 70
  assert np.mean(recognition.is_digit(images)) < most


def test_refuses_digits_upside_down():
  digits = _digits()
  images = digits.images[np.isin(digits.labels, (4, 7)), ::-1]
  assert np.mean(recognition.is_digit(images)) < 0.1


def test_refuses_printed_digits_rather_than_misread_them():
  found = recognition.read_digits(measure_judge.printed('0123456789'))
  expected = np.repeat(np.arange(10), 10)
  assert np.mean(found == expected) > 0.4
  is_wrong = (found != expected) & (found != recognition.NO_DIGIT)
  assert np.mean(is_wrong) < 0.05


def test_accuracy_of_reconstructions_counts_refused_ones_as_wrong():
  digits = _digits()
  images, labels = digits.images[:200], digits.labels[:200]
  drawn = images.copy()
  drawn[:50] = 255  # Blank.
  drawn[50:100] = np.roll(images, 1, axis=0)[50:100]
  found = recognition.evaluate_recognition(drawn, images, labels)
  assert found.targets > 0.95
  same = np.mean(labels[50:100] == np.roll(labels, 1)[50:100])
  assert found.reconstructions == pytest.approx(0.5 + 0.25 * same, abs=0.02)


def test_refuses_other_numbers():
  images = _digits().images[:3]
  with pytest.raises(ValueError, match='3 reconstructions, 3 targets and 2'):
    recognition.evaluate_recognition(images, images, np.zeros(2, np.int32))
  with pytest.raises(ValueError, match='0 reconstructions'):
    recognition.evaluate_recognition(images[:0], images[:0], np.zeros(0))


def test_images_are_read_one_by_one():
  images = np.tile(_digits().images, (2, 1, 1, 1))[: recognition._CHUNK + 3]
  digits, features = recognition.read(images)
  assert digits.shape == (len(images),) and features.dtype == np.float32
  assert features.shape == (len(images), 64)
  for i in (0, 7, recognition._CHUNK, len(images) - 1):
    one, its_features = recognition.read(images[i : i + 1])
    assert one[0] == digits[i]
    np.testing.assert_allclose(its_features[0], features[i], atol=1e-4)
  np.testing.assert_array_equal(recognition.digit_features(images), features)
  assert recognition.read_digits(images[:0]).shape == (0,)
  assert recognition.digit_features(images[:0]).shape == (0, 64)


def test_ink_is_one_on_black_and_means_areas():
  images = np.full((2, 64, 64, 3), 255, np.uint8)
  images[0, 0, 0] = 0  # A quarter of the first cell.
  images[0, 63, 63] = (255, 0, 255)
  images[1] = 0
  ink = recognition.read_ink(images)
  expected = np.zeros((2, 32, 32))
  expected[0, 0, 0] = 1 / 4
  expected[0, 31, 31] = 1 / 12
  expected[1] = 1
  np.testing.assert_allclose(ink, expected, atol=1e-6)
  np.testing.assert_allclose(
      recognition.read_ink(images / 255), expected, atol=1e-6
  )


def test_area_weights_of_sizes_that_do_not_divide():
  weights = recognition._area_weights(48)
  np.testing.assert_allclose(weights[0, :3], [2 / 3, 1 / 3, 0], atol=1e-6)
  np.testing.assert_allclose(weights[1, :4], [0, 1 / 3, 2 / 3, 0], atol=1e-6)
  for size in (1, 28, 31, 32, 48, 105):
    weights = recognition._area_weights(size)
    assert weights.shape == (32, size)
    np.testing.assert_allclose(weights.sum(1), 1, rtol=1e-5)
    # Each cell of the picture has the same weight in all.
    np.testing.assert_allclose(weights.sum(0), 32 / size, rtol=1e-5)


def test_refuses_what_are_no_images():
  images = _digits().images
  with pytest.raises(ValueError, match=r'\(1000, 64, 64\)'):
    recognition.is_digit(images[..., 0])
  with pytest.raises(ValueError, match='go from'):
    recognition.is_digit(images.astype(np.float32))
