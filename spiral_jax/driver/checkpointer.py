"""Nodes that act periodically: checkpoints, sample grids."""

from collections.abc import Callable, Collection, Mapping
import logging
import threading
import time

from spiral_jax.driver import checkpoints as checkpoints_lib
from spiral_jax.driver import serialization
from spiral_jax.driver import state_lock as state_lock_lib

_POLL_SECONDS = 0.1

_logger = logging.getLogger(__name__)


class Periodic:
  """Calls a function at a fixed period, in seconds or in lockstep rounds."""

  def __init__(
      self,
      name: str,
      function: Callable[[], object],
      *,
      every_seconds: float | None = None,
      every_rounds: int | None = None,
  ):
    """Creates a node.

    Args:
      name: name of the node, unique in its program.
      function: called in this node's thread, first after one whole period.
      every_seconds: period in seconds. In lockstep it is checked after each
        round, so results of `function` then depend on the clock.
      every_rounds: period in rounds of lockstep, used instead of seconds;
        threads ignore it.
    """
    if (every_seconds is None or every_seconds <= 0) and not every_rounds:
      raise ValueError(
          f'node {name!r} has every_seconds {every_seconds} and every_rounds '
          f'{every_rounds}; one must be positive'
      )
    self.name = name
    self.blocking = True
    self._function = function
    self._every_seconds = every_seconds
    self._every_rounds = every_rounds
    self._rounds = 0
    self._closed = threading.Event()
    self._due = self._next_due()

  def step(self) -> None:
    """Waits until the function is due and calls it; in lockstep never waits."""
    if self.blocking:
      if not self._closed.wait(max(0.0, self._due - time.monotonic())):
        self._call()
      return
    self._rounds += 1
    if self._is_due():
      self._call()

  def close(self) -> None:
    """Ends a wait."""
    self._closed.set()

  def _is_due(self) -> bool:
    """Returns whether a round of lockstep is one with a call."""
    if self._every_rounds:
      return self._rounds % self._every_rounds == 0
    return time.monotonic() >= self._due

  def _call(self) -> None:
    self._function()
    self._due = self._next_due()

  def _next_due(self) -> float:
    if self._every_seconds is None:
      return time.monotonic() + threading.TIMEOUT_MAX
    return time.monotonic() + self._every_seconds


class Checkpointer(Periodic):
  """Saves the state of all parts of a program periodically.

  A checkpoint is one moment of all parts, each at one of its step boundaries.
  In lockstep this must be the last node; parts are then saved at the end of a
  round, and resuming is exact. With threads, trajectories that wait in channels
  are not saved, and those under way are made again.

  If a checkpoint cannot be saved, as on a full disk, a warning says so and
  another try follows soon.
  """

  def __init__(
      self,
      name: str,
      checkpoints: checkpoints_lib.Checkpoints,
      parts: Mapping[str, serialization.Stateful],
      step: Callable[[], int],
      *,
      may_be_new: Collection[str] = (),
      every_seconds: float | None = None,
      every_rounds: int | None = None,
      retry_seconds: float = 30.0,
  ):
    """Creates a node.

    Args:
      name: name of the node, unique in its program.
      checkpoints: storage to save to.
      parts: parts to save by name: `program.stateful()` once the program is
        built, and metrics.
      step: returns the step that names a checkpoint, such as the version of
        the policy.
      may_be_new: names of parts that start afresh if a checkpoint lacks them.
      every_seconds: period in seconds, as in `Periodic`.
      every_rounds: period in rounds of lockstep, as in `Periodic`.
      retry_seconds: seconds to the next try after a failed one.
    """
    self._retry_seconds = retry_seconds
    self._has_failed = False
    super().__init__(
        name,
        self._try_save,
        every_seconds=every_seconds,
        every_rounds=every_rounds,
    )
    self.state_lock = state_lock_lib.StateLock()
    self._checkpoints = checkpoints
    self._parts = dict(parts)
    self._step = step
    self._may_be_new = may_be_new

  def save(self) -> None:
    """Saves now. Not thread-safe: call it from this node or after the end.

    Raises:
      SaveError: if the checkpoint cannot be saved.
      NotFiniteError: if a learner has diverged; nothing is saved then.
    """
    with self.state_lock.frozen():
      step = self._step()
      state = {
          name: serialization.to_plain(part.get_state())
          for name, part in self._parts.items()
      }
    self._checkpoints.save(step, state)

  def save_at_end(self, gives_up: Callable[[], bool]) -> None:
    """Saves; where the system refuses, as on a full disk, waits until it can.

    Args:
      gives_up: asked several times a second while it waits; True ends it.

    Raises:
      SaveError: if the user gives up, or the system is not the cause.
      NotFiniteError: as `save`.
    """
    while True:
      try:
        self.save()
        return
      except checkpoints_lib.SaveError as error:
        if error.errno is None or gives_up():
          raise
        _logger.warning(
            '%s; trying again every %.0f s, another Ctrl-C gives up',
            error,
            self._retry_seconds,
        )
        end = time.monotonic() + self._retry_seconds
        while time.monotonic() < end and not gives_up():
          time.sleep(_POLL_SECONDS)

  def restore(self, step: int | None = None) -> int:
    """Restores every part from a checkpoint and returns the checkpoint's step.

    Call it before `launch`.

    Args:
      step: step of the checkpoint; None means the latest.

    Raises:
      ValueError: if the saved state does not fit; names the part.
    """
    step, state = self._checkpoints.restore(step)
    for name, part in self._parts.items():
      if name not in state:
        if name in self._may_be_new:
          continue
        raise ValueError(
            f'checkpoint {step} has no state of {name!r}; it was saved by '
            'another program'
        )
      try:
        part.set_state(state[name])
      except ValueError as error:
        raise ValueError(f'checkpoint {step}, part {name!r}: {error}') from None
    if self._step() != step:
      raise ValueError(
          f'checkpoint {step} holds the state of step {self._step()}, so its '
          'folder is a copy of another one; remove it, or rename it back'
      )
    return step

  def _try_save(self) -> None:
    try:
      self.save()
      self._has_failed = False
    except checkpoints_lib.SaveError as error:
      self._has_failed = True
      _logger.warning('%s; trying again in %.0f s', error, self._retry_seconds)

  def _is_due(self) -> bool:
    is_retry = self._has_failed and time.monotonic() >= self._due
    return is_retry or super()._is_due()

  def _next_due(self) -> float:
    due = super()._next_due()
    if self._has_failed:
      due = min(due, time.monotonic() + self._retry_seconds)
    return due
