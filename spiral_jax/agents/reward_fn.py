"""From the canvases of a trajectory to rewards of its commands.

Axes: T time (commands), B batch, N images, H height, W width, C channels.
"""

from collections.abc import Callable, Sequence
from typing import Protocol

import chex
import jax
import jax.numpy as jnp
import numpy as np

from spiral_jax import types
from spiral_jax.agents import config as config_lib
from spiral_jax.agents import fit
from spiral_jax.losses import color
from spiral_jax.losses import images as images_lib
from spiral_jax.losses import rewards as rewards_lib


class Score(Protocol):
  """A discriminator: higher scores are closer to the data."""

  def __call__(
      self,
      params: types.Params,
      images: chex.Array,
      targets: chex.Array | None = None,
  ) -> chex.Array:
    """Maps images, and targets or None, `[N, H, W, C]`, to scores `[N]`.

    Images are floats in [0, 1]; a discriminator's own score takes uint8, too.
    """


class RewardFn(Protocol):
  """A pure function, made by `make_reward_fn`."""

  def __call__(
      self,
      trajectory: types.Trajectory,
      score_params: types.Params,
      reward_scale: rewards_lib.RunningDeviation,
  ) -> tuple[chex.Array, rewards_lib.RunningDeviation, types.Logs]:
    """Returns rewards `[T, B]`, the next reward scale, and logs.

    No gradient flows through the rewards.

    Args:
      trajectory: T commands on B canvases.
      score_params: parameters of the score; None with other rewards.
      reward_scale: statistics of the rewards so far.

    Raises:
      ValueError: when traced, if a target is needed and there is none, or the
        arrays of the trajectory are not of one T, B and shape of canvases.
    """


class ResultReward(Protocol):
  """A pure function, made by `make_result_reward`."""

  def __call__(
      self,
      results: chex.Array,
      target: chex.Array | None,
      score_params: types.Params,
      reward_scale: rewards_lib.RunningDeviation,
  ) -> chex.Array:
    """Returns rewards `[K, B]`, in units of those of an episode.

    Args:
      results: final canvases, uint8 `[K, B, H, W, C]`.
      target: `[B, H, W, C]`; None without targets.
      score_params: parameters of the score; None with other rewards.
      reward_scale: statistics of the rewards so far.
    """


# Scores that need no discriminator: (canvas, target), `[..., H, W, C]` each ->
# scores `[...]`.
_DISTANCES: dict[str, Callable[..., chex.Array]] = {
    'l2': rewards_lib.negative_l2,
    'multiscale_l2': rewards_lib.negative_multiscale_l2,
    'log_l2': rewards_lib.negative_log_l2,
    'euclidean': rewards_lib.negative_euclidean,
}


def make_reward_fn(
    config: config_lib.LearnerConfig,
    score: Score | None = None,
    *,
    blank_page: np.ndarray | int = 255,
    action_costs: Sequence[types.ActionCost] = (),
) -> RewardFn:
  """Returns the rewards of `config`.

  Args:
    config: says what is rewarded, and when.
    score: score of a discriminator; None with another `config.reward`.
    blank_page: an untouched canvas, uint8 `[H, W, C]` or one value, for
      `config.blank_page_cost`.
    action_costs: costs of values of parts of a command; those of weight 0 are
      left out.
  """
  action_costs = [cost for cost in action_costs if cost.weight]

  def reward_fn(trajectory, score_params, reward_scale):
    fit.check_trajectory(trajectory)
    canvas, target = _images(trajectory, config)
    scores = _scores(config, score, score_params, canvas, target)
    rewards = _credit(scores, trajectory.is_last, config)
    reward_scale = _update_scale(
        reward_scale, scores, rewards, trajectory.is_last, config
    )
    logs = {
        'score': jnp.mean(scores[-1]),
        'reward_deviation': reward_scale.deviation(),
    }
    if target is not None:
      logs['l2'] = -jnp.mean(rewards_lib.negative_l2(canvas[-1], target))
    if config.scale_rewards:
      rewards = rewards / reward_scale.deviation()
    for cost in action_costs:
      penalty = _action_penalty(cost, trajectory)
      rewards += cost.weight * penalty
      logs[f'{cost.name}s'] = -jnp.mean(jnp.sum(penalty, axis=0))
    if config.blank_page_cost:
      penalty = rewards_lib.blank_page_penalties(
          trajectory.canvas[-1], blank_page, trajectory.is_last
      )
      rewards += config.blank_page_cost * penalty
      logs['blank_pages'] = -jnp.mean(jnp.sum(penalty, axis=0))
    if config.color_cost:
      distance = color.earth_movers_distance(
          canvas, target, bins=config.color_bins
      )
      penalty = _credit(-distance, trajectory.is_last, config)
      rewards += config.color_cost * penalty
      logs['color_distance'] = jnp.mean(distance[-1])
    logs['reward'] = jnp.mean(jnp.sum(rewards, axis=0))
    return jax.lax.stop_gradient(rewards), reward_scale, logs

  return reward_fn


