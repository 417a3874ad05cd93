"""Metrics writer that shows a run's progress in the terminal."""

import collections
from collections.abc import Callable, Mapping
import contextlib
import math
import threading
import time
from typing import Any

import rich.console
import rich.progress

from spiral_jax import console as console_lib
from spiral_jax.driver import metrics


class Progress:
  """Shows frames, frames per second, chosen metrics and the time left.

  On a terminal it redraws a line with a progress bar; elsewhere it prints plain
  lines periodically. Values are read from their device only when shown. If the
  terminal is closed, or the pipe, it falls silent.
  """

  def __init__(
      self,
      frames: str,
      columns: Mapping[str, str],
      *,
      total_frames: int | None = None,
      total_seconds: float | None = None,
      elapsed: Callable[[], float] | None = None,
      plain_every_seconds: float = 10.0,
      console: rich.console.Console | None = None,
  ):
    """Starts the display.

    Args:
      frames: name of the metric that counts frames.
      columns: names of the metrics to show, by label.
      total_frames: number of frames at which the run ends; None means no limit.
      total_seconds: time at which the run ends; None means no limit. If both
        are given, the earlier end counts.
      elapsed: returns the seconds that the run took so far, across resumptions;
        None counts from now.
      plain_every_seconds: period of plain lines, in seconds.
      console: console to print to; None means standard output.
    """
    self._frames = frames
    self._columns = dict(columns)
    self._total_frames = total_frames
    self._total_seconds = total_seconds
    self._console = console or console_lib.Console()
    self._live = self._console.is_terminal
    self._period = 0.5 if self._live else plain_every_seconds
    self._lock = threading.Lock()
    self._start = time.monotonic()
    self._elapsed = elapsed or (lambda: time.monotonic() - self._start)
    self._shown = self._start
    self._latest: dict[str, Any] = {}
    # (seconds, frames) at the updates of the last minute, for the rate.
    self._recent: collections.deque[tuple[float, int]] = collections.deque(
        maxlen=max(2, round(60 / self._period))
    )
    self._bar = rich.progress.Progress(
        rich.progress.BarColumn(bar_width=20),
        rich.progress.TextColumn('{task.description}', markup=False),
        console=self._console,
        auto_refresh=False,
    )
    self._task = self._bar.add_task('starting', total=1.0)
    if self._live:
      with contextlib.suppress(OSError):
        self._bar.start()

  def write(self, step: int, values: metrics.Values) -> None:
    """Stores the values to show; redraws if it is time."""
    del step
    names = (self._frames, *self._columns.values())
    with self._lock:
      self._latest.update({n: values[n] for n in names if n in values})
      now = time.monotonic()
      known = self._frames in self._latest
      if known and now - self._shown >= self._period:
        self._shown = now
        with contextlib.suppress(OSError):
          self._show(now)

  def close(self) -> None:
    """Shows the last values and ends the display."""
    with self._lock, contextlib.suppress(OSError):
      if self._frames in self._latest:
        self._show(time.monotonic())
      if self._live:
        self._bar.stop()

  def _show(self, now: float) -> None:
    latest = metrics.to_numbers(self._latest)
    frames = int(latest[self._frames])
    self._recent.append((now, frames))
    seconds = now - self._recent[0][0]
    rate = (frames - self._recent[0][1]) / seconds if seconds else 0.0
    cells = [f'{frames:,} frames', f'{rate:,.0f}/s']
    cells += [
        f'{label} {latest[name]:.4g}'
        for label, name in self._columns.items()
        if name in latest
    ]
    share, left = self._ends(frames, rate)
    if left is not None:
      minutes, seconds = divmod(int(left), 60)
      cells.append(f'{minutes}:{seconds:02d} left')
    line = '  '.join(cells)
    if self._live:
      self._bar.update(self._task, completed=share, description=line)
      self._bar.refresh()
    else:
      self._console.print(line, highlight=False, soft_wrap=True)

  def _ends(self, frames: int, rate: float) -> tuple[float, float | None]:
    """Returns (share done, seconds left or None)."""
    ends = []
    if self._total_frames:
      left = (self._total_frames - frames) / rate if rate else math.inf
      ends.append((left, frames / self._total_frames))
    if self._total_seconds:
      passed = self._elapsed()
      left = self._total_seconds - passed
      ends.append((left, passed / self._total_seconds))
    if not ends:
      return 0.0, None
    left, share = min(ends)
    return min(share, 1.0), max(left, 0.0) if math.isfinite(left) else None
