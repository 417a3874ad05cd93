"""Where the user's cache is, and files that appear whole or not at all."""

from collections.abc import Callable
import os
import pathlib
import tempfile
from typing import BinaryIO


def directory() -> pathlib.Path:
  """Returns this library's folder in the user's cache; does not make it.

  It is `$XDG_CACHE_HOME/spiral_jax`, or `~/.cache/spiral_jax` where the
  variable is unset or not absolute (XDG base directory specification).
  """
  root = pathlib.Path(os.environ.get('XDG_CACHE_HOME', ''))
  if not root.is_absolute():
    root = pathlib.Path.home() / '.cache'
  return root / 'spiral_jax'


def write(path: pathlib.Path, fill: Callable[[BinaryIO], object]) -> None:
  """Makes a file with what `fill` puts into a stream.

  Other processes see the old file or the complete new one.

  Args:
    path: of the file; its folder is made where missing.
    fill: called once with a stream open for binary writing.
  """
  path.parent.mkdir(parents=True, exist_ok=True)
  descriptor, partial = tempfile.mkstemp(
      dir=path.parent, prefix=f'.{path.name}.'
  )
  try:
    with os.fdopen(descriptor, 'wb') as stream:
      fill(stream)
    # mkstemp grants the owner alone; give what an ordinary open() would.
    mask = os.umask(0)
    os.umask(mask)
    os.chmod(partial, 0o666 & ~mask)
    os.replace(partial, path)
  except BaseException:
    pathlib.Path(partial).unlink(missing_ok=True)
    raise
