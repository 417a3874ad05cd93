"""What does not belong together is refused, in words that name both."""

import functools

import jax
import numpy as np
import pytest

from environments import core
from spiral_jax import agents
from spiral_jax import types
from tests.agents import toys

B, SHAPE = toys.B, (8, 8, 3)
SPEC = {'flag': core.Part(2), 'end': core.Part(16, grid_shape=(4, 4))}


@functools.cache
def made(**config):
  """Returns an agent, and the shapes of its parameters."""
  agent = agents.make_agent(
      SPEC, SHAPE, agents.AgentConfig(**toys.NETWORK, **toys.PATCHES, **config)
  )
  return agent, jax.eval_shape(agent.init, jax.random.key(0))


def canvases(*shape):
  return np.zeros(shape, np.uint8)


def refusal(function, *arguments):
  """Returns the one line that tracing raises."""
  with pytest.raises(ValueError) as error:
    jax.eval_shape(function, *arguments)
  assert '\n' not in str(error.value)
  return str(error.value)


def observe(agent, params, observation, state=None):
  return refusal(
      agent.step,
      params,
      agent.initial_state(B) if state is None else state,
      observation,
      jax.random.key(0),
  )


@pytest.mark.parametrize(
    'shape, words',
    [
        (
            (B, 8, 8, 1),
            "[3, 8, 8, 1], and the agent was made for ['B', 8, 8, 3]",
        ),
        ((B, 16, 16, 3), '[3, 16, 16, 3]'),
        ((8, 8, 3), '[8, 8, 3]'),
        ((1, B, 8, 8, 3), '[1, 3, 8, 8, 3]'),
        ((B + 1, 8, 8, 3), 'of 3 canvases, and the observation of 4'),
    ],
)
def test_canvases_of_another_agent_are_refused(shape, words):
  agent, params = made()
  assert words in observe(agent, params, types.Observation(canvases(*shape)))


@pytest.mark.parametrize(
    'shape', [(1, 8, 8, 3), (B, 8, 8, 1), (B, 8, 1, 3), (8, 8, 3), (B, 4, 4, 3)]
)
def test_targets_are_never_repeated(shape):
  agent, params = made(conditional=True)
  text = observe(
      agent, params, types.Observation(canvases(B, *SHAPE), canvases(*shape))
  )
  assert f'{list(shape)}, and canvases [3, 8, 8, 3]' in text


def test_what_an_agent_does_not_take_is_refused():
  agent, params = made()
  canvas = canvases(B, *SHAPE)
  text = observe(agent, params, types.Observation(canvas, canvas))
  assert 'has a target but the agent is unconditional' in text
  noise = np.zeros((B, 2), np.float32)
  text = observe(agent, params, types.Observation(canvas, None, noise))
  assert 'noise [3, 2] but the agent takes none' in text


@pytest.mark.parametrize('shape', [(2,), (1, 2), (B, 1), (B, 3)])
def test_noise_is_never_repeated(shape):
  agent, params = made(noise_size=2)
  observation = types.Observation(
      canvases(B, *SHAPE), None, np.zeros(shape, np.float32)
  )
  assert 'must be [3, 2]' in observe(agent, params, observation)


def test_a_state_or_parameters_of_another_agent_are_refused():
  agent, params = made()
  observation = types.Observation(canvases(B, *SHAPE))
  state = agent.initial_state(B)
  other = state._replace(previous={'flag': state.previous['flag']})
  text = observe(agent, params, observation, other)
  assert "has parts ['flag']" in text and "parts ['flag', 'end']" in text
  # More parameters than the network reads would be left unread.
  _, many = made(conditional=True)
  assert 'parameters are of another agent' in observe(agent, many, observation)
  more = {'params': {**params['params'], 'x': np.zeros(2)}}
  assert 'x has shape (2,), here it is None' in observe(
      agent, more, observation
  )


def trajectory(**fields):
  agent, _ = made()
  return toys.table_trajectory(
      canvas=canvases(toys.T + 1, B, *SHAPE),
      initial_state=agent.initial_state(B),
      noise=None,
  )._replace(**fields)


