"""Convolutions in C against XLA's own: values, gradients of both orders."""

import functools

from flax import linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from spiral_jax.networks import convolution
from spiral_jax.networks import native

pytestmark = pytest.mark.skipif(
  not native.is_built(), reason='the native extension was not built'
)

# (images, output channels): one piece and several, odd sizes, single pixels.
SHAPES = [
  ((5, 8, 8, 32), 32),
  ((17, 3, 5, 64), 32),
  ((33, 1, 1, 32), 64),
  ((1, 4, 2, 32), 96),
  ((300, 2, 2, 32), 32),
]


def random(seed, *shape):
  values = np.random.default_rng(seed).normal(size=shape)
  return jnp.asarray(values, jnp.float32)


def plain(x, kernel):
  return jax.lax.conv_general_dilated(
    x, kernel, (1, 1), 'SAME', dimension_numbers=('NHWC', 'HWIO', 'NHWC')
  )


@functools.partial(jax.jit, static_argnums=0)
def all_orders(conv, x, kernel):
  """Returns values, gradients, and gradients of those."""

  def loss(x, kernel):
    return jnp.mean(jnp.sin(conv(x, kernel)))

  def of_gradients(x, kernel):
    gradients = jax.grad(loss, argnums=(0, 1))(x, kernel)
    return sum(jnp.sum(jnp.cos(g)) for g in gradients)

  return (
    conv(x, kernel),
    jax.grad(loss, argnums=(0, 1))(x, kernel),
    jax.grad(of_gradients, argnums=(0, 1))(x, kernel),
  )


@pytest.mark.parametrize('shape, features', SHAPES)
def test_equals_the_plain_convolution(shape, features):
  x = random(0, *shape)
  kernel = 0.2 * random(1, 3, 3, shape[-1], features)
  ours = all_orders(convolution.conv3x3, x, kernel)
  theirs = all_orders(plain, x, kernel)
  for one, other in zip(jax.tree.leaves(ours), jax.tree.leaves(theirs)):
    scale = np.max(np.abs(other)) + 1e-12
    np.testing.assert_allclose(one / scale, other / scale, atol=2e-5)


@pytest.mark.parametrize('shape, features', SHAPES[:2])
def test_other_platforms_take_an_equal_path(shape, features):
  x, g = random(0, *shape), random(1, *shape[:3], features)
  _, pull = jax.vjp(lambda k: plain(x, k), random(2, 3, 3, shape[3], features))
  np.testing.assert_allclose(
    convolution._plain_kernel_gradient(x, g), pull(g)[0], rtol=1e-5, atol=1e-4
  )
  for compute in (native.conv3x3_kernel_gradient, jax.jit(
    native.conv3x3_kernel_gradient
  )):
    np.testing.assert_allclose(compute(x, g), pull(g)[0], rtol=1e-4, atol=1e-3)


def test_each_image_is_convolved_alone():
  x = random(0, 40, 4, 4, 32)
  kernel = random(1, 3, 3, 32, 32)
  together = native.conv3x3(x, kernel)
  for n in (0, 19, 39):
    np.testing.assert_array_equal(
      native.conv3x3(x[n : n + 1], kernel)[0], together[n]
    )


def test_results_are_the_same_bit_for_bit_each_time():
  x, g = random(0, 200, 8, 8, 32), random(1, 200, 8, 8, 32)
  first = np.asarray(native.conv3x3_kernel_gradient(x, g))
  for _ in range(10):
    np.testing.assert_array_equal(native.conv3x3_kernel_gradient(x, g), first)


def test_many_at_once_do_not_wait_for_each_other():
  # More calls than XLA has threads, all ready at the same time.
  x = random(0, 64, 8, 8, 32)
  kernels = random(1, 24, 3, 3, 32, 32)

  @jax.jit
  def together(x, kernels):
    return jnp.stack([convolution.conv3x3(x, kernel) for kernel in kernels])

  out = together(x, kernels)
  np.testing.assert_allclose(out[7], plain(x, kernels[7]), atol=1e-3)


def test_batches_of_kernels_by_vmap():
  x, kernels = random(0, 3, 4, 4, 32), random(1, 2, 3, 3, 32, 32)
  np.testing.assert_allclose(
    jax.vmap(convolution.conv3x3, in_axes=(None, 0))(x, kernels),
    jax.vmap(plain, in_axes=(None, 0))(x, kernels),
    rtol=1e-4, atol=1e-3,
  )


@pytest.mark.parametrize(
  'shape, kernel, dtype, fits',
  [
    ((1, 8, 8, 32), (3, 3, 32, 64), jnp.float32, True),
    ((1, 8, 8, 32), (5, 5, 32, 32), jnp.float32, False),
    ((1, 8, 8, 16), (3, 3, 16, 32), jnp.float32, False),
    ((1, 8, 8, 32), (3, 3, 32, 1), jnp.float32, False),
    ((1, 8, 8, 32), (3, 3, 32, 32), jnp.bfloat16, False),
    ((8, 8, 32), (3, 3, 32, 32), jnp.float32, False),
  ],
)
def test_what_fits(shape, kernel, dtype, fits):
  assert native.fits(jnp.zeros(shape, dtype), jnp.zeros(kernel, dtype)) == fits


@pytest.mark.parametrize('channels, calls', [(32, 2), (4, 0)])
def test_residual_blocks_use_it_and_are_those_of_flax(channels, calls):
  x = random(0, 3, 4, 4, channels)
  block = convolution.ResidualBlock()
  params = block.init(jax.random.PRNGKey(0), x)
  text = jax.jit(block.apply).lower(params, x).as_text()
  assert text.count('custom_call @spiral_jax_conv3x3') == calls
  layer = nn.Conv(channels, (3, 3))
  h = layer.apply({'params': params['params']['Conv_0']}, nn.relu(x))
  h = layer.apply({'params': params['params']['Conv_1']}, nn.relu(h))
  np.testing.assert_allclose(block.apply(params, x), x + h, atol=1e-5)


def test_without_the_extension_it_is_the_plain_convolution(monkeypatch):
  x = random(0, 3, 4, 4, 32)
  block = convolution.ResidualBlock()
  params = block.init(jax.random.PRNGKey(0), x)
  with_it = block.apply(params, x)
  monkeypatch.setattr(native, 'is_built', lambda: False)
  text = jax.jit(block.apply).lower(params, x).as_text()
  assert 'spiral_jax_conv3x3' not in text
  np.testing.assert_allclose(block.apply(params, x), with_it, atol=1e-5)
