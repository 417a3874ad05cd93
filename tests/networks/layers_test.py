from flax import linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from spiral_jax.networks import layers
from spiral_jax.ops import native
from tests.ops import conv_cases

NEEDS_NATIVE = pytest.mark.skipif(
    not native.is_built(), reason='the native extension was not built'
)


def test_space_to_depth_by_hand():
  x = jnp.arange(16).reshape(1, 4, 4, 1)  # Row by row.
  np.testing.assert_array_equal(
      layers.space_to_depth(x, 2)[0],
      [
          [[0, 1, 4, 5], [2, 3, 6, 7]],
          [[8, 9, 12, 13], [10, 11, 14, 15]],
      ],
  )


def test_space_to_depth_keeps_channels_together():
  x = jnp.arange(2 * 2 * 3).reshape(1, 2, 2, 3)
  np.testing.assert_array_equal(
      layers.space_to_depth(x, 2)[0, 0, 0], np.arange(12)
  )


def test_depth_to_space_by_hand():
  x = jnp.asarray([[[[0, 1, 4, 5], [2, 3, 6, 7]]]])  # Two cells side by side.
  np.testing.assert_array_equal(
      layers.depth_to_space(x, 2)[0, ..., 0], [[0, 1, 2, 3], [4, 5, 6, 7]]
  )


@pytest.mark.parametrize(
    'shape, size', [((2, 4, 6, 3), 2), ((1, 9, 3, 1), 3), ((3, 2, 2, 0), 2)]
)
def test_space_and_depth_undo_each_other(shape, size):
  x = conv_cases.random(0, *shape)
  deep = layers.space_to_depth(x, size)
  n, height, width, channels = shape
  assert deep.shape == (
      n,
      height // size,
      width // size,
      size * size * channels,
  )
  if channels:
    np.testing.assert_array_equal(layers.depth_to_space(deep, size), x)


# What `HalvingConv` takes on a CPU without the extension.
@pytest.mark.parametrize(
    'shape, features',
    [((2, 8, 8, 3), 4), ((1, 2, 2, 1), 1), ((3, 4, 10, 2), 5)],
)
def test_a_product_is_a_strided_convolution(shape, features):
  layer = nn.Conv(features, (4, 4), strides=2)
  x = conv_cases.random(0, *shape)
  kernel = conv_cases.random(1, 4, 4, shape[-1], features)
  mix = conv_cases.random(2, shape[0], shape[1] // 2, shape[2] // 2, features)

  def through_flax(x, kernel):
    params = {'params': {'kernel': kernel, 'bias': jnp.zeros(features)}}
    return jnp.sum(mix * jnp.tanh(layer.apply(params, x)))

  def through_ours(x, kernel):
    return jnp.sum(mix * jnp.tanh(layers._halve_as_product(x, kernel)))

  values_and_gradients = [
      jax.jit(jax.value_and_grad(f, argnums=(0, 1)))(x, kernel)
      for f in (through_flax, through_ours)
  ]
  for one, other in zip(*map(jax.tree.leaves, values_and_gradients)):
    np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5)


def test_halving_layer_differentiates_twice():
  # As the gradient penalty does.
  x, kernel = conv_cases.random(0, 2, 4, 4, 2), conv_cases.random(1, 4, 4, 2, 3)

  def penalty(conv):
    def score(x, kernel):
      return jnp.sum(jnp.tanh(conv(x, kernel)) ** 2)

    return jax.grad(lambda kernel: jnp.sum(jax.grad(score)(x, kernel) ** 2))

  def through_layer(x, kernel):
    params = {'params': {'kernel': kernel, 'bias': jnp.zeros(3)}}
    return layers.HalvingConv(3).apply(params, x)

  def plain(x, kernel):
    return conv_cases.xla_conv(x, kernel, 2)

  np.testing.assert_allclose(
      jax.jit(penalty(through_layer))(kernel),
      jax.jit(penalty(plain))(kernel),
      rtol=1e-3,
      atol=1e-3,
  )


