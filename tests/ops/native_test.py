"""Convolutions in C against XLA's own: values, gradients of both orders."""

import functools

from flax import linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from spiral_jax.networks import layers
from spiral_jax.ops import convolution as conv_ops
from spiral_jax.ops import native

pytestmark = pytest.mark.skipif(
    not native.is_built(), reason='the native extension was not built'
)

# (images, output channels, size of the kernel, stride): one piece and several,
# odd sizes, single pixels, channels that fill vectors and that do not; those
# that Winograd's transforms take, of one band of tiles at once and of several.
CASES = [
    ((5, 8, 8, 32), 32, 3, 1),
    ((17, 3, 5, 64), 32, 3, 1),
    ((33, 1, 1, 32), 64, 3, 1),
    ((300, 2, 2, 32), 32, 3, 1),
    ((2, 4, 4, 32), 1, 3, 1),
    ((3, 6, 4, 33), 70, 3, 1),
    ((9, 16, 24, 5), 32, 5, 1),
    ((3, 4, 4, 8), 17, 1, 1),
    ((20, 16, 16, 32), 32, 4, 2),
    ((9, 8, 12, 1), 7, 4, 2),
    ((2, 6, 6, 4), 9, 3, 2),
    ((3, 6, 6, 2), 10, 2, 2),
    ((3, 9, 6, 40), 2, 5, 3),
    ((1, 12, 4, 1), 1, 7, 4),
    ((3, 4, 8, 16), 48, 3, 1),
    ((19, 8, 8, 48), 16, 3, 1),
    ((1, 12, 160, 16), 16, 3, 1),
]


def random(seed, *shape):
  values = np.random.default_rng(seed).normal(size=shape)
  return jnp.asarray(values, jnp.float32)


