"""CelebA: 202,599 aligned faces (Liu et al., 2015), 178x218, in color.

Its license (non-commercial research, no redistribution) keeps it out of this
package; portraits.py substitutes for it.

Decoding all faces takes minutes, and their pixels take gigabytes. They are
decoded once, into a file in the user's cache, which is memory-mapped.
"""

import hashlib
import os
import pathlib
import re
import shutil
import tempfile

import numpy as np
from PIL import Image

from spiral_jax import files
from spiral_jax.datasets import archives
from spiral_jax.datasets import pictures
from spiral_jax.datasets import portraits
from spiral_jax.datasets import trees
from spiral_jax.datasets import types

SPLITS = ('train', 'valid', 'test')  # As numbered in the partition file.
CROP = 160  # Height and width of the central crop of 178x218, pixels.

_IMAGES = 'img_align_celeba'
_ARCHIVE = f'{_IMAGES}.zip'
# The second is Kaggle's.
_PARTITIONS = ('list_eval_partition.txt', 'list_eval_partition.csv')
_HEADER = ['image_id', 'partition']
_OFFICIAL = archives.Official('00d2c5bc6d35e252742224ab0c1e8fcb', 1443490838)
# Folders of the official drive, and those of torchvision and Kaggle.
_SUBFOLDERS = (
    '.',
    'Img',
    'Eval',
    'celeba',
    'CelebA',
    'celeba/Img',
    'celeba/Eval',
    'CelebA/Img',
    'CelebA/Eval',
    'archive',
    'celeba-dataset',
)
_SPARE = 1 << 28  # Bytes that must remain free on the disk.


def load(
    split: str,
    *,
    data_dir: str | None = None,
    size: int = 64,
    channels: int = 3,
) -> types.ImageDataset:
  """Returns a split of CelebA: the central 160x160 pixels of faces, scaled.

  The first call decodes the images into the user's cache. It shows a progress
  bar if standard error is a terminal.

  Args:
    split: 'train' (162,770 faces), 'valid' (19,867) or 'test' (19,962).
    data_dir: folder with `list_eval_partition.txt`, or Kaggle's `.csv`, and
      with `img_align_celeba.zip`, packed or unpacked, maybe into a folder in
      that of its name; at its top, or in subfolders as on the official drive
      (`Img`, `Eval`). The archive is checked against
      its md5 sum when it is decoded; an unpacked folder is not checked. None
      means the portraits of this package, see `portraits`.
    size: height and width of the result, pixels.
    channels: 1 for gray (Rec. 601 luma), 3 for red, green, blue.

  Returns:
    Images uint8 `[n, size, size, channels]`, memory-mapped, in the order of the
    partition file; no labels.

  Raises:
    FileNotFoundError: if the folder or a file is missing.
    ValueError: if a file is damaged, or an argument is out of range.
    OSError: if there is no room in the cache.
  """
  archives.check('CelebA', split, SPLITS, size)
  if channels not in (1, 3):
    raise ValueError(f'{channels} channels: choose 1 (gray) or 3 (color)')
  if data_dir is None:
    return portraits.embedded(
        'test' if split == 'valid' else split, size=size, channels=channels
    )
  folder = archives.data_folder(data_dir, 'CelebA')
  source = archives.find(
      folder,
      _SUBFOLDERS,
      (_ARCHIVE, _IMAGES, f'{_IMAGES}_png'),
      is_wanted=pathlib.Path.exists,
  )
  partition = archives.find(folder, _SUBFOLDERS, _PARTITIONS)
  for path, what in (
      (source, f'{_ARCHIVE} nor {_IMAGES}'),
      (partition, f'{_PARTITIONS[0]} (or .csv) at its top nor in Eval'),
  ):
    if path is None:
      raise FileNotFoundError(
          f'{folder} has neither {what}: set data_dir to a folder with '
          'the files of CelebA (https://mmlab.ie.cuhk.edu.hk/projects/'
          'CelebA.html), or leave it out for the portraits that come with '
          'this package'
      )
  assert source is not None and partition is not None
  names = _names(partition, split)
  cached = _cache_path(source, names, split, size, channels)
  images = _mapped(cached)
  if images is None:
    _decode(source, names, cached, size, channels)
    images = np.load(cached, mmap_mode='r')
  return types.ImageDataset(images, None)


def _mapped(path: pathlib.Path) -> np.ndarray | None:
  """Returns the array in a file, or None if it is missing or incomplete."""
  try:
    return np.load(path, mmap_mode='r')
  except (OSError, ValueError, EOFError):
    return None


