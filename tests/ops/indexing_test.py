"""Cells picked and placed, by hand and against NumPy; their gradients."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from spiral_jax.ops import indexing

_INDEX = np.array([2, 0, 3])


def _random(*shape):
  values = np.random.default_rng(0).normal(size=shape)
  return jnp.asarray(values, jnp.float32)


@pytest.mark.parametrize('rest', [(), (5,), (2, 3)])
def test_pick_and_place(rest):
  x = _random(3, 4, *rest)
  picked = indexing.pick(x, _INDEX)
  np.testing.assert_array_equal(picked, np.asarray(x)[range(3), _INDEX])
  expected = np.zeros(x.shape, np.float32)
  expected[range(3), _INDEX] = picked
  np.testing.assert_array_equal(indexing.place(picked, _INDEX, 4), expected)


def test_gradients_are_those_of_what_they_compute():
  x, weights = _random(3, 4, 5), _random(3, 5)

  def picked(x):
    return jnp.sum(weights * jnp.sin(indexing.pick(x, _INDEX)))

  def picked_plainly(x):
    return jnp.sum(weights * jnp.sin(x[jnp.arange(3), _INDEX]))

  def placed(values):
    return jnp.sum(x * jnp.sin(indexing.place(values, _INDEX, 4)))

  def placed_plainly(values):
    zeros = jnp.zeros((3, 4, 5)).at[jnp.arange(3), _INDEX].set(values)
    return jnp.sum(x * jnp.sin(zeros))

  for ours, plain, argument in (
      (picked, picked_plainly, x),
      (placed, placed_plainly, weights),
  ):
    np.testing.assert_allclose(
        jax.grad(ours)(argument), jax.grad(plain)(argument), rtol=1e-6
    )
    # Of any order.
    second = [
        jax.jit(jax.grad(lambda a, f=f: jnp.sum(jax.grad(f)(a) ** 2)))(argument)
        for f in (ours, plain)
    ]
    np.testing.assert_allclose(*second, rtol=1e-5, atol=1e-6)
    assert np.abs(second[0]).max() > 0.1


def test_no_scatter_in_the_gradient():
  text = jax.jit(jax.grad(lambda x: indexing.pick(x, _INDEX).sum())).lower(
      _random(3, 4, 5)
  )
  assert 'scatter' not in text.as_text()
