"""The type of all data sets. Axes: n images, H height, W width, C channels."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np


class ImageDataset(NamedTuple):
  """Images in memory, dark ink on white paper where they show ink."""

  images: np.ndarray  # uint8 [n, H, W, C], 0..255.
  labels: np.ndarray | None = None  # int32 [n]; None without classes.
  # What the images were drawn by, arrays [n, ...] by name; None if unknown.
  programs: Mapping[str, np.ndarray] | None = None
  # Settings of the environment that drew them; None if unknown.
  settings: Mapping[str, Any] | None = None

  def read_only(self) -> 'ImageDataset':
    """Returns the same, whose images and labels nobody can change."""
    self.images.setflags(write=False)
    if self.labels is not None:
      self.labels.setflags(write=False)
    return self

  def spread(self, count: int) -> 'ImageDataset':
    """Returns `count` of them, evenly spaced; some repeat where n is less.

    Some data sets lie in the order of their classes: their first images are of
    a few classes alone.
    """
    chosen = np.linspace(0, len(self.images) - 1, count).astype(int)
    labels, programs = self.labels, self.programs
    return self._replace(
        images=self.images[chosen],
        labels=None if labels is None else labels[chosen],
        programs=programs and {k: v[chosen] for k, v in programs.items()},
    )
