"""The user's cache directory, and files that appear whole or not at all."""

from collections.abc import Callable
import os
import pathlib
import tempfile
from typing import BinaryIO


def directory(*parts: str) -> pathlib.Path:
  """Returns a folder of this library in the user's cache; does not create it.

  Follows the XDG base directory specification: `$XDG_CACHE_HOME/spiral_jax`,
  or `~/.cache/spiral_jax` if the variable is unset or not absolute.

  Args:
    *parts: names of nested folders below it.
  """
  root = pathlib.Path(os.environ.get('XDG_CACHE_HOME', ''))
  if not root.is_absolute():
    root = pathlib.Path.home() / '.cache'
  return root.joinpath('spiral_jax', *parts)


def write_atomically(
    path: pathlib.Path, write: Callable[[BinaryIO], object]
) -> None:
  """Writes a file so that it appears complete or not at all.

  Other processes see the old file or the complete new one. If `write` raises,
  nothing is left behind.

  Args:
    path: file to write; its folder is created if missing.
    write: function called once with a stream open for binary writing.
  """
  path.parent.mkdir(parents=True, exist_ok=True)
  descriptor, temporary = tempfile.mkstemp(
      dir=path.parent, prefix=f'.{path.name}.'
  )
  try:
    with os.fdopen(descriptor, 'wb') as stream:
      write(stream)
      stream.flush()
      os.fsync(stream.fileno())
    # mkstemp lets only the owner read; set the mode of an ordinary open().
    mask = os.umask(0)
    os.umask(mask)
    os.chmod(temporary, 0o666 & ~mask)
    os.replace(temporary, path)
  except BaseException:
    pathlib.Path(temporary).unlink(missing_ok=True)
    raise
