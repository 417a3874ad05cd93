"""Lock under which a program's state is changed, or is looked at as a whole."""

from collections.abc import Iterator
from contextlib import contextmanager
import threading


class StateLock:
  """Lets nodes change their state at the same time, but not while it is read.

  A checkpoint is one moment of all parts: it is collected while no node changes
  anything. What belongs together, such as a sample of the replay and the update
  by it, is changed under one `changing`. In there a node never waits for
  another one, so a checkpoint waits for the updates under way only.
  """

  def __init__(self) -> None:
    self._condition = threading.Condition()
    self._num_changing = 0
    self._is_frozen = False

  @contextmanager
  def changing(self) -> Iterator[None]:
    """Waits while the state is looked at. Not to be nested."""
    with self._condition:
      self._condition.wait_for(lambda: not self._is_frozen)
      self._num_changing += 1
    try:
      yield
    finally:
      with self._condition:
        self._num_changing -= 1
        self._condition.notify_all()

  @contextmanager
  def frozen(self) -> Iterator[None]:
    """Waits until no node changes its state, and keeps them from it."""
    with self._condition:
      self._condition.wait_for(lambda: not self._is_frozen)
      self._is_frozen = True  # No other change begins.
      self._condition.wait_for(lambda: not self._num_changing)
    try:
      yield
    finally:
      with self._condition:
        self._is_frozen = False
        self._condition.notify_all()
