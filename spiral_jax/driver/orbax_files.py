"""One checkpoint as orbax's files: a folder of a state and of notes.

Importing this module doesn't import orbax, which takes a second; reading and
writing do.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
import logging
import os
import pathlib
import re
import tempfile
from typing import Any

# Names that mean to orbax what they mean to the operating system. It takes
# others for patterns ('[', '*', '\'), or cannot encode them.
_PLAIN = re.compile(r'[\w/. -]+')


def write(
    folder: pathlib.Path, state: Mapping[str, Any], notes: Mapping[str, Any]
) -> None:
  """Writes a new folder; it appears complete or not at all.

  Args:
    folder: absolute path; there must be nothing yet.
    state: plain state without empty arrays.
    notes: anything JSON.

  Raises:
    OSError, ValueError: if it cannot be written. Where the operating system is
      the cause, it is an OSError with its number.
  """
  args = _orbax().args
  items = args.Composite(
      state=args.StandardSave(state), notes=args.JsonSave(notes)
  )
  try:
    with _plain_path(folder) as path, _checkpointer() as checkpointer:
      checkpointer.save(path, args=items)
  except ValueError as error:
    # Tensorstore's errors have the system's number in their text alone.
    number = re.search(r"os_error_code='(\d+)'", str(error))
    if number is None:
      raise
    raise OSError(int(number[1]), os.strerror(int(number[1]))) from error


def read(folder: pathlib.Path) -> tuple[dict[str, Any], dict[str, Any]]:
  """Returns (state, notes); what it raises depends on the damage."""
  args = _orbax().args
  # Not StandardRestore, which reads what is there twice.
  items = args.Composite(state=args.PyTreeRestore(), notes=args.JsonRestore())
  with _plain_path(folder) as path, _checkpointer() as checkpointer:
    found = checkpointer.restore(path, args=items)
  return found['state'], found['notes']


def read_notes(folder: pathlib.Path) -> dict[str, Any]:
  """Returns the notes; what it raises depends on the damage."""
  args = _orbax().args
  with _plain_path(folder) as path, _checkpointer() as checkpointer:
    found = checkpointer.restore(
        path, args=args.Composite(notes=args.JsonRestore())
    )
  return found['notes']


@contextmanager
def _plain_path(folder: pathlib.Path) -> Iterator[pathlib.Path]:
  """Yields a path to `folder` that orbax reads as it is written.

  It is the path itself if possible, else one through a symbolic link.
  """
  if _PLAIN.fullmatch(str(folder)):
    yield folder
    return
  temporary = tempfile.gettempdir()
  parent = temporary if _PLAIN.fullmatch(temporary) else '/tmp'
  with tempfile.TemporaryDirectory(prefix='spiral_jax-', dir=parent) as links:
    link = pathlib.Path(links, 'link')
    link.symlink_to(folder.parent, target_is_directory=True)
    yield link / folder.name


@contextmanager
def _checkpointer() -> Iterator[Any]:
  ocp = _orbax()
  checkpointer = ocp.Checkpointer(ocp.CompositeCheckpointHandler())
  try:
    yield checkpointer
  finally:
    checkpointer.close()


def _orbax() -> Any:
  """Imports orbax, late, and keeps it from logging.

  It logs dozens of lines a save, and whole tracebacks of the errors that it
  raises as well.
  """
  import orbax.checkpoint as ocp

  logging.getLogger('absl').addFilter(_is_not_orbax)
  return ocp


def _is_not_orbax(record: logging.LogRecord) -> bool:
  return f'{os.sep}orbax{os.sep}' not in record.pathname
