"""Nodes that do something every so often: checkpoints, sample grids."""

from collections.abc import Callable, Collection, Mapping
import threading
import time
from typing import Any, Protocol

from spiral_jax.driver import serialization


class Periodic:
  """Calls a function every so many seconds, or rounds of lockstep."""

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
      name: unique in its program.
      function: called in this node's thread, first after one whole period.
      every_seconds: period. In lockstep it is looked at after each round, which
        makes what `function` sees depend on the clock.
      every_rounds: period in lockstep, instead of seconds; threads ignore it.
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
    """Waits for the end of a period; in lockstep only looks."""
    if self.blocking:
      if not self._closed.wait(max(0.0, self._due - time.monotonic())):
        self._call()
      return
    self._rounds += 1
    if self._every_rounds:
      if self._rounds % self._every_rounds == 0:
        self._function()
    elif time.monotonic() >= self._due:
      self._call()

  def close(self) -> None:
    """Ends a wait."""
    self._closed.set()

  def _call(self) -> None:
    self._function()
    self._due = self._next_due()

  def _next_due(self) -> float:
    if self._every_seconds is None:
      return time.monotonic() + threading.TIMEOUT_MAX
    return time.monotonic() + self._every_seconds


class Checkpoints(Protocol):
  """Where checkpoints are kept; see checkpoints.py."""

  def save(self, step: int, state: Any) -> None:
    """Saves plain state, atomically."""

  def restore(self, step: int | None = None) -> tuple[int, Any]:
    """Returns (step, plain state), by default of the latest."""


class Checkpointer(Periodic):
  """Saves the state of all parts of a program every so often.

  Each part is saved at one of its step boundaries. In lockstep, where it must
  be the last node, that is the end of a round and continuing is exact. With
  threads, trajectories that wait in channels are not saved.
  """

  def __init__(
      self,
      name: str,
      checkpoints: Checkpoints,
      parts: Mapping[str, serialization.Stateful],
      step: Callable[[], int],
      *,
      may_be_new: Collection[str] = (),
      every_seconds: float | None = None,
      every_rounds: int | None = None,
  ):
    """Creates a node.

    Args:
      name: unique in its program.
      checkpoints: where to save.
      parts: what to save: `program.stateful()` once the program is built, and
        metrics.
      step: names a checkpoint; the policy's version, say.
      may_be_new: parts that begin anew where a checkpoint has none of them.
      every_seconds: as in `Periodic`.
      every_rounds: as in `Periodic`.
    """
    super().__init__(
        name,
        self.save,
        every_seconds=every_seconds,
        every_rounds=every_rounds,
    )
    self._checkpoints = checkpoints
    self._parts = dict(parts)
    self._step = step
    self._may_be_new = may_be_new

  def save(self) -> None:
    """Saves now. For one thread at a time: this node's, or after the end."""
    step = self._step()
    self._checkpoints.save(
        step,
        {
            name: serialization.to_plain(part.get_state())
            for name, part in self._parts.items()
        },
    )

  def restore(self, step: int | None = None) -> int:
    """Sets every part to what was saved and returns the checkpoint's step.

    Call before `launch`.

    Args:
      step: of the checkpoint; the latest by default.

    Raises:
      ValueError: if what was saved doesn't fit; names the part.
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
    return step
