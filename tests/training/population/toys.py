"""A population whose slices only say that they were trained."""

import dataclasses
import math
import pathlib

from spiral_jax.training import population
from spiral_jax.training.population import rounds as rounds_lib
from spiral_jax.training.population import slice as slice_lib
from tests import tiny

SEARCH = population.Search(
    members=4, learning_rates=(1e-4, 1e-2), entropy_costs=(0.01, 1.0)
)


def line(member, slice_, parent=None, score=0.0, **fields):
  defaults = dict(
      frames=24 * slice_, seconds=1.0, learning_rate=1e-3, entropy_cost=0.1
  )
  parent = member if parent is None else parent
  return slice_lib.Slice(
      member, slice_, parent, score=score, **{**defaults, **fields}
  )


def scored(slice_, *scores, **fields):
  """Returns a line for each member that has a score."""
  return [
      line(member, slice_, score=score, **fields)
      for member, score in enumerate(scores)
      if score is not None
  ]


# Member 2 is replaced by 0 after the first slice, 0 by 2 after the second.
HISTORY = [
    *scored(1, 3.0, 2.0, 1.0),
    line(0, 2, score=4.0),
    line(1, 2, score=9.0),
    line(2, 2, 0, score=5.0),
    line(0, 3, 2, score=7.0),
    line(1, 3, score=6.0),
    line(2, 3, score=-math.inf),
]


class Slices:
  """Trains slices in this process; some fail, or end everything."""

  def __init__(self, fails=(), stops=None):
    self.fails = set(fails)  # (slice, member).
    self.stops = stops
    self.trained = []
    self.arguments = []

  def __call__(self, function, calls, is_over):
    assert function is slice_lib.train_slice
    for member, (experiment, planned, before, *length) in calls.items():
      if is_over():
        return
      if (planned.slice, member) == self.stops:
        raise KeyboardInterrupt
      if (planned.slice, member) in self.fails:
        yield member, OSError('no disk')
        continue
      run_dir = pathlib.Path(experiment.run.run_dir)
      if before is not None:
        assert folder(run_dir, before.slice, before.member).is_dir()
      write_run(folder(run_dir, planned.slice, member))
      self.trained.append((planned.slice, member))
      self.arguments.append((experiment, planned, before, *length))
      frames = (before.frames if before else 0) + 48
      yield member, planned._replace(
          score=-planned.learning_rate, frames=frames, seconds=float(frames)
      )


def folder(run_dir, slice_, member):
  return run_dir / 'members' / str(member) / str(slice_)


def write_run(path):
  (path / 'checkpoints' / '3').mkdir(parents=True, exist_ok=True)
  for name in ('metrics.jsonl', 'config.json', 'checkpoints/3/state'):
    (path / name).write_text(f'of {path.parent.name}/{path.name}')


def rounds(run_dir, slices, search=SEARCH, **run):
  search = dataclasses.replace(search, perturb_frames=48)
  experiment = tiny.experiment(run_dir, run={'frames': 192, **run})
  return rounds_lib.train_rounds(experiment, search, slices)
