"""The policy learner: what it credits commands with, and its steps.

Rewards are tested in reward_fn_test.py, learning in learning_test.py. The agent
is a table (see toys.py). With Adam's epsilon and the learning rate both huge, a
step moves each parameter by minus its gradient, so that one update shows what
every command was credited with.
"""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from spiral_jax import agents
from tests.agents import toys

T, B = toys.T, toys.B

# One plain gradient step.
PLAIN = agents.LearnerConfig(
    learning_rate=1e6,
    adam_epsilon=1e6,
    max_gradient_norm=1e9,
    entropy_cost=0.1,
    value_cost=0.5,
)
ALGORITHMS = pytest.mark.parametrize('algorithm', ['vtrace', 'clipped'])
# Each command is credited with another number.
CREDIT = dict(reward_at='step', discount=0.8, td_lambda=0.5)
# Adam moves by the learning rate where the gradient stays the same.
STEADY = dict(
    learning_rate=1e-4, adam_epsilon=1e-12, algorithm='clipped', clip=10.0
)


def random(seed, *shape):
  return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


@functools.cache
def plain(**config):
  """Returns the learner of a table, one a configuration: each compiles."""
  return agents.make_learner(
      toys.table_agent(), toys.darkness, dataclasses.replace(PLAIN, **config)
  )


def start(learner, params=None):
  return learner.init(jax.random.key(0), params)


def update(trajectory, *, params=None, unit=1.0, **config):
  """Returns (what each parameter was moved by, its logs)."""
  learner = plain(**config)
  state = start(learner, params)
  before = jax.tree.map(np.array, state.params)
  state, logs = learner.update(state, trajectory, jnp.float32(unit))
  moved = jax.tree.map(lambda a, b: np.asarray(a) - b, state.params, before)
  return moved, logs


def advantages(trajectory, **kwargs):
  """Returns what multiplied the gradient of each log-prob, `[T, B]`."""
  return T * B * update(trajectory, **kwargs)[0]['log_prob']


def final_score(trajectory):
  return toys.darkness_of(trajectory)[-1]


def credit(trajectory, values, ratios=1.0, *, discount=0.8, td_lambda=0.5):
  """Returns advantages `[T, B]` with rewards at each step, in a plain loop."""
  rewards = np.diff(toys.darkness_of(trajectory), axis=0)
  discounts = discount * ~trajectory.is_last
  weights = np.minimum(ratios, 1.0) * np.ones((T, B))
  next_values = np.append(values[1:], trajectory.bootstrap[None], axis=0)
  expected, error = np.zeros((T, B)), np.zeros(B)
  for t in reversed(range(T)):
    error = weights[t] * (
        rewards[t]
        + discounts[t] * (next_values[t] + td_lambda * error)
        - values[t]
    )
    expected[t] = error
  return expected


# What is fitted.


@ALGORITHMS
def test_commands_are_credited_with_what_came_after_them(algorithm):
  values = random(2, T, B)
  bootstrap = np.array([1e4, 10.0, 1e4], np.float32)
  trajectory = toys.table_trajectory(value=values, bootstrap=bootstrap)
  trajectory.is_last[:, 1] = False  # Only this episode goes on.
  credited = advantages(
      trajectory,
      params=toys.table(value=values),
      algorithm=algorithm,
      **CREDIT,
  )
  np.testing.assert_allclose(
      credited, credit(trajectory, values), rtol=1e-4, atol=1e-5
  )


def test_vtrace_weighs_what_another_policy_did_and_takes_the_values_of_now():
  log_ratio = np.log(np.array([[0.5, 2.0, 1.0]] * T, np.float32))
  values = random(2, T, B)
  trajectory = toys.table_trajectory(
      log_prob=random(1, T, B) - 3.0, value=random(3, T, B)
  )
  now = toys.table(log_prob=trajectory.log_prob + log_ratio, value=values)
  moved, logs = update(trajectory, params=now, algorithm='vtrace', **CREDIT)
  error = credit(trajectory, values, np.exp(log_ratio))
  np.testing.assert_allclose(T * B * moved['log_prob'], error, atol=1e-5)
  np.testing.assert_allclose(T * B * moved['value'], 0.5 * error, atol=1e-5)
  assert logs['value_loss'] == pytest.approx(np.mean(error**2) / 2, rel=1e-4)


