"""Recognition accuracy of reconstructions, by a classifier."""

from typing import NamedTuple

import numpy as np

from spiral_jax.evaluation import classifier as classifier_lib


class Recognition(NamedTuple):
  """Shares of images that a classifier assigns to the target's label."""

  reconstructions: float
  targets: float  # The same for the targets themselves, an upper limit.


def evaluate_recognition(
    classifier: classifier_lib.Classifier,
    reconstructions: np.ndarray,
    targets: np.ndarray,
    labels: np.ndarray,
) -> Recognition:
  """Returns the recognition accuracy of reconstructions and of targets.

  Args:
    classifier: classifier of the targets' classes, trained on other images.
    reconstructions: `[B, H, W, C]`, uint8 or floats in [0, 1].
    targets: target images in the same form and order.
    labels: classes of the targets, integers `[B]`.

  Raises:
    ValueError: if the three differ in number, or are empty.
  """
  if not len(reconstructions) == len(targets) == len(labels) > 0:
    raise ValueError(
        f'{len(reconstructions)} reconstructions, {len(targets)} targets and '
        f'{len(labels)} labels: give as many of each, one at least'
    )
  read, expected = (
      float(np.mean(classifier.logits(images).argmax(-1) == labels))
      for images in (reconstructions, targets)
  )
  return Recognition(read, expected)
