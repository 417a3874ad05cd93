"""Actor-critic losses: pure functions of arrays.

Axes: T time (commands), B batch, P parts of a command. Rewards, discounts and
log-probabilities at index t belong to command t; `values[t]` belongs to the
observation before it. The discount is 0 at the last command of an episode, so
that nothing leaks into the next one.
"""

from typing import NamedTuple

import chex
import jax
import jax.numpy as jnp


class Targets(NamedTuple):
  """Learning targets, `[T, B]` each; no gradient flows through them."""

  advantages: chex.Array  # Weights of the log-probabilities' gradients.
  returns: chex.Array  # Targets of the value function.


def vtrace_targets(
    rewards: chex.Array,
    discounts: chex.Array,
    values: chex.Array,
    bootstrap: chex.Array,
    log_ratios: chex.Array,
    *,
    lambda_: float = 1.0,
    clip_rho: float = 1.0,
) -> Targets:
  """Returns V-trace targets (Espeholt et al., arXiv:1802.01561, eq. 1).

  With `log_ratios` of zero and `lambda_` of one these are the Monte-Carlo
  returns and advantages of plain A2C (eq. 3 of Ganin et al.).

  Args:
    rewards: rewards `[T, B]`.
    discounts: discounts `[T, B]`, 0 at the end of an episode.
    values: value estimates `[T, B]`.
    bootstrap: value of the canvas after the last command, `[B]`.
    log_ratios: log-prob of the learner minus that of the behavior, `[T, B]`.
    lambda_: 1 for full returns, 0 for one-step targets, or in between.
    clip_rho: upper bound of the importance weights, no unit.

  Raises:
    AssertionError: when traced, if the shapes differ.
  """
  import rlax  # Late: importing takes a second, and only learners need it.

  chex.assert_equal_shape([rewards, discounts, values, log_ratios])
  next_values = jnp.concatenate([values[1:], bootstrap[None]])

  def targets(*sequences):  # Sequences of one canvas, `[T]` each.
    return rlax.vtrace_td_error_and_advantage(
        *sequences,
        lambda_=lambda_,
        clip_rho_threshold=clip_rho,
        clip_pg_rho_threshold=clip_rho,
    )

  out = jax.vmap(targets, in_axes=1, out_axes=1)(
      values, next_values, rewards, discounts, jnp.exp(log_ratios)
  )
  return jax.lax.stop_gradient(
      Targets(advantages=out.pg_advantage, returns=out.errors + values)
  )


def lambda_targets(
    rewards: chex.Array,
    discounts: chex.Array,
    values: chex.Array,
    bootstrap: chex.Array,
    *,
    lambda_: float = 0.95,
) -> Targets:
  """Returns generalized advantages (Schulman et al., arXiv:1506.02438).

  Args:
    rewards: rewards `[T, B]`.
    discounts: discounts `[T, B]`, 0 at the end of an episode.
    values: value estimates `[T, B]`.
    bootstrap: value of the canvas after the last command, `[B]`.
    lambda_: 1 for Monte-Carlo returns, 0 for one-step differences.

  Raises:
    AssertionError: when traced, if the shapes differ.
  """
  import rlax  # Late, as above.

  chex.assert_equal_shape([rewards, discounts, values])
  all_values = jnp.concatenate([values, bootstrap[None]])
  advantages = jax.vmap(
      lambda r, d, v: rlax.truncated_generalized_advantage_estimation(
          r, d, lambda_, v, stop_target_gradients=True
      ),
      in_axes=1,
      out_axes=1,
  )(rewards, discounts, all_values)
  return jax.lax.stop_gradient(Targets(advantages, advantages + values))


def normalize(
    advantages: chex.Array, *, each_time: bool = False, minimum: float = 1e-6
) -> chex.Array:
  """Returns `advantages` `[T, B]` with mean 0 at each time and deviation 1.

  The mean at each time acts as a baseline. Episodes are in step, so a drift of
  the learned score (that of the blank page, say) would otherwise push all first
  commands alike. B must be at least 2: centering a single episode leaves zeros.

  Args:
    advantages: advantages `[T, B]`.
    each_time: whether to scale to deviation 1 at each time, not over all times.
      Commands that hardly affect the score then get gradients as large as
      others, instead of being left to the entropy bonus.
    minimum: constant added to the deviation, in units of the advantages.
  """
  centered = advantages - jnp.mean(advantages, axis=1, keepdims=True)
  axis = 1 if each_time else None
  deviation = jnp.std(centered, axis=axis, keepdims=True)
  return centered / (deviation + minimum)


def policy_gradient_loss(
    log_probs: chex.Array, advantages: chex.Array
) -> chex.Array:
  """Returns minus the mean of log-prob times advantage, a scalar `[]`.

  Eq. 3 of Ganin et al. (arXiv:1804.01118).

  Args:
    log_probs: log-probabilities `[T, B]`, with gradients.
    advantages: advantages `[T, B]`.
  """
  chex.assert_equal_shape([log_probs, advantages])
  return -jnp.mean(log_probs * jax.lax.stop_gradient(advantages))


def clipped_surrogate_loss(
    log_ratios: chex.Array, advantages: chex.Array, *, clip: float = 0.2
) -> chex.Array:
  """Returns eq. 7 of Schulman et al. (arXiv:1707.06347), negated, `[]`.

  Its gradient at `log_ratios` of zero is that of `policy_gradient_loss`.

  Args:
    log_ratios: log-prob of the learner (with gradients) minus that of the
      behavior, `[T, B]`.
    advantages: advantages `[T, B]`.
    clip: epsilon, the largest deviation of a ratio from 1 that is rewarded, no
      unit.
  """
  chex.assert_equal_shape([log_ratios, advantages])
  ratios = jnp.exp(log_ratios)
  advantages = jax.lax.stop_gradient(advantages)
  clipped = jnp.clip(ratios, 1.0 - clip, 1.0 + clip)
  return -jnp.mean(jnp.minimum(ratios * advantages, clipped * advantages))


def value_loss(values: chex.Array, returns: chex.Array) -> chex.Array:
  """Returns half the mean squared error of `values` `[T, B]`, a scalar `[]`."""
  chex.assert_equal_shape([values, returns])
  return 0.5 * jnp.mean((values - jax.lax.stop_gradient(returns)) ** 2)


def mean_entropy(
    entropies: chex.Array,
    is_active: chex.Array,
    maxima: chex.Array | None = None,
) -> chex.Array:
  """Returns the mean entropy of a command, summed over active parts, `[]`.

  Args:
    entropies: entropy of each part, `[T, B, P]`, nats.
    is_active: 1 where a part has a meaning, else 0, `[T, B, P]`.
    maxima: largest entropy of each part, `[P]`, to divide by, so that a part of
      1,024 values weighs no more than a part of 2; None means no division.
  """
  chex.assert_equal_shape([entropies, is_active])
  if maxima is not None:
    entropies = entropies / maxima
  return jnp.mean(jnp.sum(entropies * is_active, axis=-1))
