import errno
import threading
import time

import pytest

from spiral_jax.driver import checkpointer as checkpointer_lib
from spiral_jax.driver import checkpoints
from spiral_jax.driver import program as program_lib
from tests.driver import toy


class Counter:

  def __init__(self):
    self.value = 0

  def __call__(self):
    self.value += 1

  def get_state(self):
    return {'value': self.value}

  def set_state(self, state):
    self.value = state['value']


class Memory:
  """Checkpoints in a list."""

  def __init__(self):
    self.saved = []

  def save(self, step, state):
    self.saved.append((step, state))

  def restore(self, step=None):
    return self.saved[-1] if step is None else dict(self.saved)[step]


def test_threads_call_by_the_clock_and_stop_without_waiting_it_out():
  program = program_lib.Program()
  often, seldom = Counter(), Counter()
  program.add(checkpointer_lib.Periodic('often', often, every_seconds=0.01))
  program.add(checkpointer_lib.Periodic('seldom', seldom, every_seconds=1000))
  start = time.monotonic()
  program_lib.launch(program, stop_when=lambda: often.value >= 5)
  assert time.monotonic() - start < 1000
  assert often.value >= 5 and seldom.value == 0


def test_with_rounds_only_threads_never_call():
  program = program_lib.Program()
  never, often = Counter(), Counter()
  program.add(checkpointer_lib.Periodic('never', never, every_rounds=1))
  program.add(checkpointer_lib.Periodic('often', often, every_seconds=0.01))
  program_lib.launch(program, stop_when=lambda: often.value >= 3)
  assert never.value == 0


def test_lockstep_calls_by_rounds():
  program = program_lib.Program()
  count, rounds = Counter(), []
  program.add(
      checkpointer_lib.Periodic('p', count, every_seconds=1e-9, every_rounds=3)
  )

  def on_round(number):
    rounds.append((number, count.value))

  program_lib.launch(
      program,
      lockstep=True,
      on_round=on_round,
      stop_when=lambda: len(rounds) == 7,
  )
  assert [value for _, value in rounds] == [0, 0, 1, 1, 1, 2, 2]


def test_lockstep_by_the_clock_doesnt_wait():
  program = program_lib.Program()
  often, seldom, rounds = Counter(), Counter(), []
  program.add(checkpointer_lib.Periodic('often', often, every_seconds=1e-9))
  program.add(checkpointer_lib.Periodic('seldom', seldom, every_seconds=1e6))
  program_lib.launch(
      program,
      lockstep=True,
      on_round=rounds.append,
      stop_when=lambda: len(rounds) == 5,
  )
  assert often.value == 5 and seldom.value == 0


def test_checkpointer_saves_and_restores_all_parts():
  memory, one, two = Memory(), Counter(), Counter()
  checkpointer = checkpointer_lib.Checkpointer(
      'c',
      memory,
      {'one': one, 'two': two},
      step=lambda: one.value,
      every_rounds=1,
  )
  one.value, two.value = 3, 4
  checkpointer.save()
  assert memory.saved == [(3, {'one': {'value': 3}, 'two': {'value': 4}})]
  one.value, two.value = 0, 0
  assert checkpointer.restore() == 3
  assert (one.value, two.value) == (3, 4)


def test_checkpointer_names_the_part_that_doesnt_fit():
  memory, one = Memory(), Counter()
  memory.save(7, {'one': {'value': 1}})
  checkpointer = checkpointer_lib.Checkpointer(
      'c',
      memory,
      {'one': one, 'two': Counter()},
      step=lambda: 0,
      every_rounds=1,
  )
  with pytest.raises(ValueError, match="checkpoint 7 has no state of 'two'"):
    checkpointer.restore()
  checkpointer = checkpointer_lib.Checkpointer(
      'c',
      memory,
      {'one': one, 'two': Counter()},
      step=lambda: 7,
      may_be_new=['two'],
      every_rounds=1,
  )
  assert checkpointer.restore() == 7 and one.value == 1


def test_a_checkpoint_that_was_copied_to_another_step_is_named():
  memory, one = Memory(), Counter()
  memory.save(160, {'one': {'value': 7}})
  checkpointer = checkpointer_lib.Checkpointer(
      'c', memory, {'one': one}, step=lambda: one.value, every_rounds=1
  )
  with pytest.raises(ValueError, match='checkpoint 160 .* of step 7'):
    checkpointer.restore()


class FullDisk(Memory):
  """Cannot save the first times."""

  def __init__(self, failures, number=errno.ENOSPC):
    super().__init__()
    self.failures = failures
    self.number = number

  def save(self, step, state):
    if self.failures:
      self.failures -= 1
      error = checkpoints.SaveError(f'checkpoint {step}: disk full')
      error.errno = self.number
      raise error
    super().save(step, state)


