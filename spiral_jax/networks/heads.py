"""The autoregressive decoder: one categorical distribution after another.

Figure 13 of Ganin et al. (arXiv:1804.01118). Sampled and given commands go
through the same code, so that scoring a command reproduces the log-probability
with which it was sampled.

Axes: N rows, P parts, H and W of the feature map, C channels.
"""

import functools
import math

import chex
from flax import linen as nn
import jax
import jax.numpy as jnp

from spiral_jax.networks import action as action_lib
from spiral_jax.networks import initializers
from spiral_jax.networks import layers
from spiral_jax.ops import indexing

# The first policy is nearly uniform: logits start close to zero.
_LOGITS_INIT = initializers.scaled_normal(0.01)


class Decoder(nn.Module):
  """Decides the parts of a command in their order.

  Attributes:
    parts: parts of the command, in the order of decision.
    embedding_size: size of a decided part's embedding.
    spatial: True for location heads that see the torso's feature map; False for
      the paper's, which compute a location from the vector z alone.
    channels: channels of the paper's location heads.
    num_blocks: residual blocks of each location head.
    attend: True also reads the feature map by attention, once a location is
      decided: for pictures on which a location is not seen where it lies on the
      map. Needs `spatial=True`.
    as_stated: True builds what the figure states. False has linear embeddings,
      adds what is decided to z instead of replacing z, and keeps the blocks of
      the paper's location heads at 4x4 cells. Needs `spatial=False`.
  """

  parts: tuple[action_lib.ActionPart, ...]
  embedding_size: int
  spatial: bool
  channels: int
  num_blocks: int
  as_stated: bool = False
  attend: bool = False

  @nn.compact
  def __call__(
      self,
      z: chex.Array,
      feature_map: chex.Array,
      action: dict[str, chex.Array] | None,
      key: chex.PRNGKey | None,
      greedy: bool | chex.Array = False,
      temperature: float | chex.Array = 1.0,
      advice: dict[str, chex.Array] | None = None,
  ) -> tuple[
      dict[str, chex.Array],
      chex.Array,
      chex.Array,
      chex.Array,
      chex.Array,
      chex.Array | None,
  ]:
    """Samples a command, or scores a given one.

    Args:
      z: output of the LSTM, `[N, hidden]`.
      feature_map: output of the torso, `[N, H, W, C]`.
      action: values `[N]` of each part; None decides them here.
      key: consumed for sampling; may be None if nothing is sampled.
      greedy: True takes the likeliest values instead of sampling.
      temperature: divides the logits of each part.
      advice: other values `[N]` of some parts, to be scored as well; -1 where
        there is none.

    Returns:
      action: values `[N]` of each part.
      log_prob: log-probability of the active parts `[N]`.
      entropy: entropy of each part in nats `[N, P]`.
      is_active: 1.0 for each part that has a meaning, else 0.0, `[N, P]`.
      part_log_prob: log-probability of each active part, else 0, `[N, P]`.
      advice_log_prob: log-probability of the active parts' advice, each after
        the parts of the command before it, else 0, `[N, P]`; None without
        advice.
    """
    uniform = None
    if key is not None:
      uniform = jax.random.uniform(key, (len(self.parts), len(z)), jnp.float32)
    decided: dict[str, chex.Array] = {}
    log_probs, entropies, advised = [], [], []
    for index, part in enumerate(self.parts):
      logits = self._logits(part, z, feature_map).astype(jnp.float32)
      if isinstance(temperature, jax.Array) or temperature != 1.0:
        logits = logits / temperature
      log_p = jax.nn.log_softmax(logits)
      if action is not None:
        value = action[part.name]
      else:
        value = _decide(
            logits, log_p, None if uniform is None else uniform[index], greedy
        )
      decided[part.name] = value
      log_probs.append(indexing.pick(log_p, value))
      if advice is not None and part.name in advice:
        wanted = advice[part.name]
        picked = indexing.pick(log_p, jnp.maximum(wanted, 0))
        advised.append(jnp.where(wanted >= 0, picked, 0.0))
      elif advice is not None:
        advised.append(jnp.zeros(len(z), jnp.float32))
      entropies.append(-jnp.sum(jnp.exp(log_p) * log_p, axis=-1))
      if index + 1 < len(self.parts):
        features = seen = None
        if self.spatial and part.grid_shape is not None:
          seen = feature_map
          features, feature_map = self._read_and_mark(part, value, feature_map)
        z = self._refine(part, z, value, features, seen)
    is_active = action_lib.is_active(self.parts, decided)
    part_log_prob = jnp.stack(log_probs, axis=-1) * is_active
    log_prob = jnp.sum(part_log_prob, axis=-1)
    advice_log_prob = None
    if advice is not None:
      advice_log_prob = jnp.stack(advised, axis=-1) * is_active
    entropy = jnp.stack(entropies, axis=-1)
    return (
        decided,
        log_prob,
        entropy,
        is_active,
        part_log_prob,
        advice_log_prob,
    )

  def _logits(
      self, part: action_lib.ActionPart, z: chex.Array, feature_map: chex.Array
  ) -> chex.Array:
    if part.grid_shape is None:
      return layers.linear(
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
        self.as_stated,
        name=f'{part.name}_logits',
    )(z)

  def _read_and_mark(
      self,
      part: action_lib.ActionPart,
      value: chex.Array,
      feature_map: chex.Array,
  ) -> tuple[chex.Array, chex.Array]:
    """Returns the features at a location `[N, C]`, and the map marked there."""
    n, map_size, _, channels = feature_map.shape
    cell, sub_cell, num_sub_cells = action_lib.locate(part, value, map_size)
    flat = feature_map.reshape(n, map_size**2, channels)
    mark = layers.linear(channels, use_bias=False, name=f'{part.name}_mark')(
        jax.nn.one_hot(sub_cell, num_sub_cells, dtype=feature_map.dtype)
    )
    marked = flat + indexing.place(mark, cell, map_size**2)
    return indexing.pick(flat, cell), marked.reshape(feature_map.shape)

  def _refine(
      self,
      part: action_lib.ActionPart,
      z: chex.Array,
      value: chex.Array,
      features: chex.Array | None,
      feature_map: chex.Array | None,
  ) -> chex.Array:
    """Adds the value of a part to z, and the features there, if any."""
    code = action_lib.PartEmbedding(
        part,
        self.embedding_size,
        num_layers=2 if self.as_stated else 1,
        name=f'{part.name}_embedding',
    )(value).astype(z.dtype)
    known = [z, code] if features is None else [z, code, features]
    if self.attend and feature_map is not None:
      known.append(
          CellAttention(name=f'{part.name}_attention')(
              jnp.concatenate([z, code], axis=-1), feature_map
          )
      )
    h = nn.relu(
        layers.linear(z.shape[-1], name=f'{part.name}_refine')(
            jnp.concatenate(known, axis=-1)
        )
    )
    return h if self.as_stated else z + h


