"""The discriminator's learner: what it minimizes, and that it tells apart."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from spiral_jax import agents
from spiral_jax.networks import discriminator as networks

B, SHAPE = 4, (8, 8, 1)
CONFIG = agents.DiscriminatorConfig(
    channels=(4, 8), learning_rate=5e-3, penalty_weight=1.0
)
LOSSES = pytest.mark.parametrize('loss', ['wgan', 'logistic'])


def pages(*shades, batch=B):
  """Returns uint8 pages, each of one shade, in turn."""
  shades = np.resize(np.array(shades, np.uint8), batch)
  return np.zeros((batch, *SHAPE), np.uint8) + shades[:, None, None, None]


def train(learner, updates, *batch, seed=0):
  state = learner.init(jax.random.key(seed))
  for _ in range(updates):
    state, logs = learner.update(state, *batch)
  return state, logs


def to_float(images):
  return jnp.asarray(images, jnp.float32) / 255


@LOSSES
@pytest.mark.parametrize('patch_size', [1, 2])
def test_two_images_are_told_apart(loss, patch_size):
  config = dataclasses.replace(CONFIG, loss=loss, patch_size=patch_size)
  discriminator = agents.make_discriminator(SHAPE, False, config)
  learner = agents.make_discriminator_learner(discriminator, config)
  real, fake = pages(200), pages(60)
  state, logs = train(learner, 40, real, fake)
  score = jax.jit(discriminator.score)
  real_score = score(state.params, to_float(real), None)
  fake_score = score(state.params, to_float(fake), None)
  assert np.min(real_score) > np.max(fake_score) + 0.2
  # Logs are of the update before the last parameters: nearly the same.
  assert logs['discriminator_distance'] == pytest.approx(
      float(np.mean(real_score) - np.mean(fake_score)), rel=0.2
  )


@LOSSES
def test_a_conditional_discriminator_looks_at_both_images(loss):
  # Each page is real with its own target and fake with the other's.
  config = dataclasses.replace(CONFIG, loss=loss, channels=(8, 16))
  discriminator = agents.make_discriminator(SHAPE, True, config)
  learner = agents.make_discriminator_learner(discriminator, config)
  target, other = pages(230, 30), pages(30, 230)
  state, _ = train(learner, 100, target, other, target)
  score = jax.jit(discriminator.score)
  right = score(state.params, to_float(target), to_float(target))
  wrong = score(state.params, to_float(other), to_float(target))
  # Of one target: how the scores of two targets compare has no meaning.
  assert np.min(right - wrong) > 1.0


def test_the_target_is_channels_after_the_canvas():
  discriminator = agents.make_discriminator(SHAPE, True, CONFIG)
  params = discriminator.init(jax.random.key(0))
  canvas, target = to_float(pages(255)), to_float(pages(0, 128))
  score = discriminator.score(params, canvas, target)
  plain = networks.Discriminator(CONFIG.channels)
  np.testing.assert_allclose(
      score,
      plain.apply(params, jnp.concatenate([canvas, target], -1)),
      rtol=1e-5,
  )
  assert np.all(np.abs(score - discriminator.score(params, target, canvas)) > 0)


def by_hand(**config):
  """Returns a learner of a score x.w(target), with plain gradient steps."""

  def init(key):
    del key
    return {'params': {'w': jnp.float32(1.0)}}

  def score(params, images, targets=None):
    slope = params['params']['w'] * targets
    return jnp.sum(images * slope, axis=(1, 2, 3))

  discriminator = agents.Discriminator(init, score, lambda params: params)
  return agents.make_discriminator_learner(
      discriminator, agents.DiscriminatorConfig(**config)
  )


def test_the_penalty_holds_each_image_against_its_own_target_as_it_is():
  # Were targets interpolated, or gradients taken through them as well, the
  # norm of the gradient would not be that of the target.
  target = np.stack([np.full(SHAPE, shade) for shade in (0.0, 0.1, 0.2, 0.5)])
  target = target.astype(np.float32)
  rng = np.random.default_rng(0)
  real, fake = (rng.uniform(size=(B, *SHAPE)).astype('f') for _ in range(2))
  learner = by_hand()
  _, logs = learner.update(learner.init(jax.random.key(0)), real, fake, target)
  norms = np.linalg.norm(target.reshape(B, -1), axis=1)
  penalty = np.mean((norms - 1.0) ** 2)
  assert logs['discriminator_penalty'] == pytest.approx(penalty, rel=1e-4)
  distance = np.mean(np.sum((real - fake) * target, axis=(1, 2, 3)))
  assert logs['discriminator_distance'] == pytest.approx(distance, rel=1e-4)
  offset = 0.5 * np.mean(np.sum((real + fake) * target, axis=(1, 2, 3)))
  assert logs['discriminator_offset'] == pytest.approx(offset, rel=1e-4)
  assert logs['discriminator_total'] == pytest.approx(
      10.0 * penalty - distance, rel=1e-4
  )


def test_a_step_is_one_of_adam_down_the_loss():
  learner = by_hand(learning_rate=0.125, penalty_weight=0.0)
  images = pages(255), pages(0), pages(255)
  state = learner.init(jax.random.key(0))
  state, _ = learner.update(state, *images)  # Raising w adds distance.
  assert state.params['params']['w'] == pytest.approx(1.125, abs=1e-5)
  state, _ = learner.update(state, images[1], images[0], images[2])
  # Adam's moments after gradients -g and g, with beta1 0.5 and beta2 0.999.
  mean = (0.5 * -0.5 + 0.5) / (1 - 0.5**2)
  assert state.params['params']['w'] == pytest.approx(
      1.125 - 0.125 * mean, abs=1e-4
  )


def test_integer_images_are_scaled():
  learner = by_hand()
  integers = pages(51, 102), pages(0, 204), pages(255)
  floats = tuple(np.asarray(to_float(x)) for x in integers)
  logs = [
      learner.update(learner.init(jax.random.key(0)), *batch)[1]
      for batch in (integers, floats)
  ]
  for one, other in zip(*map(jax.tree.leaves, logs)):
    np.testing.assert_allclose(one, other, rtol=1e-5)


def test_updates_are_a_function_of_the_state_and_draw_new_points():
  config = dataclasses.replace(CONFIG, channels=(4,))
  learner = agents.make_discriminator_learner(
      agents.make_discriminator(SHAPE, False, config), config
  )
  batch = pages(200), pages(60)
  one, two = (train(learner, 2, *batch)[0] for _ in range(2))
  key = np.array(jax.random.key_data(one.key))  # A copy: it is donated.
  jax.tree.map(
      np.testing.assert_array_equal,
      one._replace(key=key),
      two._replace(key=jax.random.key_data(two.key)),
  )
  three, _ = learner.update(one, *batch)
  assert np.any(jax.random.key_data(three.key) != key)
  four, _ = learner.update(two._replace(key=jax.random.key(9)), *batch)
  assert any(
      np.any(x != y)
      for x, y in zip(
          jax.tree.leaves(three.params), jax.tree.leaves(four.params)
      )
  )


def test_the_state_is_donated():
  learner = by_hand()
  state = learner.init(jax.random.key(0))
  learner.update(state, pages(1), pages(2), pages(3))
  assert state.params['params']['w'].is_deleted()


def test_learning_follows_the_spectral_norms():
  config = dataclasses.replace(CONFIG, loss='logistic', channels=(4,))
  discriminator = agents.make_discriminator(SHAPE, False, config)
  learner = agents.make_discriminator_learner(discriminator, config)
  state, _ = train(learner, 60, pages(200), pages(60))
  gradient = jax.jit(
      jax.grad(lambda x: jnp.sum(discriminator.score(state.params, x, None)))
  )(to_float(pages(0, 90, 180, 255)))
  norms = np.sqrt(np.sum(gradient**2, axis=(1, 2, 3)))
  # Each of the two kernels stretches by one at most, but a pixel goes into
  # four overlapping patches: a strided 4x4 convolution by at most two.
  assert np.all(norms < 2.02) and np.all(norms > 0.01)


def test_power_iteration_leaves_a_wgan_alone():
  discriminator = agents.make_discriminator(SHAPE, False, CONFIG)
  params = discriminator.init(jax.random.key(0))
  assert discriminator.power_iterate(params) is params


@pytest.mark.parametrize(
    'shape, config, words',
    [
        ((10, 8, 1), dict(patch_size=4), ['10 x 8', '4 pixels', 'patch_size']),
        ((8, 10, 1), dict(patch_size=4), ['8 x 10', '4 pixels', 'patch_size']),
        (
            (12, 12, 1),
            dict(channels=(4, 4, 4)),
            ['12 x 12', 'halved 3 times', '8', 'channels'],
        ),
        (
            (8, 24, 1),
            dict(channels=(4, 4), patch_size=8),
            ['8 x 24', 'halved 1 times', '16', 'channels'],
        ),
    ],
)
def test_networks_that_cannot_be_built_are_refused(shape, config, words):
  with pytest.raises(ValueError) as error:
    agents.make_discriminator(
        shape, False, agents.DiscriminatorConfig(**config)
    )
  for word in words:
    assert word in str(error.value)


@pytest.mark.parametrize(
    'shape, config',
    [
        ((64, 64, 3), dict()),
        ((8, 8, 1), dict(channels=(4,) * 3)),
        ((8, 24, 1), dict(channels=(4, 4), patch_size=4)),
    ],
)
def test_networks_that_can_be_built_are(shape, config):
  discriminator = agents.make_discriminator(
      shape, False, agents.DiscriminatorConfig(**config)
  )
  params = jax.eval_shape(discriminator.init, jax.random.key(0))
  scores = jax.eval_shape(
      discriminator.score, params, jnp.zeros((2, *shape)), None
  )
  assert scores.shape == (2,)


def test_an_unknown_loss_is_refused():
  with pytest.raises(ValueError, match=r"loss is 'hinge'.*'wgan', 'logistic'"):
    agents.DiscriminatorConfig(loss='hinge')


def test_a_conditional_score_without_targets_is_refused():
  discriminator = agents.make_discriminator(SHAPE, True, CONFIG)
  params = jax.eval_shape(discriminator.init, jax.random.key(0))
  with pytest.raises(ValueError, match=r'conditional.*targets.*conditional='):
    jax.eval_shape(discriminator.score, params, to_float(pages(0)), None)


@pytest.mark.parametrize('patch_size', [1, 2])
def test_an_update_takes_a_share_of_the_mean_score_from_all_scores(patch_size):
  config = dataclasses.replace(CONFIG, patch_size=patch_size, centering=0.5)
  discriminator = agents.make_discriminator(SHAPE, config=config)
  learner = agents.make_discriminator_learner(discriminator, config)
  start = learner.init(jax.random.key(0))
  raised = discriminator.shift(start.params, 8.0)
  images = pages(255, 128, 0), pages(20, 200, 90)
  scores = discriminator.score(start.params, images[0])
  np.testing.assert_allclose(
      discriminator.score(raised, images[0]), scores + 8.0, atol=1e-4
  )
  offsets = []
  state = start._replace(params=raised)
  for _ in range(6):
    state, logs = learner.update(state, *images)
    offsets.append(float(logs['discriminator_offset']))
  assert offsets[0] > 7
  # It is halved each time, but for what the images' scores move.
  np.testing.assert_allclose(offsets[1:3], np.array(offsets[:2]) / 2, atol=0.5)
  assert abs(offsets[-1]) < 0.6
