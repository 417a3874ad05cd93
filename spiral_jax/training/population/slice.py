"""A slice of training of a member of a population."""

import dataclasses
import json
import math
import pathlib
import shutil
import time
from typing import NamedTuple
import uuid

import numpy as np

from spiral_jax.driver import checkpoints
from spiral_jax.driver import finite
from spiral_jax.training import experiment as experiment_lib
from spiral_jax.training import runner
from spiral_jax.training import runtime

# What a population searches; fields of `agents.LearnerConfig`.
SEARCHED = ('learning_rate', 'entropy_cost')
# In what a member may differ from the one that it is a copy of, or from itself
# before the population was given more time.
_MAY_CHANGE = (
    'run.seed',
    'run.decay_minutes',
    *(f'learner.{name}' for name in SEARCHED),
)

_NO_END = 1 << 62  # In frames.


class Slice(NamedTuple):
  """A slice of a member's training, planned or ended.

  Attributes:
    member: number of the member, from 0 on.
    slice: number of the slice and of its round, from 1 on.
    parent: the member from whose latest slice this one starts: itself unless it
      is replaced.
    learning_rate: learning rate of the slice.
    entropy_cost: entropy cost of the slice.
    score: score of its canvases, those that are replayed to its discriminator,
      less that of real images (minus the l2 error where that is the reward):
      the mean over the second half of the slice; minus infinity if it diverged
      or is only planned.
    frames: commands learned from, those of its ancestors included.
    seconds: seconds of training, those of its ancestors included.
    overhead: seconds that the slice took besides training.
  """

  member: int
  slice: int
  parent: int
  learning_rate: float
  entropy_cost: float
  score: float = -math.inf
  frames: int = 0
  seconds: float = 0.0
  overhead: float = 0.0


def train_slice(
    experiment: experiment_lib.Experiment,
    planned: Slice,
    before: Slice | None,
    seconds: float,
    frames: int,
) -> Slice | finite.NotFiniteError:
  """Trains a slice in this process, and leaves the folder of its end.

  Args:
    experiment: configuration of each member; its run_dir is the population's,
      its frames, if any, are where each ends.
    planned: the slice.
    before: the slice to start from; None to begin.
    seconds: length of the slice, with an overhead like that of the one before.
    frames: length of the slice in frames; 0 means as seconds says.

  Returns:
    The slice with its results; of one that diverged, the error. It is not
    raised, since another try would diverge as well.
  """
  runtime.prepare()
  begun = time.monotonic()
  folder, run = pathlib.Path(experiment.run.run_dir), experiment.run
  end = end_dir(folder, planned)
  # Its own: a process that was given up for lost may still be writing.
  work = end.with_name(f'{end.name}.{uuid.uuid4().hex}')
  run_dir = work / 'run'
  old = before or planned
  length = _training_seconds(seconds, old.overhead)
  values = {name: getattr(planned, name) for name in SEARCHED}
  member = experiment.replace(
      learner=dataclasses.replace(experiment.learner, **values),
      run_dir=str(run_dir),
      resume=before is not None,
      ray_address='',  # Its actors are threads.
      frames=min(
          old.frames + frames if frames else _NO_END, run.frames or _NO_END
      ),
      minutes=0 if frames else (old.seconds + length) / 60,
      seed=run.seed + planned.member,
      # No member learns from what another one is evaluated on.
      data_seed=run.seed if run.data_seed < 0 else run.data_seed,
      checkpoint_minutes=1e6,  # The end of the slice saves it.
  )
  try:
    if before is not None:
      copy_run(end_dir(folder, before), run_dir)
    runner.train(member, may_change=_MAY_CHANGE)
    state = checkpoints.load(run_dir / 'checkpoints').state
    copy_run(run_dir, work / 'end')
    shutil.rmtree(end, ignore_errors=True)
    (work / 'end').rename(end)
  except finite.NotFiniteError as error:
    return error
  finally:
    shutil.rmtree(work, ignore_errors=True)
  frames_after = int(state['policy']['frames'])
  seconds_after = float(state['clock']['seconds'])
  return planned._replace(
      score=_score(
          end / 'metrics.jsonl',
          old.frames,
          frames_after,
          has_discriminator=experiment.has_discriminator,
      ),
      frames=frames_after,
      seconds=seconds_after,
      overhead=time.monotonic() - begun - (seconds_after - old.seconds),
  )


def end_dir(folder: pathlib.Path, line: Slice) -> pathlib.Path:
  """Returns the folder of a slice's end, in that of a population."""
  return folder / 'members' / str(line.member) / str(line.slice)


def copy_run(run_dir: pathlib.Path, to: pathlib.Path) -> None:
  """Copies what resuming, evaluating and plotting need to a new folder."""
  to.mkdir(parents=True)
  for name in ('metrics.jsonl', 'config.json'):
    shutil.copy(run_dir / name, to / name)
  steps = checkpoints.steps(run_dir / 'checkpoints')
  latest = max(steps)
  shutil.copytree(steps[latest], to / 'checkpoints' / str(latest))
  if (run_dir / 'samples').is_dir():
    shutil.copytree(run_dir / 'samples', to / 'samples')


def _training_seconds(seconds: float, overhead: float) -> float:
  """Returns how long a slice trains; overhead takes half of it at most."""
  return seconds - min(overhead, seconds / 2)


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
  for text in path.read_text().splitlines():
    record = json.loads(text)
    frames = record.get('policy/frames', frames)
    if metric in record:
      value = record[metric]
      is_finite = value is not None  # JSON has no other numbers.
      scores.append((frames, sign * value if is_finite else -math.inf))
  half = [score for frames, score in scores if 2 * frames > start + end]
  # A slice may be too short for a record of its own, or a run for any.
  latest = scores[-1][1] if scores else -math.inf
  return float(np.mean(half or latest))
