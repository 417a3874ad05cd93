import jax
import jax.numpy as jnp
import numpy as np
import pytest

from spiral_jax.losses import wgan

B, SHAPE = 5, (4, 4, 2)
KEY = np.array([0, 0], np.uint32)

# One program each: op by op, XLA compiles for longer than it computes.
gradient_penalty = jax.jit(wgan.gradient_penalty, static_argnums=0)
wgan_loss = jax.jit(wgan.wgan_loss, static_argnums=0)
logistic_loss = jax.jit(wgan.logistic_loss, static_argnums=0)


def images(seed, batch=B):
  rng = np.random.default_rng(seed)
  return rng.uniform(size=(batch, *SHAPE)).astype(np.float32)


def linear(norm, bias=0.0):
  """Returns a score w.x + bias with |w| = norm."""
  weights = np.random.default_rng(7).normal(size=SHAPE)
  weights = (weights * norm / np.linalg.norm(weights)).astype(np.float32)
  return lambda x: (x * weights).sum(axis=(1, 2, 3)) + bias


def square(x):
  """Its gradient is x itself: another one for each image."""
  return 0.5 * (x**2).sum(axis=(1, 2, 3))


def of_norms(norms):
  """Returns images of these norms."""
  x = images(3, len(norms))
  scale = np.asarray(norms, np.float32) / np.sqrt(2.0 * square(x))
  return x * scale[:, None, None, None]


@pytest.mark.parametrize('norm', [0.5, 1.0, 3.0])
def test_penalty_of_a_linear_score(norm):
  # Neither batch nor scores appear: it is the gradient of each score, not of
  # their mean, nor of their sigmoid.
  penalty = gradient_penalty(linear(norm, 5.0), KEY, images(0), images(1))
  assert penalty == pytest.approx((norm - 1.0) ** 2, abs=1e-5)


def test_penalty_takes_the_norm_of_each_image():
  norms = np.array([0.0, 0.5, 1.0, 1.5, 2.0])
  same = of_norms(norms)  # The point between lies where both are.
  penalty = gradient_penalty(square, KEY, same, same)
  assert penalty == pytest.approx(np.mean((norms - 1.0) ** 2), rel=1e-5)


def test_penalty_is_taken_uniformly_between_real_and_fake():
  # With gradients of norm 2u, u uniform: the mean of (2u - 1)^2 is 1/3.
  fake = of_norms(np.full(5000, 2.0))
  penalty = gradient_penalty(square, KEY, np.zeros_like(fake), fake)
  assert penalty == pytest.approx(1.0 / 3.0, abs=0.015)


def test_penalty_lies_between_a_real_image_and_its_own_fake():
  seen = []

  def score(x):
    seen.append(jax.lax.stop_gradient(x))
    return square(x)

  real, fake = images(0), images(1)
  wgan.gradient_penalty(score, KEY, real, fake)
  mix = (seen[0] - fake) / (real - fake)
  one_each = mix[:, :1, :1, :1]
  np.testing.assert_allclose(
      mix, jnp.broadcast_to(one_each, mix.shape), atol=1e-3
  )
  assert len(np.unique(np.round(one_each, 3))) == B
  assert np.all((one_each > 0) & (one_each < 1))


def test_penalty_of_a_dead_score_has_finite_gradients():
  def penalty(weight):
    def score(x):
      return jnp.sum(x * weight, axis=(1, 2, 3))

    return wgan.gradient_penalty(score, KEY, images(0), images(1))

  value, gradient = jax.jit(jax.value_and_grad(penalty))(jnp.zeros(SHAPE))
  assert value == pytest.approx(1.0, abs=1e-5)
  assert np.all(np.isfinite(gradient))


def test_penalty_draws_another_point_with_another_key():
  penalties = [
      float(gradient_penalty(square, key, images(0), images(1)))
      for key in (KEY, KEY, KEY + 1)
  ]
  assert penalties[0] == penalties[1] != penalties[2]


def test_wgan_terms():
  score = linear(3.0, bias=2.0)
  real, fake = images(0), images(1)
  terms = wgan_loss(
      score, KEY, real, fake, penalty_weight=10.0, offset_weight=0.5
  )
  distance = np.mean(score(real)) - np.mean(score(fake))
  offset = np.mean(np.concatenate([score(real), score(fake)]))
  assert terms.distance == pytest.approx(distance, abs=1e-5)
  assert terms.offset == pytest.approx(offset, abs=1e-5)
  assert terms.penalty == pytest.approx(4.0, abs=1e-4)
  assert terms.total == pytest.approx(
      40.0 - distance + 0.5 * offset**2, abs=1e-3
  )


def test_offset_pulls_mean_scores_to_zero_from_both_sides():
  def total(bias):
    terms = wgan.wgan_loss(
        linear(1.0, bias), KEY, images(0), images(1), offset_weight=1.0
    )
    return terms.total

  slope = jax.jit(jax.grad(total))
  assert slope(100.0) > 1.0
  assert slope(-100.0) < -1.0


def test_wgan_defaults_are_the_papers():
  real, fake = images(0), images(1)
  terms = wgan_loss(linear(3.0, 50.0), KEY, real, fake)
  total = 10.0 * terms.penalty - terms.distance + 0.001 * terms.offset**2
  assert terms.total == pytest.approx(float(total), abs=1e-4)


def test_logistic_loss_is_two_cross_entropies():
  real_score = np.array([2.0, -1.0, 0.0, 5.0, 0.5])
  fake_score = np.array([-2.0, 1.0, 0.0, 3.0, 0.1])

  def score(x):
    return 10.0 * x[:, 0, 0, 0] - 5.0

  def of_scores(values):
    return jnp.zeros((B, *SHAPE)).at[:, 0, 0, 0].set((values + 5.0) / 10.0)

  terms = logistic_loss(
      score, of_scores(real_score), of_scores(fake_score), offset_weight=0.3
  )
  cross_entropy = np.mean(np.log(1.0 + np.exp(-real_score))) + np.mean(
      np.log(1.0 + np.exp(fake_score))
  )
  offset = np.mean(np.concatenate([real_score, fake_score]))
  assert terms.total == pytest.approx(cross_entropy + 0.3 * offset**2, abs=1e-5)
  assert terms.distance == pytest.approx(
      real_score.mean() - fake_score.mean(), abs=1e-5
  )
  assert terms.offset == pytest.approx(offset, abs=1e-5)
  assert terms.penalty == 0.0


def test_logistic_loss_of_an_undecided_score_and_of_a_sure_one():
  undecided = logistic_loss(linear(0.0), images(0), images(1))
  assert undecided.total == pytest.approx(2.0 * np.log(2.0), abs=1e-6)

  def sure(x):
    return jnp.where(x[:, 0, 0, 0] > 0, 1e4, -1e4)

  ones, zeros = np.ones((B, *SHAPE)), np.zeros((B, *SHAPE))
  assert logistic_loss(sure, ones, zeros).total == 0.0
  wrong = logistic_loss(sure, zeros, ones)
  assert wrong.total == pytest.approx(2e4)


def test_images_of_different_batches_are_refused():
  with pytest.raises(AssertionError):
    wgan.wgan_loss(square, KEY, images(0), images(1, 1))
  with pytest.raises(AssertionError):
    wgan.logistic_loss(square, images(0), images(1, 1))
