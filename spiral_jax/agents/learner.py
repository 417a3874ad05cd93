"""The policy learner: (state, trajectory, score parameters) -> next state.

Axes: T time (commands), B batch, P parts.
"""

from collections.abc import Callable, Mapping, Sequence
import copy
import functools
from typing import NamedTuple, Protocol

import chex
import jax
from jax import flatten_util
import jax.numpy as jnp
import numpy as np
import optax

from spiral_jax import types
from spiral_jax.agents import agent as agent_lib
from spiral_jax.agents import config as config_lib
from spiral_jax.agents import fit
from spiral_jax.agents import imitation
from spiral_jax.agents import objectives
from spiral_jax.agents import reward_fn as reward_fn_lib
from spiral_jax.agents import sharding
from spiral_jax.agents import shared
from spiral_jax.losses import rewards as rewards_lib


class LearnerState(NamedTuple):
  """Everything that the policy learner needs to continue."""

  params: types.Params
  opt_state: optax.OptState
  reward_scale: rewards_lib.RunningDeviation
  key: chex.PRNGKey
  # int32 `[]`, commands learned from; no more are counted than int32 holds.
  frames: chex.Array


class Factors(NamedTuple):
  """Factors of settings of the config, scalars `[]`.

  They may be traced, and so differ between the members of a population that is
  one program.
  """

  learning_rate: chex.Array | float = 1.0
  entropy_cost: chex.Array | float = 1.0


class Update(Protocol):
  """An update of the policy's parameters."""

  def __call__(
      self,
      state: LearnerState,
      trajectory: types.Trajectory | None,
      score_params: types.Params = None,
      progress: float | None = None,
      lessons: Mapping[str, types.Lesson] | None = None,
      factors: Factors = Factors(),
  ) -> tuple[LearnerState, types.Logs]:
    """Returns the next state, and logs: scalars `[]` by name.

    It may be traced, by `jax.jit` or `jax.vmap`; then it holds all gradient
    steps of `config.epochs`, and leaves out those that the decay takes.

    Args:
      state: donated; use only the one that is returned.
      trajectory: canvas uint8 (or float in [0, 1]) `[T + 1, B, H, W, C]`,
        action int32 `[T, B]` a part, log_prob and value float32 `[T, B]`, and
        what else `types.Trajectory` says. None if neither rewards nor hindsight
        have a weight.
      score_params: parameters of the score; None with other rewards.
      progress: how much of the decay to `config.decay_to` is over, from 0 to 1;
        None follows `config.decay_frames`.
      lessons: programs to imitate, of the same B, by source: `dreams` and
        `memory`, if these have weights.
      factors: factors of settings, beside the decay.

    Raises:
      ValueError: if trajectory or lessons are missing, not expected, or do not
        fit the agent, the rewards or each other; or B does not divide into
        `config.minibatches`.
    """


class Learner(NamedTuple):
  """Functions of a `LearnerState`.

  Attributes:
    init: (key, params=None) -> LearnerState that begins with `params`, or with
      random ones. The key is consumed.
    update: see `Update`. It compiles its own steps, and asks the state how many
      there are, unless it is traced.
  """

  init: Callable[..., LearnerState]
  update: Update