def test_vtrace_takes_the_value_of_now_after_a_piece_of_an_episode():
  values, after = random(2, T, B), random(4, B)
  trajectory = toys.table_trajectory(bootstrap=np.full(B, 1e4, np.float32))
  trajectory.is_last[:] = False

  def unroll(params, trajectory, advice=None):
    del advice
    out = toys.table_agent().unroll(params, trajectory)
    episodes = trajectory.noise[:, 0].astype(jnp.int32)
    return out._replace(bootstrap=jnp.asarray(after)[episodes])

  learner = agents.make_learner(
      toys.table_agent()._replace(unroll=unroll),
      toys.darkness,
      agents.LearnerConfig(algorithm='vtrace', **CREDIT),
      optimizer=optax.sgd(1.0),
  )
  state = learner.init(jax.random.key(0), toys.table(value=values))
  moved, _ = learner.update(state, trajectory, jnp.float32(1.0))
  expected = credit(trajectory._replace(bootstrap=after), values)
  np.testing.assert_allclose(
      T * B * np.asarray(moved.params['log_prob']), expected, atol=1e-4
  )


def test_the_count_of_frames_stays_at_its_largest():
  trajectory = toys.table_trajectory()
  learner = agents.make_learner(
      toys.table_agent(),
      toys.darkness,
      agents.LearnerConfig(decay_frames=1000, decay_to=0.25),
      optimizer=optax.sgd(1.0),
  )
  most = np.iinfo(np.int32).max
  state = learner.init(jax.random.key(0))._replace(frames=jnp.int32(most - 5))
  for _ in range(2):
    state, _ = learner.update(state, trajectory, jnp.float32(1.0))
    assert int(state.frames) == most


def test_clipped_takes_the_values_of_then():
  then, now = random(2, T, B), random(3, T, B)
  trajectory = toys.table_trajectory(value=then)
  moved, _ = update(
      trajectory, params=toys.table(value=now), algorithm='clipped', **CREDIT
  )
  error = credit(trajectory, then)
  np.testing.assert_allclose(T * B * moved['log_prob'], error, atol=1e-5)
  np.testing.assert_allclose(
      T * B * moved['value'], 0.5 * (error + then - now), atol=1e-5
  )


def test_clipped_pushes_ratios_only_so_far():
  ratio = np.array([[0.5, 1.1, 1.3]] * T, np.float32)
  trajectory = toys.table_trajectory(log_prob=random(1, T, B))
  now = toys.table(log_prob=trajectory.log_prob + np.log(ratio))
  final = final_score(trajectory)
  assert np.all(final > 0.1)
  for unit, is_pushed in ((1.0, [1, 1, 0]), (-1.0, [0, 1, 1])):
    np.testing.assert_allclose(
        advantages(trajectory, params=now, unit=unit, algorithm='clipped'),
        unit * ratio * final * is_pushed,
        atol=1e-5,
    )


@ALGORITHMS
def test_advantages_are_normalized_on_request(algorithm):
  trajectory = toys.table_trajectory()
  centered = credit(trajectory, np.zeros((T, B)))
  centered -= centered.mean(axis=1, keepdims=True)
  kwargs = dict(CREDIT, algorithm=algorithm, normalize_advantages=True)
  normal = advantages(trajectory, **kwargs)
  np.testing.assert_allclose(normal, centered / centered.std(), atol=1e-4)
  each = advantages(trajectory, normalize_each_time=True, **kwargs)
  np.testing.assert_allclose(
      each, centered / centered.std(axis=1, keepdims=True), atol=1e-3
  )


@ALGORITHMS
def test_entropy_is_raised_where_parts_are_active(algorithm):
  trajectory = toys.table_trajectory()
  paints = trajectory.action['flag'] == 1
  entropy = np.stack([random(0, T, B) + 2, random(1, T, B) + 3], axis=-1)
  kwargs = dict(params=toys.table(entropy=entropy), algorithm=algorithm)
  moved, logs = update(trajectory, **kwargs)
  expected = 0.1 * np.stack([np.ones((T, B)), paints], axis=-1)
  np.testing.assert_allclose(T * B * moved['entropy'], expected, atol=1e-5)
  total = entropy[..., 0] + entropy[..., 1] * paints
  assert logs['entropy'] == pytest.approx(total.mean(), rel=1e-5)
  # The second part has 16 values, four times as much entropy as the first.
  moved, logs = update(trajectory, entropy_shares=True, **kwargs)
  np.testing.assert_allclose(
      T * B * moved['entropy'], expected / np.log([2, 16]), atol=1e-5
  )
  shares = entropy[..., 0] / np.log(2) + entropy[..., 1] / np.log(16) * paints
  assert logs['entropy_share'] == pytest.approx(
      shares.mean() / (1 + paints.mean()), rel=1e-5
  )
  for name, share in (
      ('flag', entropy[..., 0].mean() / np.log(2)),
      ('end', entropy[..., 1][paints].mean() / np.log(16)),
  ):
    assert logs[f'entropy_share/{name}'] == pytest.approx(share, rel=1e-5)


