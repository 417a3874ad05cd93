"""Shared libraries that were built with the package, if they load."""

from collections.abc import Sequence
import ctypes
import pathlib
import struct
import sys


def load(path: pathlib.Path, functions: Sequence[str]) -> ctypes.CDLL:
  """Returns a shared library.

  Args:
    path: the library.
    functions: names of functions that it must have.

  Raises:
    ImportError: if it is missing, cut short, made for another machine, or of
      another version of the package; says which, in one line.
  """
  fault = _fault(path)
  if not fault:
    try:
      library = ctypes.CDLL(str(path))
      for name in functions:
        getattr(library, name)
      return library
    except (AttributeError, OSError) as error:
      fault = str(error)
  raise ImportError(
      f'{path} does not load ({fault}); build it again by `pip install -e .` '
      'where a C compiler is'
  )


def _fault(path: pathlib.Path) -> str:
  """Returns why a library must not be loaded; empty if nothing is known.

  The linker maps a file that was cut short all the same, and reading from what
  is missing ends the process. It calls one for another machine missing.
  """
  try:
    size = path.stat().st_size
    header = _header(path)
  except OSError as error:
    return str(error)
  if header[:6] != b'\x7fELF\x02\x01':  # Of 64 bits, low byte first.
    return ''
  if len(header) < 64:
    return f'cut short, {size} bytes'
  python = _header(pathlib.Path(sys.executable))
  if python[:6] == header[:6] and python[18:20] != header[18:20]:
    return 'made for another machine'
  # The table of sections is the end of a file.
  (start,) = struct.unpack_from('<Q', header, 40)
  entry_size, count = struct.unpack_from('<HH', header, 58)
  whole = start + entry_size * count
  return f'cut short, {size} of {whole} bytes' if size < whole else ''


def _header(path: pathlib.Path) -> bytes:
  with path.open('rb') as file:
    return file.read(64)
