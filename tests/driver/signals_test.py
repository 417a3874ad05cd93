import os
import signal
import subprocess
import sys
import threading

import pytest

from spiral_jax.driver import program as program_lib
from spiral_jax.driver import signals
from tests.driver import toy
from tests.driver.program_test import ROOT
from tests.driver.program_test import child_environment
from tests.driver.program_test import in_main_thread

ENDING = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]
pytestmark = pytest.mark.usefixtures('usual_handlers')


@in_main_thread
@pytest.mark.parametrize('signum', ENDING)
@pytest.mark.parametrize('lockstep', [False, True])
def test_each_signal_ends_a_program_after_its_step(lockstep, signum):
  program, policy, _ = toy.build(None)
  saved = []

  def stop_when():
    if policy.version > 5:
      signal.raise_signal(signum)
    return False

  def on_stop(stopped):
    signal.raise_signal(signum)  # One who cannot wait.
    saved.append(stopped)

  with signals.held() as received:
    stopped = program_lib.launch(
        program, lockstep=lockstep, stop_when=stop_when, on_stop=on_stop
    )
  assert saved == [program_lib.Stopped.INTERRUPTED] == [stopped]
  assert set(received) == {signum} and len(received) >= 2
  assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL


@in_main_thread
def test_what_came_before_the_launch_ends_it_at_once():
  program, policy, _ = toy.build(None)
  with signals.held():
    signal.raise_signal(signal.SIGTERM)
    stopped = program_lib.launch(program, lockstep=True)
  assert stopped == program_lib.Stopped.INTERRUPTED and policy.version == 0


@in_main_thread
def test_signals_that_are_ignored_stay_so():
  signal.signal(signal.SIGHUP, signal.SIG_IGN)
  with signals.held() as received:
    signal.raise_signal(signal.SIGHUP)
  with signals.raised():
    signal.raise_signal(signal.SIGHUP)
  assert not received and signal.getsignal(signal.SIGHUP) == signal.SIG_IGN


@in_main_thread
@pytest.mark.parametrize('signum', ENDING)
def test_raised(signum):
  with pytest.raises(KeyboardInterrupt) as error:
    with signals.raised():
      signal.raise_signal(signum)
  assert error.value.signum == signum
  assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_other_threads_hold_nothing():
  received = []

  def hold():
    with signals.held() as here:
      received.append(here)

  thread = threading.Thread(target=hold)
  thread.start()
  thread.join()
  assert received == [[]]


@pytest.mark.parametrize('kind', ['held', 'raised'])
def test_a_signal_from_outside(kind):
  code = (
      'import time\n'
      'from spiral_jax.driver import signals\n'
      'try:\n'
      f'  with signals.{kind}() as received:\n'
      '    print("ready", flush=True)\n'
      '    while not received:\n'
      '      time.sleep(0.01)\n'
      '    print(received)\n'
      'except signals.Interrupted as error:\n'
      '  print([error.signum])\n'
  )
  process = subprocess.Popen(
      [sys.executable, '-c', code],
      cwd=ROOT,
      env=child_environment(),
      stdout=subprocess.PIPE,
      text=True,
  )
  assert process.stdout.readline() == 'ready\n'
  os.kill(process.pid, signal.SIGTERM)
  assert process.communicate()[0] == '[15]\n'
  assert process.returncode == 0
