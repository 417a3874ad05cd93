"""Search for libmypaint and its brushes on this machine."""

import ctypes
import ctypes.util
import difflib
import functools
import pathlib
import sys

_INSTALL = (
    'install it with `sudo apt-get install libmypaint-1.5-1 mypaint-brushes`'
    ' (Debian, Ubuntu) or `brew install libmypaint mypaint-brushes` (macOS)'
)

# Names under which the dynamic linker may know the library. The number counts
# incompatible interfaces: libmypaint 1.6 is libmypaint-1.5.so.1.
_SONAMES = (
    'libmypaint-1.5.so.1',
    'libmypaint.so.0',
    'libmypaint.0.dylib',
    'libmypaint-1.5.1.dylib',
    'libmypaint.dylib',
)
_MACOS_FOLDERS = ('/opt/homebrew/lib', '/usr/local/lib', '/opt/local/lib')

_DATA_FOLDERS = (
    '/usr/share',
    '/usr/local/share',
    '/opt/homebrew/share',
    '/opt/local/share',
    f'{sys.prefix}/share',
)


def _candidates() -> list[str]:
  found = [ctypes.util.find_library(n) for n in ('mypaint-1.5', 'mypaint')]
  folders = _MACOS_FOLDERS if sys.platform == 'darwin' else ()
  files = [f'{folder}/{n}' for folder in folders for n in _SONAMES]
  return [name for name in (*_SONAMES, *found, *files) if name]


@functools.cache
def find_libmypaint() -> str:
  """Returns a name by which the dynamic linker finds libmypaint.

  Raises:
    ImportError: if libmypaint is missing; names the command that installs it.
  """
  for name in _candidates():
    try:
      ctypes.CDLL(name)
    except OSError:
      continue
    return name
  raise ImportError(f'libmypaint not found; {_INSTALL}')


def find_brushes() -> pathlib.Path:
  """Returns the folder of the brushes that come with MyPaint.

  Raises:
    FileNotFoundError: if there is none; names the command that installs it.
  """
  for data in _DATA_FOLDERS:
    # Version 1.0 first: the classic brushes of 2.0 mix pigments and so differ.
    for version in ('1.0', '2.0'):
      folder = pathlib.Path(data, 'mypaint-data', version, 'brushes')
      if folder.is_dir():
        return folder
  raise FileNotFoundError(
      f'no folder of MyPaint brushes in {", ".join(_DATA_FOLDERS)}; {_INSTALL},'
      ' or name a folder in the setting brushes_path'
  )


def read_brush(name: str, brushes_path: str | None = None) -> bytes:
  """Returns a brush's JSON text.

  Args:
    name: path of the brush below the folder, without `.myb`.
    brushes_path: folder of brushes; None searches for MyPaint's.

  Raises:
    FileNotFoundError: if there is no such folder.
    ValueError: if it has no such brush; suggests close names.
  """
  folder = pathlib.Path(brushes_path) if brushes_path else find_brushes()
  if not folder.is_dir():
    raise FileNotFoundError(
        f'brushes_path {str(folder)!r} is not a folder; leave it out to use'
        " MyPaint's own brushes"
    )
  file = folder / f'{name}.myb'
  if not file.is_file():
    names = sorted(
        path.relative_to(folder).with_suffix('').as_posix()
        for path in folder.rglob('*.myb')
    )
    close = difflib.get_close_matches(name, names) or names[:5]
    raise ValueError(
        f'brush {name!r} not found in {folder}; close names:'
        f' {", ".join(close) or "none, the folder has no .myb file"}'
    )
  return file.read_bytes()
