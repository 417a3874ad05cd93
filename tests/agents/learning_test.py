"""That learners of real networks learn, from tasks of one command."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from environments import core
from spiral_jax import agents
from spiral_jax.driver import rollout as rollout_lib
from tests.agents import toys

CELLS = {'cell': core.Part(4, grid_shape=(2, 2))}
SMALL = {**toys.NETWORK, **toys.PATCHES, 'map_size': 2, 'head_blocks': 0}
FAST = dict(learning_rate=0.02, entropy_cost=0.003, max_gradient_norm=1.0)
BATCH = 32


def lower_left(params, images, targets):
  """A score: 1 for a dark lower left cell, else 0."""
  del params, targets
  return (jnp.mean(images[:, 2:, :2], axis=(1, 2, 3)) < 0.5).astype(jnp.float32)


@functools.cache
def bandit(conditional=False):
  """Returns (agent, its jitted step) for episodes of one command."""
  config = agents.AgentConfig(**SMALL, conditional=conditional)
  agent = agents.make_agent(CELLS, (4, 4, 1), config)
  return agent, jax.jit(agent.step)


@functools.cache
def bandit_learner(**config):
  agent, _ = bandit()
  return agents.make_learner(
      agent, lower_left, agents.LearnerConfig(**FAST, **config)
  )


def play(conditional=False, **kwargs):
  agent, step = bandit(conditional)
  environment = toys.environment(BATCH, CELLS, (4, 4, 1), 1)
  return rollout_lib.Rollout(
      environment, step, agent.initial_state(BATCH), **kwargs
  )


def train(learner, rollout, updates):
  """Returns (learner state, last trajectory)."""
  state = learner.init(jax.random.key(0))
  for version in range(updates):
    trajectory = rollout(state.params, version)
    state, _ = learner.update(state, trajectory)
  return state, rollout(state.params, updates)


MINIBATCHES = dict(
    algorithm='clipped', epochs=2, minibatches=2, reward_at='step'
)


@pytest.mark.parametrize(
    'config',
    [dict(algorithm='vtrace', reward_at='end'), MINIBATCHES],
    ids=lambda config: config['algorithm'],
)
def test_a_bandit_learns_what_is_rewarded(config):
  learner, rollout = bandit_learner(**config), play()
  first = rollout(learner.init(jax.random.key(0)).params, 0)
  assert np.mean(first.action['cell'] == 2) < 0.6
  _, trajectory = train(learner, rollout, 40)
  assert np.mean(trajectory.action['cell'] == 2) > 0.9
  assert np.mean(np.exp(trajectory.log_prob)) > 0.8


def test_a_bandit_learns_to_redraw_its_target():
  # By chance, a quarter would be right: the target tells which.
  rng = np.random.default_rng(0)
  pages = np.full((4, 4, 4, 1), 255, np.uint8)
  for cell in range(4):
    y, x = 2 * (cell // 2), 2 * (cell % 2)
    pages[cell, y : y + 2, x : x + 2] = 0
  learner = agents.make_learner(
      bandit(True)[0],
      config=agents.LearnerConfig(
          **FAST, reward='l2', scale_rewards=True, normalize_advantages=True
      ),
  )
  rollout = play(True, targets=lambda: pages[rng.integers(4, size=BATCH)])
  _, trajectory = train(learner, rollout, 80)
  right = np.all(trajectory.canvas[-1] == trajectory.target, axis=(1, 2, 3))
  assert np.mean(right) > 0.9


def test_updates_are_a_function_of_the_state():
  learner = bandit_learner(**MINIBATCHES)
  one, trajectory = train(learner, play(), 2)
  two, _ = train(learner, play(), 2)
  one, two = (
      state._replace(key=jax.random.key_data(state.key)) for state in (one, two)
  )
  jax.tree.map(np.testing.assert_array_equal, one, two)
  # Another key shuffles the episodes into other minibatches.
  one, two = (
      learner.update(state._replace(key=jax.random.key(seed)), trajectory)[0]
      for state, seed in ((one, 0), (two, 7))
  )
  leaves = map(jax.tree.leaves, (one.params, two.params))
  assert any(np.any(x != y) for x, y in zip(*leaves))
