from flax import linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from spiral_jax.networks import lstm as lstm_lib

T, B, SIZE = 5, 3, 4


def random(seed, *shape):
  values = np.random.default_rng(seed).normal(size=shape)
  return jnp.asarray(values, jnp.float32)


def test_lstm_over_time_is_one_step_after_another():
  lstm = lstm_lib.LSTM(SIZE)
  start = (random(0, B, SIZE), random(1, B, SIZE))
  inputs = random(2, T, B, 6)
  params = lstm.init(jax.random.PRNGKey(0), start, inputs)
  apply = jax.jit(lstm.apply)
  end, outputs = apply(params, start, inputs)
  core = start
  for t in range(T):
    core, output = apply(params, core, inputs[t : t + 1])
    np.testing.assert_allclose(output[0], outputs[t], atol=1e-6)
  np.testing.assert_allclose(core[0], end[0], atol=1e-6)
  np.testing.assert_allclose(core[1], end[1], atol=1e-6)
  np.testing.assert_array_equal(end[1], outputs[-1])


def test_lstm_by_hand():
  lstm = lstm_lib.LSTM(1)
  inputs = jnp.ones((2, 1, 1))
  start = (jnp.zeros((1, 1)), jnp.zeros((1, 1)))
  params = lstm.init(jax.random.PRNGKey(0), start, inputs)
  ones = jax.tree.map(jnp.ones_like, params)
  _, outputs = lstm.apply(ones, start, inputs)

  def sigmoid(x):
    return 1.0 / (1.0 + np.exp(-x))

  c = h = 0.0
  for t in range(2):  # Each gate sees input + h + bias.
    total = 1.0 + h + 1.0
    c = sigmoid(total) * c + sigmoid(total) * np.tanh(total)
    h = sigmoid(total) * np.tanh(c)
    np.testing.assert_allclose(outputs[t, 0, 0], h, rtol=1e-5)


class FlaxLSTM(nn.Module):
  """Flax's cell, scanned."""

  @nn.compact
  def __call__(self, core, inputs):
    scan = nn.scan(
      lambda cell, carry, x: cell(carry, x),
      variable_broadcast='params',
      split_rngs={'params': False},
    )
    return scan(nn.OptimizedLSTMCell(SIZE, name='cell'), core, inputs)


def test_it_is_flax_lstm_with_its_gradients():
  start = (random(0, B, SIZE), random(1, B, SIZE))
  inputs = random(2, T, B, 6)
  ours, theirs = lstm_lib.LSTM(SIZE), FlaxLSTM()
  params = theirs.init(jax.random.PRNGKey(0), start, inputs)
  jax.tree.map(
    np.testing.assert_array_equal,
    ours.init(jax.random.PRNGKey(0), start, inputs),
    params,
  )
  # Biases are zero at first.
  params = jax.tree.map(lambda p: p + 0.3 * random(3, *p.shape), params)
  weights = random(4, T, B, SIZE), random(5, B, SIZE), random(6, B, SIZE)

  def loss(lstm):
    def of(params, start, inputs):
      (c, h), outputs = lstm.apply(params, start, inputs)
      return sum(jnp.vdot(w, x) for w, x in zip(weights, (outputs, c, h)))

    return of

  for one, other in zip(
    *(
      jax.tree.leaves(
        jax.jit(jax.value_and_grad(loss(lstm), (0, 1, 2)))(
          params, start, inputs
        )
      )
      for lstm in (ours, theirs)
    )
  ):
    np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5)
