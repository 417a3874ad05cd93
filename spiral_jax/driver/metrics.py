"""Writers of metrics, to JSON lines and TensorBoard; see also progress.py.

A writer has `write(step, values)`, where values are scalars by name: Python
numbers or arrays `[]`. Threads may share a writer.
"""

from collections.abc import Mapping
import json
import math
import os
import pathlib
import sys
import threading
import time
from typing import Any, Protocol

import numpy as np

Values = Mapping[str, Any]


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
  file: `set_state` cuts off what was written after a checkpoint.
  """

  def __init__(self, path: str | os.PathLike[str]):
    """Opens `path` for appending; creates its folder."""
    pathlib.Path(path).parent.mkdir(parents=True, exist_ok=True)
    self._lock = threading.Lock()
    self._file = open(path, 'ab')
    self._start = time.monotonic()

  def write(self, step: int, values: Values) -> None:
    """Appends a line and flushes it."""
    numbers = {
        name: value if math.isfinite(value) else None
        for name, value in to_numbers(values).items()
    }
    with self._lock:
      seconds = round(time.monotonic() - self._start, 3)
      record = dict(step=step, seconds=seconds, **numbers)
      self._file.write(json.dumps(record).encode() + b'\n')
      self._file.flush()

  def get_state(self) -> dict[str, Any]:
    """Returns the length of the file and the time run, in seconds."""
    with self._lock:
      seconds = time.monotonic() - self._start
      return dict(length=self._file.tell(), seconds=seconds)

  def set_state(self, state: Mapping[str, Any]) -> None:
    """Truncates the file to the saved length and resumes the clock."""
    with self._lock:
      self._file.truncate(min(int(state['length']), self._file.tell()))
      self._file.seek(0, os.SEEK_END)
      self._start = time.monotonic() - float(state['seconds'])

  def close(self) -> None:
    """Closes the file."""
    self._file.close()


class TensorBoard:
  """Event files for TensorBoard.

  After resuming from a checkpoint, curves show twice what was written between
  that checkpoint and the end of the previous run.
  """

  def __init__(self, path: str | os.PathLike[str]):
    """Opens a new event file in the folder `path`."""
    self._lock = threading.Lock()
    self._writer = _import_tensorboardx().SummaryWriter(str(path))

  def write(self, step: int, values: Values) -> None:
    """Adds one scalar for each value."""
    with self._lock:
      for name, value in to_numbers(values).items():
        self._writer.add_scalar(name, value, step)

  def close(self) -> None:
    """Flushes and closes the event file."""
    self._writer.close()


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
  finally:
    if not was_imported:
      del sys.modules['torch']
  return tensorboardX


def to_numbers(values: Values) -> dict[str, Any]:
  """Returns the values as Python numbers; waits for pending arrays."""
  return {name: np.asarray(value).item() for name, value in values.items()}
