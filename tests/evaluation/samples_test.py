"""Tests of samples.py."""

import numpy as np
import pytest
import scipy.linalg

from spiral_jax import evaluation
from spiral_jax.evaluation import recognition
from spiral_jax.evaluation import samples


def _covariance(seed: int, rank: int = 5) -> np.ndarray:
  factor = np.random.default_rng(seed).normal(size=(5, rank))
  return factor @ factor.T


def _with_moments(mean, cov, seed, n=40) -> np.ndarray:
  """Returns rows whose sample moments are exactly these."""
  noise = np.random.default_rng(seed).normal(size=(n, len(mean)))
  noise -= noise.mean(0)
  white = np.linalg.solve(
      np.linalg.cholesky(np.cov(noise, rowvar=False)), noise.T
  )
  return (np.linalg.cholesky(cov) @ white).T + mean


def test_frechet_distance_of_lines():
  # One dimension: (m1 - m2)^2 + (s1 - s2)^2.
  assert samples.gaussian_frechet_distance(
      [1.0], [[4.0]], [-2.0], [[25.0]]
  ) == pytest.approx(9 + 9)


def test_frechet_distance_of_aligned_gaussians():
  distance = samples.gaussian_frechet_distance(
      np.zeros(3), np.diag([1.0, 4, 9]), [1, 2, 3], np.diag([16.0, 4, 0])
  )
  assert distance == pytest.approx(14 + 9 + 0 + 9)


def test_frechet_distance_when_covariances_do_not_commute():
  cov1, cov2 = _covariance(0), _covariance(1)
  assert np.abs(cov1 @ cov2 - cov2 @ cov1).max() > 1
  root = scipy.linalg.sqrtm(cov1 @ cov2).real
  expected = np.trace(cov1 + cov2 - 2 * root)
  for pair in ((cov1, cov2), (cov2, cov1)):
    np.testing.assert_allclose(
        samples.gaussian_frechet_distance(
            np.zeros(5), pair[0], np.zeros(5), pair[1]
        ),
        expected,
        rtol=1e-9,
    )


def test_frechet_distance_of_singular_gaussians():
  # Two segments at an angle: roots of rank one give |u|^2 + |v|^2 - 2 |u.v|.
  u, v = np.array([1.0, 0, 2]), np.array([2.0, 1, -2])
  distance = samples.gaussian_frechet_distance(
      np.zeros(3), np.outer(u, u), np.zeros(3), np.outer(v, v)
  )
  assert distance == pytest.approx(5 + 9 - 2 * 2)
  cov = _covariance(0, rank=2)
  assert samples.gaussian_frechet_distance(
      np.ones(5), cov, np.ones(5), cov
  ) == pytest.approx(0, abs=1e-6)


def test_frechet_distance_of_sets():
  mean1, mean2 = np.arange(5.0), np.ones(5)
  cov1, cov2 = _covariance(0), _covariance(1)
  expected = samples.gaussian_frechet_distance(mean1, cov1, mean2, cov2)
  distance = samples.frechet_distance(
      _with_moments(mean1, cov1, 2), _with_moments(mean2, cov2, 3)
  )
  np.testing.assert_allclose(distance, expected, rtol=1e-6)


_DIGITS = np.array([1, 1, 7, recognition.NO_DIGIT])
_FEATURES = np.array([[0, 0], [2, 0], [0, 2], [2, 2]], np.float32)


def _images(*rows) -> np.ndarray:
  return np.array(rows, np.uint8)[:, None, None, None]


@pytest.fixture(autouse=True)
def judge(monkeypatch):
  """Takes the value of an image's first pixel as its row in the tables."""

  def read(images):
    rows = images[:, 0, 0, 0]
    return _DIGITS[rows], _FEATURES[rows]

  monkeypatch.setattr(recognition, 'read', read)
  monkeypatch.setattr(recognition, 'digit_features', lambda x: read(x)[1])


def test_report_in_closed_form():
  report = evaluation.evaluate_samples(
      _images(0, 0, 2, 3),
      _images(0, 1, 2, 3),
      reference=_images(0, 1, 2, 3),
  )
  drawn = report.samples
  assert drawn.num_images == 4
  assert drawn.digits == 0.75
  expected = np.zeros(10)
  expected[[1, 7]] = 2 / 3, 1 / 3
  np.testing.assert_allclose(drawn.class_shares, expected)
  assert drawn.class_entropy == pytest.approx(
      -2 / 3 * np.log(2 / 3) - 1 / 3 * np.log(1 / 3)
  )
  assert drawn.frechet == pytest.approx(
      samples.frechet_distance(_FEATURES[[0, 0, 2, 3]], _FEATURES), abs=1e-6
  )
  assert drawn.frechet > 0.1
  assert report.real.digits == 0.75
  assert report.real.frechet == pytest.approx(0, abs=1e-6)


def test_without_a_reference_real_images_are_halved():
  real = _images(0, 3, 1, 2, 0, 1)
  halved = evaluation.evaluate_samples(_images(0, 1), real)
  expected = evaluation.evaluate_samples(
      _images(0, 1), _images(0, 1, 0), reference=_images(3, 2, 1)
  )
  for a, b in zip(halved, expected):
    for x, y in zip(a, b):
      np.testing.assert_array_equal(x, y)


def test_without_a_digit():
  report = evaluation.evaluate_samples(_images(3, 3, 3), _images(0, 1, 2, 3))
  assert report.samples.digits == 0
  assert report.samples.class_entropy == 0
  np.testing.assert_array_equal(report.samples.class_shares, 0)


def test_needs_two():
  with pytest.raises(ValueError, match='1 samples'):
    evaluation.evaluate_samples(_images(0), _images(0, 1, 2, 3))
  with pytest.raises(ValueError, match='1 reference'):
    evaluation.evaluate_samples(_images(0, 1), _images(0, 1, 2))
