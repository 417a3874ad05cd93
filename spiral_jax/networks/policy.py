"""The policy network: torso, LSTM, autoregressive decoder, value.

Axes: T time (commands), B batch, H height, W width, C channels, Z noise,
P parts of a command.
"""

import chex
from flax import linen as nn
import jax
import jax.numpy as jnp

from spiral_jax.networks import action as action_lib
from spiral_jax.networks import layers
from spiral_jax.networks import lstm


class Policy(nn.Module):
  """The policy of figures 12 and 13 of Ganin et al. (arXiv:1804.01118).

  Torso and decoder decide its size.

  Attributes:
    parts: parts of a command, in the order of decision.
    torso: module from (images, condition, planes) to (map, vector); see
      torso.py.
    map_size: height and width of the torso's feature map, in cells.
    core_size: size of the LSTM.
    decoder: module that decides a command; see heads.py.
    embedding_size: size of the embedding of each part of the last command.
    mark_location: True marks the last command's locations on planes for the
      torso.
    condition_size: size of the embedded last command and noise, if it is as
      figure 12 states: perceptrons and one layer without a ReLU. None means
      linear embeddings, and a ReLU after the layer.
  """

  parts: tuple[action_lib.ActionPart, ...]
  torso: nn.Module
  map_size: int
  core_size: int
  decoder: nn.Module
  embedding_size: int
  mark_location: bool
  condition_size: int | None = None

  @nn.compact
  def __call__(
      self,
      images: tuple[chex.Array, ...],
      noise: chex.Array,
      previous: dict[str, chex.Array],
      core: tuple[chex.Array, chex.Array],
      action: dict[str, chex.Array] | None,
      key: chex.PRNGKey | None,
      greedy: bool | chex.Array = False,
      temperature: float | chex.Array = 1.0,
      advice: dict[str, chex.Array] | None = None,
  ):
    """Decides commands, or scores given ones.

    Args:
      images: images such as canvas and target, floats `[T, B, H, W, C]` each; a
        blind policy has one with C = 0. All features except those of the LSTM
        are of their type.
      noise: `[T, B, Z]`, of the type of the images; Z may be 0.
      previous: commands before these, `[T, B]` each; -1 means none.
      core: c and h of the LSTM before the first command, `[B, core_size]` each.
      action: commands to score, `[T, B]` each; None decides them, with T = 1.
      key: consumed for sampling; may be None if nothing is sampled.
      greedy: True takes the likeliest values instead of sampling.
      temperature: divides the logits of each part.
      advice: other values of some parts to score, `[T, B]` each; -1 is none.

    Returns:
      action: values `[T, B]` of each part.
      log_prob: log-probability of the active parts `[T, B]`.
      entropy: entropy of each part in nats `[T, B, P]`.
      is_active: 1.0 for each part that has a meaning, else 0.0, `[T, B, P]`.
      value: `[T, B]`.
      core: c and h of the LSTM after the last command, `[B, core_size]` each.
      part_log_prob: log-probability of each active part, else 0, `[T, B, P]`.
      advice_log_prob: the same of the advice; None without.
    """
    steps, batch = images[0].shape[:2]
    dtype = images[0].dtype

    def flat(x):  # [T, B, ...] -> [T * B, ...]
      return x.reshape(steps * batch, *x.shape[2:])

    def timed(x):  # [T * B, ...] -> [T, B, ...]
      return x.reshape(steps, batch, *x.shape[1:])

    flat_previous = jax.tree.map(flat, previous)
    condition = self._condition(flat_previous, flat(noise))
    feature_map, vector = self.torso(
        [flat(image) for image in images],
        condition,
        self._planes(flat_previous).astype(dtype),
    )
    # The LSTM's state accumulates over all commands: it and its outputs are
    # float32.
    vector = timed(vector).astype(jnp.float32)
    core, z = lstm.LSTM(self.core_size)(core, vector)
    value = layers.linear(1, name='value')(z)[..., 0]
    *scored, advice_log_prob = self.decoder(
        flat(z).astype(dtype),
        feature_map,
        None if action is None else jax.tree.map(flat, action),
        key,
        greedy,
        temperature,
        None if advice is None else jax.tree.map(flat, advice),
    )
    decided, log_prob, entropy, is_active, part_log_prob = jax.tree.map(
        timed, tuple(scored)
    )
    advice_log_prob = jax.tree.map(timed, advice_log_prob)
    return (
        decided,
        log_prob,
        entropy,
        is_active,
        value,
        core,
        part_log_prob,
        advice_log_prob,
    )

  def _condition(self, previous, noise):
    """Returns the embedded last command and the noise, `[N, E]`."""
    num_layers = 1 if self.condition_size is None else 2
    codes = [
        action_lib.PartEmbedding(
            part, self.embedding_size, num_layers, name=f'{part.name}_previous'
        )(previous[part.name])
        for part in self.parts
    ]
    codes = [code.astype(noise.dtype) for code in codes]
    if self.condition_size is not None:
      return layers.linear(self.condition_size, name='condition')(
          jnp.concatenate([*codes, noise], axis=-1)
      )
    h = nn.relu(jnp.concatenate([*codes, noise], axis=-1))
    # Noise also passes unrectified: a ReLU loses half of it.
    h = layers.linear(2 * self.embedding_size, name='condition')(
        jnp.concatenate([h, noise], axis=-1)
    )
    return nn.relu(h)

  def _planes(self, previous):
    """Returns the marks of the last command, `[N, map_size, map_size, any]`."""
    like = next(iter(previous.values()))
    planes = [
        jnp.zeros((like.shape[0], self.map_size, self.map_size, 0), jnp.float32)
    ]
    if self.mark_location:
      planes += [
          action_lib.location_planes(part, previous[part.name], self.map_size)
          for part in self.parts
          if part.grid_shape is not None
      ]
    return jnp.concatenate(planes, axis=-1)
