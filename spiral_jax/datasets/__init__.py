"""Datasets by name: images in memory; drawings are dark ink on white paper.

For example, with the digits that come with the package:

```python
digits = datasets.load('mnist', 'train')
batches = datasets.Batches(digits, batch_size=64, seed=0)
images = next(batches).images  # uint8 [64, 64, 64, 1].
```
"""

import difflib

import numpy as np

from spiral_jax.datasets import celeba
from spiral_jax.datasets import folder
from spiral_jax.datasets import mnist
from spiral_jax.datasets import omniglot
from spiral_jax.datasets import scenes
from spiral_jax.datasets.batches import Batch
from spiral_jax.datasets.batches import Batches
from spiral_jax.datasets.batches import ImageStream
from spiral_jax.datasets.types import ImageDataset

__all__ = (
    'Batch',
    'Batches',
    'ImageDataset',
    'ImageStream',
    'NAMES',
    'WITH_CLASSES',
    'load',
)

NAMES = ('mnist', 'omniglot', 'celeba', 'folder', 'scenes')
# Those whose splits show the same classes, so that one can teach to read the
# other; Omniglot's show different characters.
WITH_CLASSES = ('mnist',)


def load(
    name: str,
    split: str,
    *,
    data_dir: str | None = None,
    size: int = 64,
    channels: int | None = None,
    download: bool = False,
) -> ImageDataset:
  """Returns a split of a dataset.

  Args:
    name: one of `NAMES`: 'mnist', 'omniglot', 'celeba', 'folder' for a folder
      of images, or 'scenes' for those that make_scenes.py makes.
    split: 'train' or 'test'.
    data_dir: where the data is; None means what comes with the package (for
      'celeba' the portraits), or where make_scenes.py writes; it is refused
      for 'folder'.
    size: height and width of the images, pixels.
    channels: 1 for gray, 3 for color; None means 1 for 'mnist' and
      'omniglot', and 3 for the others. Ink in color has three equal channels;
      scenes are in color.
    download: whether missing files of 'mnist' and 'omniglot' may be fetched;
      users fetch 'celeba' themselves.

  Returns:
    Images uint8 `[n, size, size, channels]`; labels int32 `[n]` for 'mnist' and
    'omniglot', otherwise None. What many calls share, as the digits of the
    package, is read-only.

  Raises:
    FileNotFoundError: if data is missing.
    ValueError: if data is damaged or an argument is out of range.
    ConnectionError: if a download failed.
  """
  if channels not in (None, 1, 3):
    raise ValueError(f'{channels} channels: choose 1 (gray) or 3 (color)')
  if name in ('mnist', 'omniglot'):
    load_ink = mnist.load if name == 'mnist' else omniglot.load
    ink = load_ink(split, data_dir=data_dir, size=size, download=download)
    if channels == 3:
      return ink._replace(images=np.repeat(ink.images, 3, axis=-1))
    return ink
  if name == 'celeba':
    return celeba.load(
        split, data_dir=data_dir, size=size, channels=channels or 3
    )
  if name == 'folder':
    if data_dir is None:
      raise ValueError(
          "dataset 'folder' needs --data_dir: point it to a " 'folder of images'
      )
    return folder.load(
        split, data_dir=data_dir, size=size, channels=channels or 3
    )
  if name == 'scenes':
    if channels == 1:
      raise ValueError("dataset 'scenes' is in color: choose 3 channels")
    return scenes.load(split, data_dir=data_dir, size=size)
  close = difflib.get_close_matches(name.lower(), NAMES, cutoff=0.4) or NAMES
  raise ValueError(
      f"dataset '{name}' is unknown; close names: {', '.join(close)}"
  )
