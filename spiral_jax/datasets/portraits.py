"""Portraits that come with the package: 700 faces, 64x64, public domain.

They substitute for CelebA, whose license forbids redistribution, so that all
experiments with faces run without further data.
"""

import pathlib

import numpy as np
from PIL import Image

from spiral_jax.datasets import archives
from spiral_jax.datasets import pictures
from spiral_jax.datasets import trees
from spiral_jax.datasets import types

SPLITS = ('train', 'test')
SIZE = 64  # Height and width of the originals, pixels.

_EMBEDDED = (
    pathlib.Path(__file__).parent / 'embedded' / 'portraits' / 'portraits64.zip'
)
_HELD_OUT_EVERY = 10


def embedded(
    split: str, *, size: int = SIZE, channels: int = 3
) -> types.ImageDataset:
  """Returns the portraits; reads no other file.

  Args:
    split: 'train' (630 portraits) or 'test' (every tenth, 70).
    size: height and width of the result, pixels.
    channels: 1 for gray (Rec. 601 luma), 3 for red, green, blue.

  Returns:
    Images uint8 `[n, size, size, channels]`, sorted by name; no labels.

  Raises:
    ValueError: if an argument is out of range.
  """
  archives.check('portraits', split, SPLITS, size)
  held_out = split == 'test'
  with trees.open_tree(_EMBEDDED) as tree:
    names = [
        name
        for i, name in enumerate(tree.names)
        if (i % _HELD_OUT_EVERY == _HELD_OUT_EVERY - 1) == held_out
    ]
    images = np.empty((len(names), size, size, channels), np.uint8)
    for i, name in enumerate(names):
      picture = pictures.decode(tree.read(name), tree.place(name))
      if size != SIZE:
        picture = picture.resize((size, size), Image.Resampling.LANCZOS)
      images[i] = pictures.pixels(picture, channels)
  return types.ImageDataset(images, None)
