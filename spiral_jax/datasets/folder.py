"""Dataset from a folder of pictures of any kind, size and mode."""

from collections.abc import Callable, Iterator, Sequence
import pathlib
from typing import TypeVar

from absl import logging
import numpy as np
from PIL import Image
from PIL import ImageOps

from spiral_jax.datasets import pictures
from spiral_jax.datasets import trees
from spiral_jax.datasets import types
from spiral_jax.datasets.pictures import decode as decode
from spiral_jax.datasets.pictures import pixels as pixels

SPLITS = ('train', 'test')
FITS = ('crop', 'pad')

_HELD_OUT_EVERY = 10
# Pictures that are vast keep this many times the pixels of the result.
_SPARE = 4
_T = TypeVar('_T')


def load(
    split: str,
    *,
    data_dir: str,
    size: int = 64,
    channels: int = 3,
    fit: str = 'crop',
) -> types.ImageDataset:
  """Returns the pictures below a folder, in the order of their names.

  Args:
    split: 'train' or 'test'. If `data_dir` has folders of both names, the
      pictures in the one; otherwise every tenth picture is for testing and the
      others are for training.
    data_dir: folder searched, with its subfolders and what symbolic links in
      it lead to, for files of `pictures.FORMATS`; hidden files are skipped.
    size: height and width of the result, pixels.
    channels: 1 for gray (Rec. 601 luma), 3 for red, green, blue.
    fit: treatment of pictures that are not square: 'crop' keeps the center,
      'pad' adds white paper on two sides.

  Returns:
    Images uint8 `[n, size, size, channels]`, no labels. Transparent parts show
    white paper, 16-bit channels are rounded to 8 bits, and color profiles and
    the EXIF orientation are applied. Damaged pictures are left out, with a
    warning each.

  Raises:
    FileNotFoundError: if the folder is missing or has no pictures.
    ValueError: if all pictures are damaged, or an argument is out of range.
  """
  if split not in SPLITS:
    raise ValueError(
        f"a folder of images has no split '{split}': choose one "
        f'of {", ".join(SPLITS)}'
    )
  if fit not in FITS:
    raise ValueError(f"fit '{fit}' is none of {', '.join(FITS)}")
  if channels not in (1, 3):
    raise ValueError(f'{channels} channels: choose 1 (gray) or 3 (color)')
  if size < 1:
    raise ValueError(
        f'image size {size} is below 1 pixel: choose the size of '
        'the canvas, such as 64'
    )
  paths = _paths(pathlib.Path(data_dir).expanduser(), split)
  images = np.empty((len(paths), size, size, channels), np.uint8)
  count = 0
  for _, image in read_all(
      paths, lambda path: read(path, size=size, channels=channels, fit=fit)
  ):
    images[count] = image
    count += 1
  return types.ImageDataset(images[:count], None)


def read(
    path: pathlib.Path,
    *,
    size: int,
    channels: int,
    fit: str = 'crop',
    paper: int = 255,
) -> np.ndarray:
  """Returns one picture, uint8 `[size, size, channels]`; see `load`.

  Args:
    path: path of the file.
    size: height and width of the result, pixels.
    channels: 1 for gray, 3 for color, as in `load`.
    fit: 'crop' or 'pad', as in `load`.
    paper: shade of paper below transparent parts and of padding, 0 to 255.

  Raises:
    ValueError: if the file is damaged, truncated or not a picture.
  """
  picture = open_picture(path, paper=paper, at_least=_SPARE * size)
  if fit == 'crop':
    square = ImageOps.fit(picture, (size, size), Image.Resampling.LANCZOS)
  else:
    square = pictures.padded(picture, size, paper)
  return pixels(square, channels)


def open_picture(
    path: pathlib.Path, *, paper: int = 255, at_least: int | None = None
) -> Image.Image:
  """Returns the picture in a file, see `pictures.decode`.

  Raises:
    ValueError: if the file cannot be read, or is not a picture.
  """
  try:
    content = trees.read(path)
  except (OSError, ValueError) as error:
    reason = error.strerror if isinstance(error, OSError) else str(error)
    raise ValueError(
        f'image {path} cannot be read ({reason}): replace it or remove it'
    ) from error
  return decode(content, str(path), paper, at_least)


def find(folder: pathlib.Path) -> list[pathlib.Path]:
  """Returns the pictures below a folder, sorted, without hidden ones.

  Follows symbolic links. Pictures of kinds that cannot be read are named in a
  warning.

  Args:
    folder: folder that is searched, with its subfolders.
  """
  paths, strange = [], []
  for name in trees.find(folder):
    path = folder / name
    suffix = path.suffix.lower()
    if suffix in pictures.FORMATS:
      paths.append(path)
    elif suffix in pictures.UNREADABLE:
      strange.append(path)
  if strange:
    logging.warning(
        '%s has pictures of kinds that are not read, such as %s (%d in all): '
        'convert them to PNG or JPEG',
        folder,
        min(strange).name,
        len(strange),
    )
  return sorted(paths)


def read_all(
    paths: Sequence[pathlib.Path], read_one: Callable[[pathlib.Path], _T]
) -> Iterator[tuple[pathlib.Path, _T]]:
  """Yields the pictures of a folder that can be read, each with its path.

  Others are named in a warning, one each.

  Args:
    paths: paths of the files.
    read_one: function that reads a file, and raises ValueError if it cannot.

  Raises:
    ValueError: the first error, if no picture can be read.
  """
  first: ValueError | None = None
  read_any = False
  for path in paths:
    try:
      item = read_one(path)
    except ValueError as error:
      if len(paths) == 1:
        raise
      first = first or error
      logging.warning('left out: %s', error)
      continue
    read_any = True
    yield path, item
  if first is not None and not read_any:
    raise first


def _paths(folder: pathlib.Path, split: str) -> list[pathlib.Path]:
  """Returns the pictures of a split, sorted."""
  if not folder.is_dir():
    raise FileNotFoundError(
        f'data directory {folder} does not exist: set data_dir to a folder '
        f'of images ({", ".join(pictures.FORMATS)})'
    )
  if all((folder / name).is_dir() for name in SPLITS):
    paths = find(folder / split)
    where = folder / split
  else:
    held_out = split == 'test'
    paths = [
        path
        for i, path in enumerate(find(folder))
        if (i % _HELD_OUT_EVERY == _HELD_OUT_EVERY - 1) == held_out
    ]
    where = folder
  if not paths:
    raise FileNotFoundError(
        f'{where} has no images for the {split} split: put files there '
        f'({", ".join(pictures.FORMATS)}), at least {_HELD_OUT_EVERY} '
        'unless they are in folders train and test'
    )
  return paths
