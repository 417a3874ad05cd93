"""What a dataset is here. Axes: n images, H height, W width, C channels."""

from typing import NamedTuple

import numpy as np


class ImageDataset(NamedTuple):
  """Images in memory, dark ink on white paper where they show ink."""

  images: np.ndarray  # uint8 [n, H, W, C], 0..255.
  labels: np.ndarray | None  # int32 [n]; None where there are none.

  def spread(self, count: int) -> 'ImageDataset':
    """Returns `count` of them, evenly spaced; some repeat where n is less.

    Some data sets lie in the order of their classes: their first images are of
    a few classes alone.
    """
    chosen = np.linspace(0, len(self.images) - 1, count).astype(int)
    labels = None if self.labels is None else self.labels[chosen]
    return ImageDataset(self.images[chosen], labels)
