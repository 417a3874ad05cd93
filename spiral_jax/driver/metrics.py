"""Writers of metrics, to JSON lines and TensorBoard; see also progress.py.

A writer has `write(step, values)`, where values are scalars by name: Python
numbers or arrays `[]`. Threads may share a writer.
"""

from collections.abc import Iterator, Mapping
import contextlib
import json
import logging
import math
import os
import pathlib
import sys
import threading
import time
from typing import Any, Protocol

import numpy as np

Values = Mapping[str, Any]

_logger = logging.getLogger(__name__)


class Writer(Protocol):
  """Writes metrics; see the module's docstring."""

  def write(self, step: int, values: Values) -> None:
    """Writes the `values` of update `step`."""

  def close(self) -> None:
    """Flushes and closes; `write` must not be called afterwards."""


class Fanout:
  """Forwards metrics to several writers."""

  def __init__(self, *writers: Writer):
    self._writers = writers

  def write(self, step: int, values: Values) -> None:
    """Writes to all writers; reads arrays from their device only once."""
    numbers = to_numbers(values)
    for writer in self._writers:
      writer.write(step, numbers)

  def close(self) -> None:
    """Closes all writers."""
    for writer in self._writers:
      writer.close()


class JsonLines:
  """File with one JSON object per line: step, seconds, then the values.

  `seconds` is the time that the run took so far, across resumptions. Numbers
  that are not finite become null. The writer's state is its position in the
  file: `set_state` cuts off what was written after a checkpoint. Lines that
  cannot be written, as on a full disk, follow as soon as they can.
  """

  def __init__(self, path: str | os.PathLike[str]):
    """Opens `path` for appending; creates its folder."""
    pathlib.Path(path).parent.mkdir(parents=True, exist_ok=True)
    self._lock = threading.Lock()
    self._file = open(path, 'ab', buffering=0)
    self._length = self._file.tell()  # Of whole lines.
    self._waiting = b''  # What comes after them.
    self._is_torn = False  # Whether a part of it is in the file.
    self._failures = _Failures(f'lines of {path}')
    self._start = time.monotonic()

  def write(self, step: int, values: Values) -> None:
    """Appends a line."""
    numbers = {
        name: value if math.isfinite(value) else None
        for name, value in to_numbers(values).items()
    }
    with self._lock:
      seconds = round(time.monotonic() - self._start, 3)
      record = dict(step=step, seconds=seconds, **numbers)
      self._waiting += json.dumps(record).encode() + b'\n'
      with self._failures.tolerated():
        self._write_waiting()

  def _write_waiting(self) -> None:
    if self._is_torn:
      self._file.truncate(self._length)
    self._is_torn = bool(self._waiting)
    written = 0
    while written < len(self._waiting):
      written += self._file.write(self._waiting[written:]) or 0
    self._length += written
    self._waiting, self._is_torn = b'', False

  def get_state(self) -> dict[str, Any]:
    """Returns the length of the file and the time run, in seconds."""
    with self._lock:
      seconds = time.monotonic() - self._start
      return dict(length=self._length, seconds=seconds)

  def set_state(self, state: Mapping[str, Any]) -> None:
    """Truncates the file to the saved length and resumes the clock."""
    with self._lock:
      self._length = min(int(state['length']), self._length)
      self._waiting = b''
      self._file.truncate(self._length)
      self._start = time.monotonic() - float(state['seconds'])

  def close(self) -> None:
    """Closes the file."""
    with self._lock, self._failures.tolerated():
      self._write_waiting()
    self._file.close()


class TensorBoard:
  """Event files for TensorBoard.

  After resuming from a checkpoint, curves show twice what was written between
  that checkpoint and the end of the previous run. If events cannot be written,
  as on a full disk, curves have a gap and continue in another file.
  """

  def __init__(self, path: str | os.PathLike[str]):
    """Opens a new event file in the folder `path`; creates the folder."""
    self._lock = threading.Lock()
    self._path = pathlib.Path(path)
    self._path.mkdir(parents=True, exist_ok=True)
    self._library = _import_tensorboardx()
    self._failures = _Failures(f'events of {path}')
    self._num_files = 0
    self._file: Any = self._open()

  def write(self, step: int, values: Values) -> None:
    """Adds one scalar for each value."""
    library, now = self._library, time.time()
    with self._lock, self._failures.tolerated():
      if self._file is None:
        self._file = self._open()
      try:
        for name, value in to_numbers(values).items():
          if not math.isfinite(value):
            continue  # The library prints a warning of each.
          event = library.proto.event_pb2.Event(
              wall_time=now,
              step=step,
              summary=library.summary.scalar(name, value),
          )
          self._file.write_event(event)
        self._file.flush()
      except OSError:
        self._file = None  # Half an event ends what can be read of a file.
        raise

  def close(self) -> None:
    """Flushes and closes the event file."""
    with self._lock, self._failures.tolerated():
      if self._file is not None:
        self._file.close()

  def _open(self) -> Any:
    # Names have the second; another file, or a resumed run, has its own.
    self._num_files += 1
    return self._library.event_file_writer.EventsWriter(
        str(self._path / 'events'), f'.{os.getpid()}.{self._num_files}'
    )


class _Failures:
  """Warns once of what cannot be written, until it can be again."""

  def __init__(self, what: str):
    self._what = what
    self._has_failed = False

  @contextlib.contextmanager
  def tolerated(self) -> Iterator[None]:
    """Turns an OSError into a warning."""
    try:
      yield
      self._has_failed = False
    except OSError as error:
      if not self._has_failed:
        _logger.warning('%s cannot be written for now: %s', self._what, error)
      self._has_failed = True


def _import_tensorboardx() -> Any:
  """Returns the module tensorboardX, without importing PyTorch.

  tensorboardX imports PyTorch, if installed, only for an annotation, which
  takes seconds. It imports it again when it needs it, for tensors.
  """
  was_imported = 'torch' in sys.modules
  if not was_imported:
    sys.modules['torch'] = None  # type: ignore[assignment]
  try:
    import tensorboardX  # Late: only this writer needs it.
    import tensorboardX.event_file_writer
    import tensorboardX.proto.event_pb2
    import tensorboardX.summary
  finally:
    if not was_imported:
      del sys.modules['torch']
  return tensorboardX


def to_numbers(values: Values) -> dict[str, Any]:
  """Returns the values as Python numbers; waits for pending arrays."""
  return {name: np.asarray(value).item() for name, value in values.items()}
