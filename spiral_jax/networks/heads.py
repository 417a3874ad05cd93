"""The autoregressive decoder: one categorical after another.

A command that is sampled and a command that is given go through the same code,
so the log-probability of a given command is that with which it was sampled
(figure 13 of Ganin et al., arXiv:1804.01118).

Axes: N rows, P parts, H and W of the feature map, C channels.
"""

import functools
import math

import chex
from flax import linen as nn
import jax
import jax.numpy as jnp

from spiral_jax.networks import action as action_lib
from spiral_jax.networks import layers
from spiral_jax.ops import indexing

# A nearly uniform first policy: logits start close to zero.
_LOGITS_INIT = nn.initializers.variance_scaling(0.01, 'fan_in', 'normal')


class Decoder(nn.Module):
  """Decides the parts of a command in their order.

  Attributes:
    parts: of the command, in the order of decision.
    embedding_size: of a decided part.
    spatial: location heads see the torso's feature map; otherwise (the paper)
      all of a location comes out of the vector z.
    channels: of the location heads.
    num_blocks: residual blocks of a location head.
  """

  parts: tuple[action_lib.ActionPart, ...]
  embedding_size: int
  spatial: bool
  channels: int
  num_blocks: int

  @nn.compact
  def __call__(
      self,
      z: chex.Array,
      feature_map: chex.Array,
      action: dict[str, chex.Array] | None,
      key: chex.PRNGKey | None,
      greedy: bool = False,
  ) -> tuple[dict[str, chex.Array], chex.Array, chex.Array, chex.Array]:
    """Samples a command, or takes the one that is given.

    Args:
      z: of the LSTM, `[N, hidden]`.
      feature_map: of the torso, `[N, H, W, C]`.
      action: values `[N]` of each part, or None to decide them here.
      key: consumed where a part is sampled; else may be None.
      greedy: decide for the likeliest value instead of sampling.

    Returns:
      The command; its log-probability `[N]` over the parts that count; of each
      part the entropy in nats `[N, P]` and 1.0 where it is active `[N, P]`.
    """
    uniform = None
    if key is not None:
      uniform = jax.random.uniform(key, (len(self.parts), len(z)))
    decided: dict[str, chex.Array] = {}
    log_probs, entropies = [], []
    for index, part in enumerate(self.parts):
      logits = self._logits(part, z, feature_map).astype(jnp.float32)
      log_p = jax.nn.log_softmax(logits)
      if action is not None:
        value = action[part.name]
      elif greedy:
        value = jnp.argmax(logits, axis=-1).astype(jnp.int32)
      else:
        assert uniform is not None
        value = _value_at(uniform[index], jnp.exp(log_p))
      decided[part.name] = value
      log_probs.append(indexing.pick(log_p, value))
      entropies.append(-jnp.sum(jnp.exp(log_p) * log_p, axis=-1))
      if index + 1 < len(self.parts):
        around = None
        if self.spatial and part.grid_shape is not None:
          around, feature_map = self._look(part, value, feature_map)
        z = self._refine(part, z, value, around)
    is_active = action_lib.is_active(self.parts, decided)
    log_prob = jnp.sum(jnp.stack(log_probs, axis=-1) * is_active, axis=-1)
    return decided, log_prob, jnp.stack(entropies, axis=-1), is_active

  def _logits(
      self, part: action_lib.ActionPart, z: chex.Array, feature_map: chex.Array
  ) -> chex.Array:
    if part.grid_shape is None:
      return nn.Dense(
          part.num_values, kernel_init=_LOGITS_INIT, name=f'{part.name}_logits'
      )(z)
    if self.spatial:
      return SpatialLocationHead(
          part.grid_shape, self.num_blocks, name=f'{part.name}_logits'
      )(z, feature_map)
    return DeconvLocationHead(
        part.grid_shape,
        self.channels,
        self.num_blocks,
        name=f'{part.name}_logits',
    )(z)

  def _look(
      self,
      part: action_lib.ActionPart,
      value: chex.Array,
      feature_map: chex.Array,
  ) -> tuple[chex.Array, chex.Array]:
    """Returns the features `[N, C]` at a location, and the map marked there."""
    n, map_size, _, channels = feature_map.shape
    cell, sub_cell, num_sub_cells = action_lib.locate(part, value, map_size)
    flat = feature_map.reshape(n, map_size**2, channels)
    mark = nn.Dense(channels, use_bias=False, name=f'{part.name}_mark')(
        jax.nn.one_hot(sub_cell, num_sub_cells, dtype=feature_map.dtype)
    )
    marked = flat + indexing.place(mark, cell, map_size**2)
    return indexing.pick(flat, cell), marked.reshape(feature_map.shape)

  def _refine(
      self,
      part: action_lib.ActionPart,
      z: chex.Array,
      value: chex.Array,
      around: chex.Array | None,
  ) -> chex.Array:
    """Returns the next z: it knows the value of `part`, what is around it."""
    code = action_lib.PartEmbedding(
        part, self.embedding_size, name=f'{part.name}_embedding'
    )(value).astype(z.dtype)
    known = [z, code] if around is None else [z, code, around]
    h = nn.relu(
        nn.Dense(z.shape[-1], name=f'{part.name}_refine')(
            jnp.concatenate(known, axis=-1)
        )
    )
    return z + h