class CellAttention(nn.Module):
  """Reads a feature map where a vector asks for, by dot products.

  Attributes:
    num_heads: number of places that are read.
    size: size of a query.
  """

  num_heads: int = 2
  size: int = 16

  @nn.compact
  def __call__(self, query: chex.Array, feature_map: chex.Array) -> chex.Array:
    """Maps vectors `[N, any]` and maps `[N, H, W, C]` to `[N, heads * C]`."""
    n, height, width, channels = feature_map.shape
    cells = feature_map.reshape(n, height * width, channels)
    places = self.param(
        'places',
        initializers.normal(),
        (height * width, self.size),
        jnp.float32,
    )
    keys = layers.linear(self.size, use_bias=False, name='keys')(cells)
    keys = keys + places.astype(keys.dtype)
    queries = layers.linear(self.num_heads * self.size, name='queries')(query)
    queries = queries.reshape(n, self.num_heads, self.size)
    logits = jnp.einsum('nhs,ncs->nhc', queries, keys) / math.sqrt(self.size)
    weights = jax.nn.softmax(logits.astype(jnp.float32)).astype(keys.dtype)
    read = jnp.einsum('nhc,ncd->nhd', weights, cells)
    return read.reshape(n, self.num_heads * channels)


def _decide(
    logits: chex.Array,
    log_p: chex.Array,
    uniform: chex.Array | None,
    greedy: bool | chex.Array,
) -> chex.Array:
  """Returns the likeliest values, int32 `[N]`, or sampled ones."""
  is_traced = isinstance(greedy, jax.core.Tracer)
  if not is_traced and greedy:
    return jnp.argmax(logits, axis=-1).astype(jnp.int32)
  assert uniform is not None
  sampled = _sample_categorical(uniform, jnp.exp(log_p))
  if not is_traced:
    return sampled
  return jnp.where(greedy, jnp.argmax(logits, -1).astype(jnp.int32), sampled)


