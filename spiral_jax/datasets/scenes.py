"""Scenes of primitives with their programs: files that make_scenes.py makes.

A split is one `.npz` file with a `.sha256` beside it, in the format of
`sha256sum`. Axes: n scenes, M places for objects, H height, W width.
"""

from collections.abc import Iterable, Mapping
import hashlib
import json
import pathlib
from typing import Any, BinaryIO
import zipfile

import numpy as np

from spiral_jax import files
from spiral_jax.datasets import archives
from spiral_jax.datasets import types

SPLITS = ('train', 'test')
PARTS = ('object', 'location', 'size', 'red', 'green', 'blue')
_VERSION = 1
_MAKE = 'make it again with `python experiments/tools/make_scenes.py`'


def load(
    split: str, *, data_dir: str | None = None, size: int | None = None
) -> types.ImageDataset:
  """Returns the pictures of a split, with their programs and settings.

  Args:
    split: 'train' or 'test'.
    data_dir: folder that make_scenes.py wrote; None for its usual one.
    size: height and width that the pictures must have, in pixels; None for any.

  Returns:
    Images uint8 `[n, H, W, 3]`, no labels. Programs are 'present', bool
    `[n, M]`, and int32 `[n, M]` for each of `PARTS`, objects in the order in
    which they were added; 0 where not present.

  Raises:
    FileNotFoundError: if a file is missing.
    ValueError: if a file is damaged or of another kind, or an argument is out
      of range.
  """
  if split not in SPLITS:
    raise ValueError(
        f"scenes have no split '{split}': choose one of " f'{", ".join(SPLITS)}'
    )
  path = directory(data_dir) / f'{split}.npz'
  _verify(path)
  try:
    with np.load(path, allow_pickle=False) as data:
      arrays = {name: data[name] for name in data.files}
    about = json.loads(str(arrays['about']))
    version, settings = about['version'], about['settings']
    images = arrays['images']
    objects = {'present': arrays['present']}
    objects |= {part: arrays[part].astype(np.int32) for part in PARTS}
    if images.ndim != 4 or images.dtype != np.uint8 or not images.size:
      raise ValueError(f'images {images.dtype} {images.shape}')
  except Exception as error:  # Readers of damaged files raise anything.
    raise ValueError(
        f'{path} is no file of scenes ({error!r}); {_MAKE}'
    ) from error
  if version != _VERSION:
    raise ValueError(
        f'{path} has version {version}, this release reads '
        f'{_VERSION}; {_MAKE}'
    )
  if size is not None and images.shape[1:3] != (size, size):
    height, width = images.shape[1:3]
    raise ValueError(
        f'{path} has pictures of {height}x{width} pixels, not '
        f'{size}x{size}; {_MAKE} --canvas_size={size}'
    )
  return types.ImageDataset(images, None, objects, settings)


def save(
    path: pathlib.Path,
    count: int,
    images: Iterable[np.ndarray],
    *,
    objects: Mapping[str, np.ndarray],
    settings: Mapping[str, Any],
) -> None:
  """Writes a split and its checksum; the same scenes give the same bytes.

  Args:
    path: path of the file, which ends in `.npz`.
    count: number of scenes, n.
    images: uint8 `[some, H, W, 3]` one after another, n together; so that not
      all of them need to be in memory.
    objects: programs as `load` returns them.
    settings: settings of the scenes' environment, as JSON can hold them.

  Raises:
    ValueError: if there are more or fewer images than `count`.
  """
  about = json.dumps({'version': _VERSION, 'settings': dict(settings)})
  arrays = {'about': np.array(about)} | {
      name: np.asarray(values).astype(bool if name == 'present' else np.uint16)
      for name, values in objects.items()
  }

  def fill(stream: BinaryIO) -> None:
    with zipfile.ZipFile(stream, 'w') as archive:
      for name, array in arrays.items():
        with archive.open(_member(name), 'w') as member:
          np.lib.format.write_array(member, array, allow_pickle=False)
      with archive.open(_member('images'), 'w', force_zip64=True) as member:
        _write_images(member, count, images)

  files.write_atomically(path, fill)
  line = f'{_sha256(path)}  {path.name}\n'
  files.write_atomically(
      _checksum_path(path), lambda stream: stream.write(line.encode())
  )


def directory(data_dir: str | None = None) -> pathlib.Path:
  """Returns the folder of the files; the usual one is in the user's cache."""
  if data_dir:
    return pathlib.Path(data_dir).expanduser()
  return files.directory('scenes')


def _member(name: str) -> zipfile.ZipInfo:
  """Returns an entry of an archive, without a time: same data, same bytes."""
  info = zipfile.ZipInfo(f'{name}.npy')
  info.compress_type = zipfile.ZIP_DEFLATED
  return info


def _write_images(
    member: Any, count: int, images: Iterable[np.ndarray]
) -> None:
  """Writes the images as one array in NumPy's format."""
  written = 0
  for some in images:
    if not written:
      np.lib.format.write_array_header_1_0(
          member,
          {
              'descr': '|u1',
              'fortran_order': False,
              'shape': (count, *some.shape[1:]),
          },
      )
    member.write(np.ascontiguousarray(some, np.uint8).data)
    written += len(some)
  if written != count:
    raise ValueError(f'{written} images for {count} scenes: give one each')


def _verify(path: pathlib.Path) -> None:
  """Raises an error unless the file is the one that its checksum is of."""
  checksum_path = _checksum_path(path)
  for file in (path, checksum_path):
    if not file.is_file():
      raise FileNotFoundError(
          f'{file} is missing; {_MAKE.replace(" again", "")}, and point '
          '--data_dir to its folder where that is not the usual one'
      )
  words = archives.text(checksum_path.read_bytes()).lower().split()
  expected = words[0] if words else 'none'
  actual = _sha256(path)
  if actual != expected:
    raise ValueError(
        f'{path} is damaged: its SHA-256 is {actual}, not {expected} as '
        f'{checksum_path.name} says; {_MAKE}'
    )


def _checksum_path(path: pathlib.Path) -> pathlib.Path:
  return path.with_name(path.name + '.sha256')


def _sha256(path: pathlib.Path) -> str:
  with path.open('rb') as file:
    return hashlib.file_digest(file, 'sha256').hexdigest()
