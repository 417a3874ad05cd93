"""Feeds damaged inputs to the library and counts what becomes of each.

For example, all kinds, or one input again:

  python -m tests.campaigns.fuzz --count=1000
  python -m tests.campaigns.fuzz --kinds=images --seed=123 --count=1

An input is accepted, or refused in one line that names its file. All else is a
failure: other errors, inputs that take longer than --seconds, and crashes of
the process that reads them, a child that is started again. MiB are the most
that a child held, with the library itself.
The exit status is 1 if there are failures. An input depends on its kind and its
seed alone; seeds are --seed, --seed + 1 and so on.
"""

from collections.abc import Callable, Sequence
import dataclasses
import functools
import multiprocessing
import multiprocessing.connection
import os
import pathlib
import resource
import signal
import sys
import tempfile
import time
import warnings

from absl import flags
from absl import logging
import numpy as np
import rich.console
import rich.progress
import rich.table

from spiral_jax.training import cli
from tests.campaigns import fuzz_data
from tests.campaigns import fuzz_painting
from tests.campaigns import fuzz_runs

_KINDS = flags.DEFINE_list(
    'kinds', None, 'kinds of inputs; by default all, see --help'
)
_COUNT = flags.DEFINE_integer(
    'count', 1000, 'number of inputs of each kind', lower_bound=1
)
_SEED = flags.DEFINE_integer('seed', 0, 'seed of the first input')
_SECONDS = flags.DEFINE_float('seconds', 10.0, 'time that an input may take')
_MEMORY = flags.DEFINE_integer(
    'memory',
    2048,
    'MiB that inputs may take besides the program',
    lower_bound=1,
)

Kind = Callable[[np.random.Generator, pathlib.Path], None]

# Errors by which an input may be refused; and what else may become of it.
_REFUSALS = (ValueError, OSError, ImportError)
ACCEPTED, REFUSED = 'accepted', 'refused'
ERROR, SLOW, CRASH = 'errors', 'slow', 'crashes'
OUTCOMES = (ACCEPTED, REFUSED, ERROR, SLOW, CRASH)
_START_SECONDS = 120.0  # Time that a child may take to import the library.
_SHOWN = 20  # Failures that are printed.


class Result:
  """Counts of outcomes of a kind, and its failures.

  Attributes:
    counts: number of inputs by outcome, for each of `OUTCOMES`.
    failures: seed and description of each failure.
    peak: most memory that a child held, MiB.
    seconds: time that all inputs took.
  """

  def __init__(self) -> None:
    self.counts = dict.fromkeys(OUTCOMES, 0)
    self.failures: list[tuple[int, str]] = []
    self.peak = 0.0
    self.seconds = 0.0

  def add(self, seed: int, outcome: str, message: str) -> None:
    """Counts an input."""
    self.counts[outcome] += 1
    if outcome not in (ACCEPTED, REFUSED):
      self.failures.append((seed, f'{outcome}: {message}'))


@dataclasses.dataclass
class _Child:
  """A process that reads inputs of a kind, and the pipe to it."""

  process: multiprocessing.process.BaseProcess
  pipe: multiprocessing.connection.Connection

  def stop(self) -> None:
    """Ends the process, whatever it does."""
    self.process.kill()
    self.process.join()
    self.pipe.close()


def fuzz(
    make: Kind,
    seeds: Sequence[int],
    *,
    seconds: float = 10.0,
    memory: int = 2048,
) -> Result:
  """Returns what became of inputs, each made and read in a child process.

  Args:
    make: function of a module that makes an input in an empty folder and feeds
      it to the library.
    seeds: seeds of the inputs.
    seconds: time that an input may take.
    memory: MiB that inputs may take besides the program.

  Raises:
    RuntimeError: if a child does not start.
  """
  result = Result()
  child: _Child | None = None
  start = time.monotonic()
  try:
    for seed in seeds:
      if child is None:
        child = _started(make, memory)
      try:
        child.pipe.send(seed)
        if child.pipe.poll(seconds):
          outcome, message, peak = child.pipe.recv()
          result.peak = max(result.peak, peak)
        else:
          outcome, message = SLOW, f'longer than {seconds:g} seconds'
      except (EOFError, OSError):
        child.process.join()
        outcome, message = CRASH, _exit_name(child.process.exitcode)
      result.add(seed, outcome, message)
      if outcome in (SLOW, CRASH):
        child.stop()
        child = None
  finally:
    if child is not None:
      child.stop()
  result.seconds = time.monotonic() - start
  return result


