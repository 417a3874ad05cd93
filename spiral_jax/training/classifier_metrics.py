"""Classifier-based metrics: recognition accuracy and Frechet distance.

Axes: N images, H height, W width, C channels.  Images are uint8.
"""

from collections.abc import Callable, Sequence
import functools
from typing import Any

import numpy as np

from spiral_jax import datasets
from spiral_jax import evaluation
from spiral_jax.training import experiment as experiment_lib

# (canvases, their targets or None), `[N, H, W, C]` each -> figures by name.
ClassifierMetrics = Callable[[np.ndarray, np.ndarray | None], dict[str, Any]]


def make_classifier_metrics(
    experiment: experiment_lib.Experiment, test: datasets.ImageDataset
) -> ClassifierMetrics | None:
  """Trains a classifier; returns its metrics, None where it has none.

  It is one of the data set's classes, if there are any. Samples of other gray
  pictures are compared in the features of a classifier of digits.

  Args:
    experiment: configuration of the agent that draws, and of its data.
    test: held-out images; the targets, if there are any.
  """
  if experiment.dataset in datasets.WITH_CLASSES:
    train = experiment.load_images('train')
    assert train.labels is not None
    classifier = evaluation.train_classifier(train.images, train.labels)
    return functools.partial(_read, classifier, train, test)
  is_gray = experiment.canvas_shape[-1] == 1
  # A spread needs two.
  if is_gray and not experiment.agent.conditional and len(test.images) > 1:
    classifier = _classifier_of_digits(experiment)
    train = experiment.load_images('train')
    return functools.partial(_compare, classifier, train, test)
  return None


def _read(
    classifier: evaluation.Classifier,
    train: datasets.ImageDataset,
    test: datasets.ImageDataset,
    canvas: np.ndarray,
    targets: np.ndarray | None,
) -> dict[str, Any]:
  """Returns metrics by a classifier of the data set's own classes."""
  count = len(canvas)
  if targets is not None:
    assert test.labels is not None
    read = evaluation.evaluate_recognition(
        classifier, canvas, targets, test.labels
    )
    return {
        'read_as_target': read.reconstructions,
        'targets_read': read.targets,
    }
  fields = evaluation.SampleQuality._fields
  return _report(classifier, train, test.images[:count], canvas, fields)


def _classifier_of_digits(
    experiment: experiment_lib.Experiment,
) -> evaluation.Classifier:
  size = experiment.canvas_shape[0]
  digits = datasets.load('mnist', 'train', size=size)
  assert digits.labels is not None
  return evaluation.train_classifier(digits.images, digits.labels)


def _compare(
    classifier: evaluation.Classifier,
    train: datasets.ImageDataset,
    test: datasets.ImageDataset,
    canvas: np.ndarray,
    targets: np.ndarray | None,
) -> dict[str, Any]:
  """Returns Frechet distances from the training images, of samples and others.

  They are in the features of a classifier of other images, whose classes mean
  nothing here.
  """
  assert targets is None
  real = test.spread(min(len(canvas), len(test.images))).images
  return _report(classifier, train, real, canvas, ('num_images', 'frechet'))


def _report(
    classifier: evaluation.Classifier,
    train: datasets.ImageDataset,
    real: np.ndarray,
    canvas: np.ndarray,
    fields: Sequence[str],
) -> dict[str, Any]:
  """Returns these figures of samples and of real images.

  Give as many of either: Frechet distances depend on the number.
  """
  report = evaluation.evaluate_samples(
      classifier, canvas, real, reference=train.images
  )
  return {
      name: {
          field: np.round(getattr(quality, field), 4).tolist()
          for field in fields
      }
      for name, quality in report._asdict().items()
  }
