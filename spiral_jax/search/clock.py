"""Time that a search may take."""

import time


class Clock:
  """Time that passes, in seconds or in rounds.

  Attributes:
    end: when the search ends.
    rounds: number of rounds so far.
  """

  def __init__(self, seconds: float | None, rounds: int | None):
    """Starts.

    Args:
      seconds: time to search; or None.
      rounds: number of rounds; either this or `seconds`.
    """
    self.end = float(rounds if seconds is None else seconds)  # type: ignore[arg-type]
    self.rounds = 0
    self._start = None if seconds is None else time.monotonic()

  @property
  def share_done(self) -> float:
    """Share of the time that has passed, 1 at the end."""
    return min(self.now() / self.end, 1.0) if self.end else 1.0

  def now(self) -> float:
    """Returns the time since the start."""
    if self._start is None:
      return self.rounds
    return time.monotonic() - self._start

  def count_round(self) -> None:
    """Counts a round of proposals."""
    self.rounds += 1