def test_residual_block_skips():
  x = conv_cases.random(0, 2, 4, 4, 3)
  block = layers.ResidualBlock()
  params = block.init(jax.random.PRNGKey(0), x)
  zeros = jax.tree.map(jnp.zeros_like, params)
  np.testing.assert_array_equal(block.apply(zeros, x), x)
  assert np.any(block.apply(params, x) != x)


@pytest.mark.parametrize('rectify', [False, True])
@pytest.mark.parametrize('shifted', [False, True])
def test_a_dense_layer_of_pixels_is_one_of_flax(rectify, shifted):
  x, shift = (
      conv_cases.random(0, 3, 4, 6, 5),
      conv_cases.random(1, 3, 7) if shifted else None,
  )
  ours, flax = layers.Dense(7, rectify=rectify), nn.Dense(7)
  params = ours.init(jax.random.PRNGKey(0), x, shift)
  assert jax.tree.map(jnp.shape, params) == jax.tree.map(
      jnp.shape, flax.init(jax.random.PRNGKey(0), x)
  )
  bias = conv_cases.random(2, 7)
  params['params']['bias'] = bias

  def plain(params, x, shift):
    y = flax.apply(params, nn.relu(x) if rectify else x)
    return y if shift is None else y + shift[:, None, None]

  def loss(apply):
    return jax.value_and_grad(
        lambda *args: jnp.sum(jnp.sin(apply(*args))),
        argnums=(0, 1, 2) if shifted else (0, 1),
    )

  jax.tree.map(
      lambda a, b: np.testing.assert_allclose(a, b, rtol=2e-5, atol=2e-5),
      loss(ours.apply)(params, x, shift),
      loss(plain)(params, x, shift),
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
@pytest.mark.parametrize(
    'is_built', [pytest.param(True, marks=NEEDS_NATIVE), False]
)
def test_layers_are_those_of_flax(ours, theirs, is_built, monkeypatch):
  monkeypatch.setattr(native, 'is_built', lambda: is_built)
  x = conv_cases.random(0, 3, 4, 6, 7)
  params = theirs.init(jax.random.PRNGKey(0), x)
  params['params']['bias'] = jnp.arange(5.0)
  shapes = jax.tree.map(jnp.shape, params)
  assert jax.tree.map(jnp.shape, ours.init(jax.random.PRNGKey(0), x)) == shapes

  def loss(layer):
    return lambda p, x: jnp.sum(jnp.sin(layer.apply(p, x)))

  text = jax.jit(ours.apply).lower(params, x).as_text()
  assert ('@spiral_jax_conv' in text) == is_built
  conv_cases.assert_close(ours.apply(params, x), theirs.apply(params, x))
  conv_cases.assert_close(
      jax.jit(jax.grad(loss(ours), argnums=(0, 1)))(params, x),
      jax.jit(jax.grad(loss(theirs), argnums=(0, 1)))(params, x),
  )


@NEEDS_NATIVE
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
  x = conv_cases.random(0, 3, 8, 8, 32)
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


@NEEDS_NATIVE
def test_residual_blocks_use_it_and_are_those_of_flax():
  x = conv_cases.random(0, 3, 4, 4, 32)
  block = layers.ResidualBlock()
  params = block.init(jax.random.PRNGKey(0), x)
  text = jax.jit(block.apply).lower(params, x).as_text()
  assert text.count('custom_call @spiral_jax_relu_conv(') == 2
  layer = nn.Conv(32, (3, 3))
  h = layer.apply({'params': params['params']['Conv_0']}, nn.relu(x))
  h = layer.apply({'params': params['params']['Conv_1']}, nn.relu(h))
  np.testing.assert_allclose(block.apply(params, x), x + h, atol=1e-5)


@NEEDS_NATIVE
def test_without_the_extension_it_is_the_plain_convolution(monkeypatch):
  x = conv_cases.random(0, 3, 4, 4, 32)
  block = layers.ResidualBlock()
  params = block.init(jax.random.PRNGKey(0), x)
  with_it = block.apply(params, x)
  monkeypatch.setattr(native, 'is_built', lambda: False)
  text = jax.jit(block.apply).lower(params, x).as_text()
  assert 'spiral_jax' not in text
  np.testing.assert_allclose(block.apply(params, x), with_it, atol=1e-5)
