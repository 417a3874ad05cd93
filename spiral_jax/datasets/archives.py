"""Official archives: how they are told from damaged ones, fetched, and read."""

from collections.abc import Callable, Iterator, Sequence
import contextlib
import hashlib
import http.client
import io
import pathlib
from typing import NamedTuple
import urllib.request
import zipfile
import zlib

from spiral_jax import files

_TIMEOUT = 30.0  # Seconds without an answer from a mirror.
_DAMAGE = (
    zipfile.BadZipFile,
    zlib.error,
    EOFError,
    OSError,
    NotImplementedError,
    RuntimeError,
    ValueError,
)


class Official(NamedTuple):
  """What an official archive must be."""

  md5: str
  size: int  # Bytes.


def fault(stream: io.BufferedReader, official: Official) -> str | None:
  """Returns what is wrong with an archive, None if it is the official one.

  Args:
    stream: at the beginning of the archive.
    official: what it must be.

  Returns:
    A clause such as 'truncated: md5 ..., expected ...'.
  """
  actual = hashlib.file_digest(
      stream, lambda: hashlib.md5(usedforsecurity=False)
  ).hexdigest()
  if actual == official.md5:
    return None
  size = stream.tell()
  kind = 'truncated' if size < official.size else 'altered'
  return (
      f'{kind}: md5 {actual}, expected {official.md5}; {size} bytes, '
      f'expected {official.size}'
  )


def verify(path: pathlib.Path, official: Official, own: str) -> None:
  """Raises ValueError unless a file is the official archive.

  Args:
    path: the file.
    official: what it must be.
    own: what to do with data of one's own in the same format.
  """
  with path.open('rb') as stream:
    wrong = fault(stream, official)
  if wrong:
    raise ValueError(
        f'{path} is {wrong}; delete it and fetch it again (data '
        f'of your own in this format: {own})'
    )


def download(
    name: str, official: Official, mirrors: Sequence[str], folder: pathlib.Path
) -> pathlib.Path:
  """Fetches an official archive into a folder from the first mirror that can.

  Args:
    name: of the archive, on the mirror and in the folder.
    official: what it must be.
    mirrors: addresses that end in `/`.
    folder: made where missing.

  Returns:
    The path of the archive, which is there whole.

  Raises:
    ConnectionError: if no mirror gave it; nothing is left behind.
  """
  faults = []
  for mirror in mirrors:
    try:
      content = _fetch(mirror + name, official)
      break
    except (OSError, http.client.HTTPException, ValueError) as error:
      faults.append(f'{mirror}{name}: {" ".join(str(error).split())}')
  else:
    raise ConnectionError(
        f'could not download {name} ({" | ".join(faults)}): fetch it by hand '
        f'into {folder} and point --data_dir there'
    )
  files.write_atomically(folder / name, lambda out: out.write(content))
  return folder / name


def _fetch(url: str, official: Official) -> bytes:
  with urllib.request.urlopen(url, timeout=_TIMEOUT) as response:
    content = response.read()
  digest = hashlib.md5(content, usedforsecurity=False).hexdigest()
  if digest != official.md5:
    kind = 'truncated' if len(content) < official.size else 'altered'
    raise ValueError(f'it is {kind}: md5 {digest}, expected {official.md5}')
  return content


class Tree:
  """The files of a folder, or of a zip as if it was unpacked.

  Hidden files are passed over, and so is what macOS adds to archives.

  Attributes:
    path: the folder or the zip.
    names: of the files, with `/` and sorted.
  """

  def __init__(self, path: pathlib.Path, archive: zipfile.ZipFile | None):
    self.path = path
    self._archive = archive
    if archive is None:
      names = [
          file.relative_to(path).as_posix()
          for file in path.rglob('*')
          if file.is_file()
      ]
    else:
      names = [
          item.filename for item in archive.infolist() if not item.is_dir()
      ]
    self.names = sorted(
        name
        for name in names
        if not any(
            part.startswith(('.', '__MACOSX')) for part in name.split('/')
        )
    )

  def read(self, name: str) -> bytes:
    """Returns the content of a file.

    Raises:
      ValueError: if it cannot be read.
    """
    try:
      if self._archive is None:
        return (self.path / name).read_bytes()
      return self._archive.read(name)
    except _DAMAGE as error:
      raise ValueError(
          f'{self.place(name)} cannot be read '
          f'({" ".join(str(error).split())}): replace it'
      ) from error

  def place(self, name: str) -> str:
    """Returns how to speak of a file."""
    if self._archive is None:
      return str(self.path / name)
    return f'{name} in {self.path}'


@contextlib.contextmanager
def open_tree(path: pathlib.Path) -> Iterator[Tree]:
  """Opens a folder or a zip.

  Raises:
    ValueError: if it is neither, or the zip is damaged.
  """
  if path.is_dir():
    yield Tree(path, None)
    return
  try:
    archive = zipfile.ZipFile(path)
  except (zipfile.BadZipFile, OSError) as error:
    raise ValueError(
        f'{path} is truncated or no zip file ({error}; '
        f'{path.stat().st_size} bytes): delete it and fetch it again'
    ) from error
  with archive:
    yield Tree(path, archive)


def find(
    folder: pathlib.Path,
    subfolders: Sequence[str],
    names: Sequence[str],
    is_wanted: Callable[[pathlib.Path], bool] = pathlib.Path.is_file,
) -> pathlib.Path | None:
  """Returns the first file, or whatever is wanted; None if there is none.

  Args:
    folder: to look in.
    subfolders: of it, in which to look in this order; '.' for itself.
    names: of what is looked for, the best first.
    is_wanted: whether a path will do.
  """
  for name in names:
    for subfolder in subfolders:
      path = folder / subfolder / name
      if is_wanted(path):
        return path
  return None


def data_folder(
    data_dir: str | None, name: str, *, download: bool | None = None
) -> pathlib.Path:
  """Returns the folder to look for a dataset in.

  Args:
    data_dir: as the user gave it; None, the user's cache.
    name: of the dataset, in the cache.
    download: whether files are fetched, so that a missing folder will do; None,
      of a dataset whose files never are.

  Raises:
    FileNotFoundError, ValueError: if it is missing or a file.
  """
  folder = (
      files.directory(name)
      if data_dir is None
      else pathlib.Path(data_dir).expanduser()
  )
  if folder.exists() and not folder.is_dir():
    raise ValueError(
        f'data directory {folder} is a file: give the folder ' 'that it is in'
    )
  if not folder.exists() and not download:
    others = [
        'leave it out for the embedded subset',
        'allow the download by --download',
    ]
    raise FileNotFoundError(
        f'data directory {folder} does not exist: point --data_dir to a '
        f'folder with the files of {name}, or '
        + ', or '.join(others[:1] if download is None else others)
    )
  return folder


def check(name: str, split: str, splits: Sequence[str], size: int) -> None:
  """Raises ValueError where a split or a size is out of range."""
  if split not in splits:
    raise ValueError(
        f"{name} has no split '{split}': choose one of " f'{", ".join(splits)}'
    )
  if size < 1:
    raise ValueError(
        f'image size {size} is below 1 pixel: choose the size of '
        'the canvas, such as 64'
    )
