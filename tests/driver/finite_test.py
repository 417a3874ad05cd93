import pickle

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from spiral_jax.driver import channel as channel_lib
from spiral_jax.driver import checkpointer as checkpointer_lib
from spiral_jax.driver import checkpoints
from spiral_jax.driver import finite
from spiral_jax.driver import nodes
from spiral_jax.driver import params as params_lib
from spiral_jax.driver import program as program_lib
from tests.driver import toy

BAD = [np.nan, np.inf, -np.inf]


@pytest.mark.parametrize('bad', BAD)
@pytest.mark.parametrize('dtype', ['float32', 'bfloat16', 'float16'])
def test_the_first_number_is_named(bad, dtype):
  array = jnp.ones((2, 3), dtype).at[1, 2].set(bad)
  tree = {'a': {'b': np.arange(3), 'c': array}, 'd': float('nan')}
  name, value = finite.first_not_finite(tree)
  assert name == 'a/c' and np.array_equal(value, bad, equal_nan=True)
  assert finite.first_not_finite({'n': 3, 'x': jnp.ones(3), 'y': 1.0}) is None
  only = finite.first_not_finite({'best': jnp.array(bad)}, only_nan=True)
  assert (only is not None) == np.isnan(bad)


@pytest.mark.parametrize('bad', BAD)
@pytest.mark.parametrize('where', ['logs', 'params'])
def test_a_watch_finds_the_first_update(where, bad):
  watch = finite.Watch('policy')
  for number in range(1, 6):
    value = bad if number >= 3 else 1.0
    logs = {'loss': jnp.array(value if where == 'logs' else 0.0), 'lag': 2}
    params = {'w': jnp.full(4, value if where == 'params' else 0.0)}
    watch.add(number, 24 * number, logs, params)
  name = {'logs': 'loss', 'params': 'params/w'}[where]
  for _ in range(2):  # It doesn't forget.
    with pytest.raises(
        finite.NotFiniteError,
        match=rf'^policy/{name} is {bad} in update 3, at frame 72$',
    ) as error:
      watch.check(wait=True)
  again = pickle.loads(pickle.dumps(error.value))
  assert str(again) == str(error.value) and again.frames == 72
  watch.clear()
  watch.check(wait=True)


class Pending:
  """A boolean that is not computed yet."""

  def is_ready(self):
    return False

  def __bool__(self):
    raise AssertionError('waits for the device')


def test_no_update_is_waited_for(monkeypatch):
  monkeypatch.setattr(finite, '_are_finite', lambda tree: Pending())
  watch = finite.Watch('policy')
  for number in range(3):
    watch.add(number, None, {'loss': 1.0}, {})
    watch.check()
  with pytest.raises(AssertionError, match='waits'):
    watch.check(wait=True)


def diverging(which, at):
  """Returns a program whose learner `which` diverges in update `at`."""
  program, policy, score = toy.build(None)
  learner = {'policy': policy, 'score': score}[which]._learner
  update = learner._update

  def diverge(state, *batch):
    state, logs = update(state, *batch)
    if learner.version + 1 >= at:
      state = state._replace(params={'w': jnp.full(2, np.nan)})
      logs = {**logs, 'loss': jnp.array(np.nan)}
    return state, logs

  learner._update = diverge
  return program, policy


@pytest.mark.parametrize('lockstep', [False, True])
@pytest.mark.parametrize('which', ['policy', 'score'])
def test_a_program_stops_at_the_first_and_saves_none(tmp_path, lockstep, which):
  program, policy = diverging(which, at=7)
  kept = checkpoints.Checkpoints(tmp_path, max_to_keep=100)
  checkpointer = checkpointer_lib.Checkpointer(
      'checkpoints',
      kept,
      program.stateful(),
      step=lambda: policy.version,
      every_seconds=1e-3,
      every_rounds=1,
  )
  program.add(checkpointer)
  frames = f', at frame {7 * toy.T * toy.B}' if which == 'policy' else ''
  with pytest.raises(program_lib.NodeError) as error:
    program_lib.launch(program, lockstep=lockstep)
  cause = error.value.__cause__
  assert isinstance(cause, finite.NotFiniteError)
  # A thread may learn from a bad score before the score's own has told.
  if lockstep or which == 'policy':
    assert str(cause) == f'{which}/loss is nan in update 7{frames}'
  with pytest.raises(finite.NotFiniteError):
    checkpointer.save()
  for step in checkpoints.steps(tmp_path):
    state = checkpoints.load(tmp_path, step).state
    assert finite.first_not_finite(state) is None
    assert state[which]['version'] < 7


def learner(state):
  """Returns a learner that changes nothing."""
  return nodes.PolicyLearner(
      'policy',
      update=lambda state, *_: (state, {}),
      state=state,
      params_of=lambda state: state['params'],
      trajectories=channel_lib.Channel('trajectories', 1),
      published=params_lib.ParamsStore('params'),
  )


def test_a_state_that_has_diverged_is_neither_saved_nor_restored():
  fine = {'params': jnp.ones(2), 'opt_state': jnp.array([0.0, np.inf])}
  saved = learner(fine).get_state()
  other = learner(jax.tree.map(jnp.zeros_like, fine))
  other.set_state(saved)
  assert other.get_state()['learner']['opt_state'][1] == np.inf
  for part in fine:
    bad = {**fine, part: jnp.array([np.nan, 1.0])}
    with pytest.raises(finite.NotFiniteError, match=f'policy/{part} is nan'):
      learner(bad).get_state()
    state = {**saved, 'learner': jax.tree.map(np.asarray, bad)}
    with pytest.raises(ValueError, match=f'{part} is nan: .*an earlier one'):
      other.set_state(state)