@shared.shared
def make_learner(
    agent: agent_lib.Agent,
    score: reward_fn_lib.Score | None = None,
    config: config_lib.LearnerConfig = config_lib.LearnerConfig(),
    *,
    blank_page: np.ndarray | int = 255,
    action_costs: Sequence[types.ActionCost] = (),
    colors: tuple[str, ...] = (),
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
    colors: names of the parts that are the color which a command lays over what
      is there, for `config.best_colors_weight`; see `core.Task`.
    optimizer: replaces Adam and gradient clipping, as `optax.adamw(1e-4)` or
      `optax.adam(schedule)` do. Its updates are multiplied with what is left of
      the decay of `config`, and added to the parameters.
    mesh: devices among which each minibatch is divided; see sharding.py.

  Raises:
    ValueError: if fields of `config` do not fit each other, or `score`.
  """
  _check(config, score)
  if not config.best_colors_weight:
    colors = ()
  elif not colors:
    raise ValueError(
        f'best_colors_weight is {config.best_colors_weight} and no part of a '
        'command is said to be its color; paint in color, or set it to 0'
    )
  if mesh is not None:
    agent = agent._replace(unroll=sharding.shard_unroll(agent.unroll, mesh))
    score = score and sharding.shard_score(score, mesh)
  blank_page = copy.copy(blank_page)  # Its owner may draw on it.
  reward_fn = reward_fn_lib.make_reward_fn(
      config,
      score,
      blank_page=blank_page,
      action_costs=action_costs,
  )
  result_reward = reward_fn_lib.make_result_reward(
      config, score, blank_page=blank_page
  )
  # All parameters as one vector: operations for each would all be compiled.
  takes_vector = optimizer is None
  step_size = 1.0
  if optimizer is None:
    step_size = -config.learning_rate
    optimizer = optax.chain(
        optax.clip_by_global_norm(config.max_gradient_norm),
        optax.scale_by_adam(eps=config.adam_epsilon),
    )
  # A part of one value has no entropy: any share of it is zero.
  maxima = np.log([max(part.num_values, 2) for part in agent.parts]).astype(
      np.float32
  )

  def left_at(frames, progress):
    """Returns what is left of all that decays, a share."""
    if isinstance(progress, jax.core.Tracer):
      return (1.0 - (1.0 - config.decay_to) * progress).astype(jnp.float32)
    if progress is not None:
      return np.float32(1.0 - (1.0 - config.decay_to) * progress)
    if not config.decay_frames:
      return np.float32(1.0)
    progress = frames.astype(jnp.float32) / config.decay_frames
    progress = progress.clip(max=1.0)
    return 1.0 - (1.0 - config.decay_to) * progress

  def num_steps(left):
    """Returns how many gradient steps a batch is for, perhaps traced."""
    if config.epochs == 1:
      return config.minibatches
    if isinstance(left, jax.core.Tracer):
      epochs = jnp.ceil(config.epochs * left).astype(jnp.int32)
      return config.minibatches * jnp.maximum(1, epochs)
    # The only value that the host may have to wait for.
    epochs = np.ceil(config.epochs * np.asarray(left))
    return config.minibatches * max(1, int(epochs))

  def init(
      key: chex.PRNGKey, params: types.Params | None = None
  ) -> LearnerState:
    """Returns the first state; begins with `params`, or with random ones."""
    init_key, key = jax.random.split(key)
    if params is None:
      params = agent.init(init_key)
    return begin(key, params)

  @jax.jit
  def begin(key: chex.PRNGKey, params: types.Params) -> LearnerState:
    """Returns the first state with these parameters."""
    return LearnerState(
        params=params,
        opt_state=optimizer.init(
            flatten_util.ravel_pytree(params)[0] if takes_vector else params
        ),
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
    targets = objectives.fixed_targets(trajectory, rewards, config)
    advice = None
    if config.corrections_weight:
      canvas = trajectory.alternatives.canvas
      reward = result_reward(
          jnp.concatenate([trajectory.canvas[-1:], canvas]),
          trajectory.target,
          score_params,
          reward_scale,
      )
      advice = imitation.compare(
          trajectory, reward[1:] - reward[:1], agent.parts, colors
      )
    if config.best_colors_weight:
      best = imitation.best_colors(trajectory, agent.parts, colors)
      advice = advice or imitation.Advice({})
      advice = advice._replace(values={**advice.values, **best})
    shuffle_key, key = jax.random.split(key)
    order = _minibatches(shuffle_key, trajectory.is_last.shape[1], config)
    return targets, advice, reward_scale, logs, order, key

  @functools.partial(jax.jit, static_argnums=0)
  def shuffle(batch, key):
    """Does as `prepare`, where no rewards are learned from."""
    shuffle_key, key = jax.random.split(key)
    return _minibatches(shuffle_key, batch, config), key

  def objective(params, entropy_factor, rewarded, lessons):
    """Returns the loss of a minibatch, and logs."""
    total, logs = 0.0, {}
    if rewarded is not None:
      loss, logs = objectives.policy_loss(
          params,
          *rewarded,
          agent=agent,
          config=config,
          maxima=maxima,
          entropy_cost=config.entropy_cost * entropy_factor,
          colors=colors,
      )
      total += config.reward_weight * loss
    for source, lesson in lessons.items():
      loss = imitation.lesson_loss(params, agent, lesson)
      total += config.lesson_weights[source] * loss
      logs[f'{source}_nll'] = loss
    return total, logs | {'loss': total}

  @functools.partial(jax.jit, donate_argnums=(0, 1))
  def gradient_step(params, opt_state, factors, rewarded, lessons, columns):
    piece = rewarded and _take_columns(rewarded, columns)
    lessons = {
        source: imitation.take_columns(lesson, columns)
        for source, lesson in lessons.items()
    }
    gradients, logs = jax.grad(objective, has_aux=True)(
        params, factors.entropy_cost, piece, lessons
    )
    vector, _ = flatten_util.ravel_pytree(gradients)
    logs['gradient_norm'] = optax.tree.norm(vector)
    if takes_vector:
      updates, opt_state = optimizer.update(vector, opt_state)
    else:
      updates, opt_state = optimizer.update(gradients, opt_state, params)
      updates, _ = flatten_util.ravel_pytree(updates)
    numbers, unravel = flatten_util.ravel_pytree(params)
    params = unravel(numbers + step_size * factors.learning_rate * updates)
    return sharding.replicate((params, opt_state, logs), mesh)

  def update(
      state: LearnerState,
      trajectory: types.Trajectory | None,
      score_params: types.Params = None,
      progress: float | None = None,
      lessons: Mapping[str, types.Lesson] | None = None,
      factors: Factors = Factors(),
  ) -> tuple[LearnerState, types.Logs]:
    taught = dict(lessons or {})
    fit.check_batch(config, agent.parts, trajectory, taught)
    # Once, not for each step; leaf by leaf, or `jax.vmap` fails (JAX 0.10).
    trajectory, taught = jax.tree.map(jax.device_put, (trajectory, taught))
    if config.hindsight_weight:
      taught['hindsight'] = imitation.hindsight(trajectory)
    params, opt_state = state.params, state.opt_state
    reward_scale, rewarded = state.reward_scale, None
    logs: types.Logs = {}
    if config.reward_weight:
      targets, advice, reward_scale, logs, order, key = prepare(
          trajectory, score_params, state.reward_scale, state.key
      )
      rewarded = (trajectory, targets, advice)
    else:
      batch = next(iter(taught.values())).canvas.shape[1]
      order, key = shuffle(batch, state.key)
    left = left_at(state.frames, progress)
    factors = Factors(*(left * factor for factor in factors))
    steps = num_steps(left)
    known = isinstance(steps, int)
    # A Python loop: inside `lax.scan`, XLA's CPU convolutions run 30 times
    # slower (jaxlib 0.10).
    step_logs: types.Logs = {}
    for index, columns in enumerate(order[:steps] if known else order):
      step = functools.partial(
          gradient_step,
          factors=factors,
          rewarded=rewarded,
          lessons=taught,
          columns=columns,
      )
      if known or index < config.minibatches:
        params, opt_state, step_logs = step(params, opt_state)
      else:
        params, opt_state, step_logs = jax.lax.cond(
            index < steps,
            lambda state, step=step: step(*state[:2]),
            lambda state: state,
            (params, opt_state, step_logs),
        )
    next_state = LearnerState(
        params=params,
        opt_state=opt_state,
        reward_scale=reward_scale,
        key=key,
        frames=_add(state.frames, types.num_commands(trajectory, taught)),
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
  trajectory, targets, advice = data

  def timed(x):  # [T, B, ...]
    return jnp.take(x, columns, axis=1, mode='clip')

  def untimed(x):  # [B, ...]
    return jnp.take(x, columns, axis=0, mode='clip')

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
      alternatives=None,  # The advice has what is learned from them.
  )
  return piece, *jax.tree.map(timed, (targets, advice))


def _check(
    config: config_lib.LearnerConfig, score: reward_fn_lib.Score | None
) -> None:
  needs_score = config.reward == 'discriminator' and config.reward_weight
  if needs_score and score is None:
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
