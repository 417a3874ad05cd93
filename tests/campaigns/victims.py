"""Processes that `kill.py` kills."""

from collections.abc import Callable
import hashlib
import os
import pathlib
import random
import signal
import subprocess
import sys
import time
import traceback
from typing import Any, Protocol

import jax
import numpy as np

from spiral_jax import training as training_lib
from spiral_jax.driver import checkpoints
from spiral_jax.driver import signals
from spiral_jax.training import run_dir as run_dir_lib
from tests import tiny
from tests.driver import toy as toy_lib

_POLL_SECONDS = 0.005
_START_SECONDS = 600.0  # For an actor, on a busy machine.

_TOY_UPDATES = 24
_TRAINING_FRAMES = 12 * 24  # 12 updates.
_RAY_FRAMES = 40 * 24
_TRAIN = """
import pathlib, sys
from tests.campaigns import victims
victims.train_with_ray(pathlib.Path(sys.argv[1]))
"""


class Process(Protocol):
  """A process under way."""

  def wait(self, seconds: float) -> int | None:
    """Returns the exit code (minus a signal that ended it), None if none."""

  def send(self, target: str, signum: int) -> bool:
    """Sends a signal; returns whether there is such a target."""

  def wait_for_progress(self, seconds: float) -> bool:
    """Returns whether it continues within some seconds."""

  def kill(self) -> None:
    """Kills it, and waits for its end."""


class Victim(Protocol):
  """A kind of process."""

  name: str

  def start(self, folder: pathlib.Path) -> Process:
    """Starts a process where the last one in `folder` was."""

  def choose(self, rng: random.Random) -> tuple[str, int]:
    """Returns what to kill next, and the signal."""

  def result(self, folder: pathlib.Path) -> Any:
    """Returns what must be equal at the end of all processes."""


class Forked:
  """A function of a folder, called in forks of this process."""

  def __init__(self, name: str, function: Callable[[pathlib.Path], str]):
    """Initializes a victim.

    Args:
      name: its name.
      function: trains until an end, and returns a digest of the state there.
    """
    self.name = name
    self._function = function

  def start(self, folder: pathlib.Path) -> Process:
    """Starts a process."""
    sys.stdout.flush()
    pid = os.fork()
    if not pid:
      _be_child(self._function, folder)
    return _Fork(pid)

  def choose(self, rng: random.Random) -> tuple[str, int]:
    """Returns either signal for the only process that there is."""
    return 'learner', rng.choice([signal.SIGKILL, signal.SIGTERM])

  def result(self, folder: pathlib.Path) -> str:
    """Returns the digest."""
    return (folder / 'digest').read_text()


def _be_child(
    function: Callable[[pathlib.Path], str], folder: pathlib.Path
) -> None:
  """Calls a function and ends this process, whatever happens."""
  code = 1
  try:
    output = os.open(folder / 'output', os.O_CREAT | os.O_WRONLY | os.O_APPEND)
    os.dup2(output, 1)
    os.dup2(output, 2)
    digest = function(folder)
    (folder / 'digest').write_text(digest)
    code = 0
  except signals.Interrupted as error:
    code = 128 + error.signum
  except BaseException:  # pylint: disable=broad-except
    traceback.print_exc()
  finally:
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


class _Fork:
  """A child of this process."""

  def __init__(self, pid: int):
    self._pid = pid

  def wait(self, seconds: float) -> int | None:
    """As `Process`."""
    end = time.monotonic() + seconds
    while True:
      found, status = os.waitpid(self._pid, os.WNOHANG)
      if found:
        return os.waitstatus_to_exitcode(status)
      if time.monotonic() >= end:
        return None
      time.sleep(_POLL_SECONDS)

  def send(self, target: str, signum: int) -> bool:
    """As `Process`."""
    del target
    os.kill(self._pid, signum)
    return True

  def wait_for_progress(self, seconds: float) -> bool:
    """As `Process`; it has no parts that can be killed alone."""
    raise NotImplementedError

  def kill(self) -> None:
    """As `Process`."""
    os.kill(self._pid, signal.SIGKILL)
    os.waitpid(self._pid, 0)


def toy(cache: pathlib.Path) -> Forked:
  """Returns the small program, in lockstep; `cache` is for the compiler."""

  def run(folder: pathlib.Path) -> str:
    _keep_compiled(cache)
    with signals.held() as received:
      state = toy_lib.run(folder, _TOY_UPDATES)
      if received:
        raise signals.Interrupted(received[0])
    return _digest(state)

  return Forked('small program', run)


def training(cache: pathlib.Path) -> Forked:
  """Returns a training in lockstep; `cache` is the compiler's."""

  def run(folder: pathlib.Path) -> str:
    _keep_compiled(cache)
    settings = dict(
        frames=_TRAINING_FRAMES,
        checkpoint_rounds=2,
        resume=run_dir_lib.has_checkpoint(folder),
    )
    training_lib.train(tiny.experiment(folder, run=settings))
    state = checkpoints.load(folder / 'checkpoints').state
    for name in ('metrics', 'clock'):
      del state[name]
    return _digest(state)

  return Forked('training', run)


