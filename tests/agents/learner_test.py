"""The policy learner: what it earns, what it fits, and that it learns.

Most tests use an agent that is a table (see toys.py).  With Adam's epsilon and
the learning rate both huge, a step moves each parameter by minus its gradient,
so that one update shows what every command was credited with.
"""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from environments import core
from environments.scene import settings as scene
from spiral_jax import agents
from spiral_jax.driver import channel as channel_lib
from spiral_jax.driver import nodes
from spiral_jax.driver import params as params_lib
from spiral_jax.driver import rollout as rollout_lib
from spiral_jax.losses import color
from spiral_jax.losses import rewards as rewards_lib
from tests.agents import toys

T, B = toys.T, toys.B

# One plain gradient step, of the policy's loss alone.
PLAIN = agents.LearnerConfig(
    learning_rate=1e6,
    adam_epsilon=1e6,
    max_gradient_norm=1e9,
    entropy_cost=0.0,
    value_cost=0.0,
)
ALGORITHMS = pytest.mark.parametrize('algorithm', ['vtrace', 'clipped'])


def darkness(params, images, targets):
  """A score: how dark an image is, in units that are parameters."""
  del targets
  return params * (1.0 - jnp.mean(images, axis=(1, 2, 3)))


def random(seed, *shape):
  return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def update(
    trajectory,
    *,
    score=darkness,
    params=None,
    scale=1.0,
    blank_page=255,
    **config,
):
  """Returns (what each parameter was moved by, its logs)."""
  learner = agents.make_learner(
      toys.table_agent(),
      score,
      dataclasses.replace(PLAIN, **config),
      blank_page=blank_page,
  )
  state = learner.init(jax.random.PRNGKey(0))
  if params is not None:
    # A copy: the state is donated.
    state = state._replace(params=jax.tree.map(jnp.copy, params))
  before = jax.tree.map(np.array, state.params)
  state, logs = learner.update(state, trajectory, jnp.float32(scale))
  moved = jax.tree.map(lambda a, b: np.asarray(a) - b, state.params, before)
  return moved, logs


def advantages(trajectory, **kwargs):
  """Returns what multiplied the gradient of each log-prob, `[T, B]`."""
  return T * B * update(trajectory, **kwargs)[0]['log_prob']


def scores_of(trajectory):
  return 1.0 - trajectory.canvas.mean((-3, -2, -1)) / 255.0  # [T + 1, B].


def colorful(seed):
  """Returns a trajectory of canvases in color and other targets."""
  rng = np.random.default_rng(seed)
  canvas = rng.integers(256, size=(T + 1, B, 4, 4, 3)).astype(np.uint8)
  target = rng.integers(256, size=(B, 4, 4, 3)) // np.array([1, 2, 4])
  return toys.table_trajectory(canvas=canvas, target=target.astype(np.uint8))


# Rewards.


@ALGORITHMS
def test_reward_at_the_end_is_the_score_of_the_result(algorithm):
  trajectory = toys.table_trajectory()
  earned = advantages(
      trajectory, scale=3.0, reward_at='end', discount=0.5, algorithm=algorithm
  )
  left = 0.5 ** np.arange(T)[::-1, None]
  np.testing.assert_allclose(
      earned, 3.0 * scores_of(trajectory)[-1] * left, atol=1e-5
  )


@ALGORITHMS
def test_reward_at_each_step_is_what_the_command_added(algorithm):
  trajectory = toys.table_trajectory()
  scores = scores_of(trajectory)
  myopic = advantages(
      trajectory, reward_at='step', discount=0.0, algorithm=algorithm
  )
  np.testing.assert_allclose(myopic, scores[1:] - scores[:-1], atol=1e-5)
  far_sighted = advantages(
      trajectory, reward_at='step', discount=1.0, algorithm=algorithm
  )
  np.testing.assert_allclose(far_sighted, scores[-1] - scores[:-1], atol=1e-5)


