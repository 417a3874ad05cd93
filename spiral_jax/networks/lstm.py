"""An LSTM over time: the mathematics of Flax's cells in fewer products.

What the inputs add to the gates is one product for all times, before the loop,
and so is the gradient by the recurrent kernel, after it: in the loop they would
be many small ones.

Axes: T time, B batch, I inputs, H the LSTM's size, 4H its gates: input, forget,
candidate, output.
"""

import chex
from flax import linen as nn
import jax
import jax.numpy as jnp

_NUM_GATES = 4


class LSTM(nn.Module):
  """Hochreiter and Schmidhuber's (1997), with gates that forget.

  An `nn.OptimizedLSTMCell` whose gates have their weights side by side, so that
  no call has to put them there.
  """

  size: int

  @nn.compact
  def __call__(
      self, core: tuple[chex.Array, chex.Array], inputs: chex.Array
  ) -> tuple[tuple[chex.Array, chex.Array], chex.Array]:
    """Maps `[T, B, I]` to (next (c, h), outputs `[T, B, H]`)."""
    width = _NUM_GATES * self.size
    kernel = self.param(
        'kernel', nn.initializers.lecun_normal(), (inputs.shape[-1], width)
    )
    recurrent = self.param('recurrent', _orthogonal, (self.size, width))
    bias = self.param('bias', nn.initializers.zeros_init(), (width,))
    kernel, recurrent, bias = (
        weights.astype(inputs.dtype) for weights in (kernel, recurrent, bias)
    )
    outputs, cells = unroll(inputs @ kernel + bias, recurrent, core)
    return (cells[-1], outputs[-1]), outputs


def _orthogonal(key: chex.PRNGKey, shape: tuple[int, int]) -> chex.Array:
  """Returns an orthogonal matrix for each gate, `[H, 4H]`."""
  init = nn.initializers.orthogonal()
  square = shape[0], shape[0]
  keys = jax.random.split(key, _NUM_GATES)
  return jnp.concatenate([init(key, square) for key in keys], axis=-1)


@jax.custom_vjp
def unroll(
    inputs: chex.Array,
    recurrent: chex.Array,
    core: tuple[chex.Array, chex.Array],
) -> tuple[chex.Array, chex.Array]:
  """Returns h and c after each step, `[T, B, H]`; one reverse-mode derivative.

  Args:
    inputs: what inputs and bias add to the gates, `[T, B, 4H]`.
    recurrent: kernel of what h adds to them, `[H, 4H]`.
    core: c and h before the first step, `[B, H]`.
  """
  return _forward(inputs, recurrent, core)[0]


def _forward(inputs, recurrent, core):
  """Returns h and c, and what the gradients need."""

  def step(carry, added):
    c, h = carry
    gates = _activate(added + h @ recurrent)
    i, f, g, o = jnp.split(gates, _NUM_GATES, axis=-1)
    c = f * c + i * g
    h = o * jnp.tanh(c)
    return (c, h), (h, c, gates)

  _, (h, c, gates) = jax.lax.scan(step, core, inputs)
  return (h, c), (h, c, gates, recurrent, core)


def _activate(gates: chex.Array) -> chex.Array:
  i, f, g, o = jnp.split(gates, _NUM_GATES, axis=-1)
  sigmoids = jax.nn.sigmoid(i), jax.nn.sigmoid(f), jax.nn.sigmoid(o)
  return jnp.concatenate([*sigmoids[:2], jnp.tanh(g), sigmoids[2]], axis=-1)


def _backward(kept, gradients):
  """Returns the gradients by inputs, recurrent kernel and core."""
  h, c, gates, recurrent, core = kept
  h_before = jnp.concatenate([core[1][None], h[:-1]])
  c_before = jnp.concatenate([core[0][None], c[:-1]])

  def step(carry, at_t):
    # Of h and c by all that comes later, then by this time's outputs as well.
    of_c, of_h = carry
    (h_gradient, c_gradient), gates, c, c_before = at_t
    i, f, g, o = jnp.split(gates, _NUM_GATES, axis=-1)
    squashed = jnp.tanh(c)
    of_h = of_h + h_gradient
    of_c = of_c + c_gradient + of_h * o * (1 - squashed**2)
    of_gates = jnp.concatenate(
        [
            of_c * g * i * (1 - i),
            of_c * c_before * f * (1 - f),
            of_c * i * (1 - g**2),
            of_h * squashed * o * (1 - o),
        ],
        axis=-1,
    )
    return (of_c * f, of_gates @ recurrent.T), of_gates

  of_core, of_gates = jax.lax.scan(
      step,
      jax.tree.map(jnp.zeros_like, core),
      (gradients, gates, c, c_before),
      reverse=True,
  )
  of_recurrent = jnp.einsum('tbh,tbg->hg', h_before, of_gates)
  return of_gates, of_recurrent, of_core


unroll.defvjp(_forward, _backward)
