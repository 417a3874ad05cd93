"""Kills trainings at random moments, resumes them, and looks for what is lost.

A victim is started, killed after a random time by SIGKILL or SIGTERM, and
started again where it was, until one start is not killed in time and ends. Then
the next one begins. Nothing may hang, no checkpoint may be lost, and a lockstep
run that was killed must end with the state of one that was not, bit for bit:

  python -m tests.campaigns.kill --count=1000 --seed=0

Of the kills, one in a hundred (--trainings) is of a whole training in lockstep:
agent, renderers, discriminator. The others are of a small program with the same
nodes, replay, metrics and checkpoints, `tests/driver/toy.py`, which lives for
seconds. Both are forks of this process, which has imported everything but never
starts JAX: a start takes a second.

With --launcher=ray all kills are of trainings whose two actors are processes of
Ray, one kill in two of an actor. Those are not reproducible, but they must
continue, or resume, and reach their end:

  python -m tests.campaigns.kill --count=20 --launcher=ray

Prints a table; exits with 1 if anything was lost.
"""

from collections.abc import Sequence
import pathlib
import random
import signal
import tempfile
import time

from absl import flags
import numpy as np
import rich.table

from spiral_jax import console as console_lib
from spiral_jax.driver import checkpoints
from spiral_jax.training import cli
from tests.campaigns import victims as victims_lib

_COUNT = flags.DEFINE_integer('count', 1000, 'number of kills', lower_bound=1)
_TRAININGS = flags.DEFINE_integer(
    'trainings',
    None,
    'number of kills, of all, that are of whole trainings; by default one in a '
    'hundred',
    lower_bound=0,
)
_SEED = flags.DEFINE_integer('seed', 0, 'seed of the moments and signals')
_LAUNCHER = flags.DEFINE_enum(
    'launcher', 'threads', ['threads', 'ray'], 'where actors of victims are'
)

# Seconds after which a process that was told to end, or that has little left to
# do, counts as hanging. On a busy machine a compiler takes most of a minute.
_PATIENCE = 600.0
_SHOWN_LINES = 40  # Of what a victim printed that went wrong.
_SHOWN_SECONDS = 60.0  # Between two lines on how far it is.


class Tally:
  """Counts of one kind of victim."""

  def __init__(self, name: str):
    self.name = name
    self.kills: dict[str, int] = {}
    self.ends = self.hangs = self.lost = self.unequal = self.errors = 0
    self.notes: list[str] = []

  @property
  def num_kills(self) -> int:
    """Number of kills."""
    return sum(self.kills.values())

  @property
  def is_good(self) -> bool:
    """True if nothing was lost."""
    return not (self.hangs or self.lost or self.unequal or self.errors)


