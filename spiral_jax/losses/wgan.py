"""Discriminator losses: pure functions; no flag, file, thread or env.

Axes: B batch, H height, W width, C channels. Images are uint8 from 0 to 255,
or floats in [0, 1], or one of each; scores see floats.
"""

from typing import NamedTuple, Protocol

import chex
import jax
import jax.numpy as jnp

from spiral_jax.losses import images


class ScoreFn(Protocol):
  """Scores images: higher is closer to the data."""

  def __call__(self, images: chex.Array) -> chex.Array:
    """Maps float images `[N, H, W, C]` to scores `[N]`."""
    ...


class DiscriminatorLoss(NamedTuple):
  """Terms of a discriminator's objective, scalars `[]` in score units."""

  total: chex.Array  # Objective to minimize.
  distance: chex.Array  # Mean score of real minus mean score of fake.
  penalty: chex.Array  # Gradient penalty, unweighted; 0 if not used.
  offset: chex.Array  # Mean score over half real and half fake images.


def wgan_loss(
    score: ScoreFn,
    key: chex.PRNGKey,
    real: chex.Array,
    fake: chex.Array,
    *,
    penalty_weight: float = 10.0,
    offset_weight: float = 0.001,
) -> DiscriminatorLoss:
  """Returns the loss of eq. 3 of Gulrajani et al. (arXiv:1704.00028).

  The score is defined up to a constant. As in section 3.2 of Ganin et al.
  (arXiv:1804.01118), its mean over half real and half fake images is pulled to
  zero. For a conditional score, let `score` close over the targets: the penalty
  then interpolates between a real and a fake image of the same target, and
  never between targets.

  Args:
    score: maps images `[B, H, W, C]` to scores `[B]`.
    key: consumed; places a point between each real and fake image.
    real: real images `[B, H, W, C]`.
    fake: fake images, of the shape of `real`.
    penalty_weight: weight of the gradient penalty, lambda, no unit.
    offset_weight: weight of the squared mean score, 1 / score units.

  Raises:
    AssertionError: when traced, if `real` and `fake` differ in shape.
    ValueError: as `images.to_float`.
  """
  real, fake = _pair(real, fake)
  real_score, fake_score = score(real), score(fake)
  distance = jnp.mean(real_score) - jnp.mean(fake_score)
  offset = 0.5 * (jnp.mean(real_score) + jnp.mean(fake_score))
  penalty = gradient_penalty(score, key, real, fake)
  total = penalty_weight * penalty - distance + offset_weight * offset**2
  return DiscriminatorLoss(total, distance, penalty, offset)


def logistic_loss(
    score: ScoreFn,
    real: chex.Array,
    fake: chex.Array,
    *,
    offset_weight: float = 0.0,
) -> DiscriminatorLoss:
  """Returns the loss of eq. 1 of Goodfellow et al. (arXiv:1406.2661).

  The scores are logits. With a spectrally normalized discriminator this is the
  objective of SPIRAL++ (Mellor et al., arXiv:1910.01007).

  Args:
    score: maps images `[B, H, W, C]` to logits `[B]`.
    real: real images `[B, H, W, C]`.
    fake: fake images, of the shape of `real`.
    offset_weight: weight of the squared mean score, as in `wgan_loss`.

  Raises:
    AssertionError: when traced, if `real` and `fake` differ in shape.
    ValueError: as `images.to_float`.
  """
  real, fake = _pair(real, fake)
  real_score, fake_score = score(real), score(fake)
  distance = jnp.mean(real_score) - jnp.mean(fake_score)
  offset = 0.5 * (jnp.mean(real_score) + jnp.mean(fake_score))
  cross_entropy = jnp.mean(jax.nn.softplus(-real_score)) + jnp.mean(
      jax.nn.softplus(fake_score)
  )
  total = cross_entropy + offset_weight * offset**2
  return DiscriminatorLoss(total, distance, jnp.zeros((), jnp.float32), offset)


def gradient_penalty(
    score: ScoreFn,
    key: chex.PRNGKey,
    real: chex.Array,
    fake: chex.Array,
) -> chex.Array:
  """Returns the mean of (|gradient of the score| - 1)^2, a scalar `[]`.

  The gradient is that of the score itself (no sigmoid), taken at one point per
  pair, drawn uniformly from the line between a real image and its fake.

  Args:
    score: maps images `[B, H, W, C]` to scores `[B]`, each from its own image.
    key: consumed; draws the points.
    real: real images `[B, H, W, C]`.
    fake: fake images, of the shape of `real`.

  Raises:
    AssertionError: when traced, if `real` and `fake` differ in shape.
    ValueError: as `images.to_float`.
  """
  real, fake = _pair(real, fake)
  mix = jax.random.uniform(
      key, (real.shape[0],) + (1,) * (real.ndim - 1), jnp.float32
  )
  between = mix * real + (1.0 - mix) * fake
  gradient = jax.grad(lambda images: jnp.sum(score(images)))(between)
  square = jnp.sum(gradient**2, axis=tuple(range(1, gradient.ndim)))
  # The root's derivative is infinite at 0, and dead units give exact zeros.
  norm = jnp.sqrt(square + 1e-12)
  return jnp.mean((norm - 1.0) ** 2)


def _pair(real: chex.Array, fake: chex.Array) -> tuple[chex.Array, chex.Array]:
  """Returns real and fake images as floats in [0, 1]."""
  chex.assert_equal_shape([real, fake])
  return (
      images.to_float(real, 'real images'),
      images.to_float(fake, 'fake images'),
  )
