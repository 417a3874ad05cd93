import time

import pytest

from spiral_jax.driver import checkpointer as checkpointer_lib
from spiral_jax.driver import program as program_lib


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
      step=lambda: 0,
      may_be_new=['two'],
      every_rounds=1,
  )
  assert checkpointer.restore() == 7 and one.value == 1


def test_a_period_is_needed():
  with pytest.raises(ValueError, match="'p' has every_seconds None"):
    checkpointer_lib.Periodic('p', lambda: None)
