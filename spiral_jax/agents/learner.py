"""The policy learner: (state, trajectory, score parameters) -> next state.

Axes: T time (commands), B batch, P parts.
"""

from collections.abc import Callable, Sequence
import functools
from typing import NamedTuple, Protocol

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax

from spiral_jax import types
from spiral_jax.agents import agent as agent_lib
from spiral_jax.agents import config as config_lib
from spiral_jax.agents import fit
from spiral_jax.agents import reward_fn as reward_fn_lib
from spiral_jax.agents import sharding
from spiral_jax.losses import policy_gradient
from spiral_jax.losses import rewards as rewards_lib


class LearnerState(NamedTuple):
  """Everything that the policy learner needs to continue."""

  params: types.Params
  opt_state: optax.OptState
  reward_scale: rewards_lib.RunningDeviation
  key: chex.PRNGKey
  # int32 `[]`, commands learned from; no more are counted than int32 holds.
  frames: chex.Array


class Update(Protocol):
  """An update of the policy's parameters."""

  def __call__(
      self,
      state: LearnerState,
      trajectory: types.Trajectory,
      score_params: types.Params = None,
      progress: float | None = None,
  ) -> tuple[LearnerState, types.Logs]:
    """Returns the next state, and logs: scalars `[]` by name.

    Args:
      state: donated; use only the one that is returned.
      trajectory: canvas uint8 (or float in [0, 1]) `[T + 1, B, H, W, C]`,
        action int32 `[T, B]` a part, log_prob and value float32 `[T, B]`, and
        what else `types.Trajectory` says.
      score_params: parameters of the score; None with other rewards.
      progress: how much of the decay to `config.decay_to` is over, from 0 to 1;
        None follows `config.decay_frames`.

    Raises:
      ValueError: if the trajectory does not fit the agent or the rewards, or B
        does not divide into `config.minibatches`.
    """


class Learner(NamedTuple):
  """Functions of a `LearnerState`.

  Attributes:
    init: (key, params=None) -> LearnerState that begins with `params`, or with
      random ones. The key is consumed.
    update: see `Update`. It compiles its own steps and is not to be traced: the
      number of gradient steps may depend on the state.
  """

  init: Callable[..., LearnerState]
  update: Update


