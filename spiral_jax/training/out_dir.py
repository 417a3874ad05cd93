"""Checks of folders to write to, before hours of work and not after them."""

from collections.abc import Sequence
import os
import pathlib
import tempfile
import unicodedata

_MAX_BYTES = 200  # Of a name; file systems take 255, and some is appended.


def check_new(out_dir: pathlib.Path) -> None:
  """Checks that nothing can be mixed up with what will be written.

  Args:
    out_dir: folder to write to, which may be missing. Files and folders whose
      names begin with a dot do not count, nor do empty folders.

  Raises:
    ValueError: if it is a file, or holds files.
  """
  if out_dir.exists() and not out_dir.is_dir():
    raise ValueError(f'--out_dir={out_dir} is a file; name a folder')
  for path in out_dir.rglob('*'):
    inner = path.relative_to(out_dir)
    if not path.is_dir() and not any(p.startswith('.') for p in inner.parts):
      raise ValueError(
          f'--out_dir={out_dir} holds files already, as {printable(inner)};'
          ' name a new folder, or remove it to draw there again'
      )


def prepare(out_dir: pathlib.Path) -> None:
  """Creates a folder, if it is missing, and tries to write there.

  Raises:
    ValueError: if that is impossible.
  """
  try:
    out_dir.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryFile(dir=out_dir):
      pass
  except (OSError, ValueError) as error:  # ValueError: a null byte.
    reason = getattr(error, 'strerror', None) or error
    raise ValueError(
        f'folder {printable(out_dir)} cannot be written to ({reason}); name'
        ' another one, or change its permissions'
    ) from None


def folder_names(names: Sequence[str], taken: Sequence[str]) -> list[str]:
  """Returns names of folders, each another, that any file system takes.

  Args:
    names: names to keep, as far as they can be kept.
    taken: names of other files.
  """
  used = {_key(name) for name in taken}
  found = []
  for name in names:
    # Stems of '..png' and '...png' would lead elsewhere.
    base = _cut('image' if name in ('', '.', '..') else name)
    folder, number = base, 2
    while _key(folder) in used:
      folder, number = f'{base}_{number}', number + 1
    used.add(_key(folder))
    found.append(folder)
  return found


def printable(text: object) -> str:
  """Returns a name for messages; what is not text in it becomes '?'."""
  return ''.join(c if c.isprintable() else '?' for c in str(text))


def _key(name: str) -> str:
  """Returns the name as file systems compare it that know no case."""
  return unicodedata.normalize('NFC', name).casefold()


def _cut(name: str) -> str:
  data = os.fsencode(name)
  if len(data) <= _MAX_BYTES:
    return name
  return data[:_MAX_BYTES].decode('utf-8', 'ignore')
