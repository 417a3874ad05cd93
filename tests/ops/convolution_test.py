"""Convolutions and layers against XLA's: values, gradients of both orders."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from spiral_jax.ops import convolution as conv_ops
from spiral_jax.ops import native
from spiral_jax.ops import per_platform
from tests.ops import conv_cases

NEEDS_NATIVE = pytest.mark.skipif(
    not native.is_built(), reason='the native extension was not built'
)


@functools.partial(jax.jit, static_argnums=(0, 3))
def all_orders(conv, x, kernel, stride):
  """Returns values, gradients, and gradients of those."""

  def loss(x, kernel):
    return jnp.mean(jnp.sin(conv(x, kernel, stride)))

  def of_gradients(x, kernel):
    gradients = jax.grad(loss, argnums=(0, 1))(x, kernel)
    return sum(jnp.sum(jnp.cos(g)) for g in gradients)

  return (
      conv(x, kernel, stride),
      jax.grad(loss, argnums=(0, 1))(x, kernel),
      jax.grad(of_gradients, argnums=(0, 1))(x, kernel),
  )


@NEEDS_NATIVE
@pytest.mark.parametrize('shape, features, size, stride', conv_cases.CASES)
def test_equals_the_plain_convolution(shape, features, size, stride):
  x = conv_cases.random(0, *shape)
  kernel = 0.2 * conv_cases.random(1, size, size, shape[-1], features)
  assert native.fits(x, kernel, stride)
  text = all_orders.lower(conv_ops.conv, x, kernel, stride).as_text()
  for name in ('conv', 'conv_transpose', 'conv_gradients'):
    assert f'@spiral_jax_{name}(' in text
  conv_cases.assert_close(
      all_orders(conv_ops.conv, x, kernel, stride),
      all_orders(conv_cases.xla_conv, x, kernel, stride),
  )


@pytest.mark.parametrize('shape, features, size, stride', conv_cases.CASES)
def test_other_platforms_take_an_equal_path(shape, features, size, stride):
  x = conv_cases.random(0, *shape)
  kernel = conv_cases.random(1, size, size, shape[-1], features)
  output, pull = jax.vjp(
      lambda x, k: conv_cases.xla_conv(x, k, stride), x, kernel
  )
  g = conv_cases.random(2, *output.shape)
  x_gradient, kernel_gradient = pull(g)
  conv_cases.assert_close(conv_ops._xla_conv(x, kernel, stride), output)
  conv_cases.assert_close(
      conv_ops._xla_conv_transpose(g, kernel, stride), x_gradient
  )
  conv_cases.assert_close(
      conv_ops._xla_kernel_gradient(x, g, size), kernel_gradient
  )


@pytest.mark.parametrize(
    'order',
    [
        jax.grad,
        lambda f: jax.grad(lambda x, k: jnp.sum(jnp.cos(jax.grad(f)(x, k)))),
    ],
)
def test_transposes_are_differentiated_as_well(order):
  g, kernel = conv_cases.random(0, 3, 4, 6, 5), 0.2 * conv_cases.random(
      1, 4, 4, 3, 5
  )

  def loss(transpose):
    return lambda g, k: jnp.sum(jnp.sin(transpose(g, k, 2)))

  conv_cases.assert_close(
      order(loss(conv_ops.conv_transpose))(g, kernel),
      order(loss(conv_ops._xla_conv_transpose))(g, kernel),
  )


def test_batches_of_kernels_by_vmap():
  x = conv_cases.random(0, 3, 4, 4, 32)
  kernels = conv_cases.random(1, 2, 3, 3, 32, 32)
  np.testing.assert_allclose(
      jax.vmap(lambda x, k: conv_ops.conv(x, k, 1), (None, 0))(x, kernels),
      jax.vmap(conv_cases.xla_conv, (None, 0))(x, kernels),
      rtol=1e-4,
      atol=1e-3,
  )


def weights(seed, *shape, count=1):
  return conv_ops.Weights(
      0.2 * conv_cases.random(seed, *shape),
      conv_cases.random(seed + 1, count, shape[-1]),
  )


def values_and_gradients(function, *arrays):
  """Returns both, of a function with an array as its value."""

  def loss(*arrays):
    return jnp.sum(jnp.sin(function(*arrays)))

  argnums = tuple(range(len(arrays)))
  return function(*arrays), jax.jit(jax.grad(loss, argnums))(*arrays)


@NEEDS_NATIVE
@pytest.mark.parametrize(
    'shape, features, size, stride, rectify, is_shifted',
    [
        (*case, rectify, is_shifted)
        for number, case in enumerate(conv_cases.CASES)
        for rectify in (True, False)
        for is_shifted in (True, False)
        if number < 2
        or rectify == is_shifted  # All four, and the ends of them.
    ],
)
def test_layers_equal_plain_ones(
    shape, features, size, stride, rectify, is_shifted
):
  x = conv_cases.random(0, *shape)
  given = weights(
      1, size, size, shape[-1], features, count=shape[0] if is_shifted else 1
  )

  def by_hand(x, given):
    y = conv_cases.xla_conv(
        jnp.maximum(x, 0) if rectify else x, given.kernel, stride
    )
    return y + given.biases.reshape(-1, 1, 1, features)

  def ours(x, given):
    return conv_ops.layer(x, given, stride, rectify)

  text = jax.jit(ours).lower(x, given).as_text()
  assert f'@spiral_jax_{"relu_" if rectify else ""}conv(' in text
  conv_cases.assert_close(
      values_and_gradients(ours, x, given),
      values_and_gradients(by_hand, x, given),
      atol=2e-4,  # Sums of bias gradients nearly cancel.
  )


@pytest.mark.parametrize(
    'is_built', [pytest.param(True, marks=NEEDS_NATIVE), False]
)
@pytest.mark.parametrize(
    'shape', [(300, 2, 2, 32), (5, 8, 7, 3), (9, 4, 4, 40)]
)
def test_residual_blocks_equal_plain_ones(shape, is_built, monkeypatch):
  monkeypatch.setattr(native, 'is_built', lambda: is_built)
  channels = shape[-1]
  arrays = conv_cases.random(0, *shape), *(
      weights(seed, 3, 3, channels, channels) for seed in (1, 3)
  )

  def by_hand(x, first, second):
    h = conv_cases.xla_conv(jnp.maximum(x, 0), first.kernel) + first.biases[0]
    return (
        x
        + conv_cases.xla_conv(jnp.maximum(h, 0), second.kernel)
        + second.biases[0]
    )

  conv_cases.assert_close(
      values_and_gradients(conv_ops.residual, *arrays),
      values_and_gradients(by_hand, *arrays),
  )


@NEEDS_NATIVE
def test_layers_are_the_same_on_other_platforms(monkeypatch):
  # What is lowered there, computed here.
  x, first, second = conv_cases.random(0, 9, 4, 4, 6), *(
      weights(seed, 3, 3, 6, 6, count=9) for seed in (1, 3)
  )

  def both(x, first, second):
    return conv_ops.residual(conv_ops.layer(x, first, 1, False), first, second)

  ours = values_and_gradients(both, x, first, second)
  monkeypatch.setattr(
      per_platform,
      'call',
      lambda pair, *arrays, **kwargs: pair.with_xla(*arrays, **kwargs),
  )
  conv_cases.assert_close(ours, values_and_gradients(both, x, first, second))


def test_nan_stays_nan():
  x = jnp.full((1, 2, 2, 8), jnp.nan)
  assert jnp.isnan(conv_ops.layer(x, weights(0, 3, 3, 8, 8), 1, True)).all()
