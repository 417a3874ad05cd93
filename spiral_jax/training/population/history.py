"""The history of a population: its slices, their lineage, and its plot."""

import collections
from collections.abc import Sequence
import errno
import json
import logging
import math
import pathlib
import time
from typing import Any

import numpy as np

from spiral_jax import files
from spiral_jax.training import plots
from spiral_jax.training.population import slice as slice_lib

Slice = slice_lib.Slice
SEARCHED = slice_lib.SEARCHED

_RETRY_SECONDS = 30.0

_logger = logging.getLogger(__name__)


def load(path: pathlib.Path) -> list[Slice]:
  """Returns the slices of a history, in the order in which they ended."""
  if not path.exists():
    return []
  # Earlier versions appended lines: one that was being written when its program
  # was killed is not whole, and its slice is trained again.
  *lines, _ = path.read_text().split('\n')
  return [from_json(json.loads(line)) for line in lines]


def save(history: Sequence[Slice], path: pathlib.Path) -> None:
  """Writes what `load` returns, whole or not at all."""
  write(path, ''.join(json.dumps(to_json(line)) + '\n' for line in history))


def write(path: pathlib.Path, text: str) -> None:
  """Writes a file, whole or not at all; waits while the disk is full."""
  while True:
    try:
      files.write_atomically(path, lambda stream: stream.write(text.encode()))
      return
    except OSError as error:
      if error.errno not in (errno.ENOSPC, errno.EDQUOT):
        raise
      _logger.warning(
          '%s cannot be written (%s); trying again in %.0f s',
          path,
          error.strerror,
          _RETRY_SECONDS,
      )
      time.sleep(_RETRY_SECONDS)


def to_json(line: Slice) -> dict[str, Any]:
  """Returns a slice as `load` reads it."""
  # JSON has no numbers that are not finite.
  score = line.score if np.isfinite(line.score) else None
  return {**line._asdict(), 'score': score}


def from_json(fields: dict[str, Any]) -> Slice:
  """Undoes `to_json`."""
  score = -math.inf if fields['score'] is None else fields['score']
  return Slice(**{**fields, 'score': score})


def latest(history: Sequence[Slice], member: int, before: int) -> Slice | None:
  """Returns a member's latest slice before one of that number, if any."""
  past = [s for s in history if s.member == member and s.slice < before]
  return max(past, key=lambda line: line.slice, default=None)


def rank(line: Slice) -> float:
  """Returns the score of a slice; minus infinity if it is not finite."""
  return line.score if np.isfinite(line.score) else -math.inf


def best(history: Sequence[Slice]) -> Slice:
  """Returns the slice with the highest score; scores must be compatible.

  Of the slices that most members have ended, the latest: where time runs out in
  the middle of a round, its few are not all that there is.

  Raises:
    ValueError: if no member has ended a slice.
  """
  if not history:
    raise ValueError(
        'no member has ended its first slice; give more --minutes, or shorter '
        'slices by --perturb_minutes or --perturb_frames'
    )
  ended = collections.Counter(line.slice for line in history)
  last = max(ended, key=lambda number: (ended[number], number))
  return max((line for line in history if line.slice == last), key=rank)


def ancestry(history: Sequence[Slice], end: Slice) -> list[Slice]:
  """Returns the slices that led to `end`, first to last, itself included."""
  before = latest(history, end.parent, end.slice)
  return [end] if before is None else [*ancestry(history, before), end]


def plot(history: Sequence[Slice], end: Slice, path: pathlib.Path) -> None:
  """Draws each member's schedule, score and lineage, one below the other.

  A line is a member; where it was replaced, a dotted line leads to it from the
  member that it is a copy of. The ancestry of `end` is bold.
  """
  from matplotlib import figure  # Late: it takes a second.

  picture = figure.Figure(figsize=(8, 9), layout='constrained')
  panels = picture.subplots(4, sharex=True, height_ratios=[3, 3, 3, 2])
  bold = ancestry(history, end)
  for name, axis in zip((*SEARCHED, 'score', 'member'), panels):
    for line in history:
      style = {'color': f'C{line.member % 10}', 'linewidth': 0.9, 'alpha': 0.6}
      if line in bold:
        style |= {'linewidth': 2.6, 'alpha': 1.0}
      axis.plot(line.slice, getattr(line, name), '.', **style)
      before = latest(history, line.parent, line.slice)
      if before is not None:
        axis.plot(
            [before.slice, line.slice],
            [getattr(before, name), getattr(line, name)],
            linestyle='-' if line.parent == line.member else ':',
            **style,
        )
    axis.set_ylabel(name.replace('_', ' '))
    axis.grid(alpha=0.3)
    if name in SEARCHED and all(getattr(line, name) > 0 for line in history):
      axis.set_yscale('log')
  panels[-1].set_yticks(sorted({line.member for line in history}))
  panels[-1].set_xticks(sorted({line.slice for line in history}))
  panels[-1].set_xlabel('slice of training')
  plots.save_plot(picture, path)
