import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from spiral_jax.networks import discriminator

N, SIZE = 4, 8
KINDS = pytest.mark.parametrize(
    'patch_size, spectral_norm', [(1, False), (2, False), (1, True), (2, True)]
)


def images(seed=0, size=SIZE):
  rng = np.random.default_rng(seed)
  return jnp.asarray(rng.uniform(size=(N, size, size, 2)), jnp.float32)


@functools.cache
def make(patch_size, spectral_norm, channels=(4, 6)):
  network = discriminator.Discriminator(channels, patch_size, spectral_norm)
  params = network.init(jax.random.PRNGKey(0), images())
  return network, params, jax.jit(network.apply)


@KINDS
def test_the_score_of_an_image_does_not_depend_on_its_neighbors(
    patch_size, spectral_norm
):
  _, params, apply = make(patch_size, spectral_norm)
  scores = apply(params, images())
  assert scores.shape == (N,)
  assert len(np.unique(scores)) == N
  # Neighbors that would shift any statistics of the batch.
  others = (10.0 * images(1)).at[2].set(images()[2])
  assert apply(params, others)[2] == pytest.approx(float(scores[2]), abs=1e-5)
  np.testing.assert_allclose(
      apply(params, images()[::-1]), scores[::-1], atol=1e-5
  )


def test_there_are_no_running_statistics_without_spectral_norm():
  _, params, _ = make(1, False)
  assert set(params) == {'params'}


@KINDS
def test_every_pixel_and_channel_is_seen(patch_size, spectral_norm):
  _, params, apply = make(patch_size, spectral_norm)
  gradient = jax.jit(jax.grad(lambda x: jnp.sum(apply(params, x))))(images())
  assert np.all(gradient != 0)


def iterate(network, params, count):
  @jax.jit
  def once(params):
    _, stats = network.apply(
        params, images(), update_stats=True, mutable=['batch_stats']
    )
    return {**params, **stats}

  for _ in range(count):
    params = once(params)
  return params


@pytest.mark.parametrize('patch_size', [1, 2])
def test_power_iterations_find_the_largest_singular_values(patch_size):
  network, params, _ = make(patch_size, True)
  params = iterate(network, params, 300)
  sigmas = {
      name.split('/')[0]: float(value)
      for stats in params['batch_stats'].values()
      for name, value in stats.items()
      if name.endswith('/sigma')
  }
  assert len(sigmas) == len(params['params']) == 3
  for name, layer in params['params'].items():
    kernel = np.asarray(layer['kernel'])
    matrix = kernel.reshape(-1, kernel.shape[-1])
    largest = np.linalg.svd(matrix, compute_uv=False)[0]
    assert sigmas[name] / largest == pytest.approx(1.0, abs=0.01), name


def test_a_normalized_linear_score_has_slope_one():
  network, params, apply = make(1, True, channels=())
  params = iterate(network, params, 3)
  gradient = jax.grad(lambda x: jnp.sum(apply(params, x)))(images())
  np.testing.assert_allclose(
      np.sqrt(np.sum(gradient**2, axis=(1, 2, 3))), np.ones(N), rtol=1e-4
  )


def test_the_size_of_kernels_does_not_matter_when_normalized():
  network, params, apply = make(2, True)
  params = iterate(network, params, 5)
  larger = {
      **params,
      'params': jax.tree.map(
          lambda x: 7.0 * x if x.ndim > 1 else x, params['params']
      ),
  }
  np.testing.assert_allclose(
      apply(larger, images()), apply(params, images()), rtol=1e-4
  )
  _, plain, apply = make(2, False)
  larger = jax.tree.map(lambda x: 7.0 * x, plain)
  assert np.all(
      np.abs(apply(larger, images())) > 10 * np.abs(apply(plain, images()))
  )