def test_a_part_of_one_value_has_no_entropy_to_share():
  learner = agents.make_learner(
      toys.table_agent((('flag', 1), ('end', 16))),
      toys.darkness,
      dataclasses.replace(PLAIN, entropy_shares=True),
  )
  trajectory = toys.table_trajectory()
  # No command of this batch gives the second part a meaning.
  action = {**trajectory.action, 'flag': np.zeros((T, B), np.int32)}
  state, logs = learner.update(
      start(learner), trajectory._replace(action=action), jnp.float32(1.0)
  )
  for name, x in logs.items():
    assert np.isfinite(x), name
  for x in jax.tree.leaves(state.params):
    assert np.all(np.isfinite(x))


def test_the_loss_is_the_sum_of_its_terms():
  trajectory = toys.table_trajectory(log_prob=random(4, T, B))
  params = toys.table(
      value=random(2, T, B),
      log_prob=random(5, T, B),
      entropy=np.abs(random(3, T, B, 2)),
  )
  _, logs = update(trajectory, params=params)
  np.testing.assert_allclose(
      logs['loss'],
      logs['policy_loss'] + 0.5 * logs['value_loss'] - 0.1 * logs['entropy'],
      rtol=1e-5,
  )
  assert logs['log_ratio'] == pytest.approx(
      np.mean(np.abs(random(5, T, B) - random(4, T, B))), rel=1e-5
  )


def test_costs_and_the_scale_of_rewards_reach_the_update():
  trajectory = toys.table_trajectory()
  trajectory.canvas[-1, 1] = 7  # This is blank.
  learner = agents.make_learner(
      toys.table_agent(),
      toys.darkness,
      dataclasses.replace(
          PLAIN, discount=0.0, scale_rewards=True, blank_page_cost=2.0
      ),
      blank_page=7,
      action_costs=[agents.ActionCost('stroke', 'flag', 1, 0.3)],
  )
  state, logs = learner.update(start(learner), trajectory, jnp.float32(50.0))
  final = final_score(trajectory)
  expected = -0.3 * (trajectory.action['flag'] == 1)
  expected[-1] += final / final.std() - [0.0, 2.0, 0.0]
  np.testing.assert_allclose(
      T * B * np.asarray(state.params['log_prob']), expected, atol=1e-3
  )
  assert logs['blank_pages'] == pytest.approx(1 / B)
  assert logs['strokes'] == pytest.approx(
      (trajectory.action['flag'] == 1).sum() / B
  )
  _, scale, _ = agents.make_reward_fn(PLAIN, toys.darkness)(
      trajectory, 50.0, start(learner).reward_scale
  )
  np.testing.assert_allclose(state.reward_scale, scale, rtol=1e-5)


# Steps.


def test_gradients_are_clipped_to_their_global_norm():
  trajectory = toys.table_trajectory()
  gradient, logs = update(trajectory, unit=100.0)
  norm = np.sqrt(sum(np.sum(x**2) for x in gradient.values()))
  assert logs['gradient_norm'] == pytest.approx(norm, rel=1e-4)
  clipped, logs = update(trajectory, unit=100.0, max_gradient_norm=0.5)
  for name, values in gradient.items():
    np.testing.assert_allclose(
        clipped[name], values * 0.5 / norm, rtol=1e-4, atol=1e-7
    )
  assert logs['gradient_norm'] == pytest.approx(norm, rel=1e-4)


# Of 3 epochs and a decay to a fifth.
@pytest.mark.parametrize(
    'share, rate, epochs',
    [
        (0.0, 1.0, 3),
        (0.4, 0.68, 3),
        (0.5, 0.6, 2),
        (0.8, 0.36, 2),
        (0.9, 0.28, 1),
        (1.0, 0.2, 1),
        (5.0, 0.2, 1),
    ],
)
@pytest.mark.parametrize('is_told', [False, True], ids=['frames', 'progress'])
def test_rate_and_epochs_fall_linearly(is_told, share, rate, epochs):
  learner = plain(decay_frames=100_000, decay_to=0.2, epochs=3, **STEADY)
  state = start(learner)
  progress = min(share, 1.0) if is_told else None
  if not is_told:
    state = state._replace(frames=jnp.int32(share * 100_000))
  frames = int(state.frames)
  state, _ = learner.update(
      state, toys.table_trajectory(), jnp.float32(1.0), progress
  )
  assert optax.tree.get(state.opt_state, 'count') == epochs
  np.testing.assert_allclose(
      state.params['log_prob'], 1e-4 * rate * epochs, rtol=2e-3
  )
  assert state.frames == frames + T * B


