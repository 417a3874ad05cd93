import os
import pathlib
import signal
import subprocess
import sys
import threading
import time

import jax
import numpy as np
import pytest

from spiral_jax.driver import channel as channel_lib
from spiral_jax.driver import program as program_lib
from spiral_jax.driver import serialization
from tests.driver import toy

ROOT = pathlib.Path(__file__).parents[2]

in_main_thread = pytest.mark.skipif(
    threading.current_thread() is not threading.main_thread(),
    reason='signals arrive in the main thread',
)


class Node:
  """Calls a function in each step."""

  def __init__(self, name, function):
    self.name = name
    self.function = function
    self.steps = 0

  def step(self):
    self.steps += 1
    self.function()


class Raising(Node):

  def __init__(self, name, error, after=0):
    def fail():
      if self.steps > after:
        raise error

    super().__init__(name, fail)


def states(program):
  return {
      name: serialization.to_plain(part.get_state())
      for name, part in program.stateful().items()
  }


def assert_equal(one, two):
  assert jax.tree.structure(one) == jax.tree.structure(two)
  jax.tree.map(np.testing.assert_array_equal, one, two)


def test_fifty_cycles_leave_no_thread_behind():
  before = set(threading.enumerate())
  for _ in range(50):
    program, policy, _ = toy.build(3)
    stopped = program_lib.launch(program)
    assert stopped == program_lib.Stopped.FINISHED
    assert policy.version == 3
    assert set(threading.enumerate()) <= before


@pytest.mark.parametrize('lockstep', [False, True])
def test_a_node_that_raises_ends_the_program_and_is_named(lockstep):
  program, _, _ = toy.build(None)
  error = ValueError('no ink')
  before = set(threading.enumerate())
  program.add(Raising('painter_1', error, after=2))
  with pytest.raises(program_lib.NodeError) as raised:
    program_lib.launch(program, lockstep=lockstep)
  assert str(raised.value) == "node 'painter_1' failed: ValueError: no ink"
  assert raised.value.__cause__ is error
  assert set(threading.enumerate()) <= before
  assert all(part.closed for part in program.resources.values())


def test_a_node_that_raises_wakes_nodes_that_wait():
  program = program_lib.Program()
  empty, full = program.channel('empty', 1), program.channel('full', 1)
  full.put(0)
  program.add(Node('getter', empty.get))
  program.add(Node('putter', lambda: full.put(1)))
  program.add(Node('reader', program.params('params').latest))
  program.add(Node('sampler', program.replay(2, 2).sample))
  program.add(Raising('bad', KeyError('x')))
  with pytest.raises(program_lib.NodeError, match="'bad' failed: KeyError"):
    program_lib.launch(program)


def test_the_first_error_wins():
  program = program_lib.Program()
  channel = program.channel('c', 1)

  def consequence():
    try:
      channel.get()
    except channel_lib.ChannelClosed:
      raise RuntimeError('consequence') from None

  program.add(Node('second', consequence))
  program.add(Raising('first', ValueError('cause')))
  with pytest.raises(program_lib.NodeError, match="'first'"):
    program_lib.launch(program)


def test_a_resource_closed_by_mistake_is_an_error():
  program = program_lib.Program()
  channel = program.channel('c', 1)
  channel.close()
  program.add(Node('getter', channel.get))
  with pytest.raises(program_lib.NodeError, match="'c' is closed"):
    program_lib.launch(program)


@pytest.mark.parametrize('lockstep', [False, True])
@pytest.mark.parametrize('as_event', [False, True])
def test_stop_when(lockstep, as_event):
  program = program_lib.Program()
  event = threading.Event()
  node = program.add(Node('n', lambda: node.steps < 5 or event.set()))
  stopped = program_lib.launch(
      program, stop_when=event if as_event else event.is_set, lockstep=lockstep
  )
  assert stopped == program_lib.Stopped.FINISHED
  assert node.steps >= 5
  if lockstep:
    assert node.steps == 5


def test_an_error_of_stop_when_is_raised_with_all_threads_joined():
  program, _, _ = toy.build(None)
  before = set(threading.enumerate())

  def stop_when():
    raise KeyboardInterrupt

  with pytest.raises(KeyboardInterrupt):
    program_lib.launch(program, stop_when=stop_when)
  assert set(threading.enumerate()) <= before


@in_main_thread
@pytest.mark.parametrize('lockstep', [False, True])
def test_ctrl_c_ends_steps_then_calls_on_stop(lockstep):
  program, policy, _ = toy.build(None)
  before = set(threading.enumerate())
  pressed = []

  def press():
    if not pressed and policy.version > 20:
      pressed.append(True)
      signal.raise_signal(signal.SIGINT)
      signal.raise_signal(signal.SIGINT)
    time.sleep(0.001)

  after_press = program.add(Node('user', press))
  seen = []

  def on_stop(stopped):
    signal.raise_signal(signal.SIGINT)  # An impatient user's.
    seen.append((stopped, set(threading.enumerate())))

  handler = signal.getsignal(signal.SIGINT)
  stopped = program_lib.launch(program, lockstep=lockstep, on_stop=on_stop)
  assert stopped == program_lib.Stopped.INTERRUPTED
  assert [s for s, _ in seen] == [stopped]
  assert seen[0][1] <= before
  assert signal.getsignal(signal.SIGINT) == handler
  if lockstep:
    # The round was completed: one step of this node for two of the policy.
    assert policy.version == 2 * after_press.steps


