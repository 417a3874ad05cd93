"""Minibatches of a learner: whole episodes, shuffled."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from spiral_jax import agents
from tests.agents import toys

T = toys.T


@pytest.mark.parametrize('epochs, minibatches', [(1, 1), (2, 3)])
def test_minibatches_are_whole_episodes_each_once_an_epoch(epochs, minibatches):
  batch, seen = 6, []
  table = toys.table_agent()

  def unroll(params, trajectory, advice=None):
    del advice
    jax.debug.callback(
        lambda *fields: seen.append([np.asarray(field) for field in fields]),
        trajectory.noise[:, 0],
        trajectory.canvas[:, :, 0, 0, 0],
        trajectory.action['end'],
        trajectory.log_prob,
        trajectory.value,
        trajectory.target[:, 0, 0, 0],
        trajectory.initial_state.core[0][:, 0],
        trajectory.initial_state.previous['end'],
        trajectory.bootstrap,
        trajectory.is_last * jnp.arange(1, T + 1)[:, None],
        ordered=False,
    )
    return table.unroll(params, trajectory)

  episodes = np.arange(batch)
  timed = np.tile(episodes, (T, 1))
  images = np.tile(episodes[:, None, None, None], (2, 2, 1)).astype(np.uint8)
  state = table.initial_state(batch)
  trajectory = toys.table_trajectory(
      canvas=np.stack([images] * (T + 1)),
      action={'flag': timed % 2, 'end': timed},
      log_prob=timed.astype(np.float32),
      value=timed.astype(np.float32),
      is_last=np.arange(T)[:, None] == np.full(batch, T - 1),
      bootstrap=episodes.astype(np.float32),
      initial_state=state._replace(
          core=tuple(x + episodes[:, None] for x in state.core),
          previous={'flag': episodes % 2, 'end': episodes},
      ),
      target=images,
      noise=episodes.astype(np.float32)[:, None],
  )
  learner = agents.make_learner(
      table._replace(unroll=unroll),
      config=agents.LearnerConfig(
          algorithm='clipped',
          epochs=epochs,
          minibatches=minibatches,
          reward='l2',
      ),
  )
  params = jax.tree.map(
      lambda x: jnp.zeros((T, batch, *x.shape[2:])), toys.table()
  )
  learner.update(learner.init(jax.random.key(0), params), trajectory)
  jax.effects_barrier()
  assert len(seen) == epochs * minibatches
  size = batch // minibatches
  for ids, *fields, is_last in seen:
    assert ids.shape == (size,)
    for field in fields:  # All of them are of the same episodes.
      np.testing.assert_array_equal(field, np.broadcast_to(ids, field.shape))
    np.testing.assert_array_equal(is_last.sum(0), np.full(size, T))
  orders = np.concatenate([step[0] for step in seen]).reshape(epochs, -1)
  for order in orders:
    np.testing.assert_array_equal(np.sort(order), episodes)
  if minibatches > 1:
    assert len(np.unique(orders, axis=0)) == epochs  # Shuffled anew.


def test_a_batch_that_does_not_divide_is_refused():
  learner = agents.make_learner(
      toys.table_agent(),
      toys.darkness,
      agents.LearnerConfig(algorithm='clipped', minibatches=2),
  )
  state = learner.init(jax.random.key(0))
  with pytest.raises(ValueError, match=r'3 episodes .* 2 minibatches.*change'):
    learner.update(state, toys.table_trajectory(), jnp.float32(1.0))