def plain(x, kernel, stride=1):
  return jax.lax.conv_general_dilated(
      x,
      kernel,
      (stride, stride),
      'SAME',
      dimension_numbers=('NHWC', 'HWIO', 'NHWC'),
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


def assert_close(ours, theirs, atol=2e-5):
  for one, other in zip(jax.tree.leaves(ours), jax.tree.leaves(theirs)):
    scale = np.max(np.abs(other)) + 1e-12
    np.testing.assert_allclose(one / scale, other / scale, atol=atol)


@pytest.mark.parametrize('shape, features, size, stride', CASES)
def test_equals_the_plain_convolution(shape, features, size, stride):
  x = random(0, *shape)
  kernel = 0.2 * random(1, size, size, shape[-1], features)
  assert native.fits(x, kernel, stride)
  text = all_orders.lower(conv_ops.conv, x, kernel, stride).as_text()
  for name in ('conv', 'conv_transpose', 'conv_gradients'):
    assert f'@spiral_jax_{name}(' in text
  assert_close(
      all_orders(conv_ops.conv, x, kernel, stride),
      all_orders(plain, x, kernel, stride),
  )


@pytest.mark.parametrize('shape, features, size, stride', CASES)
def test_other_platforms_take_an_equal_path(shape, features, size, stride):
  x = random(0, *shape)
  kernel = random(1, size, size, shape[-1], features)
  output, pull = jax.vjp(lambda x, k: plain(x, k, stride), x, kernel)
  g = random(2, *output.shape)
  of_x, of_kernel = pull(g)
  for ours in (native.conv_transpose, conv_ops._plain_conv_transpose):
    assert_close(ours(g, kernel, stride=stride), of_x)
  assert_close(native.conv_gradients(x, g, size=size)[0], of_kernel)
  assert_close(conv_ops._plain_kernel_gradient(x, g, size), of_kernel)
  for ours in (native.conv, conv_ops._plain_conv):
    assert_close(ours(x, kernel, stride=stride), output)


@pytest.mark.parametrize(
    'order',
    [
        jax.grad,
        lambda f: jax.grad(lambda x, k: jnp.sum(jnp.cos(jax.grad(f)(x, k)))),
    ],
)
def test_transposes_are_differentiated_as_well(order):
  g, kernel = random(0, 3, 4, 6, 5), 0.2 * random(1, 4, 4, 3, 5)

  def loss(transpose):
    return lambda g, k: jnp.sum(jnp.sin(transpose(g, k, 2)))

  assert_close(
      order(loss(conv_ops.conv_transpose))(g, kernel),
      order(loss(conv_ops._plain_conv_transpose))(g, kernel),
  )


@pytest.mark.parametrize('channels', [16, 64])
def test_transforms_lose_few_digits(channels):
  x = random(0, 20, 8, 8, channels)
  kernel = random(1, 3, 3, channels, channels)
  g = random(2, 20, 8, 8, channels)
  ours = (
      native.conv(x, kernel, stride=1),
      native.conv_transpose(g, kernel, stride=1),
      native.conv_gradients(x, g, size=3)[0],
  )
  with jax.enable_x64(True):
    x, kernel, g = (jnp.asarray(a, jnp.float64) for a in (x, kernel, g))
    output, pull = jax.vjp(plain, x, kernel)
    theirs = tuple(map(np.asarray, (output, *pull(g))))
  for one, other in zip(ours, theirs):
    assert other.dtype == np.float64
    assert np.std(np.asarray(one) - other) < 2e-6 * np.std(other)


def test_each_image_is_convolved_alone():
  x = random(0, 40, 4, 4, 32)
  kernel = random(1, 3, 3, 32, 32)
  together = native.conv(x, kernel, stride=1)
  for n in (0, 19, 39):
    np.testing.assert_array_equal(
        native.conv(x[n : n + 1], kernel, stride=1)[0], together[n]
    )


def test_results_are_the_same_bit_for_bit_each_time():
  x, g = random(0, 200, 8, 8, 32), random(1, 200, 8, 8, 32)
  first = native.conv_gradients(x, g, size=3)
  for _ in range(10):
    for one, other in zip(native.conv_gradients(x, g, size=3), first):
      np.testing.assert_array_equal(one, other)


def test_many_at_once_do_not_wait_for_each_other():
  # More calls than XLA has threads, all ready at the same time.
  x = random(0, 64, 8, 8, 32)
  kernels = random(1, 24, 3, 3, 32, 32)

  @jax.jit
  def together(x, kernels):
    return jnp.stack([conv_ops.conv(x, kernel, 1) for kernel in kernels])

  out = together(x, kernels)
  np.testing.assert_allclose(out[7], plain(x, kernels[7]), atol=1e-3)


def test_batches_of_kernels_by_vmap():
  x, kernels = random(0, 3, 4, 4, 32), random(1, 2, 3, 3, 32, 32)
  np.testing.assert_allclose(
      jax.vmap(lambda x, k: conv_ops.conv(x, k, 1), (None, 0))(x, kernels),
      jax.vmap(plain, (None, 0))(x, kernels),
      rtol=1e-4,
      atol=1e-3,
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
  with pytest.raises(Exception, match='not of a convolution'):
    native.conv(jnp.zeros((1, 4, 4, 2)), jnp.zeros((3, 3, 3, 5)), stride=1)
  x, kernel = jnp.zeros((2, 4, 4, 2)), jnp.zeros((3, 3, 2, 5))
  with pytest.raises(Exception, match='bias has another shape'):
    native.conv(x, kernel, jnp.zeros((3, 5)), stride=1)
  with pytest.raises(Exception, match='added has another shape'):
    native.conv(x, kernel, None, jnp.zeros((2, 4, 4, 2)), stride=1)
  with pytest.raises(Exception, match='added has another shape'):
    native.conv_transpose(
        jnp.zeros((2, 4, 4, 5)), kernel, jnp.zeros((2, 4, 3, 2)), stride=1
    )


LAYERS = [
    (layers.Conv(5, 3), nn.Conv(5, (3, 3))),
    (layers.Conv(5, 5), nn.Conv(5, (5, 5))),
    (layers.Conv(5, 4, stride=2), nn.Conv(5, (4, 4), strides=2)),
    (layers.HalvingConv(5), nn.Conv(5, (4, 4), strides=2)),
    (
        layers.DoublingConv(5),
        nn.ConvTranspose(5, (4, 4), strides=(2, 2)),
    ),
]


@pytest.mark.parametrize('ours, theirs', LAYERS)
@pytest.mark.parametrize('is_built', [True, False])
def test_layers_are_those_of_flax(ours, theirs, is_built, monkeypatch):
  monkeypatch.setattr(native, 'is_built', lambda: is_built)
  x = random(0, 3, 4, 6, 7)
  params = theirs.init(jax.random.PRNGKey(0), x)
  params['params']['bias'] = jnp.arange(5.0)
  shapes = jax.tree.map(jnp.shape, params)
  assert jax.tree.map(jnp.shape, ours.init(jax.random.PRNGKey(0), x)) == shapes

  def loss(layer):
    return lambda p, x: jnp.sum(jnp.sin(layer.apply(p, x)))

  text = jax.jit(ours.apply).lower(params, x).as_text()
  assert ('@spiral_jax_conv' in text) == is_built
  assert_close(ours.apply(params, x), theirs.apply(params, x))
  assert_close(
      jax.jit(jax.grad(loss(ours), argnums=(0, 1)))(params, x),
      jax.jit(jax.grad(loss(theirs), argnums=(0, 1)))(params, x),
  )


def weights(seed, *shape, count=1):
  return conv_ops.Weights(
      0.2 * random(seed, *shape), random(seed + 1, count, shape[-1])
  )


def values_and_gradients(function, *arrays):
  """Returns both, of a function with an array as its value."""

  def loss(*arrays):
    return jnp.sum(jnp.sin(function(*arrays)))

  argnums = tuple(range(len(arrays)))
  return function(*arrays), jax.jit(jax.grad(loss, argnums))(*arrays)


@pytest.mark.parametrize('shape, features, size, stride', CASES)
@pytest.mark.parametrize('rectify', [True, False])
@pytest.mark.parametrize('is_shifted', [True, False])
def test_layers_equal_plain_ones(
    shape, features, size, stride, rectify, is_shifted
):
  x = random(0, *shape)
  given = weights(
      1, size, size, shape[-1], features, count=shape[0] if is_shifted else 1
  )

  def by_hand(x, given):
    y = plain(jnp.maximum(x, 0) if rectify else x, given.kernel, stride)
    return y + given.biases.reshape(-1, 1, 1, features)

  def ours(x, given):
    return conv_ops.layer(x, given, stride, rectify)

  text = jax.jit(ours).lower(x, given).as_text()
  assert f'@spiral_jax_{"relu_" if rectify else ""}conv(' in text
  assert_close(
      values_and_gradients(ours, x, given),
      values_and_gradients(by_hand, x, given),
      atol=2e-4,  # Sums of bias gradients nearly cancel.
  )


@pytest.mark.parametrize('is_built', [True, False])
@pytest.mark.parametrize(
    'shape', [(300, 2, 2, 32), (5, 8, 7, 3), (9, 4, 4, 40)]
)
def test_residual_blocks_equal_plain_ones(shape, is_built, monkeypatch):
  monkeypatch.setattr(native, 'is_built', lambda: is_built)
  channels = shape[-1]
  arrays = random(0, *shape), *(
      weights(seed, 3, 3, channels, channels) for seed in (1, 3)
  )

  def by_hand(x, first, second):
    h = plain(jnp.maximum(x, 0), first.kernel) + first.biases[0]
    return x + plain(jnp.maximum(h, 0), second.kernel) + second.biases[0]

  assert_close(
      values_and_gradients(conv_ops.residual, *arrays),
      values_and_gradients(by_hand, *arrays),
  )


def test_layers_are_the_same_on_other_platforms(monkeypatch):
  # What is lowered there, computed here.
  x, first, second = random(0, 9, 4, 4, 6), *(
      weights(seed, 3, 3, 6, 6, count=9) for seed in (1, 3)
  )

  def both(x, first, second):
    return conv_ops.residual(conv_ops.layer(x, first, 1, False), first, second)

  ours = values_and_gradients(both, x, first, second)
  monkeypatch.setattr(
      conv_ops,
      '_branch',
      lambda on_cpu, elsewhere, *arrays, **kwargs: elsewhere(*arrays, **kwargs),
  )
  assert_close(ours, values_and_gradients(both, x, first, second))


@pytest.mark.parametrize(
    'layer',
    [
        layers.Conv(32, 3),
        layers.ResidualBlock(),
        layers.HalvingConv(32),
        layers.DoublingConv(32),
    ],
)
def test_which_convolutions_are_used_is_decided_when_lowered(layer):
  x = random(0, 3, 8, 8, 32)
  params = layer.init(jax.random.PRNGKey(0), x)

  def loss(params):
    return (layer.apply(params, x) ** 2).sum()

  traced = jax.jit(jax.grad(loss)).trace(params)
  texts = {
      platform: traced.lower(lowering_platforms=(platform,)).as_text()
      for platform in ('cpu', 'cuda', 'tpu')
  }
  assert '@spiral_jax_' in texts['cpu']
  for platform in ('cuda', 'tpu'):
    assert '@spiral_jax_' not in texts[platform]
    assert 'stablehlo.convolution' in texts[platform]


def test_what_is_no_number_stays_so():
  x = jnp.full((1, 2, 2, 8), jnp.nan)
  assert jnp.isnan(conv_ops.layer(x, weights(0, 3, 3, 8, 8), 1, True)).all()


def test_residual_blocks_use_it_and_are_those_of_flax():
  x = random(0, 3, 4, 4, 32)
  block = layers.ResidualBlock()
  params = block.init(jax.random.PRNGKey(0), x)
  text = jax.jit(block.apply).lower(params, x).as_text()
  assert text.count('custom_call @spiral_jax_relu_conv(') == 2
  layer = nn.Conv(32, (3, 3))
  h = layer.apply({'params': params['params']['Conv_0']}, nn.relu(x))
  h = layer.apply({'params': params['params']['Conv_1']}, nn.relu(h))
  np.testing.assert_allclose(block.apply(params, x), x + h, atol=1e-5)


def test_without_the_extension_it_is_the_plain_convolution(monkeypatch):
  x = random(0, 3, 4, 4, 32)
  block = layers.ResidualBlock()
  params = block.init(jax.random.PRNGKey(0), x)
  with_it = block.apply(params, x)
  monkeypatch.setattr(native, 'is_built', lambda: False)
  text = jax.jit(block.apply).lower(params, x).as_text()
  assert 'spiral_jax' not in text
  np.testing.assert_allclose(block.apply(params, x), with_it, atol=1e-5)
