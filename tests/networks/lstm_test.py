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

  size: int

  @nn.compact
  def __call__(self, core, inputs):
    scan = nn.scan(
        lambda cell, carry, x: cell(carry, x),
        variable_broadcast='params',
        split_rngs={'params': False},
    )
    return scan(nn.OptimizedLSTMCell(self.size, name='cell'), core, inputs)


def by_gate(params):
  """Returns our parameters as Flax's cell has them."""
  kernels, recurrents, biases = (
      jnp.split(params['params'][name], 4, axis=-1)
      for name in ('kernel', 'recurrent', 'bias')
  )
  cell = {}
  for index, gate in enumerate('ifgo'):
    cell[f'i{gate}'] = {'kernel': kernels[index]}
    cell[f'h{gate}'] = {'kernel': recurrents[index], 'bias': biases[index]}
  return {'params': {'cell': cell}}


def test_it_begins_as_flax_lstm_does():
  size = 64
  arguments = (jnp.zeros((1, size)),) * 2, jnp.zeros((1, 1, 32))
  params = lstm_lib.LSTM(size).init(jax.random.PRNGKey(0), *arguments)
  ours = by_gate(params)['params']['cell']
  theirs = FlaxLSTM(size).init(jax.random.PRNGKey(0), *arguments)
  theirs = theirs['params']['cell']
  assert jax.tree.map(jnp.shape, ours) == jax.tree.map(jnp.shape, theirs)
  for gate in 'ifgo':
    for cell in (ours, theirs):
      recurrent = cell[f'h{gate}']['kernel']
      np.testing.assert_allclose(
          recurrent @ recurrent.T, np.eye(size), atol=1e-5
      )
      assert not cell[f'h{gate}']['bias'].any()
      # Truncated normal; 2,048 numbers tell their spread to 2%.
      spread = cell[f'i{gate}']['kernel'].std() * np.sqrt(32)
      assert 0.9 < spread < 1.1
  assert not np.allclose(ours['hi']['kernel'], ours['hf']['kernel'])


def test_it_is_flax_lstm_with_its_gradients():
  start = (random(0, B, SIZE), random(1, B, SIZE))
  inputs = random(2, T, B, 6)
  ours, theirs = lstm_lib.LSTM(SIZE), FlaxLSTM(SIZE)
  params = ours.init(jax.random.PRNGKey(0), start, inputs)
  # Biases are zero at first.
  params = jax.tree.map(lambda p: p + 0.3 * random(3, *p.shape), params)
  weights = random(4, T, B, SIZE), random(5, B, SIZE), random(6, B, SIZE)

  def loss(lstm, with_params):
    def of(params, start, inputs):
      (c, h), outputs = lstm.apply(with_params(params), start, inputs)
      return sum(jnp.vdot(w, x) for w, x in zip(weights, (outputs, c, h)))

    return of

  for one, other in zip(
      *(
          jax.tree.leaves(
              jax.jit(jax.value_and_grad(loss(*lstm), (0, 1, 2)))(
                  params, start, inputs
              )
          )
          for lstm in ((ours, lambda params: params), (theirs, by_gate))
      )
  ):
    np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5)
