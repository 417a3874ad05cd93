"""Makes the same updates on one device and on several; run as a script.

A line of JSON for each learner and number of devices: what one device was given
of each minibatch, and how far what it learned is from what one device learns,
as a share of how far that moved.
"""

import functools
import json

import jax
import jax.numpy as jnp
import numpy as np

from spiral_jax import agents
from spiral_jax import types
from spiral_jax.agents import sharding
from tests.agents import toys

B, SHAPE = 16, (toys.SIZE, toys.SIZE, 1)
UPDATES = 2
# As wide as in experiments: native convolutions work in vectors of channels.
NETWORK = {**toys.NETWORK, **toys.PATCHES, 'channels': 32}
SETTINGS = {
    'vtrace, pieces and dreams': dict(
        reward_at='step', normalize_advantages=True, dreams_weight=1.0
    ),
    'clipped': dict(
        algorithm='clipped',
        reward_at='step',
        epochs=2,
        minibatches=2,
        normalize_advantages=True,
        scale_rewards=True,
        corrections_weight=1.0,
    ),
}
DISCRIMINATOR = agents.DiscriminatorConfig(channels=(4, 8))


def images(seed):
  rng = np.random.default_rng(seed)
  return rng.integers(256, size=(B, *SHAPE)).astype(np.uint8)


def policy(num_devices, name, world):
  """Returns (states before and after, episodes that a device is given)."""
  agent, trajectory, discriminator, score_params = world
  given = []

  def unroll(params, trajectory, *others, **options):
    given.append(trajectory.is_last.shape[1])
    return agent.unroll(params, trajectory, *others, **options)

  learner = agents.make_learner(
      agent._replace(unroll=unroll),
      discriminator.score,
      agents.LearnerConfig(
          **SETTINGS[name], adam_epsilon=1e-3, learning_rate=1e-3
      ),
      mesh=sharding.make_mesh(num_devices),
  )
  params_key, _ = jax.random.split(jax.random.key(1))
  state = learner.init(jax.random.key(1), params=agent.init(params_key))
  before = without_key(jax.tree.map(jnp.copy, state))
  if 'corrections_weight' in SETTINGS[name]:
    trajectory = trajectory._replace(alternatives=alternatives(trajectory))
  lessons = {}
  if 'dreams' in name:
    lessons['dreams'] = types.Lesson(
        trajectory.canvas,
        executed=trajectory.action,
        imitated=jax.tree.map(np.zeros_like, trajectory.action),
        target=trajectory.target,
    )
  for _ in range(UPDATES):
    state, logs = learner.update(
        state, trajectory, score_params, lessons=lessons
    )
  check_replicated((state, logs), num_devices)
  assert len(set(given)) == 1
  return before, without_key(state), given[0]


def alternatives(trajectory):
  """Returns other locations of each command, with results of noise."""
  rng = np.random.default_rng(3)
  value = {k: np.full_like(v, -1) for k, v in trajectory.action.items()}
  value['end'] = rng.permuted(trajectory.action['end'], axis=0)
  result = {k: rng.integers(2, size=v.shape) for k, v in value.items()}
  return types.Alternatives(value, result, np.stack([images(3), images(4)]))


def discriminator(num_devices):
  """Does the same for a conditional discriminator."""
  built = agents.make_discriminator(SHAPE, True, DISCRIMINATOR)
  given = []

  def score(params, images, targets=None):
    given.append(len(images))
    return built.score(params, images, targets)

  learner = agents.make_discriminator_learner(
      built._replace(score=score),
      DISCRIMINATOR,
      mesh=sharding.make_mesh(num_devices),
  )
  state = learner.init(jax.random.key(1))
  before = without_key(jax.tree.map(jnp.copy, state))
  batch = images(0), images(1), images(0)
  for _ in range(UPDATES):
    state, logs = learner.update(state, *batch)
  check_replicated((state, logs), num_devices)
  return before, without_key(state), given[0]


def without_key(state):
  """Returns a state in NumPy, its key as the numbers that make it."""
  state = state._replace(key=jax.random.key_data(state.key))
  return jax.tree.map(np.array, state)


def check_replicated(tree, num_devices):
  for leaf in jax.tree.leaves(tree):
    assert leaf.sharding.is_fully_replicated
    assert len(leaf.sharding.device_set) == num_devices
  one = sharding.on_one_device(tree)
  assert all(len(x.sharding.device_set) == 1 for x in jax.tree.leaves(one))


def distance(one, other, before):
  """Returns the largest distance of a leaf, as a share of how far it went."""
  shares = [0.0]
  for a, b, start in zip(*map(jax.tree.leaves, (one, other, before))):
    if jnp.issubdtype(a.dtype, jnp.inexact):
      a, b, start = (np.asarray(x, np.float64) for x in (a, b, start))
      moved = np.linalg.norm(b - start)
      shares.append(np.linalg.norm(a - b) / max(moved, 1e-6))
    else:
      np.testing.assert_array_equal(a, b)
  return max(shares)


def world(conditional=False):
  """Returns agent, trajectory, discriminator and its parameters.

  The trajectory is a whole episode, or the middle one of three pieces with
  targets instead of noise.
  """
  inputs = dict(conditional=True) if conditional else dict(noise_size=5)
  agent = agents.make_agent(
      toys.painting_spec(), SHAPE, agents.AgentConfig(**NETWORK, **inputs)
  )
  built = agents.make_discriminator(SHAPE, conditional, DISCRIMINATOR)
  length, play = toys.T, dict(noise_size=5)
  if conditional:
    length, play = 6, dict(targets=lambda: images(2), unroll_length=2)
  rollout = toys.rollout_lib.Rollout(
      toys.environment(B, toys.painting_spec(), SHAPE, length),
      jax.jit(agent.step),
      agent.initial_state(B),
      **play,
  )
  params = agent.init(jax.random.key(0))
  trajectory = rollout(params, 0)
  if conditional:
    trajectory = rollout(params, 0)
    assert not trajectory.is_last.any() and trajectory.bootstrap.any()
    state = jax.tree.leaves(trajectory.initial_state)
    assert any(np.any(leaf) for leaf in state)
  return agent, trajectory, built, built.init(jax.random.key(0))


def main():
  cases = {
      'discriminator': (8, discriminator),
      'policy clipped': (
          8,
          functools.partial(policy, name='clipped', world=world()),
      ),
      'policy vtrace, pieces and dreams': (
          4,
          functools.partial(
              policy,
              name='vtrace, pieces and dreams',
              world=world(conditional=True),
          ),
      ),
  }
  for name, (num_devices, case) in cases.items():
    before, single, _ = case(1)
    _, state, given = case(num_devices)
    share = distance(state, single, before)
    print(json.dumps([name, num_devices, given, share]), flush=True)


if __name__ == '__main__':
  main()