def _started(make: Kind, memory: int) -> _Child:
  """Starts a child and waits until it can read inputs."""
  context = multiprocessing.get_context('spawn')
  ours, theirs = context.Pipe()
  process = context.Process(target=_read, args=(theirs, make, memory))
  process.start()
  theirs.close()
  child = _Child(process, ours)
  try:
    if ours.poll(_START_SECONDS):
      ours.recv()
      return child
  except (EOFError, OSError):
    pass
  child.stop()
  raise RuntimeError('the process that reads inputs does not start')


def _read(
    pipe: multiprocessing.connection.Connection, make: Kind, memory: int
) -> None:
  """Makes and reads an input for each seed that comes through the pipe."""
  # Decoders in C warn on standard error, thousands of times.
  os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
  logging.set_verbosity(logging.ERROR)
  warnings.simplefilter('ignore')
  signal.signal(signal.SIGINT, signal.SIG_IGN)  # The parent ends this process.
  pages = int(pathlib.Path('/proc/self/statm').read_text().split()[0])
  most = pages * resource.getpagesize() + (memory << 20)
  resource.setrlimit(resource.RLIMIT_AS, (most, most))
  pipe.send('ready')
  while True:
    try:
      seed = pipe.recv()
    except EOFError:
      return
    with tempfile.TemporaryDirectory(prefix='fuzz-') as name:
      os.environ['XDG_CACHE_HOME'] = f'{name}/cache'
      folder = pathlib.Path(name, 'input')
      folder.mkdir()
      outcome, message = _outcome(make, seed, folder)
    pipe.send((outcome, message, _peak()))


def _peak() -> float:
  """Returns the most memory that this process held, in MiB."""
  # Not that of getrusage, which a new program inherits from its parent.
  status = pathlib.Path('/proc/self/status').read_text()
  lines = dict(line.split(':', 1) for line in status.splitlines())
  return int(lines['VmHWM'].split()[0]) / 1024


def _outcome(make: Kind, seed: int, folder: pathlib.Path) -> tuple[str, str]:
  """Returns what becomes of an input, and why."""
  try:
    make(np.random.default_rng(seed), folder)
  except Exception as error:
    message = f'{type(error).__name__}: {error}'
    # Subclasses such as UnicodeDecodeError do not name file and remedy.
    is_own = not isinstance(error, ValueError) or type(error) is ValueError
    if isinstance(error, _REFUSALS) and is_own and '\n' not in message:
      if str(folder) in message:
        return REFUSED, message
      message += ' (names no file)'
    return ERROR, ' '.join(message.split())[:300]
  return ACCEPTED, ''


def _exit_name(code: int | None) -> str:
  if code is not None and code < 0:
    return signal.Signals(-code).name
  return f'exit status {code}'


def _of_text(
    kind: Kind, rng: np.random.Generator, folder: pathlib.Path
) -> None:
  """Makes an input that is no file, for an error to name."""
  try:
    kind(rng, folder)
  except (ValueError, OSError) as error:
    raise ValueError(f'{folder}: {error}') from error


# A kind is one function, and one line here.
KINDS: dict[str, Kind] = {
    'images': fuzz_data.images,
    'archives': fuzz_data.archives,
    'weights': fuzz_runs.weights,
    'checkpoints': fuzz_runs.checkpoints,
    **{
        name: functools.partial(_of_text, kind)
        for name, kind in fuzz_painting.KINDS.items()
    },
}


def main(argv: Sequence[str]) -> None:
  """Fuzzes the kinds that the flags name, and prints a table."""
  del argv
  names = _KINDS.value or list(KINDS)
  for name in names:
    if name not in KINDS:
      raise ValueError(f'--kinds has {name!r}; choose from {", ".join(KINDS)}')
  console = rich.console.Console(highlight=False)
  seeds = range(_SEED.value, _SEED.value + _COUNT.value)
  table = rich.table.Table('kind', 'inputs', *OUTCOMES, 'MiB', 's')
  failed = []
  for name in names:
    result = fuzz(
        KINDS[name], seeds, seconds=_SECONDS.value, memory=_MEMORY.value
    )
    table.add_row(
        name,
        str(len(seeds)),
        *map(str, result.counts.values()),
        f'{result.peak:.0f}',
        f'{result.seconds:.0f}',
    )
    failed += [(name, seed, why) for seed, why in result.failures]
  console.print(table)
  for name, seed, why in failed[:_SHOWN]:
    console.print(
        f'--kinds={name} --seed={seed} --count=1: {why}',
        markup=False,
        soft_wrap=True,
    )
  if len(failed) > _SHOWN:
    console.print(f'and {len(failed) - _SHOWN} more failures')
  sys.exit(1 if failed else 0)


if __name__ == '__main__':
  cli.run(main)
