"""Rewards of commands against closed forms; no learner, nothing compiled."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from spiral_jax import agents
from spiral_jax.agents import reward_fn as reward_fn_lib
from spiral_jax.losses import color
from spiral_jax.losses import rewards as rewards_lib
from tests.agents import toys

T, B = toys.T, toys.B
EMPTY_SCALE = rewards_lib.RunningDeviation.init()


def rewards_of(
    trajectory,
    *,
    score=toys.darkness,
    unit=1.0,
    blank_page=255,
    action_costs=(),
    **config,
):
  """Returns (rewards `[T, B]`, logs); `unit` multiplies the score."""
  reward_fn = agents.make_reward_fn(
      agents.LearnerConfig(**config),
      score,
      blank_page=blank_page,
      action_costs=action_costs,
  )
  rewards, _, logs = reward_fn(trajectory, unit, EMPTY_SCALE)
  rewards = np.asarray(rewards)
  assert logs['reward'] == pytest.approx(rewards.sum(0).mean(), abs=1e-5)
  return rewards, logs


def only_last(values):
  """Returns `[T, B]`: `values` at the last command, else 0."""
  return np.concatenate([np.zeros((T - 1, B)), [values]])


def colorful(seed):
  """Returns a trajectory of canvases in color and other targets."""
  rng = np.random.default_rng(seed)
  canvas = rng.integers(256, size=(T + 1, B, 4, 4, 3)).astype(np.uint8)
  target = rng.integers(256, size=(B, 4, 4, 3)) // np.array([1, 2, 4])
  return toys.table_trajectory(canvas=canvas, target=target.astype(np.uint8))


def with_result(trajectory, **pages):
  """Replaces final canvases: `n1=page` that of episode 1."""
  canvas = trajectory.canvas.copy()
  for episode, page in pages.items():
    canvas[-1, int(episode[1:])] = page
  return trajectory._replace(canvas=canvas)


# What a score earns.


def test_reward_at_the_end_is_the_score_of_the_result():
  trajectory = toys.table_trajectory()
  final = toys.darkness_of(trajectory)[-1]
  rewards, logs = rewards_of(trajectory, unit=3.0, reward_at='end')
  np.testing.assert_allclose(rewards, only_last(3.0 * final), atol=1e-6)
  assert logs['score'] == pytest.approx(3.0 * final.mean(), rel=1e-5)


def test_reward_at_each_step_is_what_the_command_added():
  trajectory = toys.table_trajectory()
  scores = toys.darkness_of(trajectory)
  rewards, logs = rewards_of(trajectory, unit=3.0, reward_at='step')
  np.testing.assert_allclose(rewards, 3.0 * np.diff(scores, axis=0), atol=1e-5)
  assert logs['score'] == pytest.approx(3.0 * scores[-1].mean(), rel=1e-5)


def test_only_finished_canvases_are_rewarded_at_the_end():
  trajectory = toys.table_trajectory()
  trajectory.is_last[:, 2] = False
  final = toys.darkness_of(trajectory)[-1] * [1.0, 1.0, 0.0]
  rewards, _ = rewards_of(trajectory, reward_at='end')
  np.testing.assert_allclose(rewards, only_last(final), atol=1e-6)


@pytest.mark.parametrize('reward_at', ['end', 'step'])
@pytest.mark.parametrize(
    'reward', ['l2', 'multiscale_l2', 'log_l2', 'euclidean', 'discriminator']
)
def test_each_canvas_is_held_against_its_own_target(reward_at, reward):
  target = np.arange(B, dtype=np.uint8)[:, None, None, None] * np.full(
      (1, 2, 2, 1), 80, np.uint8
  )
  canvas = toys.table_trajectory().canvas.copy()
  canvas[-1] = target  # All are perfect in the end.
  canvas[-1, 1, 0, 0] += 51
  trajectory = toys.table_trajectory(canvas=canvas, target=target)

  def distance(params, images, targets):
    return -params * jnp.mean((images - targets) ** 2, axis=(1, 2, 3))

  rewards, logs = rewards_of(
      trajectory, score=distance, reward=reward, reward_at=reward_at
  )
  errors = (
      np.mean((canvas.astype(float) - target) ** 2, axis=(-3, -2, -1)) / 255**2
  )
  np.testing.assert_allclose(errors[-1], [0.0, 0.01, 0.0], atol=1e-7)
  mean_errors = (  # Of canvases of 2x2 pixels, and again of their one pixel.
      np.mean(canvas / 255 - target / 255, axis=(-3, -2, -1)) ** 2
  )
  scores = {
      'multiscale_l2': -errors - 2 * mean_errors,
      'log_l2': -np.log(errors + 1e-4),
      'euclidean': -np.sqrt(4 * errors),  # Of four pixels.
  }.get(reward, -errors)
  expected = (
      np.diff(scores, axis=0) if reward_at == 'step' else only_last(scores[-1])
  )
  np.testing.assert_allclose(rewards, expected, rtol=1e-4, atol=1e-5)
  assert logs['l2'] == pytest.approx(0.01 / B, abs=1e-6)
  assert logs['score'] == pytest.approx(scores[-1].mean(), rel=1e-4)


def test_no_gradient_flows_through_rewards():
  reward_fn = agents.make_reward_fn(agents.LearnerConfig(), toys.darkness)
  total, gradient = jax.value_and_grad(
      lambda unit: reward_fn(toys.table_trajectory(), unit, EMPTY_SCALE)[
          0
      ].sum()
  )(1.0)
  assert total > 0 and gradient == 0.0


# The unit of rewards.


@pytest.mark.parametrize('reward_at', ['end', 'step'])
def test_rewards_are_scaled_to_deviation_one(reward_at):
  trajectory = toys.table_trajectory()
  kwargs = dict(reward_at=reward_at, scale_rewards=True)
  rewards, _ = rewards_of(trajectory, **kwargs)
  spread = rewards if reward_at == 'step' else rewards[-1]
  assert np.std(spread) == pytest.approx(1.0, rel=1e-3)
  np.testing.assert_allclose(
      rewards_of(trajectory, unit=50.0, **kwargs)[0],
      rewards,
      rtol=1e-3,
      atol=1e-5,
  )


@pytest.mark.parametrize('reward_at', ['end', 'step'])
def test_the_scale_of_rewards_is_remembered(reward_at):
  reward_fn = agents.make_reward_fn(
      agents.LearnerConfig(reward_at=reward_at, scale_rewards=True),
      toys.darkness,
  )
  scale = expected = EMPTY_SCALE
  for seed in range(3):
    trajectory = toys.table_trajectory(seed)
    rewards, scale, logs = reward_fn(trajectory, 1.0, scale)
    scores = toys.darkness_of(trajectory).astype(np.float32)
    seen = scores[-1] if reward_at == 'end' else np.diff(scores, axis=0)
    expected = expected.update(seen)
    deviation = float(expected.deviation())
    assert scale.deviation() == pytest.approx(deviation, rel=1e-3)
    assert logs['reward_deviation'] == pytest.approx(deviation, rel=1e-3)
    np.testing.assert_allclose(
        rewards if reward_at == 'step' else rewards[-1],
        seen / deviation,
        rtol=1e-2,
    )


def test_a_piece_of_an_episode_without_rewards_leaves_the_scale_alone():
  reward_fn = agents.make_reward_fn(
      agents.LearnerConfig(reward_at='end', scale_rewards=True), toys.darkness
  )
  _, scale, _ = reward_fn(toys.table_trajectory(), 1.0, EMPTY_SCALE)
  piece = toys.table_trajectory(7, is_last=np.zeros((T, B), bool))
  rewards, after, _ = reward_fn(piece, 1.0, scale)
  np.testing.assert_array_equal(rewards, np.zeros((T, B)))
  np.testing.assert_array_equal(after, scale)


# Costs.


@pytest.mark.parametrize('scaled', [False, True])
def test_a_value_of_a_part_costs_each_time(scaled):
  kind = np.array([[0, 1, 0], [1, 2, 0], [0, 1, 1], [2, 0, 1]], np.int32)
  trajectory = toys.table_trajectory(action={'kind': kind})
  costs = [agents.ActionCost('object', 'kind', 1, 0.3)]
  free, _ = rewards_of(trajectory, scale_rewards=scaled)
  rewards, logs = rewards_of(
      trajectory, scale_rewards=scaled, action_costs=costs
  )
  # In units of the scaled reward.
  np.testing.assert_allclose(rewards - free, -0.3 * (kind == 1), atol=1e-6)
  assert logs['objects'] == pytest.approx(5 / B)


def test_a_value_of_a_part_costs_where_it_starts():
  flag = np.array([[1, 0, 1], [1, 1, 0], [0, 1, 1], [1, 1, 1]], np.int32)
  trajectory = toys.table_trajectory(action={'flag': flag})
  state = trajectory.initial_state
  previous = {'flag': np.array([1, -1, 0], np.int32)}
  trajectory = trajectory._replace(
      initial_state=state._replace(previous=previous)
  )
  costs = [agents.ActionCost('stroke_start', 'flag', 1, 0.3, True)]
  rewards, logs = rewards_of(trajectory, unit=0.0, action_costs=costs)
  starts = np.array([[0, 0, 1], [0, 1, 0], [0, 0, 1], [1, 0, 0]])
  np.testing.assert_allclose(rewards, -0.3 * starts, atol=1e-6)
  assert logs['stroke_starts'] == pytest.approx(4 / B)


def test_costs_add_up_and_those_of_no_weight_are_left_out():
  trajectory = toys.table_trajectory()
  flag, end = trajectory.action['flag'], trajectory.action['end']
  costs = [
      agents.ActionCost('lift', 'flag', 0, 0.5),
      agents.ActionCost('corner', 'end', int(end[1, 1]), 0.25),
      agents.ActionCost('other', 'no such part', 0, 0.0),
  ]
  rewards, logs = rewards_of(trajectory, unit=0.0, action_costs=costs)
  np.testing.assert_allclose(
      rewards, -0.5 * (flag == 0) - 0.25 * (end == end[1, 1]), atol=1e-6
  )
  assert logs['lifts'] == pytest.approx((flag == 0).sum() / B)
  assert logs['corners'] == pytest.approx((end == end[1, 1]).sum() / B)
  assert 'others' not in logs


def test_a_blank_page_costs_once():
  canvas = toys.table_trajectory().canvas.copy()
  canvas[:, 1] = 255
  canvas[0, 2] = 255  # Was blank, is not in the end.
  trajectory = toys.table_trajectory(canvas=canvas)
  for scaled in (False, True):  # In units of the scaled reward.
    free, _ = rewards_of(trajectory, scale_rewards=scaled)
    rewards, logs = rewards_of(
        trajectory, scale_rewards=scaled, blank_page_cost=2.0
    )
    np.testing.assert_allclose(
        rewards - free, only_last([0.0, -2.0, 0.0]), atol=1e-5
    )
    assert logs['blank_pages'] == pytest.approx(1 / B)


def test_a_blank_page_is_what_the_renderer_starts_with():
  page = np.random.default_rng(0).integers(0, 256, (2, 2, 1), np.uint8)
  other = page.copy()
  other[0, 0] ^= 1  # One pixel differs.
  rewards, _ = rewards_of(
      with_result(toys.table_trajectory(), n0=255, n1=page, n2=other),
      unit=0.0,
      blank_page_cost=2.0,
      blank_page=page,
  )
  np.testing.assert_allclose(rewards, only_last([0.0, -2.0, 0.0]), atol=1e-6)


@pytest.mark.parametrize('reward_at', ['end', 'step'])
def test_colors_other_than_the_targets_cost(reward_at):
  trajectory = colorful(2)
  rewards, logs = rewards_of(
      trajectory,
      unit=0.0,
      color_cost=3.0,
      color_bins=8,
      reward_at=reward_at,
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
  expected = (
      -3.0 * np.diff(distance, axis=0)
      if reward_at == 'step'
      else only_last(-3.0 * distance[-1])
  )
  np.testing.assert_allclose(rewards, expected, atol=1e-5)
  assert logs['color_distance'] == pytest.approx(distance[-1].mean(), rel=1e-5)


def test_right_colors_in_wrong_places_cost_nothing():
  trajectory = colorful(1)
  turned = trajectory.target[0, ::-1, ::-1]
  rewards, _ = rewards_of(
      with_result(
          trajectory._replace(target=trajectory.target[[0, 0, 2]]),
          n0=turned,
          n1=255 - turned,
      ),
      unit=0.0,
      color_cost=3.0,
  )
  assert rewards[-1, 0] == 0.0
  assert rewards[-1, 1] < -0.1


def test_costs_of_colors_are_in_units_of_the_scaled_reward():
  kwargs = dict(reward='l2', reward_at='step')
  costs = [
      rewards_of(colorful(4), color_cost=2.0, scale_rewards=scaled, **kwargs)[0]
      - rewards_of(colorful(4), scale_rewards=scaled, **kwargs)[0]
      for scaled in (False, True)
  ]
  assert np.abs(costs[0]).max() > 0.1
  np.testing.assert_allclose(*costs, atol=1e-4)


@pytest.mark.parametrize(
    'config, words',
    [
        (dict(reward='l2'), r"'l2'.*no target.*reward='discriminator'"),
        (dict(color_cost=2.0), r'color_cost is 2.0 .*no target.*color_cost=0'),
    ],
)
def test_a_trajectory_that_lacks_targets_is_refused(config, words):
  with pytest.raises(ValueError, match=words):
    rewards_of(toys.table_trajectory(), **config)


# What results are worth.


@pytest.mark.parametrize('reward_at', ['end', 'step'])
@pytest.mark.parametrize(
    'config',
    [
        dict(reward='l2', scale_rewards=True),
        dict(reward='log_l2', blank_page_cost=2.0),
        dict(reward='multiscale_l2', scale_rewards=True),
        dict(reward='euclidean', color_cost=3.0, scale_rewards=True),
        dict(reward='discriminator', color_cost=0.5, blank_page_cost=1.0),
    ],
)
def test_results_are_worth_what_their_episodes_are_rewarded(reward_at, config):
  config = agents.LearnerConfig(reward_at=reward_at, **config)
  trajectory = with_result(colorful(0), n1=255)
  reward_fn = agents.make_reward_fn(config, toys.darkness)
  rewards, scale, _ = reward_fn(trajectory, 3.0, EMPTY_SCALE)
  result_reward = reward_fn_lib.make_result_reward(config, toys.darkness)

  def of(canvases):
    return np.asarray(result_reward(canvases, trajectory.target, 3.0, scale))

  results = np.stack([trajectory.canvas[-1], trajectory.canvas[1]])
  found = of(results)
  assert found.shape == (2, B)
  expected = np.asarray(rewards).sum(axis=0)
  if reward_at == 'step':  # What the blank page is worth is not earned.
    begun = of(trajectory.canvas[:1])[0]
    expected = expected + begun
  np.testing.assert_allclose(found[0], expected, rtol=1e-4, atol=1e-4)
  other = with_result(trajectory)._replace(
      canvas=np.concatenate([trajectory.canvas[:-1], results[1:]])
  )
  np.testing.assert_allclose(found[1], of(other.canvas[-1:])[0], rtol=1e-5)
