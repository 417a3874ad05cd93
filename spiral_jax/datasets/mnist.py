"""MNIST: handwritten digits (LeCun and Cortes), inverted to ink on paper.

The originals are 28x28 with ink at 255 on 0. As in the paper (Ganin et al.,
2018, section 4.1) the whole picture is rescaled to the canvas.
"""

import hashlib
import http.client
import pathlib
from typing import NamedTuple
import urllib.request

import numpy as np
from PIL import Image

from spiral_jax.datasets import cache
from spiral_jax.datasets import idx
from spiral_jax.datasets import types

SPLITS = ('train', 'test')
MIRRORS = (
    'https://ossci-datasets.s3.amazonaws.com/mnist/',
    'https://storage.googleapis.com/cvdf-datasets/mnist/',
)


class _Official(NamedTuple):
  """What an official archive must be."""
  md5: str
  size: int  # Bytes.


_OFFICIAL = {
    'train-images-idx3-ubyte.gz':
        _Official('f68b3c2dcbeaaa9fbdd348bbdeb94873', 9912422),
    'train-labels-idx1-ubyte.gz':
        _Official('d53e105ee54ea40749a09fcbcd1e9432', 28881),
    't10k-images-idx3-ubyte.gz':
        _Official('9fb629c4189551a2d022fa330f9573f3', 1648877),
    't10k-labels-idx1-ubyte.gz':
        _Official('ec29112dd5afa0611ce80d1b7f02629c', 4542),
}
_FILES = {
    'train': ('train-images-idx3-ubyte', 'train-labels-idx1-ubyte'),
    'test': ('t10k-images-idx3-ubyte', 't10k-labels-idx1-ubyte'),
}
# The second is where torchvision keeps them.
_SUBFOLDERS = ('.', 'MNIST/raw', 'raw', 'mnist', 'MNIST')
_EMBEDDED = pathlib.Path(__file__).parent / 'embedded' / 'mnist'
_TIMEOUT = 30.0  # Seconds without an answer from a mirror.


def load(split: str, *, data_dir: str | None = None, size: int = 64,
         download: bool = False) -> types.ImageDataset:
  """Returns a split of MNIST, dark ink on white paper.

  Args:
    split: 'train' (60,000 digits) or 'test' (10,000).
    data_dir: a folder with the four official `.gz` files, or with the files
      unpacked, at its top or in `MNIST/raw`. Official archives are checked
      against their md5 sums; unpacked files only against their own headers,
      so other data in MNIST's format can be used that way. None means the
      subset that comes with this package, see `embedded`.
    size: height and width of the result, pixels.
    download: whether to fetch files that are missing from `data_dir`, or,
      where that is None, from the user's cache, and to read them there.

  Returns:
    Images uint8 `[n, size, size, 1]` and labels int32 `[n]`, in file order.

  Raises:
    FileNotFoundError: if the folder or a file is missing.
    ValueError: if a file is damaged, or `split` or `size` is out of range.
    ConnectionError: if no mirror gave the file.
  """
  _check(split, size)
  if data_dir is None and not download:
    return embedded(split, size=size)
  folder = (cache.directory('mnist') if data_dir is None
            else pathlib.Path(data_dir).expanduser())
  if folder.exists() and not folder.is_dir():
    raise ValueError(f'data directory {folder} is a file: give the folder '
                     'that it is in')
  if not folder.exists() and not download:
    raise FileNotFoundError(
        f'data directory {folder} does not exist: point --data_dir to a '
        "folder with MNIST's gz files, leave it out for the embedded subset, "
        'or allow the download')
  images, labels = (
      idx.read(_find(folder, name, download), dimensions)
      for name, dimensions in zip(_FILES[split], (3, 1)))
  return _dataset(images, labels, size, f'{split} files in {folder}')


def embedded(split: str, *, size: int = 64) -> types.ImageDataset:
  """Returns the digits that come with this package; reads no other file.

  Args:
    split: 'train' (the first 10,000 of the official split) or 'test' (the
      first 1,000).
    size: height and width of the result, pixels.

  Returns:
    As `load`.

  Raises:
    ValueError: if `split` or `size` is out of range.
  """
  _check(split, size)
  images = idx.read(_EMBEDDED / f'{split}-images.idx3-ubyte.gz', 3)
  labels = idx.read(_EMBEDDED / f'{split}-labels.idx1-ubyte.gz', 1)
  return _dataset(images, labels, size, f'embedded {split} digits')


def _check(split: str, size: int) -> None:
  """Refuses arguments that are out of range."""
  if split not in SPLITS:
    raise ValueError(f"MNIST has no split '{split}': choose one of "
                     f'{", ".join(SPLITS)}')
  if size < 1:
    raise ValueError(f'image size {size} is below 1 pixel: choose the size of '
                     'the canvas, such as 64')


def _find(folder: pathlib.Path, name: str, download: bool) -> pathlib.Path:
  """Returns the path of a file of MNIST, verified where it is official."""
  archive = f'{name}.gz'
  unpacked = name.replace('-idx', '.idx')  # As some archives unpack it.
  for candidate in (archive, name, unpacked):
    for subfolder in _SUBFOLDERS:
      path = folder / subfolder / candidate
      if path.is_file():
        if candidate == archive:
          _verify(str(path), archive, path.read_bytes())
        return path
  if download:
    content = _download(archive, folder)
    cache.write_atomically(
        folder / archive, lambda stream: stream.write(content))
    return folder / archive
  raise FileNotFoundError(
      f'{folder} has neither {archive} nor {name}, nor has its MNIST/raw: '
      "point --data_dir to a folder with MNIST's files, leave it out for the "
      'embedded subset, or allow the download')


def _verify(source: str, archive: str, content: bytes) -> None:
  """Raises ValueError unless `content` is the official archive."""
  official = _OFFICIAL[archive]
  actual = hashlib.md5(content, usedforsecurity=False).hexdigest()
  if actual == official.md5:
    return
  fault = 'truncated' if len(content) < official.size else 'altered'
  raise ValueError(
      f'{source} is {fault}: md5 {actual}, expected {official.md5}; '
      f'{len(content)} bytes, expected {official.size}; delete it and fetch '
      'it again (data of your own in this format: unpack it)')


def _download(archive: str, folder: pathlib.Path) -> bytes:
  """Returns the official archive from the first mirror that has it."""
  faults = []
  for mirror in MIRRORS:
    url = mirror + archive
    try:
      with urllib.request.urlopen(url, timeout=_TIMEOUT) as response:
        content = response.read()
      _verify(url, archive, content)
    except (OSError, http.client.HTTPException, ValueError) as error:
      faults.append(f'{url}: {" ".join(str(error).split())}')
    else:
      return content
  raise ConnectionError(
      f'could not download {archive} ({" | ".join(faults)}): fetch it by hand '
      f'into {folder} and point --data_dir there')


def _dataset(images: np.ndarray, labels: np.ndarray, size: int,
             source: str) -> types.ImageDataset:
  """Returns digits rescaled, and inverted to dark ink on white paper."""
  if len(images) != len(labels):
    raise ValueError(f'{source}: {len(images)} images but {len(labels)} '
                     'labels; put files of one set there')
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
      Image.fromarray(image).resize((size, size), Image.Resampling.BICUBIC))
