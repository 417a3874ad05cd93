"""A population of training runs: what one member does, and what became of all.

A member trains in slices. Between two of them it is a folder, a copy of its run
(checkpoint and metrics), which another member may take for its own: to go on
from there is to be descended from it.
"""

import collections
from collections.abc import Iterable, Sequence
import dataclasses
import json
import pathlib
import shutil
import time
from typing import Any, NamedTuple

import numpy as np

import pictures
import run_setup
from spiral_jax import files
from spiral_jax.driver import checkpoints
import training

# What a population searches; fields of `agents.LearnerConfig`.
SEARCHED = ('learning_rate', 'entropy_cost')
# In what a member may differ from the one that it is descended from, or from
# itself before the population was given more time.
_MAY_CHANGE = (
    'run.seed',
    'run.decay_minutes',
    *(f'learner.{name}' for name in SEARCHED),
)

_NOTE = 'member.json'
_NO_END = 1 << 62  # In frames.


class Slice(NamedTuple):
  """A line of a population's history: a member after a slice of training.

  Attributes:
    member: number from 0 on.
    slice: number from 1 on.
    parent: the member whose folder of the slice before it went on from; itself
      unless it was replaced.
    score: of its canvases, those that are replayed to its discriminator, less
      that of real images (minus the l2 error where that is the reward): the
      mean over the second half of the slice; minus infinity if it diverged.
    frames: commands learned from, those of its ancestors included.
    seconds: of training, likewise.
    learning_rate: of the slice.
    entropy_cost: of the slice.
  """

  member: int
  slice: int
  parent: int
  score: float
  frames: int
  seconds: float
  learning_rate: float
  entropy_cost: float


def train_slice(
    setup: run_setup.Setup,
    member: int,
    start: pathlib.Path | None,
    end: pathlib.Path,
    *,
    minutes: float,
    frames: int,
) -> Slice:
  """Trains a member for a slice.

  Args:
    setup: of the member; its run_dir is where it works, its frames, if any,
      where it ends.
    member: its number.
    start: folder to go on from, not changed; None, from the beginning.
    end: folder to leave, made here.
    minutes: of the slice, what it takes beside training included: where those
      before took longer, this one is shorter, down to half; or
    frames: of the slice, if not 0.

  Returns:
    What there is to say of it.
  """
  begun = time.monotonic()
  run_dir = pathlib.Path(setup.run.run_dir)
  shutil.rmtree(run_dir, ignore_errors=True)
  parent, number, frames_before, seconds = member, 0, 0, 0.0
  beside = late = 0.0
  if start is not None:
    copy(start, run_dir)
    note = _note(run_dir)
    parent, number = note['member'], note['slice']
    frames_before, seconds = _progress(run_dir)
    beside, late = note.get('beside', 0.0), note.get('late', 0.0)
  length = _length(60 * minutes, beside, late)
  run = dataclasses.replace(
      setup.run,
      resume=start is not None,
      ray_address='',  # Its actors are threads.
      frames=min(
          frames_before + frames if frames else _NO_END,
          setup.run.frames or _NO_END,
      ),
      minutes=0 if frames else (seconds + length) / 60,
      seed=setup.run.seed + member,
      # The end of the slice saves it.
      checkpoint_minutes=1e6,
  )
  training.train(setup._replace(run=run), may_change=_MAY_CHANGE)
  frames_after, seconds_after = _progress(run_dir)
  line = Slice(
      member=member,
      slice=number + 1,
      parent=parent,
      score=_score(
          run_dir / 'metrics.jsonl',
          frames_before,
          frames_after,
          has_discriminator=setup.learner.reward == 'discriminator',
      ),
      frames=frames_after,
      seconds=seconds_after,
      learning_rate=setup.learner.learning_rate,
      entropy_cost=setup.learner.entropy_cost,
  )
  step = checkpoints.load(run_dir / 'checkpoints').step
  took = time.monotonic() - begun
  note = {
      **_to_json(line),
      'step': step,
      'beside': took - (seconds_after - seconds),
      'late': 0.0 if frames else late + took - 60 * minutes,
  }
  (run_dir / _NOTE).write_text(json.dumps(note))
  shutil.rmtree(end, ignore_errors=True)
  copy(run_dir, end)
  return line


def _length(slice_seconds: float, beside: float, late: float) -> float:
  """Returns the seconds of training of a slice.

  Args:
    slice_seconds: of all of it.
    beside: seconds that the last slice took beside training.
    late: seconds that all before took more than theirs.
  """
  # No slice is to lack more than half for what went wrong before.
  return slice_seconds - min(max(beside + late, 0.0), slice_seconds / 2)


def _progress(run_dir: pathlib.Path) -> tuple[int, float]:
  """Returns frames and seconds at a run's latest checkpoint."""
  state = checkpoints.load(run_dir / 'checkpoints').state
  return int(state['policy']['frames']), float(state['clock']['seconds'])


