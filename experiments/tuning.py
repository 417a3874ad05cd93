"""Runs a population through Ray Tune; the one module that imports Tune.

Axes: none. Tune's trials are the population's members, and Tune's checkpoints
of them are folders of runs, with a checkpoint of our own in each.
"""

import dataclasses
import json
import math
import os
import pathlib
import random
import shutil
import time
from typing import Any, NamedTuple

import numpy as np
import ray
from ray import tune
from ray.tune import schedulers
from ray.tune import search as tune_search
import rich.console

import budget as budget_lib
import population
import process
import run_folder
import run_setup
from spiral_jax.driver import ray_launcher

# In the population's folder.
_TUNE = 'tune'  # Tune's own.
_BUDGET = 'budget.json'


class Search(NamedTuple):
  """How a population is searched.

  Attributes:
    members: how many train; the first one begins as its setup says.
    ranges: of each of `population.SEARCHED`: log-uniform between these two.
    minutes: of a slice, after which members are compared, loading and saving
      included; about, as rounds of slices end with the population's minutes; or
    frames: of a slice, if not 0.
    member_cpus: of each member; 0, all of a machine, or one beside
      accelerators.
  """

  members: int
  ranges: dict[str, tuple[float, float]]
  minutes: float = 2.0
  frames: int = 0
  member_cpus: int = 0


def train(setup: run_setup.Setup, search: Search) -> pathlib.Path:
  """Trains a population, or goes on with one; writes what became of it.

  Args:
    setup: of each member, except for what is searched; its run_dir is the
      folder of the population, its minutes are those of all of it.
    search: how.

  Returns:
    The best member's folder, which is that of a run.

  Raises:
    ValueError, OSError: in one line, of what the user can mend.
    KeyboardInterrupt: after Ctrl-C.
  """
  # Of 0 devices, a member's machine knows how many these are.
  devices = dataclasses.replace(setup.run, devices=setup.run.devices or 1)
  run_setup.check_fit(setup._replace(run=devices))
  if setup.run.launcher != 'threads':
    raise ValueError(
        f'--launcher={setup.run.launcher}: the actors of a population are '
        'threads of its members; leave it out'
    )
  if not search.minutes and not search.frames:
    raise ValueError(
        'a slice needs an end: give --perturb_minutes or --perturb_frames'
    )
  run_dir = _claim(setup)
  _keep_search(search, run_dir / 'search.json', resume=setup.run.resume)
  setup = _absolute(setup, run_dir)
  budget = budget_lib.Budget(run_dir / _BUDGET)
  # Tables beside the lines that `_History` prints.
  os.environ.setdefault('RAY_AIR_NEW_OUTPUT', '0')
  ray_launcher.connect(setup.run.ray_address)
  errors: list[Exception] = []
  try:
    resources = _resources(setup, search)
    turns = _turns(resources, search)
    plan = budget_lib.Plan(0, search.minutes)
    if setup.run.minutes and not search.frames:
      plan = budget_lib.plan(
          setup.run.minutes - budget.minutes,
          turns,
          search.minutes,
          _slices(run_dir, search.members),
      )
    budget.start(
        60 * setup.run.minutes,
        # Not to lose a round for the seconds that its last member lacks.
        grace=60 * plan.minutes if plan.slices else 0,
        frames=setup.run.frames,
        slices=plan.slices,
    )
    if not _is_over(search, run_dir, budget):
      tuner = _make_tuner(setup, search, run_dir, resources, turns, plan)
      errors = [getattr(e, 'cause', e) for e in tuner.fit().errors]
  finally:
    ray.shutdown()
  if len(errors) == search.members:
    raise ValueError(f'all members failed, the first one by: {errors[0]}')
  for error in errors:
    print(f'a member failed by: {error}; --resume tries it again')
  is_over = _is_over(search, run_dir, budget, failed=len(errors))
  best = None
  if is_over or population.load(run_dir / 'history.jsonl'):
    best = _write(run_dir)
  if best is None or not is_over:
    print(f'stopped; go on with: {run_folder.resume_command()}')
    raise KeyboardInterrupt
  return best