def test_nothing_falls_unless_told_to():
  learner = plain(decay_to=0.2, epochs=3, **STEADY)
  for progress, moved in ((None, 3e-4), (1.0, 0.2e-4)):
    state = start(learner)._replace(frames=jnp.int32(10**6))
    state, _ = learner.update(
        state, toys.table_trajectory(), jnp.float32(1.0), progress
    )
    np.testing.assert_allclose(state.params['log_prob'], moved, rtol=2e-3)


def test_the_weight_of_the_entropy_falls_too():
  learner = plain(decay_frames=2 * T * B)
  for frames, left in ((0, 1.0), (T * B, 0.5), (2 * T * B, 0.0)):
    state = start(learner)._replace(frames=jnp.int32(frames))
    state, _ = learner.update(state, toys.table_trajectory(), jnp.float32(0.0))
    # Squared: a step is the learning rate, which falls too, times the gradient.
    np.testing.assert_allclose(
        T * B * state.params['entropy'][..., 0], 0.1 * left**2, atol=1e-5
    )


def make_with(optimizer, **config):
  return agents.make_learner(
      toys.table_agent(),
      toys.darkness,
      dataclasses.replace(PLAIN, max_gradient_norm=1e-9, **config),
      optimizer=optimizer,
  )


def test_an_optimizer_of_ones_own_makes_the_updates():
  optimizer = optax.adamw(0.01, weight_decay=0.1)
  learner = make_with(optimizer)
  params = toys.table(log_prob=random(0, T, B), value=random(1, T, B))
  state = start(learner, params)
  expected, opt_state = params, optimizer.init(params)
  for seed in range(3):
    trajectory = toys.table_trajectory(seed)
    # A plain step is minus the gradient.
    moved, _ = update(trajectory, params=expected)
    gradient = jax.tree.map(lambda x: -x, moved)
    updates, opt_state = optimizer.update(gradient, opt_state, expected)
    expected = optax.apply_updates(expected, updates)
    state, _ = learner.update(state, trajectory, jnp.float32(1.0))
  for name, values in expected.items():
    np.testing.assert_allclose(state.params[name], values, rtol=1e-5, atol=1e-6)


def test_a_schedule_of_ones_own_is_followed_and_decays_too():
  learner = make_with(
      optax.sgd(optax.linear_schedule(1.0, 0.0, 2)),
      algorithm='clipped',
      decay_to=0.2,
  )
  trajectory = toys.table_trajectory()
  step = final_score(trajectory) / (T * B)
  state, position = start(learner), np.zeros((T, B))
  for rate, progress in ((1.0, None), (0.5 * 0.2, 1.0), (0.0, None)):
    before = np.array(state.params['log_prob'])
    state, _ = learner.update(
        state,
        trajectory._replace(log_prob=before),  # Zero lag.
        jnp.float32(1.0),
        progress,
    )
    position += rate * step
    np.testing.assert_allclose(
        state.params['log_prob'], position, rtol=1e-4, atol=1e-6
    )


def test_a_learner_begins_with_given_parameters_and_leaves_them_alone():
  learner = plain()
  params = toys.table(log_prob=random(0, T, B))
  before = jax.tree.map(np.array, params)
  state, other = start(learner, params), start(learner)
  np.testing.assert_array_equal(state.params['log_prob'], before['log_prob'])
  assert jax.tree.structure(state) == jax.tree.structure(other)
  np.testing.assert_array_equal(
      *(jax.random.key_data(x.key) for x in (state, other))
  )
  learner.update(state, toys.table_trajectory(), jnp.float32(1.0))
  assert state.params['log_prob'].is_deleted()  # Its own is donated.
  for name, values in before.items():
    np.testing.assert_array_equal(params[name], values)


@pytest.mark.parametrize(
    'config, score, words',
    [
        (dict(), None, ['discriminator', 'score', "reward='l2'"]),
        (dict(epochs=2), toys.darkness, ['epochs=2', "algorithm='clipped'"]),
        (dict(minibatches=4), toys.darkness, ['minibatches=4', "'clipped'"]),
        (
            dict(normalize_each_time=True),
            toys.darkness,
            ['normalize_each_time', 'normalize_advantages'],
        ),
    ],
)
def test_configurations_that_cannot_learn_are_refused(config, score, words):
  with pytest.raises(ValueError) as error:
    agents.make_learner(
        toys.table_agent(), score, agents.LearnerConfig(**config)
    )
  for word in words:
    assert word in str(error.value)


def test_help_tells_of_shapes():
  for words in (
      '`[T + 1, B, H, W, C]`',
      'donated',
      'score_params',
  ):
    assert words in plain().update.__doc__
