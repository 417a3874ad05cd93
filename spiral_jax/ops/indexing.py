"""Gather and scatter of one cell per row, each the other's VJP.

The scatter is a comparison with the index: XLA's CPU scatter is serial.

Axes: N rows, K cells. Indices are from 0 to K - 1.
"""

import functools

import chex
import jax
import jax.numpy as jnp


@jax.custom_vjp
def pick(x: chex.Array, index: chex.Array) -> chex.Array:
  """Returns the cell of each row at its index, `[N, ...]`.

  Args:
    x: cells `[N, K, ...]`.
    index: int `[N]`.
  """
  index = index.reshape(-1, *[1] * (x.ndim - 1))
  return jnp.take_along_axis(x, index, axis=1)[:, 0]


@functools.partial(jax.custom_vjp, nondiff_argnums=(2,))
def place(values: chex.Array, index: chex.Array, size: int) -> chex.Array:
  """Returns zeros `[N, K, ...]` with one cell of each row replaced.

  Args:
    values: replacements `[N, ...]`.
    index: int `[N]`.
    size: K.
  """
  is_there = index[:, None] == jnp.arange(size)
  is_there = is_there.reshape(*is_there.shape, *[1] * (values.ndim - 1))
  return jnp.where(is_there, values[:, None], 0)


pick.defvjp(
    lambda x, index: (pick(x, index), (index, x.shape[1])),
    lambda saved, g: (place(g, *saved), None),
)
place.defvjp(
    lambda values, index, size: (place(values, index, size), index),
    lambda size, index, g: (pick(g, index), None),
)
