"""Quality and diversity of unconditional samples, compared with real images.

Axes: N images, H height, W width, C channels, K classes, F features.
"""

from typing import NamedTuple

import numpy as np

from spiral_jax.evaluation import recognition

_CLASSES = 10


class SampleQuality(NamedTuple):
  """Metrics of one set of images."""

  num_images: int  # Number of images, N.
  digits: float  # Share of images that are legible digits.
  class_shares: np.ndarray  # float64 [K], share of each digit among these;
  # zeros if there are none.
  class_entropy: float  # Entropy of `class_shares`, nats; at most log 10.
  frechet: float  # Fréchet distance to the reference, squared feature units.


class SampleReport(NamedTuple):
  """Metrics of samples and, for comparison, of real images."""

  samples: SampleQuality
  real: SampleQuality


def evaluate_samples(
    samples: np.ndarray,
    real: np.ndarray,
    *,
    reference: np.ndarray | None = None,
) -> SampleReport:
  """Returns the metrics of samples and of real images.

  A Fréchet distance shrinks as its sets grow. To make the two in one report
  comparable, give as many real images as samples.

  Args:
    samples: dark ink on white, `[N, H, W, C]`, uint8 or floats in [0, 1].
    real: held-out real images, in the same form.
    reference: real images to which Fréchet distances are measured, such as the
      training images. None means every second image of `real`, whose metrics
      are then those of the other half.

  Raises:
    ValueError: if a set has fewer than two images.
  """
  if reference is None:
    real, reference = real[::2], real[1::2]
  for name, images in (
      ('samples', samples),
      ('real images', real),
      ('reference images', reference),
  ):
    if len(images) < 2:
      raise ValueError(f'{len(images)} {name}: a spread needs two at least')
  features = recognition.digit_features(reference)
  return SampleReport(
      sample_quality(samples, features), sample_quality(real, features)
  )


def sample_quality(
    images: np.ndarray, reference_features: np.ndarray
) -> SampleQuality:
  """Returns the metrics of one set of images.

  Args:
    images: dark ink on white, `[N, H, W, C]`, uint8 or floats in [0, 1], two or
      more.
    reference_features: `recognition.digit_features` of the images to which
      Fréchet distances are measured, `[N', F]`, two or more.

  Raises:
    ValueError: if there are fewer.
  """
  for name, rows in (('images', images), ('references', reference_features)):
    if len(rows) < 2:
      raise ValueError(f'{len(rows)} {name}: a spread needs two at least')
  digits, features = recognition.read(images)
  legible = digits[digits != recognition.NO_DIGIT]
  counts = np.bincount(legible, minlength=_CLASSES)
  shares = counts / max(len(legible), 1)
  some = shares[shares > 0]
  return SampleQuality(
      num_images=len(digits),
      digits=len(legible) / len(digits),
      class_shares=shares,
      class_entropy=float((some * np.log(1 / some)).sum()),
      frechet=frechet_distance(features, reference_features),
  )


def frechet_distance(features: np.ndarray, reference: np.ndarray) -> float:
  """Returns the Fréchet distance of Gaussians fitted to two sets of features.

  As in Heusel et al. (2017, arXiv:1706.08500), with the features of this
  package's judge instead of Inception's, in float64.

  Args:
    features: features of one set `[N, F]`, two rows or more.
    reference: features of the other set `[N', F]`, two rows or more.
  """
  (mean, cov), (reference_mean, reference_cov) = (
      _moments(x) for x in (features, reference)
  )
  return gaussian_frechet_distance(mean, cov, reference_mean, reference_cov)


def gaussian_frechet_distance(
    mean1: np.ndarray, cov1: np.ndarray, mean2: np.ndarray, cov2: np.ndarray
) -> float:
  """Returns |m1 - m2|^2 + tr(C1 + C2 - 2 (C1 C2)^(1/2)).

  Dowson and Landau (1982), eq. 16. The root of the product has the eigenvalues
  of the root of C1^(1/2) C2 C1^(1/2), which is symmetric. So two symmetric
  decompositions suffice, without complex numbers for singular covariances.

  Args:
    mean1: mean of the first Gaussian `[F]`.
    cov1: its covariance `[F, F]`, positive semidefinite, possibly singular.
    mean2: mean of the second Gaussian `[F]`.
    cov2: its covariance `[F, F]`, positive semidefinite, possibly singular.
  """
  values, vectors = np.linalg.eigh(np.asarray(cov1, np.float64))
  root1 = (vectors * np.sqrt(np.maximum(values, 0))) @ vectors.T
  product = root1 @ np.asarray(cov2, np.float64) @ root1
  roots = np.sqrt(np.maximum(np.linalg.eigvalsh(product), 0))
  shift = np.asarray(mean1, np.float64) - np.asarray(mean2, np.float64)
  distance = shift @ shift + np.trace(cov1) + np.trace(cov2) - 2 * roots.sum()
  return float(max(distance, 0.0))


def _moments(features: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
  """Returns the mean `[F]` and covariance `[F, F]` of features, float64."""
  features = np.asarray(features, np.float64)
  return features.mean(0), np.atleast_2d(np.cov(features, rowvar=False))