def main(argv: Sequence[str]) -> None:
  """Kills as the flags say."""
  del argv
  count = _COUNT.value
  rng = random.Random(_SEED.value)
  with tempfile.TemporaryDirectory(prefix='kill-') as folder:
    root = pathlib.Path(folder)
    plan: list[tuple[victims_lib.Victim, int]]
    if _LAUNCHER.value == 'ray':
      plan = [(victims_lib.RayTraining(), count)]
    else:
      trainings = _TRAININGS.value
      trainings = -(-count // 100) if trainings is None else trainings
      cache = root / 'xla'
      plan = [
          (victims_lib.toy(cache), count - trainings),
          (victims_lib.training(cache), trainings),
      ]
    tallies = [
        campaign(victim, number, rng, root / victim.name, _PATIENCE)
        for victim, number in plan
        if number > 0
    ]
  show(tallies)
  if not all(tally.is_good for tally in tallies):
    raise SystemExit(1)


def campaign(
    victim: victims_lib.Victim,
    count: int,
    rng: random.Random,
    root: pathlib.Path,
    patience: float,
) -> Tally:
  """Kills a victim that many times.

  Args:
    victim: starts processes in a folder.
    count: number of kills.
    rng: draws moments and signals.
    root: new folder for all folders of victims.
    patience: seconds after which a process hangs.
  """
  tally = Tally(victim.name)
  # One to fill the compiler's cache, and one for the time that they take.
  for name in ('first', 'whole'):
    start = time.monotonic()
    process = victim.start(_folder(root, name))
    if process.wait(patience) != 0:
      raise RuntimeError(f'{victim.name} fails without a kill: {name}')
    seconds = time.monotonic() - start
  expected = victim.result(root / 'whole')
  chain, shown = 0, time.monotonic()
  while tally.num_kills < count:
    chain += 1
    if time.monotonic() > shown + _SHOWN_SECONDS:
      shown = time.monotonic()
      console_lib.say(f'{victim.name}: {tally.num_kills:,} of {count:,} kills')
    folder = _folder(root, f'chain-{chain}')
    _kill_until_it_ends(victim, folder, tally, count, seconds, rng, patience)
    if not tally.is_good:
      return tally
    tally.ends += 1
    if victim.result(folder) != expected:
      tally.unequal += 1
      tally.notes.append(f'{folder.name} ends in another state')
  return tally


def _folder(root: pathlib.Path, name: str) -> pathlib.Path:
  folder = root / name
  folder.mkdir(parents=True)
  return folder


def _kill_until_it_ends(
    victim: victims_lib.Victim,
    folder: pathlib.Path,
    tally: Tally,
    count: int,
    seconds: float,
    rng: random.Random,
    patience: float,
) -> None:
  """Starts a victim again and again; the last start is not killed."""
  while True:
    process = victim.start(folder)
    target, signum = victim.choose(rng)
    is_last = tally.num_kills >= count
    moment = patience if is_last else rng.uniform(0.0, 1.1 * seconds)
    code = process.wait(moment)
    if code is not None:  # It was faster.
      if code != 0:
        _note(tally, 'errors', f'{folder.name} fails with {code}', folder)
      return
    if is_last:
      process.kill()
      _note(tally, 'hangs', f'{folder.name} does not end')
      return
    before = max(checkpoints.steps(folder / 'checkpoints'), default=-1)
    if not process.send(target, signum):  # There is none any more, or yet.
      code = process.wait(0.0)
      if code is None:
        process.kill()
        _note(tally, 'hangs', f'{folder.name} starts no {target}')
      elif code != 0:
        _note(tally, 'errors', f'{folder.name} fails with {code}', folder)
      return
    name = f'{signal.Signals(signum).name} to {target}'
    tally.kills[name] = tally.kills.get(name, 0) + 1
    if target == 'learner':
      code = process.wait(patience)
      if code is None:
        process.kill()
        _note(tally, 'hangs', f'{folder.name} hangs after {name}')
        return
      if code not in (0, -signum, 128 + signum):
        text = f'{folder.name} ends with {code} after {name}'
        _note(tally, 'errors', text, folder)
        return
    elif not process.wait_for_progress(patience):
      process.kill()
      _note(tally, 'hangs', f'{folder.name} does not go on after {name}')
      return
    else:
      process.kill()
    found = checkpoints.steps(folder / 'checkpoints')
    if max(found, default=-1) < before:
      _note(tally, 'lost', f'{folder.name} had {before}, now {sorted(found)}')
      return
    if code == 0:
      return


def _note(
    tally: Tally, kind: str, text: str, folder: pathlib.Path | None = None
) -> None:
  """Counts what went wrong; keeps the last lines of a folder's output."""
  setattr(tally, kind, getattr(tally, kind) + 1)
  output = folder and folder / 'output'
  if output and output.exists():
    lines = output.read_text(errors='replace').splitlines()[-_SHOWN_LINES:]
    text = '\n'.join([text, *lines])
  tally.notes.append(text)


def show(tallies: Sequence[Tally]) -> None:
  """Prints a table, and what went wrong."""
  table = rich.table.Table(
      'victim', 'kill', 'kills', 'ends', 'hangs', 'lost', 'unequal', 'errors'
  )
  for tally in tallies:
    results = (
        tally.ends,
        tally.hangs,
        tally.lost,
        tally.unequal,
        tally.errors,
    )
    rows = sorted(tally.kills.items())
    for index, (name, kills) in enumerate(rows):
      last = index == len(rows) - 1
      table.add_row(
          tally.name,
          name,
          str(kills),
          *(str(number) if last else '' for number in results),
      )
    table.add_section()
  total = np.sum([tally.num_kills for tally in tallies])
  table.add_row('all', '', f'{total:,}')
  console = console_lib.Console()
  console.print(table)
  for tally in tallies:
    for note in tally.notes:
      console.print(f'{tally.name}: {note}', soft_wrap=True)


if __name__ == '__main__':
  cli.run(main)
