r"""Trains for a long time, and tells whether the process grows.

The flags are those of a training; memory, threads and open files of its process
are read every few seconds, and compared between the second quarter of the time
and the last:

  python experiments/tools/soak.py \
      --flagfile=experiments/flags/mnist_reward_cpu.flags --minutes=60 \
      --run_dir=runs/soak

Exits with 1 if one of them has grown. Linux only.
"""

from collections.abc import Sequence
import os
import pathlib
import signal
import subprocess
import sys
import time
from typing import NamedTuple

from absl import flags
import numpy as np
import rich.table

from spiral_jax import console
from spiral_jax import training
from spiral_jax.training import cli

_EXPERIMENT = training.define_flags('environments.painting', dataset='mnist')
_EVERY_SECONDS = flags.DEFINE_float(
    'every_seconds', 5.0, 'seconds between two readings', lower_bound=0.1
)
# Caches fill slowly, and the allocator keeps what it once needed.
_MOST_GROWTH = flags.DEFINE_float(
    'most_growth', 0.05, 'share by which memory may grow', lower_bound=0.0
)

_PROGRAM = pathlib.Path(__file__).resolve().parents[1] / 'train.py'
_OWN = ('--every_seconds', '--most_growth')


class Reading(NamedTuple):
  """Memory, threads and files of a process."""

  memory: float  # Resident, MiB.
  threads: float
  files: float  # Open ones, sockets and pipes included.


def read(pid: int) -> Reading:
  """Returns what a process holds.

  Raises:
    OSError: if there is no such process.
  """
  folder = pathlib.Path('/proc', str(pid))
  lines = dict(
      line.split(':', 1)
      for line in (folder / 'status').read_text().splitlines()
  )
  return Reading(
      int(lines['VmRSS'].split()[0]) / 1024,
      int(lines['Threads']),
      len(os.listdir(folder / 'fd')),
  )


def compare(readings: Sequence[Reading]) -> tuple[Reading, Reading]:
  """Returns the medians of the second and of the last quarter.

  Raises:
    ValueError: if there are too few readings.
  """
  if len(readings) < 8:
    raise ValueError(
        f'{len(readings)} readings are too few to compare; give more --minutes '
        'or fewer --every_seconds'
    )
  quarters = np.array_split(np.array(readings), 4)
  before, after = (np.median(quarters[i], axis=0) for i in (1, 3))
  return Reading(*before), Reading(*after)


def watch(process: subprocess.Popen, every_seconds: float) -> list[Reading]:
  """Returns readings of a process from its first update to its end."""
  readings = []
  while process.poll() is None:
    time.sleep(every_seconds)
    try:
      readings.append(read(process.pid))
    except (OSError, KeyError):  # It has just ended.
      break
  return readings


def main(argv: Sequence[str]) -> None:
  """Trains and prints what the process held."""
  del argv
  experiment = _EXPERIMENT.value
  if not (experiment.run.minutes or experiment.run.frames):
    raise ValueError('say by --minutes how long to train')
  arguments = [a for a in sys.argv[1:] if not a.startswith(_OWN)]
  task = [f'--task={experiment.task}', f'--dataset={experiment.dataset}']
  process = subprocess.Popen([sys.executable, str(_PROGRAM), *task, *arguments])
  try:
    readings = watch(process, _EVERY_SECONDS.value)
    if process.wait():
      sys.exit(process.returncode)
  finally:
    if process.poll() is None:
      process.send_signal(signal.SIGINT)
      process.wait()
  before, after = compare(readings)
  table = rich.table.Table('', 'second quarter', 'last quarter')
  table.add_row('memory, MiB', f'{before.memory:.0f}', f'{after.memory:.0f}')
  table.add_row('threads', f'{before.threads:.0f}', f'{after.threads:.0f}')
  table.add_row('open files', f'{before.files:.0f}', f'{after.files:.0f}')
  console.Console().print(table)
  if (
      after.memory > (1 + _MOST_GROWTH.value) * before.memory
      or after.threads > before.threads
      or after.files > before.files
  ):
    sys.exit('error: the process has grown')


if __name__ == '__main__':
  cli.run(main)