def make_result_reward(
    config: config_lib.LearnerConfig,
    score: Score | None = None,
    *,
    blank_page: np.ndarray | int = 255,
) -> ResultReward:
  """Returns the rewards of `config` for results, whichever commands drew them.

  Args:
    config: says what is rewarded.
    score: as for `make_reward_fn`.
    blank_page: as for `make_reward_fn`.
  """

  def result_reward(results, target, score_params, reward_scale):
    canvas = images_lib.to_float(results, 'canvases')
    if target is not None:
      target = images_lib.to_float(target, 'targets')
    reward = _scores(config, score, score_params, canvas, target)
    if config.scale_rewards:
      reward = reward / reward_scale.deviation()
    if config.blank_page_cost:
      penalty = rewards_lib.blank_page_penalties(
          results.reshape(-1, *results.shape[2:]),
          blank_page,
          jnp.ones((1, reward.size), bool),
      )
      reward += config.blank_page_cost * penalty.reshape(reward.shape)
    if config.color_cost:
      reward -= config.color_cost * color.earth_movers_distance(
          canvas, target, bins=config.color_bins
      )
    return jax.lax.stop_gradient(reward)

  return result_reward


def _images(trajectory, config):
  """Returns the canvases that are scored, and the target, as floats.

  Canvases are `[1, B, ...]`, the results, or `[T + 1, B, ...]`.
  """
  canvas, target = trajectory.canvas, trajectory.target
  if config.reward_at == 'end':
    canvas = canvas[-1:]
  if target is not None:
    return (
        images_lib.to_float(canvas, 'canvases'),
        images_lib.to_float(target, 'targets'),
    )
  if config.reward in _DISTANCES:
    raise ValueError(
        f'reward is {config.reward!r} but the trajectory has no target; make '
        "the agent conditional, or set reward='discriminator'"
    )
  if config.color_cost:
    raise ValueError(
        f'color_cost is {config.color_cost} but the trajectory has no target '
        'whose colors it could have; make the agent conditional, or set '
        'color_cost=0'
    )
  return images_lib.to_float(canvas, 'canvases'), None


def _scores(config, score, score_params, canvas, target):
  """Returns the scores `[T, B]` of canvases `[T, B, H, W, C]`."""
  if config.reward in _DISTANCES:
    return _DISTANCES[config.reward](canvas, target)
  flat = canvas.reshape(-1, *canvas.shape[2:])
  if target is not None:
    target = jnp.broadcast_to(target, canvas.shape).reshape(flat.shape)
  return score(score_params, flat, target).reshape(canvas.shape[:2])


def _credit(scores, is_last, config):
  """Returns each command's share `[T, B]` in the scores of canvases."""
  if config.reward_at == 'end':
    return rewards_lib.final_rewards(scores[0], is_last)
  return rewards_lib.difference_rewards(scores)


def _update_scale(reward_scale, scores, rewards, is_last, config):
  """Returns statistics that include this trajectory, if it has rewards."""
  updated = reward_scale.update(
      scores[0] if config.reward_at == 'end' else rewards
  )
  has_rewards = config.reward_at == 'step' or jnp.any(is_last)
  return jax.tree.map(
      lambda new, old: jnp.where(has_rewards, new, old), updated, reward_scale
  )


def _action_penalty(cost, trajectory):
  """Returns -1 where a command has what costs, `[T, B]`."""
  has_value = trajectory.action[cost.part] == cost.value
  if not cost.only_starts:
    return -has_value.astype(jnp.float32)
  had_value = trajectory.initial_state.previous[cost.part] == cost.value
  return rewards_lib.start_penalties(has_value, had_value)
