"""Starts a population on Ray, after a look at what was asked for."""

import contextlib
import dataclasses
import functools
import json
import math
import pathlib
import sys

from spiral_jax.driver import ray_token
from spiral_jax.training import consistency
from spiral_jax.training import experiment as experiment_lib
from spiral_jax.training import run_dir as run_dir_lib
from spiral_jax.training import run_lock
from spiral_jax.training import teachers
from spiral_jax.training import trained_agent
from spiral_jax.training.population import budget
from spiral_jax.training.population import rounds
from spiral_jax.training.population import search as search_lib


def train(
    experiment: experiment_lib.Experiment, search: search_lib.Search
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
    return rounds.train_rounds(
        _with_absolute_paths(experiment),
        search,
        functools.partial(tasks.run, resources),
        turns=math.ceil(search.members / at_once),
    )


def _check(
    experiment: experiment_lib.Experiment, search: search_lib.Search
) -> None:
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
    teachers.load_teacher(experiment)
    return
  if not path.exists():
    raise FileNotFoundError(
        f'{run_dir} holds no population to resume; leave out --resume, or name '
        'its folder by --run_dir'
    )
  now = search_lib.fixed(search, run.seed)
  for flag, value in json.loads(path.read_text()).items():
    if now[flag] != value:
      raise ValueError(
          f'the population in {run_dir} has --{flag}={value}, now it is '
          f'{now[flag]}; set it back, or name another folder'
      )


def _with_absolute_paths(
    experiment: experiment_lib.Experiment,
) -> experiment_lib.Experiment:
  """Returns an experiment whose paths hold in any process."""
  run = experiment.run
  paths = {'run_dir': run.run_dir, 'data_dir': run.data_dir}
  if _is_folder_of_weights(run.init_from):
    paths['init_from'] = run.init_from  # Else the name of bundled ones.
  absolute = {name: _absolute(path) for name, path in paths.items() if path}
  lessons = experiment.lessons
  if _is_folder_of_weights(lessons.teacher):
    teacher = _absolute(lessons.teacher)
    lessons = dataclasses.replace(lessons, teacher=teacher)
  return experiment.replace(lessons=lessons, **absolute)


def _is_folder_of_weights(name: str) -> bool:
  path = pathlib.Path(name).expanduser()
  files = [path / n for n in ('checkpoints', 'weights.npz')]
  return bool(name) and any(file.exists() for file in files)


def _absolute(path: str) -> str:
  return str(pathlib.Path(path).expanduser().absolute())
