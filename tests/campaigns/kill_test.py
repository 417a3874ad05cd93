"""The campaign of kills: a short one, and faults that it must find."""

import os
import random
import signal
import subprocess
import sys

import pytest

from tests import tiny
from tests.campaigns import kill

# A victim without JAX: counts in a file, which stands for its checkpoints.
_COUNTER = """
import pathlib, signal, sys, time
folder, fault = pathlib.Path(sys.argv[1]), sys.argv[2]
kept = folder / 'checkpoints'
received = []

def lose(*_):
  for path in kept.glob('*/state'):
    path.unlink()
  sys.exit(143)

if fault == 'loses':
  signal.signal(signal.SIGTERM, lose)
elif fault == 'hangs':
  signal.signal(signal.SIGTERM, lambda *_: received.append(1))
else:
  signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
kept.mkdir(exist_ok=True)
steps = sorted(int(path.name) for path in kept.iterdir())
if fault == 'fails' and steps:
  sys.exit(3)
for step in range(len(steps), 8):
  (kept / str(step)).mkdir()
  (kept / str(step) / 'state').write_text('')
  time.sleep(0.002)
while received:
  time.sleep(1)
resumed = steps and fault == 'differs'
(folder / 'result').write_text('resumed' if resumed else 'whole')
"""


class Process:

  def __init__(self, folder, fault):
    self._process = subprocess.Popen(
        [sys.executable, '-S', '-c', _COUNTER, str(folder), fault]
    )

  def wait(self, seconds):
    try:
      return self._process.wait(seconds)
    except subprocess.TimeoutExpired:
      return None

  def send(self, target, signum):
    del target
    self._process.send_signal(signum)
    return True

  def kill(self):
    self._process.kill()
    self._process.wait()


class Victim:

  def __init__(self, fault):
    self.name = 'counter'
    self._fault = fault

  def start(self, folder):
    return Process(folder, self._fault)

  def choose(self, rng):
    return 'learner', rng.choice([signal.SIGKILL, signal.SIGTERM])

  def result(self, folder):
    return (folder / 'result').read_text()


@pytest.mark.parametrize(
    'fault, counts',
    [
        ('none', {}),
        ('hangs', {'hangs': 1}),
        ('loses', {'lost': 1}),
        ('differs', {'unequal': 1}),
        ('fails', {'errors': 1}),
    ],
)
def test_faults_are_found(tmp_path, capsys, fault, counts):
  rng = random.Random(0)
  number = 10 if fault == 'none' else 40
  tally = kill.campaign(Victim(fault), number, rng, tmp_path, patience=2.0)
  found = {
      name: getattr(tally, name)
      for name in ('hangs', 'lost', 'unequal', 'errors')
  }
  assert found == {**dict.fromkeys(found, 0), **counts}
  assert tally.is_good == (fault == 'none')
  assert tally.num_kills == 10 if fault == 'none' else tally.num_kills <= 40
  kill.show([tally])
  output = capsys.readouterr().out
  assert ('chain-' in output) == (fault != 'none')


def test_a_short_campaign():
  done = subprocess.run(
      [
          sys.executable,
          '-m',
          'tests.campaigns.kill',
          '--count=2',
          '--trainings=0',
      ],
      cwd=tiny.ROOT,
      env={**os.environ, 'PYTHONPATH': str(tiny.ROOT), 'COLUMNS': '200'},
      capture_output=True,
      text=True,
  )
  assert done.returncode == 0, done.stdout + done.stderr
  assert 'small program' in done.stdout