def _claim(setup: run_setup.Setup) -> pathlib.Path:
  """Returns the folder of a new population, or of the one to go on with."""
  if not setup.run.run_dir:
    raise ValueError('run_dir is empty; name a folder, as --run_dir=runs/pbt')
  if not setup.run.minutes and not setup.run.frames:
    raise ValueError(
        'a population needs an end: give --minutes of all of it, or --frames '
        'of each member'
    )
  run_dir = pathlib.Path(setup.run.run_dir).expanduser().absolute()
  if run_folder.has_checkpoint(run_dir):
    raise ValueError(
        f'{run_dir} holds a single run; name another folder for the population '
        'by --run_dir'
    )
  is_there = (run_dir / _TUNE).is_dir()
  if is_there and not setup.run.resume:
    raise ValueError(
        f'{run_dir} holds a population already; go on with it by --resume, or '
        'name another folder by --run_dir'
    )
  if setup.run.resume and not is_there:
    raise FileNotFoundError(
        f'{run_dir} holds no population to resume; leave out --resume, or name '
        'its folder by --run_dir'
    )
  run_dir.mkdir(parents=True, exist_ok=True)
  return run_dir


def _keep_search(search: Search, path: pathlib.Path, *, resume: bool) -> None:
  """Writes what a population begins with, or compares it.

  Raises:
    ValueError: if it differs from what is there.
  """
  now: dict[str, Any] = {'members': search.members}
  now |= {f'{name}s': list(pair) for name, pair in search.ranges.items()}
  if not (resume and path.exists()):
    path.write_text(json.dumps(now))
  for flag, value in json.loads(path.read_text()).items():
    if now[flag] != value:
      raise ValueError(
          f'the population in {path.parent} has --{flag}={_as_flag(value)}, '
          'now '
          f'it is {_as_flag(now[flag])}; set it back, or name another folder'
      )


def _as_flag(value: Any) -> str:
  return ','.join(map(str, value)) if isinstance(value, list) else str(value)


def _absolute(setup: run_setup.Setup, run_dir: pathlib.Path) -> run_setup.Setup:
  """Returns a setup of absolute paths: Tune has working directories."""
  data_dir = setup.run.data_dir
  if data_dir:
    data_dir = str(pathlib.Path(data_dir).expanduser().absolute())
  run = dataclasses.replace(setup.run, run_dir=str(run_dir), data_dir=data_dir)
  return setup._replace(run=run)


def _make_tuner(
    setup: run_setup.Setup,
    search: Search,
    run_dir: pathlib.Path,
    resources: dict[str, float],
    turns: int,
    plan: budget_lib.Plan,
) -> tune.Tuner:
  """Returns what runs the population, from its start or from where it was.

  Seeds the generators of `random` and numpy, by which Tune draws.
  """
  member = tune.with_resources(
      tune.with_parameters(
          _train_member,
          saved=run_setup.to_json(setup),
          slice_minutes=plan.minutes,
          slice_frames=search.frames,
          decay_minutes=setup.run.minutes / turns,
      ),
      resources,
  )
  # One that goes on is not to draw the same again.
  seed = setup.run.seed + len(population.load(run_dir / 'history.jsonl'))
  random.seed(seed)
  np.random.seed(seed)  # noqa: NPY002
  if setup.run.resume:
    kinds: Any = tune.ResumeConfig.ResumeType
    # Those at their end say so themselves: limits may have grown.
    resume = tune.ResumeConfig(
        finished=kinds.RESUME, unfinished=kinds.RESUME, errored=kinds.RESUME
    )
    return tune.Tuner.restore(
        str(run_dir / _TUNE), member, _resume_config=resume
    )
  space = {
      name: tune.loguniform(*search.ranges[name])
      for name in population.SEARCHED
  }
  given = {name: getattr(setup.learner, name) for name in population.SEARCHED}
  return tune.Tuner(
      member,
      param_space=space,
      tune_config=tune.TuneConfig(
          metric='score',
          mode='max',
          num_samples=search.members,
          search_alg=tune_search.BasicVariantGenerator(
              points_to_evaluate=[given], random_state=setup.run.seed
          ),
          # All members are compared after equally many slices.
          scheduler=_Scheduler(
              time_attr='training_iteration',
              perturbation_interval=1,
              hyperparam_mutations=space,
              synch=True,
          ),
          # Loading the libraries takes as long as a short slice.
          reuse_actors=True,
          trial_dirname_creator=_trial_dirname,
      ),
      run_config=tune.RunConfig(
          name=_TUNE,
          storage_path=str(run_dir),
          stop=_Stopper(run_dir / _BUDGET),
          callbacks=[_History(run_dir / 'history.jsonl')],
          # Others may have yet to copy the last but one.
          checkpoint_config=tune.CheckpointConfig(num_to_keep=3),
          failure_config=tune.FailureConfig(max_failures=2),
          verbose=0,
      ),
  )


