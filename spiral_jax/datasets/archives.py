"""Verification, download and search of official dataset archives."""

import codecs
from collections.abc import Callable, Sequence
import hashlib
import http.client
import io
import pathlib
from typing import NamedTuple
import urllib.request

from spiral_jax import files

_TIMEOUT = 30.0  # Seconds to wait for an answer of a mirror.


class Official(NamedTuple):
  """Checksum and size of an official archive."""

  md5: str
  size: int  # Bytes.


def fault(stream: io.BufferedReader, official: Official) -> str | None:
  """Returns the fault of an archive, or None if it is the official one.

  Args:
    stream: archive, open at its beginning.
    official: expected checksum and size.

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
    path: file to check.
    official: expected checksum and size.
    own: advice for data of one's own in the same format, for the message.
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
  """Downloads an official archive from the first mirror that provides it.

  Args:
    name: file name of the archive, on the mirror and in the folder.
    official: expected checksum and size.
    mirrors: URLs that end in `/`.
    folder: folder to write to; created if missing.

  Returns:
    The path of the complete archive.

  Raises:
    ConnectionError: if no mirror provides it; nothing is left behind.
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
        f'into {folder} and set data_dir to that folder'
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


def text(content: bytes) -> str:
  """Returns the text of a list, in UTF-8 or UTF-16, with its mark or without.

  Bytes that are no UTF-8 become what `os.fsdecode` makes of them in names of
  files.
  """
  if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
    return content.decode('utf-16', errors='replace')
  return content.decode('utf-8-sig', errors='surrogateescape')


def find(
    folder: pathlib.Path,
    subfolders: Sequence[str],
    names: Sequence[str],
    is_wanted: Callable[[pathlib.Path], bool] = pathlib.Path.is_file,
) -> pathlib.Path | None:
  """Returns the first path found under one of several names, or None.

  Args:
    folder: folder to search.
    subfolders: its subfolders to search, in this order; '.' is the folder.
    names: names to look for, the preferred one first.
    is_wanted: predicate that a path must satisfy.
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
  """Returns the folder that holds a dataset.

  Args:
    data_dir: folder that the user chose; None means the user's cache.
    name: name of the dataset, also of its folder in the cache.
    download: whether files are downloaded, so that the folder may be missing;
      None means that this dataset cannot be downloaded.

  Raises:
    FileNotFoundError: if the folder is missing.
    ValueError: if it is a file.
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
        'set download=True',
    ]
    raise FileNotFoundError(
        f'data directory {folder} does not exist: set data_dir to a '
        f'folder with the files of {name}, or '
        + ', or '.join(others[:1] if download is None else others)
    )
  return folder


def check(name: str, split: str, splits: Sequence[str], size: int) -> None:
  """Raises ValueError if a split is unknown or a size is out of range."""
  if split not in splits:
    raise ValueError(
        f"{name} has no split '{split}': choose one of " f'{", ".join(splits)}'
    )
  if size < 1:
    raise ValueError(
        f'image size {size} is below 1 pixel: choose the size of '
        'the canvas, such as 64'
    )
