"""Where metrics go: JSON lines and TensorBoard; progress.py shows them.

A writer takes `write(step, values)`: scalars by name, Python numbers or arrays
`[]`. Writers may be shared by threads.
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
  """Takes metrics; see the module's docstring."""

  def write(self, step: int, values: Values) -> None:
    """Writes `values`, of update `step`."""

  def close(self) -> None:
    """Writes what is held back; there is no writing after it."""


class Fanout:
  """Hands what it gets to several writers."""

  def __init__(self, *writers: Writer):
    self._writers = writers

  def write(self, step: int, values: Values) -> None:
    """Writes to all, reading arrays from their device once."""
    numbers = to_numbers(values)
    for writer in self._writers:
      writer.write(step, numbers)

  def close(self) -> None:
    """Closes all."""
    for writer in self._writers:
      writer.close()


class JsonLines:
  """A file with one JSON object a line: step, seconds, then the values.

  `seconds` are those that the run took so far, over all its resumptions.
  Numbers that aren't finite become null. The writer's state is its place in
  the file: what was written after a checkpoint is cut off by `set_state`.
  """

  def __init__(self, path: str | os.PathLike[str]):
    """Opens `path` to append, making its folder."""
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
    """Returns the length of the file and the seconds run."""
    with self._lock:
      seconds = time.monotonic() - self._start
      return dict(length=self._file.tell(), seconds=seconds)

  def set_state(self, state: Mapping[str, Any]) -> None:
    """Cuts the file off where it was and lets seconds run on."""
    with self._lock:
      self._file.truncate(min(int(state['length']), self._file.tell()))
      self._file.seek(0, os.SEEK_END)
      self._start = time.monotonic() - float(state['seconds'])

  def close(self) -> None:
    """Closes the file."""
    self._file.close()


class TensorBoard:
  """Event files for TensorBoard.

  After a resumption from a checkpoint, curves show twice what was written
  between that checkpoint and the end of the run before.
  """

  def __init__(self, path: str | os.PathLike[str]):
    """Opens a new event file in folder `path`."""
    self._lock = threading.Lock()
    self._writer = _import_tensorboardx().SummaryWriter(str(path))

  def write(self, step: int, values: Values) -> None:
    """Adds one scalar each."""
    with self._lock:
      for name, value in to_numbers(values).items():
        self._writer.add_scalar(name, value, step)

  def close(self) -> None:
    """Flushes and closes the event file."""
    self._writer.close()


def _import_tensorboardx() -> Any:
  """Returns the module, without importing PyTorch, which takes seconds.

  tensorboardX imports it, where it is installed, for an annotation alone; what
  it needs of it later, for tensors, it imports then.
  """
  was_imported = 'torch' in sys.modules
  if not was_imported:
    sys.modules['torch'] = None  # type: ignore[assignment]
  try:
    import tensorboardX  # Late: it isn't needed where this writer isn't.
  finally:
    if not was_imported:
      del sys.modules['torch']
  return tensorboardX


def to_numbers(values: Values) -> dict[str, Any]:
  """Returns Python numbers; waits for arrays that are still computed."""
  return {name: np.asarray(value).item() for name, value in values.items()}