def _names(partition: pathlib.Path, split: str) -> list[str]:
  """Returns the names of a split's images, in the order of the file."""
  wanted = SPLITS.index(split)
  names = []
  lines = archives.text(partition.read_bytes()).splitlines()
  for number, line in enumerate(lines, 1):
    words = [word.strip('"') for word in re.split(r'[,;\s]+', line.strip())]
    if words == [''] or (number == 1 and words == _HEADER):
      continue
    if len(words) != 2 or words[1] not in ('0', '1', '2'):
      raise ValueError(
          f'{partition}, line {number}, is {line[:40]!r}, expected a name and '
          "0, 1 or 2, as '000001.jpg 0': fetch the file again"
      )
    if int(words[1]) == wanted:
      names.append(words[0])
  if not names:
    raise ValueError(
        f'{partition} has no images for the {split} split: fetch '
        'the file again'
    )
  return names


def _cache_path(
    source: pathlib.Path, names: list[str], split: str, size: int, channels: int
) -> pathlib.Path:
  """Returns the cache file of a decoded split.

  The name depends on the source's path, modification time and size.
  """
  status = source.stat()
  key = repr(
      (str(source.resolve()), status.st_mtime_ns, status.st_size, CROP, names)
  )
  digest = hashlib.sha256(key.encode()).hexdigest()[:16]
  return files.directory('celeba') / f'{split}-{size}-{channels}-{digest}.npy'


def _decode(
    source: pathlib.Path,
    names: list[str],
    target: pathlib.Path,
    size: int,
    channels: int,
) -> None:
  """Writes the faces `[n, size, size, channels]` to a file, atomically."""
  import rich.progress  # Late: most uses decode nothing.

  from spiral_jax import console as console_lib

  shape = (len(names), size, size, channels)
  target.parent.mkdir(parents=True, exist_ok=True)
  # Writing to a mapped file on a full disk kills the process silently.
  needed, free = int(np.prod(shape)), shutil.disk_usage(target.parent).free
  if needed + _SPARE > free:
    raise OSError(
        f'{target.parent} has {free >> 20} MiB free, the decoded faces need '
        f'{(needed + _SPARE) >> 20}: make room, or let XDG_CACHE_HOME name a '
        'folder elsewhere'
    )
  if source.is_file():
    archives.verify(source, _OFFICIAL, 'unpack it')
  with (
      trees.open_tree(source) as tree,
      tempfile.TemporaryDirectory(
          dir=target.parent, prefix='.partial-'
      ) as scratch,
  ):
    paths = _paths(tree)
    for name in names:
      if _stem(name) not in paths:
        raise ValueError(
            f'{source} lacks {name}, which {_PARTITIONS[0]} (or .csv) names: '
            'fetch it again'
        )
    partial = pathlib.Path(scratch) / target.name
    images = np.lib.format.open_memmap(
        partial, mode='w+', dtype=np.uint8, shape=shape
    )
    console = console_lib.Console(stderr=True)
    for i, name in enumerate(
        rich.progress.track(
            names,
            'decoding CelebA',
            console=console,
            disable=not console.is_terminal,
        )
    ):
      images[i] = _face(tree, paths[_stem(name)], size, channels)
    images.flush()
    del images
    os.replace(partial, target)


def _paths(tree: trees.Tree) -> dict[str, str]:
  """Returns the name in a tree of each image, by its own name without ending.

  Of two, that in fewer folders counts.

  Args:
    tree: images, in any folder of it, as JPEG or PNG.
  """
  paths: dict[str, str] = {}
  for name in sorted(tree.names, key=lambda name: name.count('/')):
    if name.lower().endswith(tuple(pictures.FORMATS)):
      paths.setdefault(_stem(name), name)
  return paths


def _stem(name: str) -> str:
  return name.rpartition('/')[2].rpartition('.')[0]


def _face(tree: trees.Tree, name: str, size: int, channels: int) -> np.ndarray:
  """Returns the scaled center of an image, uint8 `[size, size, channels]`."""
  picture = pictures.decode(tree.read(name), tree.place(name))
  left, top = (picture.width - CROP) // 2, (picture.height - CROP) // 2
  if min(left, top) < 0:
    raise ValueError(
        f'{tree.place(name)} has {picture.width} x {picture.height} pixels, '
        f'{CROP} or more are needed: use the aligned images (178 x 218)'
    )
  middle = picture.crop((left, top, left + CROP, top + CROP))
  square = middle.resize((size, size), Image.Resampling.LANCZOS)
  return pictures.pixels(square, channels)
