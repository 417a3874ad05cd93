"""Initial parameters: their distribution, and that they are drawn together."""

import jax
import numpy as np
import pytest

from spiral_jax.networks import initializers


def draw(init, shape, seed=0, count=0):
  key = jax.random.key(seed)
  if not count:
    return init(key, shape)
  with initializers.drawn_at_once(jax.random.key(seed + 1), count):
    return init(key, shape)


@pytest.mark.parametrize('count', [0, 200_000])
@pytest.mark.parametrize(
    'init, shape, deviation',
    [
        (initializers.normal(), (300, 400), 1.0),
        (initializers.normal(0.1), (300, 400), 0.1),
        (initializers.scaled_normal(), (400, 300), 400**-0.5),
        (initializers.scaled_normal(), (3, 3, 64, 200), (9 * 64) ** -0.5),
        (initializers.scaled_normal(0.01), (400, 300), 0.1 * 400**-0.5),
    ],
)
def test_numbers_are_normal_and_cut_off(init, shape, deviation, count):
  found = np.asarray(draw(init, shape, count=count))
  assert found.shape == shape and found.dtype == np.float32
  assert found.mean() == pytest.approx(0.0, abs=0.02 * deviation)
  assert found.std() == pytest.approx(deviation, rel=0.02)
  assert np.abs(found).max() == pytest.approx(2.2737 * deviation, rel=0.01)


@pytest.mark.parametrize('count', [0, 1000])
def test_matrices_are_orthogonal(count):
  found = draw(initializers.orthogonal, (4, 8, 8), count=count)
  products = np.swapaxes(found, -1, -2) @ found
  np.testing.assert_allclose(
      products, np.broadcast_to(np.eye(8), (4, 8, 8)), atol=1e-5
  )
  # As often to one side as to the other, and no two are alike.
  traces = np.trace(
      draw(initializers.orthogonal, (2000, 3, 3), count=count), axis1=1, axis2=2
  )
  assert abs(traces.mean()) < 0.1 and len(np.unique(traces)) == 2000


def test_numbers_are_used_once():
  key, init = jax.random.key(0), initializers.normal()
  with initializers.drawn_at_once(jax.random.key(1), 100):
    first, second = (np.asarray(init(key, (50,))) for _ in range(2))
    rest = np.asarray(init(key, (50,)))  # Of its own: none are left.
  assert not set(first) & set(second)
  np.testing.assert_array_equal(rest, init(key, (50,)))
  assert not set(rest) & {*first, *second}
