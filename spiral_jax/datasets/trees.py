"""Files below a folder, through symbolic links, or in a zip."""

from collections.abc import Iterator
import contextlib
import os
import pathlib
import zipfile

from absl import logging

MOST = 1 << 30  # Bytes of a file that are read into memory.


def find(folder: pathlib.Path) -> list[str]:
  """Returns names of the files below a folder, relative to it, with `/`.

  Skips hidden files and those that macOS adds to archives. Follows symbolic
  links; each folder is searched once, first where it really lies. Links that
  lead nowhere are among the names, as reading them tells what is wrong.

  Args:
    folder: folder that is searched, with its subfolders.

  Returns:
    Names in no particular order.
  """
  names = []
  searched = set()
  folders, links = [''], list[str]()
  while folders or links:
    here = folders.pop() if folders else links.pop(0)
    try:
      status = os.stat(folder / here)
      entries = sorted(os.listdir(folder / here))
    except OSError as error:
      if not here:
        raise
      logging.warning('%s is left out: %s', folder / here, error.strerror)
      continue
    if (status.st_dev, status.st_ino) in searched:
      continue
    searched.add((status.st_dev, status.st_ino))
    for entry in entries:
      if _is_hidden(entry):
        continue
      name = f'{here}/{entry}' if here else entry
      path = folder / name
      if os.path.isdir(path):
        (links if os.path.islink(path) else folders).append(name)
      elif os.path.isfile(path) or not os.path.exists(path):
        names.append(name)
  return names


def read(path: pathlib.Path) -> bytes:
  """Returns the content of a file.

  Raises:
    OSError: if it cannot be read.
    ValueError: if it has more than `MOST` bytes.
  """
  _check_size(path.stat().st_size)
  return path.read_bytes()


def _check_size(size: int) -> None:
  if size > MOST:
    raise ValueError(f'{size} bytes, more than {MOST}')


def _is_hidden(name: str) -> bool:
  return name.startswith(('.', '__MACOSX'))


class Tree:
  """Files of a folder, or of a zip as if it were unpacked.

  Skips hidden files and those that macOS adds to archives.

  Attributes:
    path: path of the folder or zip.
    names: names of the files relative to it, with `/`, sorted.
  """

  def __init__(self, path: pathlib.Path, archive: zipfile.ZipFile | None):
    self.path = path
    self._archive = archive
    if archive is None:
      self.names = sorted(find(path))
      self._originals = {name: name for name in self.names}
      return
    # Some programs for Windows write names with backslashes.
    self._originals = {
        item.orig_filename.replace('\\', '/'): item.filename
        for item in archive.infolist()
        if not item.is_dir()
    }
    self.names = sorted(
        name
        for name in self._originals
        if not any(_is_hidden(part) for part in name.split('/'))
    )

  def read(self, name: str) -> bytes:
    """Returns the content of a file.

    Raises:
      ValueError: if it cannot be read.
    """
    try:
      if self._archive is None:
        return read(self.path / name)
      item = self._archive.getinfo(self._originals[name])
      _check_size(item.file_size)
      return self._archive.read(item)
    except Exception as error:  # Damaged archives raise anything.
      reason = ' '.join(str(error).split()) or type(error).__name__
      raise ValueError(
          f'{self.place(name)} cannot be read ({reason}): replace it'
      ) from error

  def place(self, name: str) -> str:
    """Returns a description of a file's location, for messages."""
    if self._archive is None:
      return str(self.path / name)
    return f'{name} in {self.path}'


@contextlib.contextmanager
def open_tree(path: pathlib.Path) -> Iterator[Tree]:
  """Opens a folder or a zip.

  Raises:
    ValueError: if the path is neither, or the zip is damaged.
  """
  if path.is_dir():
    yield Tree(path, None)
    return
  try:
    archive = zipfile.ZipFile(path)
    tree = Tree(path, archive)
  except Exception as error:  # Damaged archives raise anything.
    reason = ' '.join(str(error).split()) or type(error).__name__
    raise ValueError(
        f'{path} is truncated or no zip file ({reason}; '
        f'{path.stat().st_size} bytes): delete it and fetch it again'
    ) from error
  with archive:
    yield tree