@in_main_thread
def test_what_fails_because_of_a_signal_is_no_error(caplog):
  program = program_lib.Program()
  saved = []

  class Remote(Node):
    """Waits for a process that the signal ends as well."""

    def close(self):
      ended.set()

  def wait():
    ended.wait()
    raise ConnectionError('lost')

  ended = threading.Event()
  program.add(Remote('remote', wait))
  stopped = program_lib.launch(
      program,
      stop_when=lambda: bool(signal.raise_signal(signal.SIGTERM)),
      on_stop=saved.append,
  )
  assert saved == [stopped] == [program_lib.Stopped.INTERRUPTED]
  assert "'remote' failed while stopping: ConnectionError" in caplog.text


@in_main_thread
def test_ctrl_c_from_outside(tmp_path):
  script = tmp_path / 'script.py'
  script.write_text(
      'from tests.driver import toy\n'
      'from spiral_jax.driver import program as p\n'
      'program, policy, _ = toy.build(None)\n'
      'said = []\n'
      'def say():\n'
      '  if policy.version and not said:\n'
      '    said.append(True)\n'
      '    print("learns", flush=True)\n'
      'print(p.launch(program, stop_when=say).value, flush=True)\n'
  )
  process = subprocess.Popen(
      [sys.executable, str(script)],
      cwd=ROOT,
      env=child_environment(),
      stdout=subprocess.PIPE,
      stderr=subprocess.PIPE,
      text=True,
  )
  assert process.stdout.readline() == 'learns\n'
  process.send_signal(signal.SIGINT)
  output, errors = process.communicate(timeout=600)
  assert process.returncode == 0, errors
  assert output == 'interrupted\n'
  assert 'Traceback' not in errors


def test_launch_works_outside_the_main_thread():
  result = []

  def run():
    program, _, _ = toy.build(3)
    result.append(program_lib.launch(program))

  thread = threading.Thread(target=run)
  thread.start()
  thread.join(600)
  assert result == [program_lib.Stopped.FINISHED]


def test_lockstep_is_deterministic():
  results = []
  for _ in range(2):
    program, policy, _ = toy.build(20)
    program_lib.launch(program, lockstep=True)
    assert policy.version == 20
    results.append(states(program))
  assert_equal(*results)
  other, _, _ = toy.build(20, rollout=lambda i: toy.Rollout(i + 10))
  program_lib.launch(other, lockstep=True)
  with pytest.raises(AssertionError):
    assert_equal(results[0], states(other))


def test_lockstep_goes_on_exactly_from_state_in_memory():
  whole, _, _ = toy.build(20)
  program_lib.launch(whole, lockstep=True)
  first, _, _ = toy.build(8)
  program_lib.launch(first, lockstep=True)
  second, _, _ = toy.build(20)
  for name, state in states(first).items():
    second.stateful()[name].set_state(state)
  program_lib.launch(second, lockstep=True)
  assert_equal(states(whole), states(second))


def test_lockstep_runs_nodes_in_order():
  program = program_lib.Program()
  log, rounds = [], []
  for name, steps in (('a', 1), ('b', 3), ('c', 1)):
    program.add(
        Node(name, lambda name=name: log.append(name)), steps_per_round=steps
    )
  program_lib.launch(
      program,
      lockstep=True,
      on_round=rounds.append,
      stop_when=lambda: len(rounds) == 2,
  )
  assert ''.join(log) == 'abbbcabbbc'
  assert rounds == [1, 2]


def test_lockstep_completes_the_last_round():
  program = program_lib.Program()
  program.add(Raising('done', program_lib.StopProgram()), steps_per_round=2)
  last = program.add(Node('last', lambda: None))
  assert (
      program_lib.launch(program, lockstep=True) == program_lib.Stopped.FINISHED
  )
  assert last.steps == 1


def test_lockstep_names_what_can_never_happen():
  program = program_lib.Program()
  program.add(Node('getter', program.channel('c', 1).get))
  with pytest.raises(program_lib.NodeError, match="'c' is empty") as raised:
    program_lib.launch(program, lockstep=True)
  assert isinstance(raised.value.__cause__, channel_lib.WouldBlock)

  program = program_lib.Program()
  channel = program.channel('c', 5)
  program.add(Node('putter', lambda: channel.put(0)))
  with pytest.raises(ValueError, match="'c' holds 1 items after a round"):
    program_lib.launch(program, lockstep=True)


def test_programs_are_checked():
  program = program_lib.Program()
  program.add(Raising('n', program_lib.StopProgram()))
  with pytest.raises(ValueError, match="'n' is taken"):
    program.channel('n', 1)
  with pytest.raises(ValueError, match="steps_per_round of node 'm' is 0"):
    program.add(Node('m', None), steps_per_round=0)
  program_lib.launch(program)
  with pytest.raises(RuntimeError, match='launched before'):
    program_lib.launch(program)


def test_driver_imports_none_of_the_heavy_libraries():
  code = (
      'import sys\n'
      'from spiral_jax.driver import (channel, checkpointer, checkpoints,\n'
      '                               metrics, nodes, params, program,\n'
      '                               progress, replay, serialization)\n'
      'heavy = {"flax", "optax", "rlax", "orbax", "dm_env", "environments",\n'
      '         "tensorboardX", "spiral_jax.agents", "spiral_jax.networks"}\n'
      'print(sorted(heavy & set(sys.modules)))\n'
  )
  output = subprocess.run(
      [sys.executable, '-c', code],
      cwd=ROOT,
      env=child_environment(),
      capture_output=True,
      text=True,
      check=True,
  ).stdout
  assert output == '[]\n'


def child_environment():
  return {**os.environ, 'PYTHONPATH': str(ROOT)}