@pytest.mark.parametrize('reward_at', ['end', 'step'])
@pytest.mark.parametrize('reward', ['l2', 'log_l2', 'discriminator'])
def test_each_canvas_is_held_against_its_own_target(reward_at, reward):
  target = np.arange(B, dtype=np.uint8)[:, None, None, None] * np.full(
      (1, 2, 2, 1), 80, np.uint8
  )
  trajectory = toys.table_trajectory(target=target)
  canvas = trajectory.canvas.copy()
  canvas[-1] = target  # All are perfect in the end.
  canvas[-1, 1, 0, 0] += 51
  trajectory = trajectory._replace(canvas=canvas)

  def distance(params, images, targets):
    return -params * jnp.mean((images - targets) ** 2, axis=(1, 2, 3))

  moved, logs = update(
      trajectory,
      score=distance,
      reward=reward,
      reward_at=reward_at,
      discount=1.0,
  )
  errors = (
      np.mean((canvas.astype(float) - target) ** 2, axis=(-3, -2, -1)) / 255**2
  )
  np.testing.assert_allclose(errors[-1], [0.0, 0.01, 0.0], atol=1e-7)
  scores = -np.log(errors + 1e-4) if reward == 'log_l2' else -errors
  before = scores[:-1] if reward_at == 'step' else np.zeros((T, B))
  np.testing.assert_allclose(
      T * B * moved['log_prob'], scores[-1] - before, rtol=1e-4, atol=1e-5
  )
  assert logs['l2'] == pytest.approx(0.01 / B, abs=1e-6)
  assert logs['score'] == pytest.approx(scores[-1].mean(), rel=1e-4)


@ALGORITHMS
def test_nothing_leaks_in_from_after_the_end(algorithm):
  trajectory = toys.table_trajectory(bootstrap=np.full(B, 1e4, np.float32))
  over = advantages(trajectory, algorithm=algorithm, reward_at='step')
  scores = scores_of(trajectory)
  np.testing.assert_allclose(over, scores[-1] - scores[:-1], atol=1e-5)
  # An episode that goes on is worth what its next canvas is.
  is_last = trajectory.is_last.copy()
  is_last[:, 1] = False
  trajectory = trajectory._replace(
      is_last=is_last, bootstrap=np.full(B, 10.0, np.float32)
  )
  goes_on = advantages(
      trajectory, algorithm=algorithm, reward_at='step', discount=1.0
  )
  np.testing.assert_allclose(goes_on - over, [[0.0, 10.0, 0.0]] * T, atol=1e-4)


def test_only_finished_canvases_are_rewarded_at_the_end():
  trajectory = toys.table_trajectory()
  is_last = trajectory.is_last.copy()
  is_last[:, 2] = False
  earned = advantages(trajectory._replace(is_last=is_last), discount=1.0)
  final = scores_of(trajectory)[-1] * [1.0, 1.0, 0.0]
  np.testing.assert_allclose(earned, np.tile(final, (T, 1)), atol=1e-5)


def test_starting_a_sequence_of_strokes_costs():
  flag = np.array([[1, 0, 1], [1, 1, 0], [0, 1, 1], [1, 1, 1]], np.int32)
  trajectory = toys.table_trajectory()
  state = trajectory.initial_state
  trajectory = trajectory._replace(
      action={**trajectory.action, 'flag': flag},
      initial_state=state._replace(
          previous={**state.previous, 'flag': np.array([1, -1, 0], np.int32)}
      ),
  )
  moved, logs = update(
      trajectory, scale=0.0, stroke_start_cost=0.3, discount=0.0
  )
  np.testing.assert_allclose(
      T * B * moved['log_prob'],
      -0.3 * np.array([[0, 0, 1], [0, 1, 0], [0, 0, 1], [1, 0, 0]]),
      atol=1e-6,
  )
  assert logs['stroke_starts'] == pytest.approx(4 / B)
  assert logs['reward'] == pytest.approx(-0.3 * 4 / B)


def test_adding_an_object_costs():
  kind = np.array([[0, 1, 0], [1, 2, 0], [0, 1, 1], [2, 0, 1]], np.int32)
  trajectory = toys.table_trajectory()
  trajectory = trajectory._replace(action={**trajectory.action, 'kind': kind})
  moved, logs = update(trajectory, scale=0.0, object_cost=0.3, discount=0.0)
  np.testing.assert_allclose(
      T * B * moved['log_prob'], -0.3 * (kind == scene.ADD), atol=1e-6
  )
  assert logs['objects'] == pytest.approx(5 / B)
  assert logs['reward'] == pytest.approx(-0.3 * 5 / B)


def test_a_blank_page_costs_once():
  trajectory = toys.table_trajectory()
  canvas = trajectory.canvas.copy()
  canvas[:, 1] = 255
  canvas[0, 2] = 255  # Was blank, is not in the end.
  moved, logs = update(
      trajectory._replace(canvas=canvas),
      scale=0.0,
      blank_page_cost=2.0,
      discount=0.0,
  )
  expected = np.zeros((T, B))
  expected[-1, 1] = -2.0
  np.testing.assert_allclose(T * B * moved['log_prob'], expected, atol=1e-6)
  assert logs['blank_pages'] == pytest.approx(1 / B)