def _score(
    path: pathlib.Path, start: int, end: int, *, has_discriminator: bool
) -> float:
  """Returns the mean score in the second half of a slice of frames.

  A discriminator's scores alone say little: its loss leaves a constant free,
  which wanders by more than members differ.
  """
  sign, metric = 1, 'policy/score'
  if has_discriminator:
    sign, metric = -1, 'discriminator/discriminator_distance'
  scores, frames = [], 0
  for line in path.open():
    record = json.loads(line)
    frames = record.get('policy/frames', frames)
    if metric in record:
      value = record[metric]
      is_finite = value is not None  # JSON has no other numbers.
      scores.append((frames, sign * value if is_finite else -np.inf))
  half = [score for frames, score in scores if 2 * frames > start + end]
  # A slice may be too short for a record of its own, or a run for any.
  latest = scores[-1][1] if scores else -np.inf
  return float(np.mean(half or latest))


def _note(folder: pathlib.Path) -> dict[str, Any]:
  return json.loads((folder / _NOTE).read_text())


def copy(folder: pathlib.Path, to: pathlib.Path) -> None:
  """Copies what going on, evaluating and plotting need to a new folder."""
  to.mkdir(parents=True)
  for name in ('metrics.jsonl', 'config.json', _NOTE):
    shutil.copy(folder / name, to / name)
  # No other: a folder that Tune wrote to twice may hold another's as well.
  step = pathlib.Path('checkpoints', str(_note(folder)['step']))
  shutil.copytree(folder / step, to / step)
  if (folder / 'samples').is_dir():
    shutil.copytree(folder / 'samples', to / 'samples')


def progress(folder: pathlib.Path) -> tuple[int, int]:
  """Returns the frames and the number of slices of what left a folder."""
  note = _note(folder)
  return note['frames'], note['slice']


def ends(
    folders: Iterable[pathlib.Path],
) -> dict[tuple[int, int], pathlib.Path]:
  """Returns the folder of each slice, (slice, member), that left one."""
  notes = {path: _note(path) for path in folders if (path / _NOTE).exists()}
  return {(note['slice'], note['member']): path for path, note in notes.items()}


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
  return max(
      (line for line in history if line.slice == last),
      key=lambda line: line.score if np.isfinite(line.score) else -np.inf,
  )


def ancestry(history: Sequence[Slice], end: Slice) -> list[Slice]:
  """Returns the slices that led to `end`, first to last, itself included."""
  by_place = {(line.slice, line.member): line for line in history}
  line, path = end, [end]
  while line.slice > 1:
    line = by_place[line.slice - 1, line.parent]
    path.append(line)
  return path[::-1]


def load(path: pathlib.Path) -> list[Slice]:
  """Reads JSON lines; of a slice that was trained twice, the last."""
  if not path.exists():
    return []
  lines = [_from_json(json.loads(line)) for line in path.open()]
  return list({(line.slice, line.member): line for line in lines}.values())


def save(history: Sequence[Slice], path: pathlib.Path) -> None:
  """Writes JSON lines, the first slice of all members first."""
  ordered = sorted(history, key=lambda line: (line.slice, line.member))
  text = ''.join(map(to_text, ordered))
  files.write_atomically(path, lambda stream: stream.write(text.encode()))


def to_text(line: Slice) -> str:
  """Returns the line of JSON that `load` reads."""
  return json.dumps(_to_json(line)) + '\n'


def _to_json(line: Slice) -> dict[str, Any]:
  # JSON has no numbers that are not finite.
  score = line.score if np.isfinite(line.score) else None
  return {**line._asdict(), 'score': score}


def _from_json(fields: dict[str, Any]) -> Slice:
  score = -np.inf if fields['score'] is None else fields['score']
  return Slice(**{**fields, 'score': score})


def plot(history: Sequence[Slice], end: Slice, path: pathlib.Path) -> None:
  """Draws each member's schedule, score and lineage, one below the other.

  A line is a member; where it was replaced, a dotted line leads to it from the
  member that it goes on from. What led to `end` is bold.
  """
  from matplotlib import figure  # Late: it takes a second.

  picture = figure.Figure(figsize=(8, 9), layout='constrained')
  panels = picture.subplots(
      4, sharex=True, height_ratios=[3, 3, 3, 2], squeeze=True
  )
  by_place = {(line.slice, line.member): line for line in history}
  bold = set(ancestry(history, end))
  for name, axis in zip((*SEARCHED, 'score', 'member'), panels):
    for line in history:
      before = by_place.get((line.slice - 1, line.parent))
      is_bold = line in bold
      style = dict(
          color=f'C{line.member % 10}',
          linewidth=2.6 if is_bold else 0.9,
          alpha=1.0 if is_bold else 0.6,
      )
      axis.plot(line.slice, getattr(line, name), '.', **style)
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
  pictures.save_plot(picture, path)
