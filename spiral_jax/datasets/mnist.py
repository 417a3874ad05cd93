"""MNIST: handwritten digits (LeCun and Cortes), inverted to ink on paper.

The originals are 28x28 with ink at 255 on 0. As in the paper (Ganin et al.,
2018, section 4.1) the whole picture is rescaled to the canvas.
"""

import functools
import pathlib

import numpy as np
from PIL import Image

from spiral_jax.datasets import archives
from spiral_jax.datasets import idx
from spiral_jax.datasets import types

SPLITS = ('train', 'test')
MIRRORS = (
    'https://ossci-datasets.s3.amazonaws.com/mnist/',
    'https://storage.googleapis.com/cvdf-datasets/mnist/',
)


_OFFICIAL = {
    'train-images-idx3-ubyte.gz': archives.Official(
        'f68b3c2dcbeaaa9fbdd348bbdeb94873', 9912422
    ),
    'train-labels-idx1-ubyte.gz': archives.Official(
        'd53e105ee54ea40749a09fcbcd1e9432', 28881
    ),
    't10k-images-idx3-ubyte.gz': archives.Official(
        '9fb629c4189551a2d022fa330f9573f3', 1648877
    ),
    't10k-labels-idx1-ubyte.gz': archives.Official(
        'ec29112dd5afa0611ce80d1b7f02629c', 4542
    ),
}
_FILES = {
    'train': ('train-images-idx3-ubyte', 'train-labels-idx1-ubyte'),
    'test': ('t10k-images-idx3-ubyte', 't10k-labels-idx1-ubyte'),
}
# torchvision keeps the files in the second, Kaggle's zip has the last name.
_SUBFOLDERS = ('.', 'MNIST/raw', 'raw', 'mnist', 'MNIST', 'archive')
_EMBEDDED = pathlib.Path(__file__).parent / 'embedded' / 'mnist'


def load(
    split: str,
    *,
    data_dir: str | None = None,
    size: int = 64,
    download: bool = False,
) -> types.ImageDataset:
  """Returns a split of MNIST, dark ink on white paper.

  Args:
    split: 'train' (60,000 digits) or 'test' (10,000).
    data_dir: folder with the four official `.gz` files, packed or unpacked, at
      its top or in `MNIST/raw`, or each in a folder of its name. Archives are
      checked against their md5 sums. Unpacked files are only checked against
      their own headers, so they may hold other data in MNIST's format. None
      means the subset that comes with this package, see `embedded`.
    size: height and width of the result, pixels.
    download: whether to download missing files. If `data_dir` is None, the
      files are kept in the user's cache.

  Returns:
    Images uint8 `[n, size, size, 1]` and labels int32 `[n]`, in file order.

  Raises:
    FileNotFoundError: if the folder or a file is missing.
    ValueError: if a file is damaged, or `split` or `size` is out of range.
    ConnectionError: if no mirror provides the file.
  """
  archives.check('MNIST', split, SPLITS, size)
  if data_dir is None and not download:
    return embedded(split, size=size)
  folder = archives.data_folder(data_dir, 'mnist', download=download)
  images, labels = (
      idx.read(_find(folder, name, download), dimensions)
      for name, dimensions in zip(_FILES[split], (3, 1))
  )
  return _dataset(images, labels, size, f'{split} files in {folder}')


@functools.lru_cache(4)  # Scaling them takes a second.
def embedded(split: str, *, size: int = 64) -> types.ImageDataset:
  """Returns the digits that come with this package; reads no other file.

  Args:
    split: 'train' (the first 10,000 of the official split) or 'test' (the
      first 1,000).
    size: height and width of the result, pixels.

  Returns:
    Images uint8 `[n, size, size, 1]` and labels int32 `[n]`, in file order;
    both read-only, since calls share them.

  Raises:
    ValueError: if `split` or `size` is out of range.
  """
  archives.check('MNIST', split, SPLITS, size)
  images = idx.read(_EMBEDDED / f'{split}-images.idx3-ubyte.gz', 3)
  labels = idx.read(_EMBEDDED / f'{split}-labels.idx1-ubyte.gz', 1)
  found = _dataset(images, labels, size, f'embedded {split} digits')
  return found.read_only()


def _find(folder: pathlib.Path, name: str, download: bool) -> pathlib.Path:
  """Returns the path of a file of MNIST; verifies it if it is an archive."""
  archive = f'{name}.gz'
  dotted = name.replace('-idx', '.idx')  # Name in some unpacked archives.
  # Some programs unpack a file into a folder of its name.
  subfolders = [
      f'{subfolder}/{inner}'
      for inner in ('.', name, dotted, archive)
      for subfolder in _SUBFOLDERS
  ]
  path = archives.find(folder, subfolders, (archive, name, dotted))
  if path is not None:
    if path.name == archive and not _is_unpacked(path):
      archives.verify(path, _OFFICIAL[archive], 'unpack it')
    return path
  if download:
    return archives.download(archive, _OFFICIAL[archive], MIRRORS, folder)
  raise FileNotFoundError(
      f'{folder} has neither {archive} nor {name}, nor has its MNIST/raw: '
      "set data_dir to a folder with MNIST's files, leave it out for the "
      'embedded subset, or set download=True'
  )


def _is_unpacked(path: pathlib.Path) -> bool:
  """Returns whether a browser unpacked a file and left its name."""
  with path.open('rb') as stream:
    return stream.read(2) == b'\0\0'


def _dataset(
    images: np.ndarray, labels: np.ndarray, size: int, source: str
) -> types.ImageDataset:
  """Returns the digits, rescaled and inverted to dark ink on white paper."""
  if len(images) != len(labels):
    raise ValueError(
        f'{source}: {len(images)} images but {len(labels)} '
        'labels; put files of one set there'
    )
  paper = 255 - images
  result = np.empty((len(images), size, size, 1), np.uint8)
  for i, image in enumerate(paper):
    result[i, :, :, 0] = _resize(image, size)
  return types.ImageDataset(result, labels.astype(np.int32))


def _resize(image: np.ndarray, size: int) -> np.ndarray:
  """Returns a picture `[h, w]` scaled to `[size, size]`."""
  if image.shape == (size, size):
    return image
  return np.asarray(
      Image.fromarray(image).resize((size, size), Image.Resampling.BICUBIC)
  )
