"""Omniglot: handwritten characters of 50 alphabets (Lake et al., 2015).

Each character was drawn online by 20 people, at 105x105 pixels, ink at 0 on 1.
The background set (964 characters of 30 alphabets) is for training; the
evaluation set (659 characters of 20 other alphabets) is held out.
"""

import contextlib
import functools
import gzip
import hashlib
import io
import math
import pathlib
import re
from typing import NamedTuple

import numpy as np
from PIL import Image
from PIL import ImageFilter

from spiral_jax.datasets import archives
from spiral_jax.datasets import idx
from spiral_jax.datasets import pictures
from spiral_jax.datasets import trees
from spiral_jax.datasets import types

SPLITS = ('train', 'test')
MIRRORS = (
    'https://raw.githubusercontent.com/brendenlake/omniglot/master/python/',
)
SIZE = 105  # Height and width of the originals, pixels.


class _Set(NamedTuple):
  """One of the two official sets."""

  folder: str
  archive: archives.Official
  # SHA-256 of all names and pixels, see `_digest`: the same pictures may be
  # packed into other archives.
  pictures: str


_SETS = {
    'train': _Set(
        'images_background',
        archives.Official('68d2efa1b9178cc56df9314c21c6e718', 9464212),
        'be310458419c47ca247a8dcbcb656889f5c1aefdd292d25aec508a5cfc0fb8e4',
    ),
    'test': _Set(
        'images_evaluation',
        archives.Official('6b91aef0f799c5bb55b94e3f2daec811', 6462886),
        'da3ec862065f467db7d01177ebab2121cb0c5a30639c445ae9de579eece50bb6',
    ),
}
# The second is from the official repository, the third from torchvision, the
# last two are names of archives of the repository and of Kaggle.
_SUBFOLDERS = (
    '.',
    'python',
    'omniglot-py',
    'omniglot',
    'omniglot-master/python',
    'archive',
)
_NAME = re.compile(
    r'(?:.*/)?([^/]+/character\d+/\d+_\d+\.png)', re.IGNORECASE | re.DOTALL
)
_EMBEDDED = pathlib.Path(__file__).parent / 'embedded' / 'omniglot'
# In pixels of the originals, where nearly all strokes are wider.
_STROKE_WIDTH = 3.5


def load(
    split: str,
    *,
    data_dir: str | None = None,
    size: int = 64,
    download: bool = False,
) -> types.ImageDataset:
  """Returns a split of Omniglot, dark ink on white paper.

  Args:
    split: 'train' (the background set, 19,280 drawings) or 'test' (the
      evaluation set, 13,180 drawings of other alphabets).
    data_dir: folder with `images_background.zip` and `images_evaluation.zip`,
      packed or unpacked, maybe into a folder in that of its name; at its top
      or in `python`, `omniglot-py` or `omniglot`. An archive must have the
      official md5 sum or hold the official pictures. Unpacked folders are not
      checked, so they may hold other data in this layout. None means the subset
      that comes with this package, see `embedded`.
    size: height and width of the result, pixels. If strokes would become
      thinner than a pixel, they are thickened first, so that none fades away.
    download: whether to download a missing archive. If `data_dir` is None, the
      archive is kept in the user's cache.

  Returns:
    Images uint8 `[n, size, size, 1]` and labels int32 `[n]`, the index of the
    character in the split; both in the order of the files' names.

  Raises:
    FileNotFoundError: if the folder or an archive is missing.
    ValueError: if a file is damaged, or `split` or `size` is out of range.
    ConnectionError: if no mirror provides the archive.
  """
  archives.check('Omniglot', split, SPLITS, size)
  if data_dir is None and not download:
    return embedded(split, size=size)
  ink, labels = _read(split, data_dir, download)
  return types.ImageDataset(_on_paper(ink, size), labels)


@functools.lru_cache(4)  # Scaling them takes a second.
def embedded(split: str, *, size: int = 64) -> types.ImageDataset:
  """Returns the drawings that come with this package; reads no other file.

  Args:
    split: 'train' (the first 10 drawings of each character of the background
      set) or 'test' (the first 5 of each of the evaluation set).
    size: height and width of the result, pixels.

  Returns:
    Images uint8 `[n, size, size, 1]` and labels int32 `[n]`, as from `load`;
    both read-only, since calls share them.

  Raises:
    ValueError: if `split` or `size` is out of range.
  """
  archives.check('Omniglot', split, SPLITS, size)
  packed = idx.read(_EMBEDDED / f'{split}-images.idx3-ubyte.gz', 3)
  ink = np.unpackbits(packed, axis=-1)[..., :SIZE].astype(bool)
  counts = idx.read(_EMBEDDED / f'{split}-drawings.idx1-ubyte.gz', 1)
  labels = np.repeat(np.arange(len(counts), dtype=np.int32), counts)
  return types.ImageDataset(_on_paper(ink, size), labels).read_only()