def test_a_blank_page_is_what_the_renderer_starts_with():
  trajectory = toys.table_trajectory()
  page = np.random.default_rng(0).integers(
      0, 256, trajectory.canvas.shape[2:], np.uint8
  )
  canvas = trajectory.canvas.copy()
  canvas[-1, 0] = 255
  canvas[-1, 1] = page
  canvas[-1, 2] = page
  canvas[-1, 2, 0, 0] ^= 1  # One pixel differs.
  moved, logs = update(
      trajectory._replace(canvas=canvas),
      scale=0.0,
      blank_page_cost=2.0,
      discount=0.0,
      blank_page=page,
  )
  expected = np.zeros((T, B))
  expected[-1, 1] = -2.0
  np.testing.assert_allclose(T * B * moved['log_prob'], expected, atol=1e-6)
  assert logs['blank_pages'] == pytest.approx(1 / B)


@ALGORITHMS
@pytest.mark.parametrize('reward_at', ['end', 'step'])
def test_colors_other_than_the_targets_cost(reward_at, algorithm):
  trajectory = colorful(2)
  moved, logs = update(
      trajectory,
      scale=0.0,
      color_cost=3.0,
      color_bins=8,
      reward_at=reward_at,
      discount=0.0,
      algorithm=algorithm,
  )
  distance = np.asarray(
      color.earth_movers_distance(
          trajectory.canvas / np.float32(255),
          trajectory.target / np.float32(255),
          bins=8,
      )
  )
  assert np.all(distance[-1] > 0) and np.ptp(distance[-1]) > 0
  # At each step, a command earns what brings the colors nearer.
  expected = np.zeros((T, B))
  expected[-1] = -3.0 * distance[-1]
  if reward_at == 'step':
    expected = -3.0 * (distance[1:] - distance[:-1])
  np.testing.assert_allclose(T * B * moved['log_prob'], expected, atol=1e-5)
  assert logs['color_distance'] == pytest.approx(distance[-1].mean(), rel=1e-5)
  assert logs['reward'] == pytest.approx(expected.sum(0).mean(), rel=1e-4)


def test_right_colors_in_wrong_places_cost_nothing():
  trajectory = colorful(1)
  canvas = trajectory.canvas.copy()
  canvas[-1, 0] = trajectory.target[0, ::-1, ::-1]
  canvas[-1, 1] = 255 - canvas[-1, 0]
  earned = advantages(
      trajectory._replace(canvas=canvas, target=trajectory.target[[0, 0, 2]]),
      scale=0.0,
      color_cost=3.0,
      discount=0.0,
  )
  assert earned[-1, 0] == 0.0
  assert earned[-1, 1] < -0.1


def test_costs_of_colors_are_in_units_of_the_scaled_reward():
  trajectory = colorful(4)
  kwargs = dict(reward='l2', reward_at='step', discount=0.0)
  costs = [
      advantages(trajectory, color_cost=2.0, scale_rewards=scaled, **kwargs)
      - advantages(trajectory, scale_rewards=scaled, **kwargs)
      for scaled in (False, True)
  ]
  assert np.abs(costs[0]).max() > 0.1
  np.testing.assert_allclose(*costs, atol=1e-4)


@pytest.mark.parametrize('reward_at', ['end', 'step'])
def test_rewards_are_scaled_to_deviation_one(reward_at):
  trajectory = toys.table_trajectory()
  kwargs = dict(reward_at=reward_at, discount=0.0, scale_rewards=True)
  earned = advantages(trajectory, scale=1.0, **kwargs)
  spread = earned if reward_at == 'step' else earned[-1]
  assert np.std(spread) == pytest.approx(1.0, rel=1e-3)
  np.testing.assert_allclose(
      advantages(trajectory, scale=50.0, **kwargs), earned, rtol=1e-3, atol=1e-5
  )
  # Penalties are in units of the scaled reward.
  blank = trajectory.canvas.copy()
  blank[-1, 0] = 255
  page = trajectory._replace(canvas=blank)
  cost = advantages(page, blank_page_cost=2.0, **kwargs) - advantages(
      page, **kwargs
  )
  assert cost[-1, 0] == pytest.approx(-2.0, abs=1e-4)