def _value_at(uniform: chex.Array, probs: chex.Array) -> chex.Array:
  """Samples by the inverse of the cumulative distribution.

  That takes one random number a row, where `jax.random.categorical` takes K.

  Args:
    uniform: in [0, 1), `[N]`.
    probs: `[N, K]`.

  Returns:
    int32 `[N]`, distributed as `probs` if `uniform` is uniform, to float32's
    rounding of sums.
  """
  n, num_values = probs.shape
  # Sums within blocks of the values, then of the blocks before each: two small
  # products instead of a long dependence.
  size = math.isqrt(num_values - 1) + 1
  blocks = jnp.pad(probs, ((0, 0), (0, size**2 - num_values)))
  ones = jnp.ones((size, size))
  within = _float32_product(blocks.reshape(-1, size), jnp.triu(ones))
  within = within.reshape(n, size, size)
  before = _float32_product(within[:, :, -1], jnp.triu(ones, 1))
  cumulative = within + before[..., None]
  cumulative = cumulative.reshape(n, -1)[:, :num_values]
  # The last sum is above any number below 1 times itself, rounded too.
  return jnp.sum(
      cumulative <= uniform[:, None] * cumulative[:, -1:],
      axis=-1,
      dtype=jnp.int32,
  )


# Accelerators round what they multiply, if they may.
_float32_product = functools.partial(
    jnp.matmul, precision=jax.lax.Precision.HIGHEST
)


class DeconvLocationHead(nn.Module):
  """The paper's: reshape z, residual blocks, transposed convolutions."""

  grid_shape: tuple[int, int]
  channels: int
  num_blocks: int

  @nn.compact
  def __call__(self, z: chex.Array) -> chex.Array:
    """Maps z `[N, hidden]` to logits `[N, height * width]`."""
    n = z.shape[0]
    x = z.reshape(n, 4, 4, -1)
    x = layers.Conv(self.channels, size=3)(x)
    for _ in range(self.num_blocks):
      x = layers.ResidualBlock()(x)
    doubled = False
    while x.shape[1] < self.grid_shape[0]:
      x = layers.DoublingConv(self.channels)(nn.relu(x) if doubled else x)
      doubled = True
    x = layers.Conv(1, size=3, rectify=doubled, kernel_init=_LOGITS_INIT)(x)
    return x.reshape(n, -1)


class SpatialLocationHead(nn.Module):
  """Logits from the torso's feature map, each cell divided into sub-cells."""

  grid_shape: tuple[int, int]
  num_blocks: int

  @nn.compact
  def __call__(self, z: chex.Array, feature_map: chex.Array) -> chex.Array:
    """Maps z `[N, hidden]` and map `[N, H, W, C]` to logits `[N, cells]`."""
    n, map_size, _, channels = feature_map.shape
    sub_cells = self.grid_shape[0] // map_size
    x = feature_map + nn.Dense(channels)(z)[:, None, None]
    for _ in range(self.num_blocks):
      x = layers.ResidualBlock()(x)
    x = layers.Dense(sub_cells**2, rectify=True, kernel_init=_LOGITS_INIT)(x)
    x = layers.depth_to_space(x, sub_cells).reshape(n, -1)
    height, width = self.grid_shape
    return x + nn.Dense(height * width, kernel_init=_LOGITS_INIT)(z)
