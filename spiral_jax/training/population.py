"""Population-based training: a search of learning rate and entropy cost.

As in appendix C of Ganin et al. (2018), by Jaderberg et al. (arXiv:1711.09846).
Members train in rounds, a slice of training each. After a round, members with a
low score are replaced by copies of those with a high one (exploit), with other
hyperparameters (explore).

The folder of a population is all of its state: one that was killed resumes in
the middle of a round.

  search.json     what it began with
  clock.json      seconds so far, over all resumptions
  round.json      slices of the current round, as planned
  history.jsonl   slices that have ended, a line each
  members/M/N     member M at the end of slice N: the folder of a run
  best            the same of the best member
  population.png  schedules, scores and lineage
"""

from collections.abc import Callable, Iterator, Sequence
import contextlib
import dataclasses
import functools
import json
import math
import pathlib
import shutil
import sys
from typing import Any

import numpy as np

from spiral_jax import console
from spiral_jax.agents import config as config_lib
from spiral_jax.driver import ray_token
from spiral_jax.driver import signals
from spiral_jax.training import consistency
from spiral_jax.training import experiment as experiment_lib
from spiral_jax.training import population_budget as budget
from spiral_jax.training import population_history as history_lib
from spiral_jax.training import population_slice as slice_lib
from spiral_jax.training import run_dir as run_dir_lib
from spiral_jax.training import run_lock
from spiral_jax.training import trained_agent

_QUANTILE = 0.25  # Share of the members that is replaced, and that replaces.
_RESAMPLE_PROBABILITY = 0.25
_FACTORS = (0.8, 1.2)

# Of each member: others may have yet to copy the last but one.
_KEPT_SLICES = 3
# Trains slices: takes `train_slice`, its arguments by member, and a function
# that tells whether time is over; yields (member, `Slice` or exception).
RunSlices = Callable[..., Iterator[tuple[int, Any]]]


@dataclasses.dataclass(frozen=True)
class Search:
  """The search of a population.

  The default ranges are those of IMPALA (Espeholt et al., 2018), whose learner
  SPIRAL's is.

  Attributes:
    members: number of members.
    learning_rates: range of the first learning rates, drawn log-uniformly.
    entropy_costs: range of the first entropy costs, drawn log-uniformly.
    perturb_minutes: minutes of each member between two comparisons, loading and
      saving included; adjusted so that rounds end with minutes.
    perturb_frames: commands that each member learns from between two
      comparisons; 0 means as perturb_minutes says.
    member_cpus: number of cores of each member, which decides how many train at
      a time; 0 means all of a machine, or one next to accelerators.
  """

  members: int = 12
  learning_rates: tuple[float, float] = (5e-6, 5e-3)
  entropy_costs: tuple[float, float] = (5e-5, 1e-2)
  perturb_minutes: float = 2.0
  perturb_frames: int = 0
  member_cpus: int = 0

  def __post_init__(self) -> None:
    """Raises ValueError, naming the field and its value, if one is invalid."""
    config_lib.check_fields(
        self,
        perturb_minutes='0 or more',
        perturb_frames='a whole number from 0 on',
        member_cpus='a whole number from 0 on',
    )
    if self.members < 2:
      raise ValueError(f'members is {self.members}, must be 2 or more')
    for name in ('learning_rates', 'entropy_costs'):
      bounds = getattr(self, name)
      if len(bounds) != 2 or not 0 < bounds[0] < bounds[1] < math.inf:
        raise ValueError(
            f'{name}={_as_flag(bounds)} must be two numbers above 0, the lower '
            f'one first, as --{name}=1e-4,1e-2'
        )
    if not self.perturb_minutes and not self.perturb_frames:
      raise ValueError(
          'perturb_minutes is 0, but a slice needs an end; give '
          '--perturb_minutes or --perturb_frames'
      )


