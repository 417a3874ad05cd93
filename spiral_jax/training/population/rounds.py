"""The rounds of a population, whatever it is that runs slices."""

from collections.abc import Callable, Iterator
import json
import pathlib
import shutil
from typing import Any

from spiral_jax import console
from spiral_jax.driver import signals
from spiral_jax.training import experiment as experiment_lib
from spiral_jax.training import run_dir as run_dir_lib
from spiral_jax.training.population import budget
from spiral_jax.training.population import history as history_lib
from spiral_jax.training.population import search as search_lib
from spiral_jax.training.population import slice as slice_lib

# Of each member: others may have yet to copy the last but one.
_KEPT_SLICES = 3
# Trains slices: takes `train_slice`, its arguments by member, and a function
# that tells whether time is over; yields (member, `Slice` or exception).
RunSlices = Callable[..., Iterator[tuple[int, Any]]]


def train_rounds(
    experiment: experiment_lib.Experiment,
    search: search_lib.Search,
    run_slices: RunSlices,
    turns: int = 1,
) -> pathlib.Path:
  """Trains a population, or resumes one, whatever it is that runs slices.

  Args:
    experiment: as for `launch.train`.
    search: as for `launch.train`.
    run_slices: trains the slices of a round.
    turns: number of slices that follow each other in a round.
  """
  population = _Population(experiment, search, turns)
  try:
    with signals.raised():
      while population.train_round(run_slices):
        pass
  except KeyboardInterrupt:
    with signals.held():  # A closed terminal sends several.
      if population.history:
        population.write_best()
      console.say(f'stopped; resume with: {run_dir_lib.resume_command()}')
    raise
  return population.write_best()


class _Population:
  """The state of a population, in memory and in its folder."""

  def __init__(
      self,
      experiment: experiment_lib.Experiment,
      search: search_lib.Search,
      turns: int,
  ):
    run = experiment.run
    self._experiment = experiment.replace(
        decay_minutes=run.decay_minutes or run.minutes / turns
    )
    self._search = search
    self._run_dir = pathlib.Path(run.run_dir)
    self.history = history_lib.load(self._run_dir / 'history.jsonl')
    self._clock = run_dir_lib.Clock()
    self._clock.start()
    begun_with = self._run_dir / 'search.json'
    if begun_with.exists():
      self._clock.set_state(_read(self._run_dir / 'clock.json'))
      saved = _read(self._run_dir / 'round.json')
      self._round = [history_lib.from_json(fields) for fields in saved]
    else:
      _write(self._run_dir / 'clock.json', self._clock.get_state())
      self._begin_round(search_lib.first_round(experiment, search))
      _write(begun_with, search_lib.fixed(search, run.seed))
    # Left by slices that were killed.
    for folder in self._run_dir.glob('members/*/*.*'):
      shutil.rmtree(folder, ignore_errors=True)
    self._turns = turns
    self._grace = 0.0

  @property
  def _number(self) -> int:
    return self._round[0].slice

  def _begin_round(self, planned: list[slice_lib.Slice]) -> None:
    self._round = planned
    _write(
        self._run_dir / 'round.json',
        [history_lib.to_json(line) for line in planned],
    )

  def _is_over(self) -> bool:
    """Returns whether time is over; saves the clock."""
    _write(self._run_dir / 'clock.json', self._clock.get_state())
    end = 60 * self._experiment.run.minutes
    return 0 < end <= self._clock.seconds - self._grace

  def _plan(self) -> budget.Plan:
    """Returns how many rounds there are, and how long slices are now."""
    minutes = self._experiment.run.minutes
    if not minutes or self._search.perturb_frames:
      return budget.Plan(0, self._search.perturb_minutes)
    missing = {planned.member for planned in self._unfinished()}
    return budget.plan(
        minutes - self._clock.seconds / 60,
        self._turns,
        self._search.perturb_minutes,
        [self._number - (m in missing) for m in range(self._search.members)],
    )

  def _unfinished(self) -> list[slice_lib.Slice]:
    done = {line.member for line in self.history if line.slice == self._number}
    return [planned for planned in self._round if planned.member not in done]

  def train_round(self, run_slices: RunSlices) -> bool:
    """Trains what a round lacks; returns whether there is another round.

    Raises:
      ValueError, RuntimeError: if no slice of the round could be trained.
    """
    plan = self._plan()
    # Not to lose a round for the seconds that its last member lacks.
    self._grace = 60 * plan.minutes if plan.rounds else 0.0
    if self._is_over():
      return False
    calls = {
        planned.member: (
            self._experiment,
            planned,
            history_lib.latest(self.history, planned.parent, planned.slice),
            60 * plan.minutes,
            self._search.perturb_frames,
        )
        for planned in self._unfinished()
    }
    errors = []
    for member, ended in run_slices(
        slice_lib.train_slice, calls, self._is_over
    ):
      if isinstance(ended, slice_lib.Slice):
        self._keep(ended)
      else:
        errors.append(ended)
        console.say(
            f'slice {self._number}, member {member} failed, and is not '
            f'compared: {ended}'
        )
    if 0 < len(errors) == len(self._round):
      mendable = isinstance(errors[0], (ImportError, OSError, ValueError))
      raise (ValueError if mendable else RuntimeError)(
          f'all members failed, the first one by: {errors[0]}'
      ) from errors[0]
    if self._is_over() or 0 < self._plan().rounds <= self._number:
      return False
    run = self._experiment.run
    planned = search_lib.next_round(
        self.history, self._round, self._search, run.seed, run.frames
    )
    if planned:
      self._begin_round(planned)
    return bool(planned)

  def _keep(self, line: slice_lib.Slice) -> None:
    """Adds a slice to the history, and removes folders that nobody needs."""
    self.history.append(line)
    history_lib.save(self.history, self._run_dir / 'history.jsonl')
    own = [past.slice for past in self.history if past.member == line.member]
    for number in own[:-_KEPT_SLICES]:
      folder = slice_lib.end_dir(self._run_dir, line._replace(slice=number))
      shutil.rmtree(folder, ignore_errors=True)
    origin = '' if line.parent == line.member else f' from {line.parent}'
    console.say(
        f'slice {line.slice}, member {line.member}{origin}: score '
        f'{line.score:.4g}, learning rate {line.learning_rate:.2g}, entropy '
        f'cost {line.entropy_cost:.2g}, {line.frames:,} frames'
    )

  def write_best(self) -> pathlib.Path:
    """Writes the plot and the best member's folder, which is returned."""
    kept = [
        line
        for line in self.history
        if slice_lib.end_dir(self._run_dir, line).is_dir()
    ]
    end = history_lib.best(kept)
    history_lib.plot(self.history, end, self._run_dir / 'population.png')
    folder = self._run_dir / 'best'
    shutil.rmtree(folder, ignore_errors=True)
    slice_lib.copy_run(slice_lib.end_dir(self._run_dir, end), folder)
    schedule = ', '.join(
        f'{line.learning_rate:.2g}/{line.entropy_cost:.2g}'
        for line in history_lib.ancestry(self.history, end)
    )
    console.say(
        f'best: member {end.member}, score {end.score:.4g}; learning rate/'
        f'entropy cost by slice: {schedule}\n'
        f'plot in {self._run_dir}/population.png'
    )
    return folder


def _read(path: pathlib.Path) -> Any:
  return json.loads(path.read_text())


def _write(path: pathlib.Path, value: Any) -> None:
  history_lib.write(path, json.dumps(value))
