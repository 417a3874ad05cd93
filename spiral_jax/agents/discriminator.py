"""The discriminator and its learner: pure functions.

Axes: B batch, N images, H height, W width, C channels.
"""

from collections.abc import Callable
import functools
from typing import Any, NamedTuple, Protocol

import chex
import jax
import jax.numpy as jnp
import optax

from spiral_jax import types
from spiral_jax.agents import config as config_lib
from spiral_jax.agents import reward_fn
from spiral_jax.agents import sharding
from spiral_jax.agents import shared
from spiral_jax.losses import images as images_lib
from spiral_jax.losses import wgan
from spiral_jax.networks import discriminator as networks
from spiral_jax.networks import initializers


class Discriminator(NamedTuple):
  """Pure functions.

  Attributes:
    init: (key) -> params. The key is consumed.
    score: (params, images, targets or None), `[N, H, W, C]` each -> scores
      `[N]`, higher for images closer to the data.
    power_iterate: (params) -> params whose estimates of spectral norms are one
      step closer; the identity without spectral normalization.
    shift: (params, amount `[]`) -> params whose scores are higher by `amount`;
      the default changes nothing, and leaves the mean score free.
  """

  init: Callable[[chex.PRNGKey], types.Params]
  score: reward_fn.Score
  power_iterate: Callable[[types.Params], types.Params]
  shift: Callable[[types.Params, chex.Array], types.Params] = (
      lambda params, amount: params
  )


class DiscriminatorState(NamedTuple):
  """Everything that the discriminator learner needs to continue."""

  params: types.Params
  opt_state: optax.OptState
  key: chex.PRNGKey


class DiscriminatorUpdate(Protocol):
  """An update of the discriminator's parameters; jitted."""

  def __call__(
      self,
      state: DiscriminatorState,
      real: chex.Array,
      fake: chex.Array,
      target: chex.Array | None = None,
  ) -> tuple[DiscriminatorState, types.Logs]:
    """Returns the next state, and logs: scalars `[]` by name.

    Args:
      state: donated; use only the one that is returned.
      real: images of the data, uint8 or float in [0, 1], `[B, H, W, C]`.
      fake: final canvases, like `real`.
      target: what a conditional agent was to draw, like `real`.

    Raises:
      ValueError: if images are not those of the discriminator, or floats
        outside of [0, 1].
    """


class DiscriminatorLearner(NamedTuple):
  """Pure functions.

  Attributes:
    init: (key) -> DiscriminatorState. The key is consumed.
    update: see `DiscriminatorUpdate`.
  """

  init: Callable[[chex.PRNGKey], DiscriminatorState]
  update: DiscriminatorUpdate


def make_discriminator(
    canvas_shape: tuple[int, int, int],
    conditional: bool = False,
    config: config_lib.DiscriminatorConfig = config_lib.DiscriminatorConfig(),
) -> Discriminator:
  """Returns a discriminator of such canvases.

  Args:
    canvas_shape: (height, width, channels).
    conditional: concatenates the target to the canvas as channels.
    config: the network's sizes.

  Raises:
    ValueError: if the network cannot be built for this shape.
  """
  height, width, channels = canvas_shape
  if height % config.patch_size or width % config.patch_size:
    raise ValueError(
        f'a canvas of {height} x {width} pixels does not divide into patches '
        f'of {config.patch_size} pixels; change patch_size'
    )
  halvings = len(config.channels) - (config.patch_size > 1)
  cells = config.patch_size << halvings
  if height % cells or width % cells:
    raise ValueError(
        f'a canvas of {height} x {width} pixels cannot be halved {halvings} '
        f'times after patches of {config.patch_size} pixels; its size must be '
        'a '
        f'multiple of {cells}, or channels={config.channels} have fewer layers'
    )
  return _make_discriminator(
      (height, width, channels), bool(conditional), config
  )


