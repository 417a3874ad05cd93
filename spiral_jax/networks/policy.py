"""The policy network: torso, LSTM, autoregressive decoder, value.

Axes: T time (commands), B batch, H height, W width, C channels, Z noise,
P parts of a command.
"""

import chex
from flax import linen as nn
import jax
import jax.numpy as jnp

from spiral_jax.networks import action as action_lib
from spiral_jax.networks import lstm


class Policy(nn.Module):
  """Figures 12 and 13 of Ganin et al. (arXiv:1804.01118), and smaller kin.

  Attributes:
    parts: of a command, in the order of decision.
    torso: maps (images, condition, planes) to (map, vector); see torso.py.
    map_size: of the torso's feature map, in cells.
    core_size: of the LSTM.
    decoder: see heads.py.
    embedding_size: of a part of the last command.
    mark_location: mark the last command's locations on the feature map.
  """

  parts: tuple[action_lib.ActionPart, ...]
  torso: nn.Module
  map_size: int
  core_size: int
  decoder: nn.Module
  embedding_size: int
  mark_location: bool

  @nn.compact
  def __call__(
      self,
      images: tuple[chex.Array, ...],
      noise: chex.Array,
      previous: dict[str, chex.Array],
      core: tuple[chex.Array, chex.Array],
      action: dict[str, chex.Array] | None,
      key: chex.PRNGKey | None,
      greedy: bool = False,
  ):
    """Decides, or scores given, commands.

    Args:
      images: such as canvas and target, float `[T, B, H, W, C]` each; blind:
        one with C = 0. Their type is that of all features but the LSTM's.
      noise: `[T, B, Z]`, of the same type; Z may be 0.
      previous: the commands before, `[T, B]` each, -1 where there is none.
      core: the LSTM's (c, h) before the first command, `[B, core_size]` each.
      action: commands to score, `[T, B]` each; None: decide (T = 1 then).
      key: consumed where commands are sampled.
      greedy: decide for the likeliest values.

    Returns:
      action `[T, B]` each, log_prob `[T, B]`, entropy `[T, B, P]`, is_active
      `[T, B, P]`, value `[T, B]`, and the LSTM's next state.
    """
    steps, batch = images[0].shape[:2]
    dtype = images[0].dtype

    def flat(x):  # [T, B, ...] -> [T * B, ...]
      return x.reshape(steps * batch, *x.shape[2:])

    def timed(x):  # And back.
      return x.reshape(steps, batch, *x.shape[1:])

    flat_previous = jax.tree.map(flat, previous)
    condition = self._condition(flat_previous, flat(noise))
    feature_map, vector = self.torso(
        [flat(image) for image in images],
        condition,
        self._planes(flat_previous).astype(dtype),
    )
    # Whose state adds up over all commands: float32, as is what it tells.
    vector = timed(vector).astype(jnp.float32)
    core, z = lstm.LSTM(self.core_size)(core, vector)
    value = nn.Dense(1, name='value')(z)[..., 0]
    decided, log_prob, entropy, is_active = self.decoder(
        flat(z).astype(dtype),
        feature_map,
        None if action is None else jax.tree.map(flat, action),
        key,
        greedy,
    )
    decided, log_prob, entropy, is_active = jax.tree.map(
        timed, (decided, log_prob, entropy, is_active)
    )
    return decided, log_prob, entropy, is_active, value, core

  def _condition(self, previous, noise):
    """Returns the embedded last command and the noise, `[N, E]`."""
    codes = [
        action_lib.PartEmbedding(
            part, self.embedding_size, name=f'{part.name}_previous'
        )(previous[part.name])
        for part in self.parts
    ]
    codes = [code.astype(noise.dtype) for code in codes]
    h = nn.relu(jnp.concatenate([*codes, noise], axis=-1))
    # Noise passes unrectified as well: half of it would be lost.
    h = nn.Dense(2 * self.embedding_size, name='condition')(
        jnp.concatenate([h, noise], axis=-1)
    )
    return nn.relu(h)

  def _planes(self, previous):
    """Returns the marks of the last command, `[N, map, map, any]`."""
    like = next(iter(previous.values()))
    planes = [jnp.zeros((like.shape[0], self.map_size, self.map_size, 0))]
    if self.mark_location:
      planes += [
          action_lib.location_planes(part, previous[part.name], self.map_size)
          for part in self.parts
          if part.grid_shape is not None
      ]
    return jnp.concatenate(planes, axis=-1)