def make_learner(
    agent: agent_lib.Agent,
    score: reward_fn_lib.Score | None = None,
    config: config_lib.LearnerConfig = config_lib.LearnerConfig(),
    *,
    blank_page: np.ndarray | int = 255,
    action_costs: Sequence[types.ActionCost] = (),
    optimizer: optax.GradientTransformation | None = None,
    mesh: jax.sharding.Mesh | None = None,
) -> Learner:
  """Returns a learner of `agent`'s parameters.

  Args:
    agent: the agent that learns.
    score: a discriminator's score; None with another `config.reward`.
    config: rewards, algorithm and the default optimizer.
    blank_page: an untouched canvas, uint8 `[H, W, C]` or one value, for
      `config.blank_page_cost`.
    action_costs: costs of values of parts of a command.
    optimizer: replaces Adam and gradient clipping, as `optax.adamw(1e-4)` or
      `optax.adam(schedule)` do. Its updates are multiplied with what is left of
      the decay of `config`, and added to the parameters.
    mesh: devices among which each minibatch is divided; see sharding.py.

  Raises:
    ValueError: if fields of `config` do not fit each other, or `score`.
  """
  _check(config, score)
  if mesh is not None:
    agent = agent._replace(unroll=sharding.shard_unroll(agent.unroll, mesh))
    score = score and sharding.shard_score(score, mesh)
  reward_fn = reward_fn_lib.make_reward_fn(
      config, score, blank_page=blank_page, action_costs=action_costs
  )
  step_size = 1.0
  if optimizer is None:
    step_size = -config.learning_rate
    optimizer = optax.chain(
        _clip_by_global_norm(config.max_gradient_norm),
        optax.scale_by_adam(eps=config.adam_epsilon),
    )
  # A part of one value has no entropy: any share of it is zero.
  maxima = np.log([max(part.num_values, 2) for part in agent.parts]).astype(
      np.float32
  )

  def left_at(frames, progress):
    """Returns what is left of all that decays, a share."""
    if progress is not None:
      return np.float32(1.0 - (1.0 - config.decay_to) * progress)
    if not config.decay_frames:
      return np.float32(1.0)
    progress = frames.astype(jnp.float32) / config.decay_frames
    progress = progress.clip(max=1.0)
    return 1.0 - (1.0 - config.decay_to) * progress

  def num_steps(left):
    """Returns how many gradient steps a batch is for."""
    if config.epochs == 1:
      return config.minibatches
    # The only value that the host may have to wait for.
    epochs = np.ceil(config.epochs * np.asarray(left))
    return config.minibatches * max(1, int(epochs))

  @jax.jit
  def init(
      key: chex.PRNGKey, params: types.Params | None = None
  ) -> LearnerState:
    """Returns the first state; begins with `params`, or with random ones."""
    init_key, key = jax.random.split(key)
    if params is None:
      params = agent.init(init_key)
    return LearnerState(
        params=params,
        opt_state=optimizer.init(params),
        reward_scale=rewards_lib.RunningDeviation.init(),
        key=key,
        frames=jnp.zeros((), jnp.int32),
    )

  @jax.jit
  def prepare(trajectory, score_params, reward_scale, key):
    """Computes what a batch's gradient steps share."""
    rewards, reward_scale, logs = reward_fn(
        trajectory, score_params, reward_scale
    )
    targets = _fixed_targets(trajectory, rewards, config)
    shuffle_key, key = jax.random.split(key)
    order = _minibatches(shuffle_key, trajectory.is_last.shape[1], config)
    return targets, reward_scale, logs, order, key

  @functools.partial(jax.jit, donate_argnums=(0, 1))
  def gradient_step(params, opt_state, left, trajectory, targets, columns):
    loss = functools.partial(
        _LOSSES[config.algorithm],
        agent=agent,
        config=config,
        maxima=maxima,
        entropy_cost=config.entropy_cost * left,
    )
    piece = _take_columns((trajectory, targets), columns)
    gradients, logs = jax.grad(loss, has_aux=True)(params, *piece)
    updates, opt_state = optimizer.update(gradients, opt_state, params)
    rate = step_size * left
    updates = jax.tree.map(lambda u: rate * u, updates)
    logs['gradient_norm'] = optax.tree.norm(gradients)
    params = optax.apply_updates(params, updates)
    return sharding.replicate((params, opt_state, logs), mesh)

  def update(
      state: LearnerState,
      trajectory: types.Trajectory,
      score_params: types.Params = None,
      progress: float | None = None,
  ) -> tuple[LearnerState, types.Logs]:
    fit.check_values(agent.parts, trajectory)
    trajectory = jax.device_put(trajectory)  # Once, not for each step.
    targets, reward_scale, logs, order, key = prepare(
        trajectory, score_params, state.reward_scale, state.key
    )
    params, opt_state = state.params, state.opt_state
    left = left_at(state.frames, progress)
    # A Python loop: inside `lax.scan`, XLA's CPU convolutions run 30 times
    # slower (jaxlib 0.10).
    for columns in order[: num_steps(left)]:
      params, opt_state, step_logs = gradient_step(
          params, opt_state, left, trajectory, targets, columns
      )
    next_state = LearnerState(
        params=params,
        opt_state=opt_state,
        reward_scale=reward_scale,
        key=key,
        frames=_add(state.frames, trajectory.is_last.size),
    )
    return next_state, logs | step_logs

  update.__doc__ = Update.__call__.__doc__
  learner = Learner(init, update)
  return learner if mesh is None else sharding.shard_learner(learner, mesh)


@jax.jit
def _add(frames: chex.Array, more: int) -> chex.Array:
  """Returns a sum of int32 that stays at the largest instead of wrapping."""
  most = jnp.iinfo(jnp.int32).max
  return jnp.where(frames > most - more, most, frames + more)


def _clip_by_global_norm(max_norm: float) -> optax.GradientTransformation:
  """Is `optax.clip_by_global_norm`, by one factor for all gradients.

  XLA computes a product anew where it is used, in Adam's two averages, and
  writes a quotient to memory.
  """

  def clip(gradients, params):
    del params
    factor = jnp.minimum(1.0, max_norm / optax.tree.norm(gradients))
    return jax.tree.map(lambda gradient: factor * gradient, gradients)

  return optax.stateless(clip)


def _discounts(trajectory, config):
  return config.discount * (1.0 - trajectory.is_last.astype(jnp.float32))


def _or_zeros(bootstrap, trajectory):
  """Returns values `[B]`, zeros after whole episodes."""
  if bootstrap is None:
    return jnp.zeros(trajectory.is_last.shape[1:], jnp.float32)
  return bootstrap


def _fixed_targets(trajectory, rewards, config):
  """Returns what the loss of `config.algorithm` is given beside commands."""
  if config.algorithm == 'vtrace':
    return rewards
  targets = policy_gradient.lambda_targets(
      rewards,
      _discounts(trajectory, config),
      trajectory.value,
      _or_zeros(trajectory.bootstrap, trajectory),
      lambda_=config.td_lambda,
  )
  if config.normalize_advantages:
    targets = targets._replace(
        advantages=policy_gradient.normalize(
            targets.advantages, each_time=config.normalize_each_time
        )
    )
  return targets


