"""How much unconditional samples are like real images, and how varied.

Axes: B images, H height, W width, C channels, K classes, F features.
"""

from typing import NamedTuple

import numpy as np

from spiral_jax.evaluation import classifier as classifier_lib

CONFIDENCE = 0.9


class SampleQuality(NamedTuple):
  """Figures of one set of images."""

  num_images: int  # B.
  confident: float  # Share read with confidence 0.9 or more.
  mean_confidence: float  # Mean probability of the likeliest class.
  class_shares: np.ndarray  # float64 [K], of all images by likeliest class.
  confident_class_shares: np.ndarray  # The same among those read with 0.9;
  # zeros if there are none.
  largest_class: float  # The largest of `class_shares`.
  smallest_class: float  # The smallest.
  class_entropy: float  # Of `class_shares`, nats; at most log K.
  frechet: float  # Distance to the reference, squared feature units.


class SampleReport(NamedTuple):
  """The same figures for samples and for real images."""

  samples: SampleQuality
  real: SampleQuality


def evaluate_samples(
    classifier: classifier_lib.Classifier,
    samples: np.ndarray,
    real: np.ndarray,
    *,
    reference: np.ndarray | None = None,
) -> SampleReport:
  """Returns the figures of samples beside those of real images.

  A Fréchet distance shrinks as its sets grow, and depends on the classifier:
  compare only figures of one classifier and equally many images. So that the
  two in one report can be compared, give as many real images as samples.

  Args:
    classifier: trained on other real images.
    samples: `[B, H, W, C]`, uint8 or floats in [0, 1].
    real: held-out real images, in the same form.
    reference: the real images to which Fréchet distances are measured, such
      as the training images. None means every second image of `real`; the
      figures of `real` are then those of the others.

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
  reference_features = classifier.features(reference)
  return SampleReport(
      *(
          _quality(*classifier.read(images), reference_features)
          for images in (samples, real)
      )
  )


def frechet_distance(features: np.ndarray, reference: np.ndarray) -> float:
  """Returns the Fréchet distance of Gaussians fitted to two sets.

  As in Heusel et al. (2017, arXiv:1706.08500), with this package's features
  instead of Inception's, in float64.

  Args:
    features: `[B, F]`, two rows at least.
    reference: `[B', F]`, likewise.
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
  of the root of C1^(1/2) C2 C1^(1/2), which is symmetric: two symmetric
  decompositions do, with no complex numbers where a covariance is singular.

  Args:
    mean1: `[F]`.
    cov1: `[F, F]`, symmetric and not negative, maybe singular.
    mean2: `[F]`.
    cov2: `[F, F]`.
  """
  values, vectors = np.linalg.eigh(np.asarray(cov1, np.float64))
  root1 = (vectors * np.sqrt(np.maximum(values, 0))) @ vectors.T
  product = root1 @ np.asarray(cov2, np.float64) @ root1
  roots = np.sqrt(np.maximum(np.linalg.eigvalsh(product), 0))
  shift = np.asarray(mean1, np.float64) - np.asarray(mean2, np.float64)
  distance = shift @ shift + np.trace(cov1) + np.trace(cov2) - 2 * roots.sum()
  return float(max(distance, 0.0))


def _quality(
    logits: np.ndarray, features: np.ndarray, reference_features: np.ndarray
) -> SampleQuality:
  """Returns the figures of images with these logits `[B, K]`."""
  logits = logits.astype(np.float64)
  odds = np.exp(logits - logits.max(-1, keepdims=True))
  confidence = 1 / odds.sum(-1)  # The likeliest class has odds 1.
  classes = logits.argmax(-1)
  is_confident = confidence >= CONFIDENCE
  counts, confident_counts = (
      np.bincount(x, minlength=logits.shape[-1])
      for x in (classes, classes[is_confident])
  )
  shares = counts / len(classes)
  some = shares[shares > 0]
  return SampleQuality(
      num_images=len(classes),
      confident=float(is_confident.mean()),
      mean_confidence=float(confidence.mean()),
      class_shares=shares,
      confident_class_shares=confident_counts / max(is_confident.sum(), 1),
      largest_class=float(shares.max()),
      smallest_class=float(shares.min()),
      class_entropy=float((some * np.log(1 / some)).sum()),
      frechet=frechet_distance(features, reference_features),
  )


def _moments(features: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
  """Returns mean `[F]` and covariance `[F, F]`, float64."""
  features = np.asarray(features, np.float64)
  return features.mean(0), np.atleast_2d(np.cov(features, rowvar=False))
