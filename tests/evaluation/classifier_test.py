"""Tests of classifier.py."""

import dataclasses
import pathlib

import jax
import numpy as np
import pytest

from spiral_jax import evaluation
from spiral_jax.datasets import mnist
from spiral_jax.evaluation import classifier as classifier_lib

_TINY = evaluation.ClassifierSettings(
    channels=4, features=8, steps=2, batch_size=8
)


@pytest.fixture(name='cache', autouse=True)
def fixture_cache(tmp_path, monkeypatch) -> pathlib.Path:
  """Keeps the tests out of the user's cache."""
  monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path))
  return tmp_path / 'spiral_jax' / 'classifiers'


def _digits(n: int, size: int = 32):
  digits = mnist.embedded('train', size=size)
  return digits.images[:n], digits.labels[:n]


def _accuracy(classifier: evaluation.Classifier, size: int = 32) -> float:
  test = mnist.embedded('test', size=size)
  return np.mean(classifier.logits(test.images).argmax(-1) == test.labels)


def test_learns_digits_in_seconds():
  classifier = evaluation.train_classifier(
      *_digits(10_000),
      settings=evaluation.ClassifierSettings(steps=150),
      use_cache=False,
  )
  assert classifier.num_classes == 10
  assert _accuracy(classifier) > 0.93
  # The same digits on a larger canvas, for which it was not trained.
  assert _accuracy(classifier, size=64) > 0.93
  # Pictures of no digit at all are read, but the two sets are told apart.
  test = mnist.embedded('test', size=32).images
  shuffled = (
      np.random.default_rng(0)
      .permuted(test.reshape(1000, -1), axis=1)
      .reshape(test.shape)
  )
  report = evaluation.evaluate_samples(
      classifier, shuffled[:500], test[:500], reference=test[500:]
  )
  assert report.samples.frechet > 5 * report.real.frechet


@pytest.mark.slow
def test_learns_digits_well():
  # It may be in the cache: other tests use the same one.
  classifier = evaluation.train_classifier(*_digits(10_000, size=64))
  assert _accuracy(classifier, size=64) > 0.98


def test_shifts_cover_their_range_and_move_in_paper():
  ink = np.zeros((500, 32, 32), np.float32)
  ink[:, 3, 20] = 1
  ink[:, 0, 0] = 0.5
  shifted = np.asarray(classifier_lib._shift(jax.random.key(0), ink, 2))
  places = np.argwhere(shifted == 1)
  assert len(places) == 500
  assert {tuple(p) for p in places[:, 1:]} == {
      (y, x) for y in range(1, 6) for x in range(18, 23)
  }
  # What leaves on one side does not come in on the other.
  assert np.all(shifted[:, 3:, 3:] != 0.5)
  np.testing.assert_array_equal(
      classifier_lib._shift(jax.random.key(0), ink, 0), ink
  )


def test_ink_is_one_on_black_and_means_areas():
  images = np.full((2, 64, 64, 3), 255, np.uint8)
  images[0, 0, 0] = 0  # A quarter of the first cell.
  images[0, 63, 63] = (255, 0, 255)
  images[1] = 0
  ink = classifier_lib._ink(images)
  expected = np.zeros((2, 32, 32))
  expected[0, 0, 0] = 1 / 4
  expected[0, 31, 31] = 1 / 12
  expected[1] = 1
  np.testing.assert_allclose(ink, expected, atol=1e-6)
  np.testing.assert_allclose(
      classifier_lib._ink(images / 255), expected, atol=1e-6
  )


def test_area_weights_of_sizes_that_do_not_divide():
  weights = classifier_lib._area_weights(48)
  np.testing.assert_allclose(weights[0, :3], [2 / 3, 1 / 3, 0], atol=1e-6)
  np.testing.assert_allclose(weights[1, :4], [0, 1 / 3, 2 / 3, 0], atol=1e-6)
  for size in (1, 28, 31, 32, 48, 105):
    weights = classifier_lib._area_weights(size)
    assert weights.shape == (32, size)
    np.testing.assert_allclose(weights.sum(1), 1, rtol=1e-5)
    # Each cell of the picture has the same weight in all.
    np.testing.assert_allclose(weights.sum(0), 32 / size, rtol=1e-5)


def test_images_are_read_one_by_one():
  images, labels = _digits(classifier_lib._CHUNK + 3)
  classifier = evaluation.train_classifier(
      images, labels, settings=_TINY, use_cache=False
  )
  logits, features = classifier.read(images)
  assert logits.shape == (len(images), 10)
  assert features.shape == (len(images), 8)
  for i in (0, 7, classifier_lib._CHUNK, len(images) - 1):
    np.testing.assert_allclose(
        classifier.logits(images[i : i + 1]), logits[i : i + 1], atol=1e-5
    )
  np.testing.assert_array_equal(classifier.features(images), features)
  assert classifier.logits(images[:0]).shape == (0, 10)
  np.testing.assert_allclose(
      classifier.probabilities(images[:5]).sum(-1), 1, rtol=1e-5
  )


def test_same_seed_same_classifier():
  images, labels = _digits(50)

  def logits(seed):
    return evaluation.train_classifier(
        images, labels, settings=_TINY, seed=seed, use_cache=False
    ).logits(images)

  np.testing.assert_array_equal(logits(1), logits(1))
  assert np.abs(logits(1) - logits(2)).max() > 1e-3


def test_cache(cache, monkeypatch):
  images, labels = _digits(50)
  trainings = []

  def train(ink, labels, settings, num_classes, seed):
    del labels
    trainings.append(seed)
    return classifier_lib._Network(settings, num_classes).init(
        jax.random.key(seed), ink[:1]
    )

  monkeypatch.setattr(classifier_lib, '_train', train)

  def logits(**kwargs):
    kwargs = {'images': images, 'labels': labels, 'settings': _TINY} | kwargs
    return evaluation.train_classifier(**kwargs).logits(images)

  first = logits()
  np.testing.assert_array_equal(logits(), first)
  assert len(trainings) == 1
  # Whatever matters is in the key.
  other = images.copy()
  other[0, 16, 16] ^= 128
  for kwargs in (
      {'seed': 1},
      {'images': other},
      {'labels': 9 - labels},
      {'settings': dataclasses.replace(_TINY, shift=1)},
  ):
    before = len(trainings)
    logits(**kwargs)
    assert len(trainings) == before + 1
  # A damaged file is made anew.
  for path in cache.iterdir():
    path.write_bytes(path.read_bytes()[:100])
  before = len(trainings)
  np.testing.assert_array_equal(logits(), first)
  np.testing.assert_array_equal(logits(), first)
  assert len(trainings) == before + 1


def test_goes_on_where_nothing_can_be_cached(tmp_path, monkeypatch):
  (tmp_path / 'file').write_text('')
  monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path / 'file'))
  images, labels = _digits(20)
  classifier = evaluation.train_classifier(images, labels, settings=_TINY)
  assert classifier.logits(images).shape == (20, 10)


def test_refuses_what_is_no_training_set():
  images, labels = _digits(20)
  with pytest.raises(ValueError, match='20 images and 19 labels'):
    evaluation.train_classifier(images, labels[:19])
  with pytest.raises(ValueError, match='0 images'):
    evaluation.train_classifier(images[:0], labels[:0])
  with pytest.raises(ValueError, match='labels are float64'):
    evaluation.train_classifier(images, labels / 1.0)
  with pytest.raises(ValueError, match=r'\(20, 32, 32\)'):
    evaluation.train_classifier(images[..., 0], labels)