def _vtrace_loss(params, trajectory, rewards, *, agent, config, **weights):
  """Off-policy actor-critic, one gradient step."""
  out = agent.unroll(params, trajectory)
  targets = policy_gradient.vtrace_targets(
      rewards,
      _discounts(trajectory, config),
      out.value,
      # Like the other values, that of the parameters that learn.
      _or_zeros(
          trajectory.bootstrap if out.bootstrap is None else out.bootstrap,
          trajectory,
      ),
      jax.lax.stop_gradient(out.log_prob) - trajectory.log_prob,
      lambda_=config.td_lambda,
  )
  advantages = targets.advantages
  if config.normalize_advantages:
    advantages = policy_gradient.normalize(
        advantages, each_time=config.normalize_each_time
    )
  policy_loss = policy_gradient.policy_gradient_loss(out.log_prob, advantages)
  return _total(
      policy_loss,
      out,
      trajectory,
      targets,
      agent=agent,
      config=config,
      **weights,
  )


def _clipped_loss(params, trajectory, targets, *, agent, config, **weights):
  """Clipped surrogate on one minibatch; its targets are those of the batch."""
  out = agent.unroll(params, trajectory)
  policy_loss = policy_gradient.clipped_surrogate_loss(
      out.log_prob - trajectory.log_prob, targets.advantages, clip=config.clip
  )
  return _total(
      policy_loss,
      out,
      trajectory,
      targets,
      agent=agent,
      config=config,
      **weights,
  )


_LOSSES: dict[str, Callable] = {
    'vtrace': _vtrace_loss,
    'clipped': _clipped_loss,
}


def _total(
    policy_loss,
    out,
    trajectory,
    targets,
    *,
    agent,
    config,
    maxima,
    entropy_cost,
):
  """Adds the terms that every algorithm has; returns (loss, logs)."""
  value_loss = policy_gradient.value_loss(out.value, targets.returns)
  entropy_shares = policy_gradient.mean_entropy(
      out.entropy, out.is_active, maxima
  )
  entropy = policy_gradient.mean_entropy(out.entropy, out.is_active)
  bonus = entropy_shares if config.entropy_shares else entropy
  total = policy_loss + config.value_cost * value_loss - entropy_cost * bonus
  log_ratio = out.log_prob - trajectory.log_prob
  logs = {
      'loss': total,
      'policy_loss': policy_loss,
      'value_loss': value_loss,
      'value_explained': 1.0
      - 2.0 * value_loss / (jnp.var(targets.returns) + 1e-8),
      'entropy': entropy,
      'entropy_share': entropy_shares
      / jnp.mean(jnp.sum(out.is_active, axis=-1)),
      'log_ratio': jnp.mean(jnp.abs(log_ratio)),
  }
  # A part that no command of the batch gave a meaning has none to share.
  num_active = jnp.maximum(jnp.sum(out.is_active, axis=(0, 1)), 1.0)
  shares = jnp.sum(out.entropy * out.is_active, axis=(0, 1)) / (
      num_active * maxima
  )
  for index, part in enumerate(agent.parts):
    logs[f'entropy_share/{part.name}'] = shares[index]
  return total, logs


def _minibatches(key, batch, config) -> chex.Array:
  """Returns the columns of each gradient step, `[steps, B / minibatches]`."""
  if batch % config.minibatches:
    raise ValueError(
        f'a batch of {batch} episodes does not divide into '
        f'{config.minibatches} minibatches; change batch_size or minibatches'
    )
  orders = [
      jax.random.permutation(epoch_key, batch)
      for epoch_key in jax.random.split(key, config.epochs)
  ]
  return jnp.concatenate(orders).reshape(config.epochs * config.minibatches, -1)


def _take_columns(data, columns):
  """Returns whole episodes: `columns` of the batch axis."""
  trajectory, targets = data

  def timed(x):  # [T, B, ...]
    return x[:, columns]

  def untimed(x):  # [B, ...]
    return x[columns]

  piece = trajectory._replace(
      canvas=timed(trajectory.canvas),
      action=jax.tree.map(timed, trajectory.action),
      log_prob=timed(trajectory.log_prob),
      value=timed(trajectory.value),
      is_last=timed(trajectory.is_last),
      bootstrap=jax.tree.map(untimed, trajectory.bootstrap),
      initial_state=jax.tree.map(untimed, trajectory.initial_state),
      target=jax.tree.map(untimed, trajectory.target),
      noise=jax.tree.map(untimed, trajectory.noise),
  )
  return piece, jax.tree.map(timed, targets)


def _check(
    config: config_lib.LearnerConfig, score: reward_fn_lib.Score | None
) -> None:
  if config.reward == 'discriminator' and score is None:
    raise ValueError(
        "reward is 'discriminator' but there is no score; pass "
        "make_discriminator(...).score, or set reward='l2'"
    )
  if config.algorithm == 'vtrace' and config.epochs * config.minibatches > 1:
    raise ValueError(
        f'epochs={config.epochs}, minibatches={config.minibatches} need '
        "algorithm='clipped'; 'vtrace' takes one step a batch"
    )
  if config.normalize_each_time and not config.normalize_advantages:
    raise ValueError(
        'normalize_each_time is set without normalize_advantages; set both, or '
        'neither'
    )