def _resources(setup: run_setup.Setup, search: Search) -> dict[str, float]:
  """Returns what Ray keeps for a member: this decides how many run at once."""
  machines = [node['Resources'] for node in ray.nodes() if node['Alive']]
  gpus, cpus = (
      [machine[kind] for machine in machines if machine.get(kind)]
      for kind in ('GPU', 'CPU')
  )
  if gpus:
    devices = setup.run.devices or min(gpus)
    return {'cpu': search.member_cpus or 1, 'gpu': devices}
  return {'cpu': search.member_cpus or min(cpus, default=1)}


def _turns(resources: dict[str, float], search: Search) -> int:
  """Returns how many times as long as a slice a round takes.

  Raises:
    ValueError: if no machine has what a member needs.
  """
  machines = [node['Resources'] for node in ray.nodes() if node['Alive']]
  at_once = sum(
      min(
          int(machine.get(name.upper(), 0) / count)
          for name, count in resources.items()
      )
      for machine in machines
  )
  if not at_once:
    needs = ' and '.join(f'{count:g} {n}s' for n, count in resources.items())
    raise ValueError(
        f'no machine has the {needs} that a member needs; change --member_cpus '
        'or --devices'
    )
  return math.ceil(search.members / at_once)


def _train_member(
    config: dict[str, float],
    saved: dict,
    slice_minutes: float,
    slice_frames: int,
    decay_minutes: float,
) -> None:
  """Is a member, in a process of Ray's: trains slices until it is stopped."""
  process.prepare()
  member = _number(tune.get_context().get_trial_id())
  setup = run_setup.from_json(saved)
  run_dir = pathlib.Path(setup.run.run_dir)
  folder = run_dir / 'members'
  end = folder / f'{member}_end'
  searched: dict[str, Any] = {
      name: float(config[name]) for name in population.SEARCHED
  }
  setup = setup._replace(
      run=dataclasses.replace(
          setup.run,
          run_dir=str(folder / str(member)),
          decay_minutes=setup.run.decay_minutes or decay_minutes,
      ),
      learner=dataclasses.replace(setup.learner, **searched),
  )
  checkpoint = tune.get_checkpoint()
  if checkpoint:
    done = population.progress(pathlib.Path(checkpoint.path))
    if budget_lib.Budget(run_dir / _BUDGET).has_ended(*done):
      return  # Resumed beside others that have something to do.
  # At each report, a member that is at its end or that others wait for is
  # stopped.
  while True:
    line = population.train_slice(
        setup,
        member,
        checkpoint and pathlib.Path(checkpoint.path),
        end,
        minutes=slice_minutes,
        frames=slice_frames,
    )
    checkpoint = tune.Checkpoint.from_directory(str(end))
    tune.report(line._asdict(), checkpoint=checkpoint)


def _number(trial_id: str) -> int:
  """Returns a member's number; Tune's trials are `<letters>_<number>`."""
  return int(trial_id.split('_')[-1])


def _trial_dirname(trial: Any) -> str:
  return f'member_{_number(trial.trial_id)}'