def test_the_scale_of_rewards_is_remembered():
  learner = agents.make_learner(
      toys.table_agent(),
      darkness,
      dataclasses.replace(PLAIN, scale_rewards=True),
  )
  state = learner.init(jax.random.PRNGKey(0))
  expected = rewards_lib.RunningDeviation.init()
  for seed in range(3):
    trajectory = toys.table_trajectory(seed)
    state, logs = learner.update(state, trajectory, jnp.float32(1.0))
    expected = expected.update(scores_of(trajectory)[-1].astype(np.float32))
    assert logs['reward_deviation'] == pytest.approx(
        float(expected.deviation()), rel=1e-3
    )
  # A piece of an episode that goes on earns nothing at the end.
  going_on = toys.table_trajectory(7, is_last=np.zeros((T, B), bool))
  _, logs = learner.update(state, going_on, jnp.float32(1.0))
  assert logs['reward'] == 0.0
  assert logs['reward_deviation'] == pytest.approx(
      float(expected.deviation()), rel=1e-3
  )


# What is fitted.


def test_vtrace_weighs_what_another_policy_did():
  log_ratio = np.log(np.array([[0.5, 2.0, 1.0]] * T, np.float32))
  trajectory = toys.table_trajectory(log_prob=random(1, T, B) - 3.0)
  now = toys.table(log_prob=trajectory.log_prob + log_ratio)
  earned = advantages(trajectory, params=now, reward_at='end', discount=0.9)
  final = scores_of(trajectory)[-1]
  expected = np.zeros((T, B))
  for t in range(T):
    for k in range(t, T):  # Differences of values are 0 until the last.
      ratios = np.minimum(np.exp(log_ratio[t : k + 1]), 1.0)
      reward = final if k == T - 1 else 0.0
      expected[t] += 0.9 ** (k - t) * np.prod(ratios, axis=0) * reward
  np.testing.assert_allclose(earned, expected, atol=1e-5)


def test_vtrace_credits_against_the_values_of_now():
  values = random(2, T, B)
  trajectory = toys.table_trajectory(value=random(3, T, B))
  moved, logs = update(
      trajectory, params=toys.table(value=values), discount=1.0, value_cost=0.5
  )
  error = scores_of(trajectory)[-1] - values
  np.testing.assert_allclose(T * B * moved['log_prob'], error, atol=1e-5)
  np.testing.assert_allclose(T * B * moved['value'], 0.5 * error, atol=1e-5)
  assert logs['value_loss'] == pytest.approx(np.mean(error**2) / 2, rel=1e-4)


def test_clipped_credits_against_the_values_of_then():
  then, now = random(2, T, B), random(3, T, B)
  trajectory = toys.table_trajectory(value=then)
  moved, _ = update(
      trajectory,
      params=toys.table(value=now),
      discount=1.0,
      value_cost=0.5,
      algorithm='clipped',
  )
  final = scores_of(trajectory)[-1]
  np.testing.assert_allclose(T * B * moved['log_prob'], final - then, atol=1e-5)
  np.testing.assert_allclose(
      T * B * moved['value'], 0.5 * (final - now), atol=1e-5
  )


def test_clipped_pushes_ratios_only_so_far():
  ratio = np.array([[0.5, 1.1, 1.3]] * T, np.float32)
  trajectory = toys.table_trajectory(log_prob=random(1, T, B))
  now = toys.table(log_prob=trajectory.log_prob + np.log(ratio))
  kwargs = dict(params=now, discount=1.0, algorithm='clipped', clip=0.2)
  final = scores_of(trajectory)[-1]
  assert np.all(final > 0.1)
  np.testing.assert_allclose(
      advantages(trajectory, **kwargs), ratio * final * [1, 1, 0], atol=1e-5
  )
  np.testing.assert_allclose(
      advantages(trajectory, scale=-1.0, **kwargs),
      -ratio * final * [0, 1, 1],
      atol=1e-5,
  )


@ALGORITHMS
def test_lambda_mixes_values_in(algorithm):
  values = random(2, T, B)
  trajectory = toys.table_trajectory(value=values)
  earned = advantages(
      trajectory,
      params=toys.table(value=values),
      algorithm=algorithm,
      reward_at='step',
      discount=0.8,
      td_lambda=0.0,
  )
  scores = scores_of(trajectory)
  next_values = np.append(0.8 * values[1:], np.zeros((1, B)), axis=0)
  np.testing.assert_allclose(
      earned, scores[1:] - scores[:-1] + next_values - values, atol=1e-5
  )


