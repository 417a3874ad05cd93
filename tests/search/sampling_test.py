"""Samples of an agent, and the best of them."""

import jax
import numpy as np
import pytest

from spiral_jax import agents
from spiral_jax import search
from tests.search import toys

T = 3
CONFIG = agents.AgentConfig(
    conditional=True,
    torso='patches',
    location_head='spatial',
    channels=4,
    torso_blocks=1,
    head_blocks=1,
    hidden_size=8,
    core_size=8,
    embedding_size=4,
    map_size=2,
)


@pytest.fixture(scope='module')
def agent():
  return agents.make_agent(
      toys.make_environment(1).action_spec(), (toys.SIZE, toys.SIZE, 1), CONFIG
  )


@pytest.fixture(scope='module')
def params(agent):
  return jax.tree.map(lambda x: 2.0 * x, agent.init(jax.random.key(0)))


def images(count):
  spec = toys.make_environment(1).action_spec()
  return toys.run(toys.random_programs(spec, T, count))


@pytest.mark.parametrize('num_canvases', [2, 5, 8])
def test_samples_belong_together(agent, params, num_canvases):
  environment = toys.make_environment(num_canvases, T)
  targets = images(5)
  found = search.sample(
      agent, params, environment, targets, key=jax.random.key(1)
  )
  assert found.log_probs.shape == found.programs['shade'].shape == (T, 5)
  np.testing.assert_array_equal(toys.run(found.programs), found.canvases)
  # Each log-probability is that of its own target's command.
  state = agent.initial_state(5)
  output, _ = agent.step(
      params,
      state,
      agents.Observation(np.full_like(targets, 255), targets),
      jax.random.key(0),
      greedy=True,
  )
  greedy = search.sample(
      agent, params, environment, targets, key=jax.random.key(2), greedy=True
  )
  np.testing.assert_allclose(greedy.log_probs[0], output.log_prob, rtol=1e-4)
  for name, values in greedy.programs.items():
    np.testing.assert_array_equal(values[0], output.action[name])


def test_the_best_of_the_samples_is_kept(agent, params):
  environment = toys.make_environment(12, T)
  targets = images(3)
  key = jax.random.key(1)
  found = search.best_of(
      agent, params, environment, targets, samples=4, key=key
  )
  repeated = np.repeat(targets, 4, axis=0)
  samples = search.sample(agent, params, environment, repeated, key=key)
  scores = search.negative_l2(samples.canvases, repeated).reshape(3, 4)
  np.testing.assert_array_equal(found.scores, scores.max(axis=1))
  assert (scores.min(axis=1) < scores.max(axis=1)).any()
  np.testing.assert_array_equal(toys.run(found.programs), found.canvases)
  np.testing.assert_array_equal(
      search.negative_l2(found.canvases, targets), found.scores
  )
  np.testing.assert_array_equal(found.num_renderings, 4)


def test_temperature_makes_samples_alike(agent, params):
  environment = toys.make_environment(40, T)
  targets = np.repeat(images(1), 40, axis=0)
  shares = []
  for temperature in (0.001, 20.0):
    found = search.sample(
        agent,
        params,
        environment,
        targets,
        key=jax.random.key(1),
        temperature=temperature,
    )
    counts = np.bincount(found.programs['quarter'][0], minlength=4)
    shares.append(counts.max() / 40)
  assert shares[0] > 0.9 and shares[1] < 0.6


def test_random_programs_take_all_values():
  spec = toys.make_environment(1).action_spec()
  programs = search.random_programs(spec, T, 50, key=jax.random.key(0))
  for name, part in spec.items():
    values = programs[name]
    assert values.shape == (T, 50) and values.dtype == np.int32
    np.testing.assert_array_equal(np.unique(values), range(part.num_values))


def test_bad_arguments_are_refused(agent, params):
  environment = toys.make_environment(2, T)
  with pytest.raises(ValueError, match='no targets'):
    search.sample(
        agent, params, environment, images(1)[:0], key=jax.random.key(0)
    )
  with pytest.raises(ValueError, match='samples is 0'):
    search.best_of(
        agent, params, environment, images(1), samples=0, key=jax.random.key(0)
    )
