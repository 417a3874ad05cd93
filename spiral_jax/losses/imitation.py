"""Maximum likelihood of given programs, and preference of better ones.

Axes: T time (commands), B batch, P parts of a command.
"""

import chex
import jax
import jax.numpy as jnp


def imitation_loss(log_prob: chex.Array) -> chex.Array:
  """Returns the mean negative log-likelihood of commands, nats, `[]`.

  It is the loss of both phases of wake-sleep (Hinton et al., 1995): of the
  recognition model on dreams, and of the generative model on what was
  recognized.

  Args:
    log_prob: log-probabilities of the commands that are imitated, `[T, B]`.

  Raises:
    AssertionError: when traced, if this is not `[T, B]`.
  """
  chex.assert_rank(log_prob, 2)
  return -jnp.mean(log_prob)


def preference_loss(log_ratio: chex.Array, gain: chex.Array) -> chex.Array:
  """Returns the mean over commands of what preferring the worse costs, `[]`.

  Of two values of a part of a command, with all else alike, one leads to a
  better result. The logistic loss of Bradley and Terry (1952) says that it is
  the likelier one, with the difference of the results for its weight.

  Args:
    log_ratio: log-probability of the one less that of the other, `[T, B, P]`.
    gain: by how much the result of the one is better, `[T, B, P]`; below 0 if
      the other's is, 0 where nothing is compared.

  Raises:
    AssertionError: when traced, if the shapes are not the same.
  """
  chex.assert_rank(log_ratio, 3)
  chex.assert_equal_shape([log_ratio, gain])
  loss = jnp.abs(gain) * jax.nn.softplus(-jnp.sign(gain) * log_ratio)
  return jnp.mean(jnp.sum(loss, axis=-1))