class _Scheduler(schedulers.PopulationBasedTraining):
  """Compares members after equally many slices, also after a resumption.

  Tune restores trials, not their scheduler: it would run those again that wait
  for others, or none.
  """

  def on_trial_add(self, tune_controller, trial) -> None:
    """Takes note of what a restored member has done."""
    super().on_trial_add(tune_controller, trial)
    result = trial.last_result
    if result and 'score' in result:
      self._save_trial_state(
          self._trial_state[trial], result['training_iteration'], result, trial
      )

  def choose_trial_to_run(self, tune_controller):
    """Returns a member that is behind; none is if all were just compared."""
    done = [
        self._trial_state[trial].last_train_time
        for trial in tune_controller.get_live_trials()
    ]
    if done:
      self._next_perturbation_sync = max(done) + (min(done) == max(done))
    return super().choose_trial_to_run(tune_controller)


class _Stopper(tune.Stopper):
  """Ends members, and all of them, as the population's budget says."""

  def __init__(self, path: pathlib.Path):
    self._path = path
    self._since: float | None = None

  def __call__(self, trial_id: str, result: dict[str, Any]) -> bool:
    """Returns whether this member is at its end."""
    del trial_id
    allowed = budget_lib.Budget(self._path)
    return allowed.has_ended(result['frames'], result['slice'])

  def stop_all(self) -> bool:
    """Adds the time since the last call; returns whether it is over."""
    allowed, now = budget_lib.Budget(self._path), time.monotonic()
    if self._since is None:
      self._since = now
    if now - self._since > 1:
      allowed.spend(now - self._since)
      self._since = now
    return allowed.is_over()

  def __getstate__(self) -> dict[str, Any]:
    # Tune restores this object itself as it was at first.
    return {'_path': self._path, '_since': None}


class _History(tune.Callback):
  """Writes and prints a line for each slice of each member."""

  def __init__(self, path: pathlib.Path):
    self._path = path

  def on_trial_result(self, iteration, trials, trial, result, **info) -> None:
    """Appends a line."""
    del iteration, trials, trial, info
    line = population.Slice(
        **{name: result[name] for name in population.Slice._fields}
    )
    with self._path.open('a') as file:
      file.write(population.to_text(line))
    origin = '' if line.parent == line.member else f' from {line.parent}'
    print(
        f'slice {line.slice}, member {line.member}{origin}: score '
        f'{line.score:.4g}, learning rate {line.learning_rate:.2g}, entropy '
        f'cost {line.entropy_cost:.2g}, {line.frames:,} frames',
        flush=True,
    )


def _is_over(
    search: Search,
    run_dir: pathlib.Path,
    budget: budget_lib.Budget,
    failed: int = 0,
) -> bool:
  """Returns whether the time is over, or each member at its end or failed."""
  ended = {
      line.member
      for line in population.load(run_dir / 'history.jsonl')
      if budget.has_ended(line.frames, line.slice)
  }
  return budget.is_over() or len(ended) + failed >= search.members


def _slices(run_dir: pathlib.Path, members: int) -> list[int]:
  """Returns how many slices each member has done."""
  done = [0] * members
  for line in population.load(run_dir / 'history.jsonl'):
    done[line.member] = max(done[line.member], line.slice)
  return done


def _write(run_dir: pathlib.Path) -> pathlib.Path:
  """Writes history, plot and the best member's folder, which is returned."""
  history = population.load(run_dir / 'history.jsonl')
  # Of a slice that was trained twice, the last one's.
  folders = population.ends(
      sorted((run_dir / _TUNE).glob('member_*/checkpoint_*'))
  )
  # Tune keeps those of the last few slices.
  best = population.best(
      [line for line in history if (line.slice, line.member) in folders]
  )
  population.save(history, run_dir / 'history.jsonl')
  population.plot(history, best, run_dir / 'population.png')
  folder = run_dir / 'best'
  shutil.rmtree(folder, ignore_errors=True)
  population.copy(folders[best.slice, best.member], folder)
  ways = ', '.join(
      f'{line.learning_rate:.2g}/{line.entropy_cost:.2g}'
      for line in population.ancestry(history, best)
  )
  rich.console.Console(highlight=False).print(
      f'best: member {best.member}, score {best.score:.4g}; learning rate/'
      f'entropy cost by slice: {ways}\nplot in {run_dir}/population.png',
      soft_wrap=True,
  )
  return folder