@pytest.mark.parametrize(
    'fields, words',
    [
        (dict(canvas=canvases(toys.T, B, *SHAPE)), 'must be [5, 3,'),
        (dict(canvas=canvases(toys.T + 1, 1, *SHAPE)), 'must be [5, 3,'),
        (dict(value=np.zeros((toys.T, 1))), 'value of the trajectory'),
        (dict(log_prob=np.zeros((1, B))), 'log_prob of the trajectory'),
        (dict(bootstrap=np.zeros(1)), 'bootstrap of the trajectory'),
        (dict(target=canvases(1, *SHAPE)), 'must be [3, 8, 8, 3]'),
        (dict(target=canvases(B, 8, 8, 1)), 'must be [3, 8, 8, 3]'),
        (
            dict(action={n: np.zeros((toys.T, 1), int) for n in SPEC}),
            'of the trajectory is [4, 1], must be [4, 3]',
        ),
    ],
)
def test_trajectories_of_several_shapes_are_refused(fields, words):
  agent, params = made()
  wrong = trajectory(**fields)
  assert words in refusal(agent.unroll, params, wrong)
  reward_fn = agents.make_reward_fn(agents.LearnerConfig(), toys.darkness)
  scale = jax.eval_shape(
      agents.make_learner(agent, toys.darkness).init, jax.random.key(0)
  ).reward_scale
  assert words in refusal(reward_fn, wrong, 1.0, scale)


def test_learners_refuse_what_can_be_known():
  agent, _ = made()
  learner = agents.make_learner(agent, toys.darkness)
  bright = np.full((toys.T + 1, B, *SHAPE), 255.0, np.float32)
  with pytest.raises(ValueError, match='canvases are floats from 255 to 255'):
    learner.update(None, trajectory(canvas=bright))
  far = {**trajectory().action, 'end': np.full((toys.T, B), 16, np.int32)}
  with pytest.raises(ValueError, match="'end'.* from 16 to 16, .* 0 to 15"):
    learner.update(None, trajectory(action=far))


# Discriminators.

CONFIG = agents.DiscriminatorConfig(channels=(4,))


@functools.cache
def judge(conditional):
  discriminator = agents.make_discriminator(SHAPE, conditional, CONFIG)
  return discriminator, discriminator.init(jax.random.key(0))


@pytest.mark.parametrize('conditional', [False, True])
def test_scores_of_bytes_and_floats_are_the_same(conditional):
  discriminator, params = judge(conditional)
  rng = np.random.default_rng(0)
  pair = rng.integers(256, size=(2, B, *SHAPE)).astype(np.uint8)
  pair = pair[: 1 + conditional]
  floats = pair.astype(np.float32) / 255
  score = jax.jit(discriminator.score)
  expected = score(params, *floats)
  assert np.std(expected) > 0
  np.testing.assert_allclose(
      score(params, *pair), expected, rtol=1e-4, atol=1e-6
  )
  if conditional:
    np.testing.assert_allclose(
        score(params, floats[0], pair[1]), expected, rtol=1e-4, atol=1e-6
    )


@pytest.mark.parametrize(
    'conditional, shapes, words',
    [
        (False, [(B, 8, 8, 1)], "made for ['N', 8, 8, 3]"),
        (False, [(B, 16, 16, 3)], '[3, 16, 16, 3]'),
        (False, [(B, *SHAPE), (B, *SHAPE)], 'conditional=True'),
        (True, [(B, *SHAPE)], 'there are no targets'),
        (True, [(B, *SHAPE), (1, *SHAPE)], '[1, 8, 8, 3]'),
        (True, [(B, *SHAPE), (B, 8, 8, 1)], '[3, 8, 8, 1]'),
    ],
)
def test_scores_of_other_images_are_refused(conditional, shapes, words):
  discriminator, params = judge(conditional)
  assert words in refusal(
      discriminator.score, params, *(canvases(*shape) for shape in shapes)
  )


def test_values_of_floats_are_checked_where_they_are_known():
  discriminator, params = judge(True)
  learner = agents.make_discriminator_learner(discriminator, CONFIG)
  good = np.full((B, *SHAPE), 0.5, np.float32)
  with pytest.raises(ValueError, match='floats from 127.5 to 127.5'):
    discriminator.score(params, good, 255 * good)
  for index, name in enumerate(('real images', 'fake images', 'targets')):
    images = [good] * 3
    images[index] = 255 * good
    with pytest.raises(ValueError, match=f'{name} are floats from 127.5'):
      learner.update(None, *images)
