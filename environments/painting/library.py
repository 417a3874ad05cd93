"""Search for libmypaint and its brushes on this machine."""

import ctypes
import ctypes.util
import difflib
import functools
import itertools
import pathlib
import sys

from environments import reprs
from environments.painting import brush_file
from environments.painting import quiet

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

  The library is loaded then, and prints nothing from then on.

  Raises:
    ImportError: if libmypaint is missing; names the command that installs it.
  """
  for name in _candidates():
    try:
      found = ctypes.CDLL(name)
    except OSError:
      continue
    quiet.silence(found)
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
  """Returns a brush's JSON text, as `brush_file.check` lets it pass.

  Args:
    name: path of the brush below the folder, without `.myb`.
    brushes_path: folder of brushes; None searches for MyPaint's.

  Raises:
    FileNotFoundError: if there is no such folder.
    ValueError: if it has no such brush, with close names; or if the name leads
      out of the folder, or the file is not a brush that can be painted with.
  """
  folder = pathlib.Path(brushes_path) if brushes_path else find_brushes()
  if not _is_folder(folder):
    raise FileNotFoundError(
        f'brushes_path {reprs.short(str(folder))} is not a folder; leave it'
        " out to use MyPaint's own brushes"
    )
  path = pathlib.PurePath(name)
  if path.is_absolute() or '..' in path.parts:
    raise ValueError(
        f'brush {reprs.short(name)} is not the name of a brush, which is its'
        f' path below {folder}, without .myb, as classic/pen; brushes elsewhere'
        ' are found by their folder, the setting brushes_path'
    )
  file = folder / f'{name}.myb'
  data = _read(file)
  if data is None:
    names = sorted(
        path.relative_to(folder).with_suffix('').as_posix()
        for pattern in _PATTERNS
        for path in itertools.islice(folder.glob(pattern), _MOST)
    )
    close = difflib.get_close_matches(name[:100], names) or names[:5]
    raise ValueError(
        f'brush {reprs.short(name)} not found in {folder}; close names:'
        f' {", ".join(close) or "none, the folder has no .myb file"}'
    )
  return brush_file.check(data, name)


# Brushes lie at most in folders of folders. A search of all that is below could
# take hours, as the folder may be any.
_PATTERNS = ('*.myb', '*/*.myb', '*/*/*.myb')
_MOST = 1000


def _is_folder(folder: pathlib.Path) -> bool:
  try:
    return folder.is_dir()
  except OSError:  # As of a name that is too long.
    return False


def _read(file: pathlib.Path) -> bytes | None:
  """Returns a file's content, of a large one its beginning; None if missing."""
  try:
    if not file.is_file():  # A pipe would be waited for.
      return None
    with file.open('rb') as stream:
      return stream.read(brush_file.MAX_BYTES + 1)
  except OSError:
    return None
