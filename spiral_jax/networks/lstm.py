"""An LSTM over time: the mathematics of Flax's cells in fewer products.

The inputs' contribution to the gates is one product for all times, before the
loop. So is the gradient with respect to the recurrent kernel, after the loop.
Within the loop each would be many small products.

Axes: T time, B batch, I inputs, H size of the LSTM, 4H its gates (input,
forget, candidate, output).
"""

import chex
from flax import linen as nn
import jax
import jax.numpy as jnp

from spiral_jax.networks import initializers

_NUM_GATES = 4


class LSTM(nn.Module):
  """The LSTM of Hochreiter and Schmidhuber (1997), with forget gates.

  Computes an `nn.OptimizedLSTMCell` for all times. The weights of its gates are
  stored as one matrix, so that no call has to concatenate them.

  Attributes:
    size: H.
  """

  size: int

  @nn.compact
  def __call__(
      self, core: tuple[chex.Array, chex.Array], inputs: chex.Array
  ) -> tuple[tuple[chex.Array, chex.Array], chex.Array]:
    """Unrolls the LSTM.

    Args:
      core: c and h before the first step, `[B, H]` each.
      inputs: `[T, B, I]`.

    Returns:
      c and h after the last step, `[B, H]` each, and the outputs `[T, B, H]`.
    """
    width = _NUM_GATES * self.size
    kernel = self.param(
        'kernel',
        initializers.scaled_normal(),
        (inputs.shape[-1], width),
        jnp.float32,
    )
    recurrent = self.param('recurrent', _orthogonal, (self.size, width))
    bias = self.param(
        'bias', nn.initializers.zeros_init(), (width,), jnp.float32
    )
    kernel, recurrent, bias = (
        weights.astype(inputs.dtype) for weights in (kernel, recurrent, bias)
    )
    outputs, cells = unroll(inputs @ kernel + bias, recurrent, core)
    return (cells[-1], outputs[-1]), outputs


def _orthogonal(key: chex.PRNGKey, shape: tuple[int, int]) -> chex.Array:
  """Returns an orthogonal matrix for each gate, `[H, 4H]`."""
  square = shape[0], shape[0]
  gates = initializers.orthogonal(key, (_NUM_GATES, *square))
  return jnp.concatenate(list(gates), axis=-1)


@jax.custom_vjp
def unroll(
    inputs: chex.Array,
    recurrent: chex.Array,
    core: tuple[chex.Array, chex.Array],
) -> tuple[chex.Array, chex.Array]:
  """Returns h and c after each step, `[T, B, H]` each.

  It has one derivative, in reverse mode.

  Args:
    inputs: contribution of inputs and bias to the gates, `[T, B, 4H]`.
    recurrent: kernel from h to the gates, `[H, 4H]`.
    core: c and h before the first step, `[B, H]` each.
  """
  return _forward(inputs, recurrent, core)[0]


def _forward(inputs, recurrent, core):
  """Returns h and c, and the values that the gradients need."""

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


def _backward(saved, gradients):
  """Returns the gradients with respect to inputs, recurrent kernel and core."""
  h, c, gates, recurrent, core = saved
  h_before = jnp.concatenate([core[1][None], h[:-1]])
  c_before = jnp.concatenate([core[0][None], c[:-1]])

  def step(carry, at_t):
    # Gradients through the later steps, then through this step's outputs too.
    d_c, d_h = carry
    (h_gradient, c_gradient), gates, c, c_before = at_t
    i, f, g, o = jnp.split(gates, _NUM_GATES, axis=-1)
    squashed = jnp.tanh(c)
    d_h = d_h + h_gradient
    d_c = d_c + c_gradient + d_h * o * (1 - squashed**2)
    d_gates = jnp.concatenate(
        [
            d_c * g * i * (1 - i),
            d_c * c_before * f * (1 - f),
            d_c * i * (1 - g**2),
            d_h * squashed * o * (1 - o),
        ],
        axis=-1,
    )
    return (d_c * f, d_gates @ recurrent.T), d_gates

  d_core, d_gates = jax.lax.scan(
      step,
      jax.tree.map(jnp.zeros_like, core),
      (gradients, gates, c, c_before),
      reverse=True,
  )
  d_recurrent = jnp.einsum('tbh,tbg->hg', h_before, d_gates)
  return d_gates, d_recurrent, d_core


unroll.defvjp(_forward, _backward)