@ALGORITHMS
def test_advantages_are_normalized_on_request(algorithm):
  trajectory = toys.table_trajectory()
  kwargs = dict(reward_at='step', discount=0.5, algorithm=algorithm)
  plain = advantages(trajectory, **kwargs)
  normal = advantages(trajectory, normalize_advantages=True, **kwargs)
  centered = plain - plain.mean(axis=1, keepdims=True)
  np.testing.assert_allclose(normal, centered / centered.std(), atol=1e-4)
  each = advantages(
      trajectory, normalize_advantages=True, normalize_each_time=True, **kwargs
  )
  np.testing.assert_allclose(each.std(axis=1), np.ones(len(each)), atol=1e-3)
  np.testing.assert_allclose(
      each, centered / centered.std(axis=1, keepdims=True), atol=1e-3
  )


@ALGORITHMS
def test_entropy_is_raised_where_parts_count(algorithm):
  trajectory = toys.table_trajectory()
  paints = trajectory.action['flag'] == 1
  entropy = np.stack([random(0, T, B) + 2, random(1, T, B) + 3], axis=-1)
  kwargs = dict(
      scale=0.0,
      params=toys.table(entropy=entropy),
      entropy_cost=0.1,
      algorithm=algorithm,
  )
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
      darkness,
      dataclasses.replace(PLAIN, entropy_cost=0.1, entropy_shares=True),
  )
  state = learner.init(jax.random.PRNGKey(0))
  trajectory = toys.table_trajectory()
  # No command of this batch gives the second part a meaning.
  action = {**trajectory.action, 'flag': np.zeros((T, B), np.int32)}
  state, logs = learner.update(
      state, trajectory._replace(action=action), jnp.float32(1.0)
  )
  for name, x in logs.items():
    assert np.isfinite(x), name
  for x in jax.tree.leaves(state.params):
    assert np.all(np.isfinite(x))


def test_the_loss_is_the_sum_of_its_terms():
  trajectory = toys.table_trajectory(log_prob=random(4, T, B))
  _, logs = update(
      trajectory,
      params=toys.table(
          value=random(2, T, B),
          log_prob=random(5, T, B),
          entropy=np.abs(random(3, T, B, 2)),
      ),
      value_cost=0.3,
      entropy_cost=0.2,
  )
  np.testing.assert_allclose(
      logs['loss'],
      logs['policy_loss'] + 0.3 * logs['value_loss'] - 0.2 * logs['entropy'],
      rtol=1e-5,
  )
  assert logs['log_ratio'] == pytest.approx(
      np.mean(np.abs(random(5, T, B) - random(4, T, B))), rel=1e-5
  )


# Steps.


def test_gradients_are_clipped_to_their_global_norm():
  trajectory = toys.table_trajectory()
  plain, logs = update(trajectory, scale=100.0)
  norm = np.linalg.norm(plain['log_prob'])
  assert logs['gradient_norm'] == pytest.approx(norm, rel=1e-4)
  clipped, logs = update(trajectory, scale=100.0, max_gradient_norm=0.5)
  np.testing.assert_allclose(
      clipped['log_prob'], plain['log_prob'] * 0.5 / norm, rtol=1e-4
  )
  assert logs['gradient_norm'] == pytest.approx(norm, rel=1e-4)


@pytest.mark.parametrize(
    'decay_frames, decay_to, rates',
    [
        (0, 0.0, [1.0, 1.0, 1.0, 1.0]),
        (2 * T * B, 0.0, [1.0, 0.5, 0.0, 0.0]),
        (2 * T * B, 0.2, [1.0, 0.6, 0.2, 0.2]),
    ],
)
def test_learning_rate_falls_linearly(decay_frames, decay_to, rates):
  # Adam moves by the learning rate where the gradient stays the same.
  learner = agents.make_learner(
      toys.table_agent(),
      darkness,
      dataclasses.replace(
          PLAIN,
          learning_rate=0.01,
          adam_epsilon=1e-12,
          decay_frames=decay_frames,
          decay_to=decay_to,
          algorithm='clipped',
          clip=10.0,
      ),
  )
  state = learner.init(jax.random.PRNGKey(0))
  trajectory = toys.table_trajectory()
  for index, rate in enumerate(rates):
    assert state.frames == index * T * B
    before = np.array(state.params['log_prob'])
    trajectory = trajectory._replace(log_prob=before)  # Zero lag.
    state, _ = learner.update(state, trajectory, jnp.float32(1.0))
    np.testing.assert_allclose(
        state.params['log_prob'] - before, 0.01 * rate, rtol=1e-3, atol=1e-8
    )