def full_disk(failures, **kwargs):
  """Returns (program, count, checkpoints, checkpointer), saved every 3rd."""
  program, count = program_lib.Program(), Counter()
  memory = FullDisk(failures, **kwargs)
  program.add(checkpointer_lib.Periodic('count', count, every_rounds=1))
  checkpointer = checkpointer_lib.Checkpointer(
      'c',
      memory,
      {'count': count},
      step=lambda: count.value,
      every_rounds=3,
      retry_seconds=0.0,
  )
  program.add(checkpointer)
  return program, count, memory, checkpointer


def test_a_full_disk_is_a_warning_and_soon_tried_again(caplog):
  program, count, memory, _ = full_disk(2)
  program_lib.launch(program, lockstep=True, stop_when=lambda: count.value == 9)
  assert [step for step, _ in memory.saved] == [5, 6, 9]
  texts = [record.getMessage() for record in caplog.records]
  assert [text.split(';')[0] for text in texts] == [
      'checkpoint 3: disk full',
      'checkpoint 4: disk full',
  ]


def test_with_threads_a_full_disk_is_tried_again_before_the_period():
  program, count = program_lib.Program(), Counter()
  memory = FullDisk(2)
  checkpointer = checkpointer_lib.Checkpointer(
      'c',
      memory,
      {'count': count},
      step=lambda: count.value,
      every_seconds=0.01,
      retry_seconds=0.0,
  )
  program.add(checkpointer)
  program_lib.launch(program, stop_when=lambda: bool(memory.saved))
  assert memory.saved


def test_the_end_waits_until_there_is_room():
  *_, memory, checkpointer = full_disk(3)
  checkpointer.save_at_end(gives_up=lambda: False)
  assert [step for step, _ in memory.saved] == [0]


@pytest.mark.parametrize(
    'number, gives_up', [(errno.ENOSPC, True), (None, False)]
)
def test_the_end_does_not_wait_in_vain(number, gives_up):
  *_, memory, checkpointer = full_disk(3, number=number)
  with pytest.raises(checkpoints.SaveError, match='disk full'):
    checkpointer.save_at_end(gives_up=lambda: gives_up)
  assert memory.failures == 2


class Slow:
  """Changes two of its parts one after the other, under the lock."""

  def __init__(self, name):
    self.name = name
    self.state_lock = None
    self.halves = [Counter(), Counter()]

  def step(self):
    with self.state_lock.changing():
      for half in self.halves:
        half()
        time.sleep(0)

  def get_state(self):
    return {'halves': [half.value for half in self.halves]}

  def set_state(self, state):
    del state


def test_a_checkpoint_is_one_moment():
  program, memory = program_lib.Program(), Memory()
  nodes = [program.add(Slow(f'node {i}')) for i in range(4)]
  checkpointer = checkpointer_lib.Checkpointer(
      'c', memory, program.stateful(), step=lambda: 0, every_seconds=1e-6
  )
  program.add(checkpointer)
  program_lib.launch(program, stop_when=lambda: len(memory.saved) >= 50)
  for _, state in memory.saved:
    for node in nodes:
      halves = state[node.name]['halves']
      assert halves['0'] == halves['1']


def test_all_parts_of_a_program_are_of_one_moment():
  writer = Lines()
  program, policy, score = toy.build(None, num_actors=3, writer=writer)
  memory = Memory()
  checkpointer = checkpointer_lib.Checkpointer(
      'c',
      memory,
      {**program.stateful(), 'lines': writer},
      step=lambda: policy.version,
      every_seconds=1e-3,
  )
  program.add(checkpointer)
  program_lib.launch(program, stop_when=lambda: len(memory.saved) >= 30)
  assert score.version and policy.version
  for step, state in memory.saved:
    # What was drawn is in the replay, what was sampled was learned from, and
    # there is a line of each update.
    drawn = [state[f'actor_{i}']['rollout']['drawn'] for i in range(3)]
    assert state['replay']['inserts'] == sum(drawn)
    assert state['replay']['samples'] == state['score']['version']
    assert step == state['policy']['version']
    assert state['lines']['count'] == step + state['score']['version']
    # One in the hands of each node, and those that wait in the channel.
    assert 0 <= sum(drawn) - step <= 3 + 2 + 1


class Lines:
  """Counts lines."""

  def __init__(self):
    self._lock = threading.Lock()
    self.count = 0

  def write(self, step, values):
    with self._lock:
      self.count += 1

  def get_state(self):
    return {'count': self.count}

  def set_state(self, state):
    del state


def test_a_period_is_needed():
  with pytest.raises(ValueError, match="'p' has every_seconds None"):
    checkpointer_lib.Periodic('p', lambda: None)
