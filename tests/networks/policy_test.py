import jax
import jax.numpy as jnp
import numpy as np

from spiral_jax.networks import policy

T, B, SIZE = 5, 3, 4


def random(seed, *shape):
  values = np.random.default_rng(seed).normal(size=shape)
  return jnp.asarray(values, jnp.float32)


def test_lstm_over_time_is_one_step_after_another():
  lstm = policy.LSTM(SIZE)
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
  lstm = policy.LSTM(1)
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