def train(
    experiment: experiment_lib.Experiment, search: Search
) -> pathlib.Path:
  """Trains a population through Ray, or resumes one.

  Args:
    experiment: configuration of each member, except for what is searched. Its
      run_dir is the folder of the population, its minutes are those of the
      whole population, its frames those of each member. The first member begins
      with its learning rate and entropy cost.
    search: the search.

  Returns:
    The best member's folder, which is that of a run.

  Raises:
    ImportError: if Ray is missing.
    ValueError, OSError: in one line, about what the user can mend.
    RuntimeError: if all members failed by a defect.
    signals.Interrupted: a KeyboardInterrupt, after Ctrl-C, SIGTERM or SIGHUP,
      once the best member so far is written.
  """
  _check(experiment, search)
  try:
    ray_token.use_token()
    from spiral_jax.driver import ray_tasks  # Late: Ray is optional.
  except ImportError as error:
    raise ImportError(
        f'population-based training needs Ray ({error}); install it by: '
        f'{sys.executable} -m pip install ray'
    ) from error
  run = experiment.run
  with contextlib.ExitStack() as at_end:
    tasks = at_end.enter_context(
        contextlib.closing(ray_tasks.Tasks(run.ray_address))
    )
    machines = tasks.machines()
    resources = budget.member_resources(
        machines, run.devices, search.member_cpus
    )
    at_once = budget.members_at_once(machines, resources)
    # Mistakes are found before anything is written.
    lock = run_lock.RunLock(pathlib.Path(run.run_dir).expanduser())
    at_end.enter_context(contextlib.closing(lock)).acquire()
    _check(experiment, search)  # Nobody was faster.
    return train_rounds(
        _with_absolute_paths(experiment),
        search,
        functools.partial(tasks.run, resources),
        turns=math.ceil(search.members / at_once),
    )


def _check(experiment: experiment_lib.Experiment, search: Search) -> None:
  """Raises ValueError or OSError where this cannot train, or be resumed."""
  run = experiment.run
  # Of 0 devices, a member's machine knows how many these are.
  consistency.check(experiment.replace(devices=run.devices or 1))
  if run.launcher != 'threads':
    raise ValueError(
        f'--launcher={run.launcher}: the actors of a population are threads of '
        'its members; leave it out'
    )
  if not run.run_dir:
    raise ValueError('run_dir is empty; name a folder, as --run_dir=runs/pbt')
  if not run.minutes and not run.frames:
    raise ValueError(
        'a population needs an end: give --minutes of all of it, or --frames '
        'of each member'
    )
  run_dir = pathlib.Path(run.run_dir).expanduser()
  if run_dir_lib.has_checkpoint(run_dir):
    raise ValueError(
        f'{run_dir} holds a single run; name another folder for the population '
        'by --run_dir'
    )
  path = run_dir / 'search.json'
  if path.exists() and not run.resume:
    raise ValueError(
        f'{run_dir} holds a population already; continue it by --resume, or '
        'name another folder by --run_dir'
    )
  if not run.resume:
    if run.init_from:
      trained_agent.initial_params(experiment)
    return
  if not path.exists():
    raise FileNotFoundError(
        f'{run_dir} holds no population to resume; leave out --resume, or name '
        'its folder by --run_dir'
    )
  now = _fixed(experiment, search)
  for flag, value in _read(path).items():
    if now[flag] != value:
      raise ValueError(
          f'the population in {run_dir} has --{flag}={value}, now it is '
          f'{now[flag]}; set it back, or name another folder'
      )


def _fixed(
    experiment: experiment_lib.Experiment, search: Search
) -> dict[str, str]:
  """Returns what cannot change in a population, by flag."""
  return {
      'members': _as_flag(search.members),
      'seed': _as_flag(experiment.run.seed),
      'learning_rates': _as_flag(search.learning_rates),
      'entropy_costs': _as_flag(search.entropy_costs),
  }


def _as_flag(value: Any) -> str:
  return ','.join(map(str, value)) if isinstance(value, tuple) else str(value)


