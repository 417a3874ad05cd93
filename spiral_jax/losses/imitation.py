"""Maximum likelihood of given programs.

Axes: T time (commands), B batch.
"""

import chex
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
