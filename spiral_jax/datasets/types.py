"""What a dataset is here. Axes: n images, H height, W width, C channels."""

from typing import NamedTuple

import numpy as np


class ImageDataset(NamedTuple):
  """Images in memory, dark ink on white paper where they show ink."""
  images: np.ndarray         # uint8 [n, H, W, C], 0..255.
  labels: np.ndarray | None  # int32 [n]; None where there are none.