def _with_absolute_paths(
    experiment: experiment_lib.Experiment,
) -> experiment_lib.Experiment:
  """Returns an experiment whose paths hold in any process."""
  run = experiment.run
  paths = {'run_dir': run.run_dir, 'data_dir': run.data_dir}
  weights = pathlib.Path(run.init_from).expanduser()
  if any((weights / n).exists() for n in ('checkpoints', 'weights.npz')):
    paths['init_from'] = run.init_from  # Else the name of bundled ones.
  absolute = {
      name: str(pathlib.Path(path).expanduser().absolute())
      for name, path in paths.items()
      if path
  }
  return experiment.replace(**absolute)


def train_rounds(
    experiment: experiment_lib.Experiment,
    search: Search,
    run_slices: RunSlices,
    turns: int = 1,
) -> pathlib.Path:
  """Trains a population, or resumes one, whatever it is that runs slices.

  Args:
    experiment: as for `train`.
    search: as for `train`.
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
      self, experiment: experiment_lib.Experiment, search: Search, turns: int
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
      self._begin_round(first_round(experiment, search))
      _write(begun_with, _fixed(experiment, search))
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
    planned = next_round(
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


def first_round(
    experiment: experiment_lib.Experiment, search: Search
) -> list[slice_lib.Slice]:
  """Returns the first slice of each member; the first one is as configured."""
  rng = np.random.default_rng([experiment.run.seed, 1])
  planned = [
      slice_lib.Slice(
          member,
          1,
          member,
          _draw(rng, search.learning_rates),
          _draw(rng, search.entropy_costs),
      )
      for member in range(search.members)
  ]
  given = {
      name: getattr(experiment.learner, name) for name in slice_lib.SEARCHED
  }
  return [planned[0]._replace(**given), *planned[1:]]


def next_round(
    history: Sequence[slice_lib.Slice],
    last_round: Sequence[slice_lib.Slice],
    search: Search,
    seed: int,
    max_frames: int = 0,
) -> list[slice_lib.Slice]:
  """Returns the slices of the round after the last one; none after the end.

  Members with a score in the lowest quarter, and those that failed, start from
  a slice of the highest quarter. None starts from one that diverged.

  Args:
    history: slices that have ended.
    last_round: slices of the last round, as planned.
    search: the search.
    seed: seed of the population. Draws depend on it and on the round.
    max_frames: frames at which a member is done; 0 disables the limit.
  """
  number = last_round[0].slice + 1
  rng = np.random.default_rng([seed, number])
  # Some that failed may have no slice at all.
  latest = {planned.member: planned for planned in last_round}
  latest |= {line.member: line for line in history}
  active = [
      latest[member]
      for member in range(search.members)
      if not 0 < max_frames <= latest[member].frames
  ]
  compared = sorted(
      (line for line in active if line in history and line.slice == number - 1),
      key=history_lib.rank,
  )
  count = min(math.ceil(_QUANTILE * len(compared)), len(compared) // 2)
  winners = [
      line for line in compared[-max(count, 1) :] if np.isfinite(line.score)
  ]
  replaced = {planned.member for planned in last_round}
  replaced -= {line.member for line in compared[count:]}
  planned = []
  for line in active if compared else []:  # Not for those that failed alone.
    parent, rate, cost = line.member, line.learning_rate, line.entropy_cost
    if winners and line.member in replaced:
      winner = winners[rng.integers(len(winners))]
      parent = winner.member
      rate = _explore(rng, winner.learning_rate, search.learning_rates)
      cost = _explore(rng, winner.entropy_cost, search.entropy_costs)
    planned.append(slice_lib.Slice(line.member, number, parent, rate, cost))
  return planned


def _explore(
    rng: np.random.Generator, value: float, bounds: tuple[float, float]
) -> float:
  """Returns a hyperparameter near another, or drawn anew."""
  if rng.random() < _RESAMPLE_PROBABILITY:
    return _draw(rng, bounds)
  return value * float(rng.choice(_FACTORS))


def _draw(rng: np.random.Generator, bounds: tuple[float, float]) -> float:
  return float(np.exp(rng.uniform(*np.log(bounds))))


def _read(path: pathlib.Path) -> Any:
  return json.loads(path.read_text())


def _write(path: pathlib.Path, value: Any) -> None:
  history_lib.write(path, json.dumps(value))
