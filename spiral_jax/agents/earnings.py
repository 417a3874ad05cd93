"""What the commands of a trajectory earn: from its canvases to rewards.

Axes: T time (commands), B batch, N images, H height, W width, C channels.
"""

from collections.abc import Callable

import chex
import jax
import jax.numpy as jnp
import numpy as np

from spiral_jax import types
from spiral_jax.agents import agent as agent_lib
from spiral_jax.agents import config as config_lib
from spiral_jax.losses import colour
from spiral_jax.losses import rewards as rewards_lib

# (score parameters, canvases float [N, H, W, C], targets likewise or None)
# -> scores [N].
Score = Callable[[types.Params, chex.Array, chex.Array | None], chex.Array]

# Other scores: (canvases, targets), `[..., H, W, C]` -> scores `[...]`.
_DISTANCES: dict[str, Callable[..., chex.Array]] = {
    'l2': rewards_lib.negative_l2,
    'log_l2': rewards_lib.negative_log_l2,
}


def earn(
    trajectory: types.Trajectory,
    score: Score | None,
    score_params: types.Params,
    reward_scale: rewards_lib.RunningDeviation,
    config: config_lib.LearnerConfig,
    blank_page: np.ndarray | int,
) -> tuple[chex.Array, rewards_lib.RunningDeviation, types.Logs]:
  """Returns rewards `[T, B]`, the next scale of rewards, and logs.

  No gradient flows through the rewards.

  Args:
    trajectory: of T commands on B canvases.
    score: of a discriminator; None if `config.reward` is another.
    score_params: its parameters.
    reward_scale: of the rewards so far.
    config: says what earns how much.
    blank_page: what an untouched canvas is, uint8 `[H, W, C]` or one value.

  Raises:
    ValueError: if a target is needed and the trajectory has none.
  """
  target = trajectory.target
  if config.reward_at == 'end':
    canvas = trajectory.canvas[-1:]
  else:
    canvas = trajectory.canvas
  canvas = agent_lib.to_float(canvas)
  if target is not None:
    target = agent_lib.to_float(target)
  elif config.reward in _DISTANCES:
    raise ValueError(
        f'reward is {config.reward!r} but the trajectory has no target; make '
        'the '
        "agent conditional, or set reward='discriminator'"
    )
  elif config.colour_cost:
    raise ValueError(
        f'colour_cost is {config.colour_cost} but the trajectory has no target '
        'whose colours it could have; make the agent conditional, or set '
        'colour_cost=0'
    )
  if config.reward in _DISTANCES:
    scores = _DISTANCES[config.reward](canvas, target)
  else:
    scores = _score_all(score, score_params, canvas, target)
  rewards = _credit(scores, trajectory.is_last, config)
  updated = reward_scale.update(
      scores[0] if config.reward_at == 'end' else rewards
  )
  earns = config.reward_at == 'step' or jnp.any(trajectory.is_last)
  reward_scale = jax.tree.map(
      lambda new, old: jnp.where(earns, new, old), updated, reward_scale
  )
  logs = {
      'score': jnp.mean(scores[-1]),
      'reward_deviation': reward_scale.deviation(),
  }
  if target is not None:
    logs['l2'] = -jnp.mean(rewards_lib.negative_l2(canvas[-1], target))
  if config.scale_rewards:
    rewards = rewards / reward_scale.deviation()
  if config.stroke_start_cost:
    paints = trajectory.action['flag'] == 1
    was_painting = trajectory.initial_state.previous['flag'] == 1
    penalty = rewards_lib.stroke_start_penalties(paints, was_painting)
    rewards += config.stroke_start_cost * penalty
    logs['stroke_starts'] = -jnp.mean(jnp.sum(penalty, axis=0))
  if config.blank_page_cost:
    penalty = rewards_lib.blank_page_penalties(
        trajectory.canvas[-1], blank_page, trajectory.is_last
    )
    rewards += config.blank_page_cost * penalty
    logs['blank_pages'] = -jnp.mean(jnp.sum(penalty, axis=0))
  if config.object_cost:
    adds = (trajectory.action['kind'] == 0).astype(jnp.float32)  # 0: add.
    rewards -= config.object_cost * adds
    logs['objects'] = jnp.mean(jnp.sum(adds, axis=0))
  if config.colour_cost:
    distance = colour.earth_movers_distance(
        canvas, target, bins=config.colour_bins
    )
    penalty = _credit(-distance, trajectory.is_last, config)
    rewards += config.colour_cost * penalty
    logs['colour_distance'] = jnp.mean(distance[-1])
  logs['reward'] = jnp.mean(jnp.sum(rewards, axis=0))
  return jax.lax.stop_gradient(rewards), reward_scale, logs


def _credit(scores, is_last, config):
  """Returns the share of each command, `[T, B]`, in scores of canvases."""
  if config.reward_at == 'end':
    return rewards_lib.final_rewards(scores[0], is_last)
  return rewards_lib.difference_rewards(scores)


def _score_all(score, score_params, canvas, target):
  """Returns the scores `[T, B]` of canvases `[T, B, H, W, C]`."""
  flat = canvas.reshape(-1, *canvas.shape[2:])
  if target is not None:
    target = jnp.broadcast_to(target, canvas.shape).reshape(flat.shape)
  return score(score_params, flat, target).reshape(canvas.shape[:2])