@shared.shared
def _make_discriminator(
    canvas_shape: tuple[int, int, int],
    conditional: bool,
    config: config_lib.DiscriminatorConfig,
) -> Discriminator:
  height, width, channels = canvas_shape
  network = networks.Discriminator(
      channels=config.channels,
      patch_size=config.patch_size,
      spectral_norm=config.loss == 'logistic',
  )
  last = f'Dense_{int(config.patch_size > 1)}'  # Flax counts modules.
  blank = jnp.zeros(
      (1, height, width, channels * (1 + conditional)), jnp.float32
  )

  @jax.jit  # Op by op, compiling it takes much longer.
  def init(key: chex.PRNGKey) -> types.Params:
    """Returns random parameters, a tree of float32. The key is consumed."""
    numbers_key, key = jax.random.split(key)
    shapes = jax.eval_shape(network.init, key, blank)
    count = sum(leaf.size for leaf in jax.tree.leaves(shapes))
    with initializers.drawn_at_once(numbers_key, count):
      return network.init(key, blank)

  def score(
      params: types.Params,
      images: chex.Array,
      targets: chex.Array | None = None,
  ) -> chex.Array:
    """Returns scores, float32 `[N]`, higher for images closer to the data.

    Args:
      params: parameters of the discriminator.
      images: uint8, or float in [0, 1], `[N, H, W, C]`.
      targets: what a conditional agent was to draw, like `images`; else None.

    Raises:
      ValueError: when traced, if targets are missing or not expected, or images
        are not those of the discriminator.
    """
    if images.shape[1:] != canvas_shape:
      raise ValueError(
          f'images are {list(images.shape)}, and the discriminator was made '
          f'for {["N", *canvas_shape]}; make it for the shape of the canvas'
      )
    images = images_lib.to_float(images)
    if conditional:
      if targets is None:
        raise ValueError(
            'the discriminator is conditional but there are no targets; give '
            'them, or build it with conditional=False'
        )
      if targets.shape != images.shape:
        raise ValueError(
            f'targets are {list(targets.shape)}, and images '
            f'{list(images.shape)}; give one target an image, of its shape'
        )
      targets = images_lib.to_float(targets, 'targets')
      images = jnp.concatenate([images, targets], axis=-1)
    elif targets is not None:
      raise ValueError(
          'there are targets but the discriminator is unconditional; leave '
          'them out, or build it with conditional=True'
      )
    return network.apply(params, images)

  def power_iterate(params: types.Params) -> types.Params:
    """Returns parameters with better estimates of spectral norms."""
    if config.loss != 'logistic':
      return params
    _, stats = network.apply(
        params, blank, update_stats=True, mutable=['batch_stats']
    )
    return {**params, **stats}

  def shift(params: types.Params, amount: chex.Array) -> types.Params:
    """Returns parameters whose scores are higher by `amount`, a scalar `[]`."""
    weights: Any = dict(params['params'])
    weights[last] = {**weights[last], 'bias': weights[last]['bias'] + amount}
    return {**params, 'params': weights}

  return Discriminator(init, score, power_iterate, shift)


@shared.shared
def make_discriminator_learner(
    discriminator: Discriminator,
    config: config_lib.DiscriminatorConfig = config_lib.DiscriminatorConfig(),
    *,
    mesh: jax.sharding.Mesh | None = None,
) -> DiscriminatorLearner:
  """Returns a learner of `discriminator`'s parameters.

  Args:
    discriminator: the discriminator that learns.
    config: loss and optimizer.
    mesh: devices among which each batch is divided; see sharding.py.
  """
  if mesh is not None:
    discriminator = discriminator._replace(
        score=sharding.shard_score(discriminator.score, mesh)
    )
  # Of one vector: operations for each parameter would all be compiled.
  optimizer = optax.flatten(
      optax.adam(config.learning_rate, b1=config.beta1, b2=config.beta2)
  )

  @jax.jit
  def init(key: chex.PRNGKey) -> DiscriminatorState:
    """Returns the first state, with random parameters. The key is consumed."""
    init_key, key = jax.random.split(key)
    params = discriminator.init(init_key)
    return DiscriminatorState(params, optimizer.init(params['params']), key)

  def loss(
      weights: Any, params: types.Params, key, real, fake, target
  ) -> tuple[chex.Array, wgan.DiscriminatorLoss]:
    def score(images):
      return discriminator.score({**params, 'params': weights}, images, target)

    if config.loss == 'wgan':
      terms = wgan.wgan_loss(
          score,
          key,
          real,
          fake,
          penalty_weight=config.penalty_weight,
          offset_weight=0.0,
      )
    else:
      terms = wgan.logistic_loss(score, real, fake)
    return terms.total, terms

  @functools.partial(jax.jit, donate_argnums=0)
  def step(state, real, fake, target):
    real, fake, target = jax.tree.map(images_lib.to_float, (real, fake, target))
    loss_key, key = jax.random.split(state.key)
    params = discriminator.power_iterate(state.params)
    gradients, terms = jax.grad(loss, has_aux=True)(
        params['params'], params, loss_key, real, fake, target
    )
    updates, opt_state = optimizer.update(gradients, state.opt_state)
    weights = optax.apply_updates(params['params'], updates)
    logs = {
        f'discriminator_{name}': value
        for name, value in terms._asdict().items()
    }
    params = {**params, 'params': weights}
    if config.loss == 'wgan':  # A penalty would hold the distance back as well.
      params = discriminator.shift(params, -config.centering * terms.offset)
    state = DiscriminatorState(params, opt_state, key)
    return sharding.replicate((state, logs), mesh)

  def update(
      state: DiscriminatorState,
      real: chex.Array,
      fake: chex.Array,
      target: chex.Array | None = None,
  ) -> tuple[DiscriminatorState, types.Logs]:
    images_lib.check_values(real, 'real images')
    images_lib.check_values(fake, 'fake images')
    if target is not None:
      images_lib.check_values(target, 'targets')
    return step(state, real, fake, target)

  update.__doc__ = DiscriminatorUpdate.__call__.__doc__
  learner = DiscriminatorLearner(init, update)
  if mesh is None:
    return learner
  return sharding.shard_discriminator_learner(learner, mesh)
