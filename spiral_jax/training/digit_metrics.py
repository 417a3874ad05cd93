"""Metrics of the judge of digits: recognition accuracy and Frechet distance.

Axes: N images, H height, W width, C channels. Images are uint8.
"""

from collections.abc import Callable, Sequence
import functools
from typing import Any

import numpy as np

from spiral_jax import datasets
from spiral_jax import evaluation
from spiral_jax.evaluation import recognition
from spiral_jax.evaluation import samples
from spiral_jax.training import experiment as experiment_lib

# (canvases, their targets or None), `[N, H, W, C]` each -> figures by name.
DigitMetrics = Callable[[np.ndarray, np.ndarray | None], dict[str, Any]]


def make_digit_metrics(
    experiment: experiment_lib.Experiment, test: datasets.ImageDataset
) -> DigitMetrics | None:
  """Returns the judge's metrics, or None where they mean nothing.

  They are recognition where the data are digits. Samples of other gray images
  are compared with real ones in the judge's features.

  Args:
    experiment: configuration of the agent that draws, and of its data.
    test: held-out images; the targets, if there are any.
  """
  are_digits = experiment.dataset in datasets.WITH_CLASSES
  if experiment.agent.conditional:
    return functools.partial(_read, test) if are_digits else None
  # A spread needs two.
  if experiment.canvas_shape[-1] != 1 or len(test.images) < 2:
    return None
  fields: tuple[str, ...] = evaluation.SampleQuality._fields
  if not are_digits:
    fields = ('num_images', 'frechet')
  # The judge learned from other digits than those that come with the package.
  train = experiment.replace(data_dir='') if are_digits else experiment
  reference = recognition.digit_features(train.load_images('train').images)

  @functools.cache
  def real_quality(count: int) -> evaluation.SampleQuality:
    real = test.spread(min(count, len(test.images))).images
    return samples.sample_quality(real, reference)

  return functools.partial(_compare, reference, real_quality, fields)


def _read(
    test: datasets.ImageDataset, canvas: np.ndarray, targets: np.ndarray | None
) -> dict[str, Any]:
  """Returns how many reconstructions and targets are read as the label."""
  assert targets is not None and test.labels is not None
  read = evaluation.evaluate_recognition(canvas, targets, test.labels)
  return {'read_as_target': read.reconstructions, 'targets_read': read.targets}


def _compare(
    reference_features: np.ndarray,
    real_quality: Callable[[int], evaluation.SampleQuality],
    fields: Sequence[str],
    canvas: np.ndarray,
    targets: np.ndarray | None,
) -> dict[str, Any]:
  """Returns figures of samples and of as many real images.

  Frechet distances depend on the number.
  """
  assert targets is None
  report = evaluation.SampleReport(
      samples=samples.sample_quality(canvas, reference_features),
      real=real_quality(len(canvas)),
  )
  return {
      name: {
          field: np.round(getattr(quality, field), 4).tolist()
          for field in fields
      }
      for name, quality in report._asdict().items()
  }
