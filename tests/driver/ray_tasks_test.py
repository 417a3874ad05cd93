"""Calls in Ray's processes: what they return, and what happens if they fail."""

import os
import pathlib
import signal
import time

import pytest

pytest.importorskip('ray', reason='needs Ray: the extra [distributed]')

import ray
from ray import exceptions

from spiral_jax.driver import ray_tasks

ROOT = pathlib.Path(__file__).resolve().parents[2]


@pytest.fixture(scope='module')
def tasks():
  with pytest.MonkeyPatch.context() as patch:
    patch.setenv('PYTHONPATH', str(ROOT))  # Workers import the tests.
    tasks = ray_tasks.Tasks('')
    yield tasks
    tasks.close()


def run(tasks, function, calls, should_stop=lambda: False):
  return dict(tasks.run({'CPU': 1}, function, calls, should_stop))


def double(value):
  return 2 * value, os.getpid()


def fail(folder, times, how):
  """Fails several times, then returns how often it did."""
  tries = len(list(folder.iterdir()))
  (folder / str(tries)).touch()
  if tries == times:
    return tries
  if how is None:
    os.kill(os.getpid(), signal.SIGKILL)
  raise how('a reason')


def sleep(folder):
  (folder / 'asleep').touch()
  while True:
    time.sleep(1)


def test_calls_share_processes(tasks):
  assert sum(machine['CPU'] for machine in tasks.machines()) >= 1
  results = run(tasks, double, {key: (key,) for key in range(20)})
  assert {key: value for key, (value, _) in results.items()} == {
      key: 2 * key for key in range(20)
  }
  processes = {pid for _, pid in results.values()}
  assert os.getpid() not in processes and len(processes) < 20


@pytest.mark.parametrize('how', [ValueError, None])
def test_a_call_that_fails_twice_is_made_again(tasks, tmp_path, how):
  assert run(tasks, fail, {'a': (tmp_path, 2, how)}) == {'a': 2}


def test_a_call_that_fails_three_times_gives_what_it_raised(tasks, tmp_path):
  calls = {}
  for how in (ValueError, OSError, ZeroDivisionError):
    (tmp_path / how.__name__).mkdir()
    calls[how] = (tmp_path / how.__name__, 3, how)
  results = run(tasks, fail, calls)
  for how in (ValueError, OSError):
    assert type(results[how]) is how and str(results[how]) == 'a reason'
  # A defect keeps its traceback.
  defect = results[ZeroDivisionError]
  assert isinstance(defect, exceptions.RayTaskError)
  assert 'in fail' in str(defect) and 'a reason' in str(defect)


def test_a_process_that_dies_three_times_is_told(tasks, tmp_path):
  error = run(tasks, fail, {'a': (tmp_path, 3, None)})['a']
  assert isinstance(error, exceptions.WorkerCrashedError)


def test_calls_end_when_they_should_stop(tasks, tmp_path):
  is_asleep = (tmp_path / 'asleep').exists
  assert run(tasks, sleep, {'a': (tmp_path,)}, is_asleep) == {}
  # Its core is free again.
  assert run(tasks, double, {'b': (1,)})['b'][0] == 2


def refuse_to_end(folder):
  # Where the tests were started in the background, Ctrl-C is ignored.
  signal.signal(signal.SIGINT, signal.default_int_handler)
  while True:
    try:
      (folder / 'asleep').touch()
      time.sleep(1)
    except KeyboardInterrupt:
      (folder / 'asked').touch()


def test_a_call_that_does_not_heed_it_is_ended(tasks, tmp_path, monkeypatch):
  ray_wait, was_asked = ray.wait, (tmp_path / 'asked').exists

  def wait(references, *, timeout, **kwargs):
    while timeout == 2.0 and not was_asked():  # However slow the machine.
      time.sleep(0.05)
    return ray_wait(references, timeout=timeout, **kwargs)

  monkeypatch.setattr(ray_tasks, '_END_SECONDS', 2.0)
  monkeypatch.setattr(ray_tasks.ray, 'wait', wait)
  is_asleep = (tmp_path / 'asleep').exists
  assert run(tasks, refuse_to_end, {'a': (tmp_path,)}, is_asleep) == {}
  assert was_asked()
  assert run(tasks, double, {'b': (1,)})['b'][0] == 2
