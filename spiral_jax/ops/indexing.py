"""One of many cells taken out of an array, and put into one of zeros.

Either is the other's gradient. XLA's CPU backend scatters one number after the
other into a copy of the array; where all else is zero, a comparison does, which
costs nothing where the array is read anyway.

Axes: N rows, K cells. Indices are from 0 to K - 1.
"""

import functools

import chex
import jax
import jax.numpy as jnp


@jax.custom_vjp
def pick(x: chex.Array, index: chex.Array) -> chex.Array:
  """Returns the cells `[N, ...]` of `x` `[N, K, ...]` at int `index` `[N]`."""
  index = index.reshape(-1, *[1] * (x.ndim - 1))
  return jnp.take_along_axis(x, index, axis=1)[:, 0]


@functools.partial(jax.custom_vjp, nondiff_argnums=(2,))
def place(values: chex.Array, index: chex.Array, size: int) -> chex.Array:
  """Returns zeros `[N, K, ...]` but for `values` `[N, ...]` at `index` `[N]`.

  Args:
    values: of one cell a row.
    index: of that cell, int.
    size: K.
  """
  is_there = index[:, None] == jnp.arange(size)
  is_there = is_there.reshape(*is_there.shape, *[1] * (values.ndim - 1))
  return jnp.where(is_there, values[:, None], 0)


pick.defvjp(
    lambda x, index: (pick(x, index), (index, x.shape[1])),
    lambda kept, g: (place(g, *kept), None),
)
place.defvjp(
    lambda values, index, size: (place(values, index, size), index),
    lambda size, index, g: (pick(g, index), None),
)
