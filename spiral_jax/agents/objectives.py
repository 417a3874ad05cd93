"""The losses of the policy on a batch of trajectories, by algorithm.

Axes: T time (commands), B batch, P parts of a command.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

from spiral_jax.losses import imitation
from spiral_jax.losses import policy_gradient


def _discounts(trajectory, config):
  return config.discount * (1.0 - trajectory.is_last.astype(jnp.float32))


def _or_zeros(bootstrap, trajectory):
  """Returns values `[B]`, zeros after whole episodes."""
  if bootstrap is None:
    return jnp.zeros(trajectory.is_last.shape[1:], jnp.float32)
  return bootstrap


def fixed_targets(trajectory, rewards, config):
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


def policy_loss(
    params, trajectory, targets, advice, *, agent, config, **weights
):
  """Returns the loss of a minibatch, `[]`, and logs.

  Args:
    params: parameters of the policy.
    trajectory: commands `[T, B]` of the minibatch.
    targets: what `fixed_targets` returned, of the same episodes.
    advice: an `imitation.Advice` of the same episodes, or None.
    agent: the agent that learns.
    config: says by which algorithm.
    **weights: `maxima` `[P]`, largest entropies of parts in nats,
      `entropy_cost`, and `colors`, names of the parts whose advice is imitated;
      that of the others is compared.
  """
  out = agent.unroll(
      params, trajectory, advice=None if advice is None else advice.values
  )
  loss, targets = _ALGORITHMS[config.algorithm](
      out, trajectory, targets, config
  )
  return _total(
      loss,
      out,
      trajectory,
      targets,
      advice,
      agent=agent,
      config=config,
      **weights,
  )


def _vtrace(out, trajectory, rewards, config):
  """Off-policy actor-critic, one gradient step; returns (loss, targets)."""
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
  loss = policy_gradient.policy_gradient_loss(out.log_prob, advantages)
  return loss, targets


def _clipped(out, trajectory, targets, config):
  """Clipped surrogate, with the targets of the batch; returns the same."""
  loss = policy_gradient.clipped_surrogate_loss(
      out.log_prob - trajectory.log_prob, targets.advantages, clip=config.clip
  )
  return loss, targets


_ALGORITHMS: dict[str, Callable] = {'vtrace': _vtrace, 'clipped': _clipped}


def _total(
    loss,
    out,
    trajectory,
    targets,
    advice,
    *,
    agent,
    config,
    maxima,
    entropy_cost,
    colors,
):
  """Adds the terms that every algorithm has; returns (loss, logs)."""
  value_loss = policy_gradient.value_loss(out.value, targets.returns)
  entropy_shares = policy_gradient.mean_entropy(
      out.entropy, out.is_active, maxima
  )
  entropy = policy_gradient.mean_entropy(out.entropy, out.is_active)
  bonus = entropy_shares if config.entropy_shares else entropy
  total = loss + config.value_cost * value_loss - entropy_cost * bonus
  logs = {}
  if colors:
    is_color = np.array([part.name in colors for part in agent.parts])
    logs['color_nll'] = imitation.imitation_loss(
        jnp.sum(out.advice_log_prob * is_color, axis=-1)
    )
    total += config.best_colors_weight * logs['color_nll']
  if advice is not None and advice.gain is not None:
    logs['corrections'] = imitation.preference_loss(
        out.advice_log_prob - out.part_log_prob, advice.gain
    )
    total += config.corrections_weight * logs['corrections']
  log_ratio = out.log_prob - trajectory.log_prob
  logs |= {
      'loss': total,
      'policy_loss': loss,
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
