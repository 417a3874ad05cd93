"""The folder of a training run: whose it is, and how to resume it."""

from collections.abc import Collection, Iterator, Mapping
import json
import pathlib
import re
import shlex
import sys
import time
from typing import Any

from absl import flags

from spiral_jax.driver import checkpoints
from spiral_jax.training import experiment as experiment_lib

# Fields in which a resumed run may differ from what was saved.
MAY_CHANGE = (
    'run.run_dir',
    'run.resume',
    'run.init_from',
    'run.minutes',
    'run.frames',
    'run.devices',
    'run.num_actors',
    'run.launcher',
    'run.ray_address',
    'run.on_device',
    'run.max_lag',
    'run.render_threads',
    'run.log_every',
    'run.checkpoint_minutes',
    'run.checkpoint_rounds',
    'run.picture_seconds',
    'agent.compute_dtype',
    'lessons.teacher',
    'run.data_dir',
    'run.download',
)


def claim(
    experiment: experiment_lib.Experiment,
    may_change: Collection[str] = MAY_CHANGE,
) -> pathlib.Path:
  """Returns the folder of a new run, or of the one that is to be resumed.

  Args:
    experiment: configuration of the run.
    may_change: dotted fields in which a resumed run may differ.

  Raises:
    FileNotFoundError: if there is no run to resume.
    ValueError: if the folder is no folder, holds a run that is not to be
      resumed, or one of other settings.
  """
  run = experiment.run
  if not run.run_dir:
    raise ValueError(
        'run_dir is empty; name the folder of the run, as --run_dir=runs/mnist'
    )
  path = pathlib.Path(run.run_dir).expanduser()
  if path.exists() and not path.is_dir():
    raise ValueError(f'{path} is a file; name a folder by --run_dir')
  has_run = has_checkpoint(path)
  if run.resume and not has_run:
    raise FileNotFoundError(
        f'{path} holds no checkpoint to resume; leave out --resume, or name '
        'the folder of a run by --run_dir'
    )
  if has_run and not run.resume:
    raise ValueError(
        f'{path} holds a run already; continue it by --resume, or name another '
        'folder by --run_dir'
    )
  if run.resume:
    saved = load_experiment(path, task=experiment.task)
    check_unchanged(saved, experiment, may_change)
  return path


def has_checkpoint(run_dir: pathlib.Path) -> bool:
  """Returns whether a run has saved anything there."""
  return bool(checkpoints.steps(run_dir / 'checkpoints'))


def load_experiment(
    run_dir: pathlib.Path, step: int | None = None, task: Any = None
) -> experiment_lib.Experiment:
  """Returns the configuration of a run, as its checkpoint has it.

  Args:
    run_dir: folder of the run.
    step: step of the checkpoint; None means the latest.
    task: the task, where it is not in the module that was saved.

  Raises:
    FileNotFoundError: if there is no such checkpoint.
    ValueError: if it is damaged, or not one of a training run.
  """
  config = checkpoints.load_config(run_dir / 'checkpoints', step)
  return experiment_lib.from_file(run_dir, config, task)


def check_unchanged(
    saved: experiment_lib.Experiment,
    now: experiment_lib.Experiment,
    may_change: Collection[str] = MAY_CHANGE,
) -> None:
  """Checks that a resumed run is the one that was saved.

  Args:
    saved: configuration of the run when it was saved.
    now: configuration with which it is to be resumed.
    may_change: dotted fields that may differ.

  Raises:
    ValueError: naming all flags that differ, and both values of each.
  """
  before, after = (dict(_fields(_as_json(e.to_json()))) for e in (saved, now))
  changed = [
      f'--{flag_name(field)}={_as_flag(after.get(field))} (saved with '
      f'{_as_flag(before.get(field))})'
      for field in before | after
      if field not in may_change and before.get(field) != after.get(field)
  ]
  if changed:
    raise ValueError(
        f'the run in {now.run.run_dir} cannot continue with other settings: '
        f'{", ".join(changed)}; leave these flags out, or name another folder '
        'by --run_dir'
    )


def flag_name(field: str) -> str:
  """Returns the flag of a dotted field of an experiment."""
  part, _, name = field.partition('.')
  if part == 'discriminator':
    return f'discriminator_{name}'
  return f'{name}_cost' if part == 'costs' else name or part


def resume_command() -> str:
  """Returns what to type in a shell, or in Python where no flags were given.

  The Python is the same, such as a virtual environment's, and so are its
  options.
  """
  if not flags.FLAGS.is_parsed() or 'resume' not in flags.FLAGS:
    return 'training.train(experiment.replace(resume=True))'
  own = sys.argv[1:]
  split = len(sys.orig_argv) - len(own)
  program = sys.orig_argv[:split]
  if sys.orig_argv[split:] != own:  # Somebody else has set them.
    program = [sys.orig_argv[0], sys.argv[0]]
  words = [*program, *(word for word in own if word != '--resume'), '--resume']
  return ' '.join(map(_quote, words))


def _quote(word: str) -> str:
  """Returns a word as a shell reads it, in characters that can be printed.

  A name of a file may be no text: bytes that are not UTF-8 (which Python has as
  surrogates), or control characters. Bash and zsh read these escaped.
  """
  if not re.search('[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]', word):
    return shlex.quote(word)
  plain = set(range(0x20, 0x7F)) - set(b"'\\")
  escaped = [
      chr(byte) if byte in plain else f'\\x{byte:02x}'
      for byte in word.encode('utf-8', 'surrogateescape')
  ]
  return f"$'{''.join(escaped)}'"


class Clock:
  """Seconds of a run, over all its resumptions, from its `start` on.

  What comes before (compiling, above all) is not counted.
  """

  def __init__(self) -> None:
    self._before = 0.0
    self._start: float | None = None

  @property
  def seconds(self) -> float:
    """Seconds so far."""
    if self._start is None:
      return self._before
    return self._before + time.monotonic() - self._start

  def start(self) -> None:
    """Counts from now on, if it does not yet."""
    if self._start is None:
      self._start = time.monotonic()

  def get_state(self) -> dict[str, float]:
    """Returns the seconds."""
    return {'seconds': self.seconds}

  def set_state(self, state: dict[str, float]) -> None:
    """Continues from there."""
    self._before = float(state['seconds'])
    if self._start is not None:
      self._start = time.monotonic()


def _as_json(config: Mapping[str, Any]) -> dict[str, Any]:
  return json.loads(json.dumps(config))


def _fields(
    config: Mapping[str, Any], prefix: str = ''
) -> Iterator[tuple[str, Any]]:
  """Yields (dotted name, value)."""
  for name, value in config.items():
    if isinstance(value, Mapping):
      yield from _fields(value, f'{prefix}{name}.')
    else:
      yield prefix + name, value


def _as_flag(value: Any) -> str:
  return ','.join(map(str, value)) if isinstance(value, list) else str(value)