@pytest.mark.parametrize('decay_frames', [0, 7])
@pytest.mark.parametrize(
    'progress, rate, epochs',
    [
        (0.0, 1.0, 3),
        (0.5, 0.6, 2),
        (1.0, 0.2, 1),
    ],
)
def test_progress_that_is_given_decides(decay_frames, progress, rate, epochs):
  config = dataclasses.replace(
      PLAIN,
      learning_rate=0.01,
      adam_epsilon=1e-12,
      decay_to=0.2,
      decay_frames=decay_frames,
      algorithm='clipped',
      clip=10.0,
      epochs=3,
  )
  learner = agents.make_learner(toys.table_agent(), darkness, config)
  state = learner.init(jax.random.PRNGKey(0))
  before = np.array(state.params['log_prob'])
  trajectory = toys.table_trajectory()._replace(log_prob=before)  # Zero lag.
  state, _ = learner.update(state, trajectory, jnp.float32(1.0), progress)
  # Adam moves by the learning rate where the gradient stays the same.
  np.testing.assert_allclose(
      state.params['log_prob'] - before, 0.01 * rate * epochs, rtol=0.02
  )


def test_the_weight_of_the_entropy_falls_with_it():
  learner = agents.make_learner(
      toys.table_agent(),
      darkness,
      dataclasses.replace(PLAIN, entropy_cost=0.1, decay_frames=2 * T * B),
  )
  trajectory = toys.table_trajectory()
  for frames, left in ((0, 1.0), (T * B, 0.5), (2 * T * B, 0.0)):
    state = learner.init(jax.random.PRNGKey(0))
    state = state._replace(frames=jnp.int32(frames))
    before = np.array(state.params['entropy'][..., 0])
    state, _ = learner.update(state, trajectory, jnp.float32(0.0))
    # Squared: a step is the learning rate, which falls too, times the gradient.
    np.testing.assert_allclose(
        T * B * (state.params['entropy'][..., 0] - before),
        0.1 * left**2,
        atol=1e-5,
    )


@pytest.mark.parametrize(
    'share, epochs',
    [
        (0.0, 3),
        (0.3, 3),
        (0.4, 2),
        (0.6, 2),
        (0.7, 1),
        (1.0, 1),
        (5.0, 1),
    ],
)
def test_the_epochs_fall_with_it_to_one(share, epochs):
  frames = 100_000
  learner = agents.make_learner(
      toys.table_agent(),
      darkness,
      dataclasses.replace(
          PLAIN,
          algorithm='clipped',
          epochs=3,
          minibatches=B,
          decay_frames=frames,
      ),
  )
  state = learner.init(jax.random.PRNGKey(0))
  state = state._replace(frames=jnp.int32(share * frames))
  state, _ = learner.update(state, toys.table_trajectory(), jnp.float32(0.0))
  _, adam = state.opt_state
  assert adam.count == B * epochs


@pytest.mark.parametrize('epochs, minibatches', [(1, 1), (3, 1), (2, 3)])
def test_minibatches_are_whole_episodes_each_once_an_epoch(epochs, minibatches):
  batch = 6
  seen = []

  def look(*fields):
    seen.append([np.asarray(field) for field in fields])

  def unroll(params, trajectory):
    jax.debug.callback(
        look,
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

  table = toys.table_agent()
  episodes = np.arange(batch)
  timed = np.tile(episodes, (T, 1))
  images = (
      np.zeros((batch, 2, 2, 1), np.uint8)
      + episodes.astype(np.uint8)[:, None, None, None]
  )
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
      table._replace(
          unroll=unroll,
          init=lambda key: {
              'log_prob': jnp.zeros((T, batch)),
              'value': jnp.zeros((T, batch)),
              'entropy': jnp.zeros((T, batch, 2)),
          },
      ),
      config=agents.LearnerConfig(
          algorithm='clipped',
          epochs=epochs,
          minibatches=minibatches,
          reward='l2',
      ),
  )
  learner_state = learner.init(jax.random.PRNGKey(0))
  learner.update(learner_state, trajectory, None)
  jax.effects_barrier()
  assert len(seen) == epochs * minibatches
  size = batch // minibatches
  for ids, *fields, is_last in seen:
    assert ids.shape == (size,)
    for field in fields:  # All of them are of the same episodes.
      np.testing.assert_array_equal(field, np.broadcast_to(ids, field.shape))
    np.testing.assert_array_equal(is_last.sum(0), np.full(size, T))
  for epoch in range(epochs):
    steps = seen[epoch * minibatches : (epoch + 1) * minibatches]
    ids = np.concatenate([step[0] for step in steps])
    np.testing.assert_array_equal(np.sort(ids), episodes)
  if minibatches > 1:
    orders = np.concatenate([step[0] for step in seen]).reshape(epochs, -1)
    assert len(np.unique(orders, axis=0)) == epochs  # Shuffled anew.


