"""The folder of a training run: whose it is, and how to go on in it."""

import pathlib
import shlex
import sys
import time

import run_setup
from spiral_jax.driver import checkpoints

# What may differ between a run and its resumption.
MAY_CHANGE = (
    'run.run_dir',
    'run.resume',
    'run.minutes',
    'run.frames',
    'run.devices',
    'run.num_actors',
    'run.launcher',
    'run.ray_address',
    'run.max_lag',
    'run.render_threads',
    'run.log_every',
    'run.checkpoint_minutes',
    'run.checkpoint_rounds',
    'run.picture_seconds',
    'agent.compute_dtype',
    'run.data_dir',
    'run.download',
)


def claim(
    setup: run_setup.Setup, may_change: tuple[str, ...] = MAY_CHANGE
) -> pathlib.Path:
  """Returns the folder of a new run, or of the one that is to go on.

  Args:
    setup: of the run.
    may_change: fields of it in which a run that goes on may differ.

  Raises:
    FileNotFoundError: if there is no run to resume.
    ValueError: if the folder is no folder, holds a run that is not to be
      resumed, or one of other settings.
  """
  if not setup.run.run_dir:
    raise ValueError('run_dir is empty; name a folder, as --run_dir=runs/mine')
  path = pathlib.Path(setup.run.run_dir).expanduser()
  if path.exists() and not path.is_dir():
    raise ValueError(f'{path} is a file; name a folder by --run_dir')
  has_run = has_checkpoint(path)
  if setup.run.resume and not has_run:
    raise FileNotFoundError(
        f'{path} holds no checkpoint to resume; leave out --resume, or name '
        'the folder of a run by --run_dir'
    )
  if has_run and not setup.run.resume:
    raise ValueError(
        f'{path} holds a run already; go on with it by --resume, or name '
        'another folder by --run_dir'
    )
  if setup.run.resume:
    saved = checkpoints.load(path / 'checkpoints').config
    config = run_setup.to_json(setup)
    checkpoints.check_config(saved, config, ignore=may_change)
  return path


def has_checkpoint(run_dir: pathlib.Path) -> bool:
  """Returns whether a run has saved anything there."""
  # What a save that was killed has left is no number.
  return any(p.name.isdigit() for p in run_dir.glob('checkpoints/*'))


def resume_command() -> str:
  """Returns what to type, with the same Python (a virtual environment's)."""
  arguments = [a for a in sys.argv if a != '--resume']
  return shlex.join([sys.orig_argv[0], *arguments, '--resume'])


class Clock:
  """Seconds that a run took so far, over all its resumptions."""

  def __init__(self) -> None:
    self._before = 0.0
    self._start = time.monotonic()

  @property
  def seconds(self) -> float:
    """Seconds so far."""
    return self._before + time.monotonic() - self._start

  def get_state(self) -> dict[str, float]:
    """Returns the seconds."""
    return {'seconds': self.seconds}

  def set_state(self, state: dict[str, float]) -> None:
    """Goes on from there."""
    self._before = float(state['seconds'])
    self._start = time.monotonic()
