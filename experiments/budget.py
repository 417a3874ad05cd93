"""What a population may spend: its time, and slices that end with it."""

from collections.abc import Sequence
import json
import pathlib
from typing import Any, NamedTuple

from spiral_jax import files


class Plan(NamedTuple):
  """Slices that end with the population's time.

  Attributes:
    slices: of each member in all; 0, as many as there is time for.
    minutes: of each that is left.
  """

  slices: int
  minutes: float


def plan(
    minutes: float, turns: int, slice_minutes: float, done: Sequence[int]
) -> Plan:
  """Returns what a population does in the time that is left.

  Args:
    minutes: that are left.
    turns: that a round of slices takes.
    slice_minutes: about as long is a slice, and at least half as long.
    done: slices of each member so far.
  """
  mean = sum(done) / len(done)
  each = max(minutes, 0.0) / turns
  slices = max(1, *done, round(mean + each / slice_minutes))
  if slices == mean:
    return Plan(slices, slice_minutes)  # Nothing is left to do.
  return Plan(slices, max(each / (slices - mean), slice_minutes / 2))


class Budget:
  """What is spent and allowed, in a file, over all resumptions."""

  def __init__(self, path: pathlib.Path):
    self._path = path

  def start(
      self, limit: float, *, grace: float, frames: int, slices: int
  ) -> None:
    """Begins, or goes on.

    Args:
      limit: of the population, in seconds; 0, none.
      grace: seconds beyond it, for slices that are to end with it.
      frames: of each member; 0, no limit.
      slices: likewise.
    """
    self._write(
        dict(
            seconds=60 * self.minutes,
            limit=limit,
            grace=grace,
            frames=frames,
            slices=slices,
        )
    )

  @property
  def minutes(self) -> float:
    """Minutes that the population took so far."""
    return self._read()['seconds'] / 60 if self._path.exists() else 0.0

  def spend(self, seconds: float) -> None:
    """Adds to what the population took."""
    budget = self._read()
    budget['seconds'] += seconds
    self._write(budget)

  def is_over(self) -> bool:
    """Returns whether the time is over."""
    budget = self._read()
    return 0 < budget['limit'] <= budget['seconds'] - budget['grace']

  def has_ended(self, frames: int, slices: int) -> bool:
    """Returns whether a member that did so much is at its end."""
    budget = self._read()
    return 0 < budget['frames'] <= frames or 0 < budget['slices'] <= slices

  def _read(self) -> dict[str, Any]:
    return json.loads(self._path.read_text())

  def _write(self, budget: dict[str, Any]) -> None:
    text = json.dumps(budget).encode()
    files.write_atomically(self._path, lambda stream: stream.write(text))