def test_a_batch_that_does_not_divide_is_refused():
  learner = agents.make_learner(
      toys.table_agent(),
      darkness,
      dataclasses.replace(PLAIN, algorithm='clipped', minibatches=2),
  )
  state = learner.init(jax.random.PRNGKey(0))
  with pytest.raises(ValueError, match=r'3 episodes .* 2 minibatches.*change'):
    learner.update(state, toys.table_trajectory(), jnp.float32(1.0))


@pytest.mark.parametrize(
    'config, score, words',
    [
        (dict(reward='ssim'), darkness, ['reward', "'ssim'", "'l2'"]),
        (dict(reward_at='start'), darkness, ['reward_at', "'start'", "'step'"]),
        (dict(algorithm='ppo'), darkness, ['algorithm', "'ppo'", "'clipped'"]),
        (dict(), None, ['discriminator', 'score', "reward='l2'"]),
        (dict(epochs=2), darkness, ['epochs=2', "algorithm='clipped'"]),
        (
            dict(minibatches=4),
            darkness,
            ['minibatches=4', "algorithm='clipped'"],
        ),
        (
            dict(normalize_each_time=True),
            darkness,
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


def test_l2_without_targets_is_refused():
  learner = agents.make_learner(
      toys.table_agent(), config=agents.LearnerConfig(reward='l2')
  )
  state = learner.init(jax.random.PRNGKey(0))
  with pytest.raises(ValueError, match=r"'l2'.*target.*discriminator"):
    learner.update(state, toys.table_trajectory(), None)


def test_a_cost_of_colors_without_targets_is_refused():
  learner = agents.make_learner(
      toys.table_agent(), darkness, agents.LearnerConfig(color_cost=2.0)
  )
  state = learner.init(jax.random.PRNGKey(0))
  with pytest.raises(ValueError, match=r'color_cost is 2.0 .*no target.*set'):
    learner.update(state, toys.table_trajectory(), jnp.float32(1.0))


# Learning, with a real network.


CELLS = {'cell': core.Part(4, grid_shape=(2, 2))}
SMALL = {**toys.NETWORK, **toys.PATCHES, 'map_size': 2, 'head_blocks': 0}
FAST = dict(learning_rate=0.02, entropy_cost=0.003, max_gradient_norm=1.0)


def lower_left(params, images, targets):
  """A score: 1 for a dark lower left cell, else 0."""
  del params, targets
  return (jnp.mean(images[:, 2:, :2], axis=(1, 2, 3)) < 0.5).astype(jnp.float32)


@functools.cache
def bandit(batch, **config):
  """Returns (agent, jitted step, environment) of episodes of one command."""
  agent = agents.make_agent(
      CELLS, (4, 4, 1), agents.AgentConfig(**{**SMALL, **config})
  )
  environment = toys.environment(batch, CELLS, (4, 4, 1), 1)
  return agent, jax.jit(agent.step), environment


def train(learner, rollout, updates, seed=0):
  """Returns (learner state, last trajectory)."""
  state = learner.init(jax.random.PRNGKey(seed))
  for version in range(updates):
    trajectory = rollout(state.params, version)
    state, _ = learner.update(state, trajectory, jnp.float32(0.0))
  return state, rollout(state.params, updates)


@pytest.mark.parametrize('reward_at', ['end', 'step'])
@pytest.mark.parametrize(
    'algorithm',
    [
        dict(algorithm='vtrace'),
        dict(algorithm='clipped', epochs=2, minibatches=2),
    ],
    ids=lambda config: config['algorithm'],
)
def test_a_bandit_learns_what_is_rewarded(algorithm, reward_at):
  agent, step, environment = bandit(32)
  learner = agents.make_learner(
      agent,
      lower_left,
      agents.LearnerConfig(**FAST, **algorithm, reward_at=reward_at),
  )
  rollout = rollout_lib.Rollout(environment, step, agent.initial_state(32))
  first = rollout(learner.init(jax.random.PRNGKey(0)).params, 0)
  assert np.mean(first.action['cell'] == 2) < 0.6
  _, trajectory = train(learner, rollout, 40)
  assert np.mean(trajectory.action['cell'] == 2) > 0.9
  assert np.mean(np.exp(trajectory.log_prob)) > 0.8


def test_a_bandit_learns_to_redraw_its_target():
  # By chance, a quarter would be right: the target tells which.
  batch = 32
  agent, step, environment = bandit(batch, conditional=True)
  rng = np.random.default_rng(0)
  pages = np.full((4, 4, 4, 1), 255, np.uint8)
  for cell in range(4):
    y, x = 2 * (cell // 2), 2 * (cell % 2)
    pages[cell, y : y + 2, x : x + 2] = 0
  learner = agents.make_learner(
      agent,
      config=agents.LearnerConfig(
          **FAST, reward='l2', scale_rewards=True, normalize_advantages=True
      ),
  )
  rollout = rollout_lib.Rollout(
      environment,
      step,
      agent.initial_state(batch),
      targets=lambda: pages[rng.integers(4, size=batch)],
  )
  _, trajectory = train(learner, rollout, 80)
  right = np.all(trajectory.canvas[-1] == trajectory.target, axis=(1, 2, 3))
  assert np.mean(right) > 0.9


def test_a_bandit_learns_the_colors_of_its_target():
  # The score says nothing; by chance, a quarter would be right.
  batch = 32
  spec = {'cell': CELLS['cell'], 'shade': core.Part(4)}
  agent = agents.make_agent(
      spec, (4, 4, 1), agents.AgentConfig(**SMALL, conditional=True)
  )
  pages = np.full((batch, 4, 4, 1), 255, np.uint8)
  pages[:, 2:, 2:] = 37 * 2  # What `toys.Stamps` makes of 2, wherever.
  learner = agents.make_learner(
      agent,
      lambda params, images, targets: jnp.zeros(len(images)),
      agents.LearnerConfig(
          **FAST, color_cost=20.0, color_bins=16, normalize_advantages=True
      ),
  )
  rollout = rollout_lib.Rollout(
      toys.environment(batch, spec, (4, 4, 1), 1),
      jax.jit(agent.step),
      agent.initial_state(batch),
      targets=lambda: pages,
  )
  _, trajectory = train(learner, rollout, 40)
  assert np.mean(trajectory.action['shade'] == 2) > 0.9


def test_updates_are_a_function_of_the_state():
  agent, step, environment = bandit(32)
  learner = agents.make_learner(
      agent,
      lower_left,
      agents.LearnerConfig(
          **FAST, algorithm='clipped', epochs=2, minibatches=2, reward_at='end'
      ),
  )

  def run(seed=0):
    rollout = rollout_lib.Rollout(environment, step, agent.initial_state(32))
    return train(learner, rollout, 2, seed)[0]

  one, two = run(), run()
  for x, y in zip(jax.tree.leaves(one), jax.tree.leaves(two)):
    np.testing.assert_array_equal(x, y)
  # Another key shuffles the episodes into other minibatches.
  state = run()._replace(key=jax.random.PRNGKey(7))
  trajectory = rollout_lib.Rollout(environment, step, agent.initial_state(32))(
      one.params, 2
  )
  one, _ = learner.update(one, trajectory, None)
  other, _ = learner.update(state, trajectory, None)
  assert any(
      np.any(x != y)
      for x, y in zip(
          jax.tree.leaves(one.params), jax.tree.leaves(other.params)
      )
  )


def test_published_parameters_outlive_the_state_that_is_donated():
  trajectories = channel_lib.Channel('trajectories', 1)
  published = params_lib.ParamsStore('params')
  learner = agents.make_learner(toys.table_agent(), darkness, PLAIN)
  state = learner.init(jax.random.PRNGKey(0))
  node = nodes.PolicyLearner(
      'policy',
      update=lambda state, trajectory, _: learner.update(
          state, trajectory, jnp.float32(1.0)
      ),
      state=state,
      params_of=lambda state: state.params,
      trajectories=trajectories,
      published=published,
  )
  first, _ = published.latest()
  trajectories.put(toys.table_trajectory())
  node.step()
  second, _ = published.latest()
  trajectories.put(toys.table_trajectory())
  node.step()
  assert state.params['log_prob'].is_deleted()  # The learner's own was donated.
  np.testing.assert_array_equal(first['log_prob'], np.zeros((T, B)))
  assert np.all(second['log_prob'] != 0)
