"""Checksums of a folder's files, kept in the folder itself.

The file is what `sha256sum` writes, so `sha256sum --check checksums.sha256`
verifies a folder without this package.
"""

import hashlib
import pathlib

NAME = 'checksums.sha256'


def write(folder: pathlib.Path) -> None:
  """Writes the checksums of all files below `folder`."""
  paths = sorted(
      path.relative_to(folder)
      for path in folder.rglob('*')
      if path.is_file() and path.name != NAME
  )
  lines = [f'{_digest(folder / path)}  {path.as_posix()}\n' for path in paths]
  (folder / NAME).write_text(''.join(lines))


def check(folder: pathlib.Path) -> None:
  """Compares a folder with its checksums; does nothing if it has none.

  Files that have no checksum, such as those that file managers add, are left
  alone.

  Raises:
    ValueError: naming the first file that is missing or has changed.
  """
  path = folder / NAME
  if not path.exists():
    return  # Written by a version that kept none.
  try:
    entries = [line.split('  ', 1) for line in path.read_text().splitlines()]
    expected = {name: digest for digest, name in entries}
  except ValueError:
    raise ValueError(f'{NAME} cannot be read') from None
  for name, digest in expected.items():
    try:
      found = _digest(folder / name)
    except (OSError, ValueError):  # A name with a null byte is a ValueError.
      raise ValueError(f'{name} is missing or cannot be read') from None
    if found != digest:
      raise ValueError(f'{name} has changed since it was written')


def _digest(path: pathlib.Path) -> str:
  with path.open('rb') as stream:
    return hashlib.file_digest(stream, 'sha256').hexdigest()