def _keep_compiled(cache: pathlib.Path) -> None:
  """Lets each computation be compiled once, and soon, rather than well.

  A cache that is set already (JAX_COMPILATION_CACHE_DIR) stays.
  """
  os.environ.setdefault(
      'XLA_FLAGS',
      '--xla_backend_optimization_level=0 '
      '--xla_llvm_disable_expensive_passes=true',
  )
  if not jax.config.jax_compilation_cache_dir:  # type: ignore[attr-defined]
    jax.config.update('jax_compilation_cache_dir', str(cache))
    jax.config.update('jax_persistent_cache_min_compile_time_secs', 0.0)


def _digest(state: Any) -> str:
  """Returns a digest of all arrays and numbers of a state, with their names."""
  digest = hashlib.sha256()
  for path, leaf in jax.tree_util.tree_leaves_with_path(state):
    array = np.asarray(leaf)
    digest.update(f'{path} {array.dtype} {array.shape}'.encode())
    digest.update(array.tobytes())
  return digest.hexdigest()


class RayTraining:
  """A training with two actors in processes of Ray."""

  name = 'training with Ray'

  def start(self, folder: pathlib.Path) -> Process:
    """Starts a process."""
    with (folder / 'output').open('a') as output:
      process = subprocess.Popen(
          [sys.executable, '-c', _TRAIN, str(folder)],
          cwd=tiny.ROOT,
          env={
              **os.environ,
              'JAX_PLATFORMS': 'cpu',
              'PYTHONPATH': str(tiny.ROOT),
          },
          stdout=output,
          stderr=output,
      )
    return _RayProcess(process, folder / 'metrics.jsonl')

  def choose(self, rng: random.Random) -> tuple[str, int]:
    """Returns an actor or the learner; actors are always killed."""
    if rng.random() < 0.5:
      return 'actor', signal.SIGKILL
    return 'learner', rng.choice([signal.SIGKILL, signal.SIGTERM])

  def result(self, folder: pathlib.Path) -> int:
    """Returns the frames learned from."""
    state = checkpoints.load(folder / 'checkpoints').state
    return int(state['policy']['frames'])


def train_with_ray(folder: pathlib.Path) -> None:
  """Trains where the last process in `folder` was, and ends this one."""
  settings = dict(
      frames=_RAY_FRAMES,
      lockstep=False,
      launcher='ray',
      num_actors=2,
      checkpoint_minutes=0.01,
      resume=run_dir_lib.has_checkpoint(folder),
  )
  try:
    training_lib.train(tiny.experiment(folder, run=settings))
  except signals.Interrupted as error:
    sys.exit(128 + error.signum)


class _RayProcess:
  """The learner's process, and those that Ray started for it."""

  def __init__(self, process: subprocess.Popen, metrics: pathlib.Path):
    self._process = process
    self._metrics = metrics
    self._offspring: set[int] = set()

  def wait(self, seconds: float) -> int | None:
    """As `Process`; waits for what Ray started, too."""
    end = time.monotonic() + seconds
    while self._process.poll() is None:
      self._offspring |= set(_descendants(self._process.pid))
      if time.monotonic() >= end:
        return None
      time.sleep(0.1)
    while any(_command(pid).startswith(b'ray::') for pid in self._offspring):
      if time.monotonic() >= end:
        return None
      time.sleep(0.1)
    return self._process.returncode

  def send(self, target: str, signum: int) -> bool:
    """As `Process`; waits for an actor's start."""
    pids = [self._process.pid]
    if target == 'actor':
      pids = self._actors()
      end = time.monotonic() + _START_SECONDS
      while not pids and self._process.poll() is None:
        if time.monotonic() > end:
          return False
        time.sleep(0.1)
        pids = self._actors()
    try:
      os.kill(pids[0], signum)
    except (IndexError, ProcessLookupError):  # All has ended.
      return False
    return True

  def _actors(self) -> list[int]:
    return [
        pid
        for pid in _descendants(self._process.pid)
        if _command(pid).startswith(b'ray::_Player')
    ]

  def wait_for_progress(self, seconds: float) -> bool:
    """As `Process`: whether it ends, or learns from what comes after."""
    end = time.monotonic() + seconds
    size = self._metrics.stat().st_size if self._metrics.exists() else 0
    while time.monotonic() < end:
      if self._process.poll() is not None:
        return self._process.returncode == 0
      if self._metrics.exists() and self._metrics.stat().st_size > size:
        return True
      time.sleep(0.1)
    return False

  def kill(self) -> None:
    """As `Process`."""
    self._process.kill()
    self._process.wait()


def _descendants(pid: int) -> list[int]:
  """Returns the processes that a process has started, and those of these."""
  children: dict[int, list[int]] = {}
  for path in pathlib.Path('/proc').glob('[0-9]*/stat'):
    try:
      parent = int(path.read_text().rpartition(')')[2].split()[1])
    except OSError:  # It has ended.
      continue
    children.setdefault(parent, []).append(int(path.parent.name))
  found = [pid]
  for one in found:
    found += children.get(one, [])
  return found[1:]


def _command(pid: int) -> bytes:
  try:
    return pathlib.Path(f'/proc/{pid}/cmdline').read_bytes()
  except OSError:  # It has ended.
    return b''
