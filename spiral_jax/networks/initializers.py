"""Initial parameters, drawn together.

XLA compiles a kernel for each array of random numbers, which takes longer than
anything else at the start of a run. Where `drawn_at_once` is in force, the
initializers of this module take theirs from one large array instead. Others, of
a torso of one's own, draw as they always do.
"""

from collections.abc import Iterator, Sequence
import contextlib
import contextvars
import math
from typing import Any

import chex
from flax import linen as nn
import jax
import jax.numpy as jnp

# Standard deviation of a normal variable that is cut off at -2 and 2.
_DEVIATION = 0.87962566103423978


class _Numbers:
  """Random numbers that are taken one after another."""

  def __init__(self, numbers: chex.Array):
    self._numbers = numbers
    self._used = 0

  def take(self, shape: Sequence[int]) -> chex.Array | None:
    """Returns the next ones in a shape, None if there are too few left."""
    first, self._used = self._used, self._used + math.prod(shape)
    if self._used > len(self._numbers):
      return None
    return self._numbers[first : self._used].reshape(shape)


_numbers: contextvars.ContextVar[_Numbers | None] = contextvars.ContextVar(
    'numbers', default=None
)


@contextlib.contextmanager
def drawn_at_once(key: chex.PRNGKey, count: int) -> Iterator[None]:
  """Lets the initializers of this module share numbers, in this thread.

  Args:
    key: consumed.
    count: as many numbers; where they do not suffice, the rest is drawn alone.
  """
  numbers = _normal(key, (count,))
  token = _numbers.set(_Numbers(numbers))
  try:
    yield
  finally:
    _numbers.reset(token)


def normal(deviation: float = 1.0) -> nn.initializers.Initializer:
  """Returns an initializer of normal variables, cut off at two deviations."""

  def init(
      key: chex.PRNGKey, shape: Sequence[int], dtype: Any = jnp.float32
  ) -> chex.Array:
    return (deviation * _take(key, shape)).astype(dtype)

  return init


def scaled_normal(scale: float = 1.0) -> nn.initializers.Initializer:
  """Returns an initializer of kernels `[..., inputs, outputs]`.

  Numbers have variance `scale` over the number of inputs: with 1, it is Flax's
  `lecun_normal`, the default of its layers.
  """

  def init(
      key: chex.PRNGKey, shape: Sequence[int], dtype: Any = jnp.float32
  ) -> chex.Array:
    deviation = math.sqrt(scale / math.prod(shape[:-1]))
    return normal(deviation)(key, shape, dtype)

  return init


def orthogonal(
    key: chex.PRNGKey, shape: Sequence[int], dtype: Any = jnp.float32
) -> chex.Array:
  """Returns random orthogonal matrices `[..., n, n]`, all equally likely."""
  q, r = jnp.linalg.qr(_take(key, shape))
  # Signs make the decomposition unique, and so the result uniform.
  diagonal = jnp.diagonal(r, axis1=-2, axis2=-1)[..., None, :]
  return (q * jnp.where(diagonal < 0, -1.0, 1.0)).astype(dtype)


def _take(key: chex.PRNGKey, shape: Sequence[int]) -> chex.Array:
  """Returns normal variables of variance 1."""
  numbers = _numbers.get()
  found = None if numbers is None else numbers.take(shape)
  return _normal(key, shape) if found is None else found


def _normal(key: chex.PRNGKey, shape: Sequence[int]) -> chex.Array:
  numbers = jax.random.truncated_normal(key, -2.0, 2.0, shape, jnp.float32)
  return numbers / _DEVIATION