def pack(ink: np.ndarray, labels: np.ndarray) -> dict[str, bytes]:
  """Returns the content of the files that `embedded` reads, by name ending.

  Args:
    ink: drawings, bool `[n, 105, 105]`, grouped by label.
    labels: label of each drawing, int `[n]`.
  """
  arrays = {
      'images.idx3-ubyte.gz': np.packbits(ink, axis=-1),
      'drawings.idx1-ubyte.gz': np.bincount(labels).astype(np.uint8),
  }
  # Without time stamp or name, so that the same data gives the same bytes.
  return {
      name: gzip.compress(idx.header(array) + array.tobytes(), 9, mtime=0)
      for name, array in arrays.items()
  }


def _read(
    split: str, data_dir: str | None, download: bool
) -> tuple[np.ndarray, np.ndarray]:
  """Returns ink, bool `[n, 105, 105]`, and labels, int32 `[n]`."""
  name, official, pictures = _SETS[split]
  folder = archives.data_folder(data_dir, 'omniglot', download=download)
  archive = f'{name}.zip'
  path = archives.find(
      folder, _SUBFOLDERS, (archive, name), is_wanted=pathlib.Path.exists
  )
  if path is None and download:
    path = archives.download(archive, official, MIRRORS, folder)
  if path is None:
    raise FileNotFoundError(
        f'{folder} has neither {archive} nor {name}, nor has its '
        f'{", ".join(_SUBFOLDERS[1:])}: set data_dir to a folder with '
        "Omniglot's files, leave it out for the embedded subset, or set "
        'download=True'
    )
  wrong = None
  if path.is_file():
    with path.open('rb') as stream:
      wrong = archives.fault(stream, official)
  advice = (
      'delete it and fetch it again (data of your own in this layout: '
      'unpack it)'
  )
  try:
    names, ink = _drawings(path)
  except ValueError as error:
    if wrong is None:
      raise
    raise ValueError(f'{path} is {wrong}; {advice}') from error
  if wrong is not None and _digest(names, ink) != pictures:
    raise ValueError(
        f'{path} is {wrong}, and its pictures are not the '
        f'official ones; {advice}'
    )
  characters = [name.rsplit('/', 1)[0] for name in names]
  _, labels = np.unique(characters, return_inverse=True)
  return ink, labels.astype(np.int32)


def _drawings(path: pathlib.Path) -> tuple[list[str], np.ndarray]:
  """Returns names, `Alphabet/characterNN/XXXX_YY.png`, and ink of drawings."""
  with trees.open_tree(path) as tree:
    # An archive holds one folder of its name, and some programs unpack it into
    # another. Of two drawings of a name, that in fewer folders counts.
    unsorted: dict[str, str] = {}
    for name in sorted(tree.names, key=lambda name: name.count('/')):
      match = _NAME.fullmatch(name)
      if match:
        unsorted.setdefault(match[1], name)
    found = dict(sorted(unsorted.items()))
    if not found:
      raise ValueError(
          f'{path} has no drawings: expected files named as '
          f'{path.stem}/Alphabet/character01/0001_01.png'
      )
    ink = np.empty((len(found), SIZE, SIZE), bool)
    for i, name in enumerate(found.values()):
      ink[i] = _ink(tree.read(name), tree.place(name))
  return list(found), ink


def _ink(content: bytes, place: str) -> np.ndarray:
  """Returns the ink of a drawing, bool `[105, 105]`."""
  gray: Image.Image | None = None
  with contextlib.suppress(Exception):
    # Much faster than `pictures.decode`, which reads any kind of picture.
    opened = Image.open(io.BytesIO(content), formats=['PNG'])
    if opened.mode in ('1', 'L') and opened.size == (SIZE, SIZE):
      opened.load()
      gray = opened
  if gray is None:
    gray = pictures.decode(content, place).convert('L')
  if gray.size != (SIZE, SIZE):
    raise ValueError(
        f'{place} has {gray.width} x {gray.height} pixels, '
        f'drawings have {SIZE} x {SIZE}: replace it'
    )
  pixels = np.asarray(gray)
  return np.logical_not(pixels) if pixels.dtype == bool else pixels < 128


def _digest(names: list[str], ink: np.ndarray) -> str:
  """Returns the SHA-256 of names and pixels, independent of their packing."""
  digest = hashlib.sha256('\n'.join(names).encode(errors='surrogateescape'))
  digest.update(np.packbits(ink, axis=-1).tobytes())
  return digest.hexdigest()


def _on_paper(ink: np.ndarray, size: int) -> np.ndarray:
  """Returns drawings as gray pictures, uint8 `[n, size, size, 1]`."""
  missing = SIZE / size - _STROKE_WIDTH  # To the width of one result pixel.
  thicker = 1 + 2 * math.ceil(max(0.0, missing) / 2)
  result = np.empty((len(ink), size, size, 1), np.uint8)
  for i, drawing in enumerate(ink):
    picture = Image.fromarray(np.where(drawing, 0, 255).astype(np.uint8))
    if thicker > 1:
      picture = picture.filter(ImageFilter.MinFilter(thicker))
    if size != SIZE:
      picture = picture.resize((size, size), Image.Resampling.BICUBIC)
    result[i, :, :, 0] = np.asarray(picture)
  return result
