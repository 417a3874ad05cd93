"""Convolutions in C against XLA's own."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from spiral_jax.ops import native
from tests.ops import conv_cases

pytestmark = pytest.mark.skipif(
    not native.is_built(), reason='the native extension was not built'
)


@pytest.mark.parametrize('shape, features, size, stride', conv_cases.CASES)
def test_equal_those_of_xla(shape, features, size, stride):
  x = conv_cases.random(0, *shape)
  kernel = conv_cases.random(1, size, size, shape[-1], features)
  output, pull = jax.vjp(
      lambda x, k: conv_cases.xla_conv(x, k, stride), x, kernel
  )
  g = conv_cases.random(2, *output.shape)
  x_gradient, kernel_gradient = pull(g)
  conv_cases.assert_close(native.conv(x, kernel, stride=stride), output)
  conv_cases.assert_close(
      native.conv_transpose(g, kernel, stride=stride), x_gradient
  )
  gradients = native.conv_gradients(x, g, size=size)
  conv_cases.assert_close(gradients[0], kernel_gradient)
  np.testing.assert_allclose(gradients[1][0], g.sum((0, 1, 2)), atol=1e-3)


@pytest.mark.parametrize('channels', [16, 64])
def test_transforms_lose_few_digits(channels):
  x = conv_cases.random(0, 20, 8, 8, channels)
  kernel = conv_cases.random(1, 3, 3, channels, channels)
  g = conv_cases.random(2, 20, 8, 8, channels)
  ours = (
      native.conv(x, kernel, stride=1),
      native.conv_transpose(g, kernel, stride=1),
      native.conv_gradients(x, g, size=3)[0],
  )
  with jax.enable_x64(True):
    x, kernel, g = (jnp.asarray(a, jnp.float64) for a in (x, kernel, g))
    output, pull = jax.vjp(conv_cases.xla_conv, x, kernel)
    theirs = tuple(map(np.asarray, (output, *pull(g))))
  for one, other in zip(ours, theirs):
    assert other.dtype == np.float64
    assert np.std(np.asarray(one) - other) < 2e-6 * np.std(other)


def test_each_image_is_convolved_alone():
  x = conv_cases.random(0, 40, 4, 4, 32)
  kernel = conv_cases.random(1, 3, 3, 32, 32)
  together = native.conv(x, kernel, stride=1)
  for n in (0, 19, 39):
    np.testing.assert_array_equal(
        native.conv(x[n : n + 1], kernel, stride=1)[0], together[n]
    )


def test_results_are_the_same_bit_for_bit_each_time():
  x = conv_cases.random(0, 200, 8, 8, 32)
  g = conv_cases.random(1, 200, 8, 8, 32)
  first = native.conv_gradients(x, g, size=3)
  for _ in range(10):
    for one, other in zip(native.conv_gradients(x, g, size=3), first):
      np.testing.assert_array_equal(one, other)


def test_many_at_once_do_not_wait_for_each_other():
  # More calls than XLA has threads, all ready at the same time.
  x = conv_cases.random(0, 64, 8, 8, 32)
  kernels = conv_cases.random(1, 24, 3, 3, 32, 32)

  @jax.jit
  def together(x, kernels):
    return jnp.stack([native.conv(x, kernel, stride=1) for kernel in kernels])

  out = together(x, kernels)
  np.testing.assert_allclose(
      out[7], conv_cases.xla_conv(x, kernels[7]), atol=1e-3
  )


@pytest.mark.parametrize(
    'shape, kernel, stride, dtype, fits',
    [
        ((1, 8, 8, 32), (3, 3, 32, 64), 1, jnp.float32, True),
        ((1, 9, 6, 4), (5, 5, 4, 1), 3, jnp.float32, True),
        ((1, 9, 6, 4), (5, 5, 4, 1), 2, jnp.float32, False),
        ((1, 9, 6, 4), (2, 2, 4, 1), 3, jnp.float32, False),
        ((1, 8, 8, 32), (3, 1, 32, 32), 1, jnp.float32, False),
        ((1, 8, 8, 0), (3, 3, 0, 32), 1, jnp.float32, False),
        ((1, 8, 8, 32), (3, 3, 32, 32), 1, jnp.bfloat16, False),
        ((8, 8, 32), (3, 3, 32, 32), 1, jnp.float32, False),
    ],
)
def test_what_fits(shape, kernel, stride, dtype, fits):
  arrays = jnp.zeros(shape, dtype), jnp.zeros(kernel, dtype)
  assert native.fits(*arrays, stride) == fits


def test_shapes_that_do_not_fit_are_an_error():
  with pytest.raises(Exception, match='do not form a convolution'):
    native.conv(jnp.zeros((1, 4, 4, 2)), jnp.zeros((3, 3, 3, 5)), stride=1)
  x, kernel = jnp.zeros((2, 4, 4, 2)), jnp.zeros((3, 3, 2, 5))
  with pytest.raises(Exception, match='bias has a wrong shape'):
    native.conv(x, kernel, jnp.zeros((3, 5)), stride=1)
  with pytest.raises(Exception, match='optional array has a wrong shape'):
    native.conv(x, kernel, None, jnp.zeros((2, 4, 4, 2)), stride=1)
  with pytest.raises(Exception, match='optional array has a wrong shape'):
    native.conv_transpose(
        jnp.zeros((2, 4, 4, 5)), kernel, jnp.zeros((2, 4, 3, 2)), stride=1
    )