def _sample_categorical(uniform: chex.Array, probs: chex.Array) -> chex.Array:
  """Samples by the inverse of the cumulative distribution.

  It needs one random number per row; `jax.random.categorical` needs K.

  Args:
    uniform: random numbers in [0, 1), `[N]`.
    probs: probabilities `[N, K]`.

  Returns:
    Values int32 `[N]`, distributed as `probs` up to the rounding of float32
    sums.
  """
  n, num_values = probs.shape
  # Sums within blocks of values, then over the blocks before each block: two
  # small products instead of one long chain of additions.
  size = math.isqrt(num_values - 1) + 1
  blocks = jnp.pad(probs, ((0, 0), (0, size**2 - num_values)))
  ones = jnp.ones((size, size), jnp.float32)
  within = _float32_product(blocks.reshape(-1, size), jnp.triu(ones))
  within = within.reshape(n, size, size)
  before = _float32_product(within[:, :, -1], jnp.triu(ones, 1))
  cumulative = within + before[..., None]
  cumulative = cumulative.reshape(n, -1)[:, :num_values]
  # The last sum exceeds its product with any number below 1, even rounded.
  return jnp.sum(
      cumulative <= uniform[:, None] * cumulative[:, -1:],
      axis=-1,
      dtype=jnp.int32,
  )


# By default accelerators round the factors of a product.
_float32_product = functools.partial(
    jnp.matmul, precision=jax.lax.Precision.HIGHEST
)


class DeconvLocationHead(nn.Module):
  """The paper's location head, of the vector z alone.

  Reshapes z to 4x4 cells, then residual blocks and transposed convolutions.

  Attributes:
    grid_shape: (height, width) of the location's grid.
    channels: channels of all layers but the last.
    num_blocks: number of residual blocks.
    as_stated: True has the blocks at 8x8 cells, as in figure 13, which leaves
      open how 4x4 become 8x8: here by a transposed convolution as well.
  """

  grid_shape: tuple[int, int]
  channels: int
  num_blocks: int
  as_stated: bool = False

  @nn.compact
  def __call__(self, z: chex.Array) -> chex.Array:
    """Maps z `[N, hidden]` to logits `[N, height * width]`."""
    n = z.shape[0]
    x = z.reshape(n, 4, 4, -1)
    if self.as_stated:
      x = nn.relu(layers.DoublingConv(self.channels)(x))
      for _ in range(self.num_blocks):
        x = layers.PlainResidualBlock()(x)
      while x.shape[1] < self.grid_shape[0]:
        x = nn.relu(layers.DoublingConv(self.channels)(x))
      x = layers.Conv(1, size=3, kernel_init=_LOGITS_INIT)(x)
      return x.reshape(n, -1)
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
  """A location head on the torso's feature map, whose cells it subdivides.

  Attributes:
    grid_shape: (height, width) of the location's grid.
    num_blocks: number of residual blocks.
  """

  grid_shape: tuple[int, int]
  num_blocks: int

  @nn.compact
  def __call__(self, z: chex.Array, feature_map: chex.Array) -> chex.Array:
    """Maps z `[N, hidden]` and map `[N, H, W, C]` to logits `[N, cells]`."""
    n, map_size, _, channels = feature_map.shape
    sub_cells = self.grid_shape[0] // map_size
    x = feature_map + layers.linear(channels)(z)[:, None, None]
    for _ in range(self.num_blocks):
      x = layers.ResidualBlock()(x)
    x = layers.Dense(sub_cells**2, rectify=True, kernel_init=_LOGITS_INIT)(x)
    x = layers.depth_to_space(x, sub_cells).reshape(n, -1)
    height, width = self.grid_shape
    return x + layers.linear(height * width, kernel_init=_LOGITS_INIT)(z)
