"""The same networks in PyTorch, a baseline of speed for those in JAX.

They are written for speed: oneDNN's convolutions, tensors in `channels_last`
order, the fused LSTM. They have the parameters of `spiral_jax.networks`, whose
number the benchmark compares.

Axes: T time, B batch, N = T * B, C channels, H height, W width.
"""

from collections.abc import Mapping, Sequence

import torch
from torch import nn
import torch.nn.functional as F

from spiral_jax import agents
from spiral_jax.networks import action as action_lib

Command = Mapping[str, torch.Tensor]


class Policy(nn.Module):
  """Torso, LSTM, autoregressive decoder, value."""

  def __init__(
      self,
      parts: Sequence[action_lib.ActionPart],
      canvas_shape: tuple[int, int, int],
      config: agents.AgentConfig,
  ):
    super().__init__()
    self.parts = parts
    self.config = config
    size, _, channels = canvas_shape
    embedding = config.embedding_size
    image_channels = channels * _num_images(config)
    self.previous = _by_part(parts, lambda part: Embedding(part, embedding))
    noise = config.noise_size
    self.condition = nn.Linear(
        embedding * len(parts) + 2 * noise, 2 * embedding
    )
    torso = ConvTorso if config.torso == 'conv' else PatchTorso
    self.torso = torso(parts, size, image_channels, config)
    self.lstm = nn.LSTM(config.hidden_size, config.core_size)
    self.value = nn.Linear(config.core_size, 1)
    head = DeconvHead if config.location_head == 'deconv' else SpatialHead
    self.logits = _by_part(
        parts,
        lambda part: nn.Linear(config.core_size, part.num_values)
        if part.grid_shape is None
        else head(part, config),
    )
    decided = parts[:-1]
    spatial = [p for p in decided if p.grid_shape and head is SpatialHead]
    self.embedding = _by_part(decided, lambda part: Embedding(part, embedding))
    self.refine = _by_part(
        decided,
        lambda part: nn.Linear(
            config.core_size + embedding + config.channels * (part in spatial),
            config.core_size,
        ),
    )
    self.mark = _by_part(
        spatial,
        lambda part: nn.Conv2d(
            _sub_cells(part, config) ** 2, config.channels, 1, bias=False
        ),
    )

  def forward(
      self,
      image: torch.Tensor,
      noise: torch.Tensor,
      previous: Command,
      action: Command | None,
      core: tuple[torch.Tensor, torch.Tensor] | None = None,
  ):
    """Scores commands, or samples them if `action` is None.

    Args:
      image: images that the torso sees, `[T, B, C, H, W]`.
      noise: noise of each episode, `[T, B, Z]`.
      previous: commands before, `[N]` each; -1 at the start.
      action: commands to score, `[N]` each; None to sample them.
      core: state of the LSTM; None for that of an episode's start.

    Returns:
      Command `[N]` each, log-prob `[N]`, entropy `[N]`, value `[N]`, and the
      LSTM's last state.
    """
    steps, batch = image.shape[:2]
    noise = noise.flatten(0, 1)
    codes = [self.previous[p.name](previous[p.name]) for p in self.parts]
    h = torch.relu(torch.cat([*codes, noise], -1))
    condition = torch.relu(self.condition(torch.cat([h, noise], -1)))
    image = image.flatten(0, 1).contiguous(memory_format=torch.channels_last)
    feature_map, vector = self.torso(image, condition, previous)
    z, core = self.lstm(vector.view(steps, batch, -1), core)
    z = z.flatten(0, 1)
    value = self.value(z)[:, 0]
    decided: dict[str, torch.Tensor] = {}
    log_prob = entropy = torch.zeros_like(value)
    for part in self.parts:
      head = self.logits[part.name]
      logits = head(z) if part.grid_shape is None else head(z, feature_map)
      log_p = F.log_softmax(logits, -1)
      if action is None:
        chosen = torch.multinomial(log_p.exp(), 1)[:, 0]
      else:
        chosen = action[part.name]
      decided[part.name] = chosen
      is_active = torch.ones_like(value)
      if part.active_if is not None:
        name, (wanted,) = part.active_if
        is_active = (decided[name] == wanted).float()
      log_prob = log_prob + is_active * log_p.gather(1, chosen[:, None])[:, 0]
      entropy = entropy - is_active * (log_p.exp() * log_p).sum(-1)
      if part.name not in self.refine:
        continue
      known = [z, self.embedding[part.name](chosen)]
      if part.name in self.mark:
        known.append(_features_at(part, chosen, feature_map))
      z = z + torch.relu(self.refine[part.name](torch.cat(known, -1)))
      if part.name in self.mark:
        planes = _planes(part, chosen, self.config)
        feature_map = feature_map + self.mark[part.name](planes)
    return decided, log_prob, entropy, value, core


class Embedding(nn.Module):
  """Embeds a value of a part; -1 as zeros."""

  def __init__(self, part: action_lib.ActionPart, size: int):
    super().__init__()
    self.part = part
    sizes = part.grid_shape or (part.num_values,)
    self.tables = nn.ModuleList(nn.Embedding(n, size) for n in sizes)

  def forward(self, value: torch.Tensor) -> torch.Tensor:
    """Maps `[N]` to `[N, size]`."""
    indices = [value]
    if self.part.grid_shape is not None:
      width = self.part.grid_shape[1]
      indices = [value // width, value % width]
    codes = [
        table(index.clamp(min=0)) for table, index in zip(self.tables, indices)
    ]
    return sum(codes) * (value >= 0)[:, None]


class Block(nn.Module):
  """Residual block."""

  def __init__(self, channels: int):
    super().__init__()
    self.first = nn.Conv2d(channels, channels, 3, padding=1)
    self.second = nn.Conv2d(channels, channels, 3, padding=1)

  def forward(self, x: torch.Tensor) -> torch.Tensor:
    """Maps `[N, C, H, W]` to the same."""
    return x + self.second(torch.relu(self.first(torch.relu(x))))


class ConvTorso(nn.Module):
  """Torso of the paper: strided convolutions."""

  def __init__(self, parts, size: int, image_channels: int, config):
    super().__init__()
    del parts
    channels = config.channels
    self.first = nn.Conv2d(image_channels + 2, channels, 5, padding=2)
    self.condition = nn.Linear(2 * config.embedding_size, channels)
    halvings = (size // config.map_size).bit_length() - 1
    self.halve = nn.Sequential(
        *[
            layer
            for _ in range(halvings)
            for layer in (nn.Conv2d(channels, channels, 4, 2, 1), nn.ReLU())
        ]
    )
    self.rest = _Rest(config)

  def forward(self, image, condition, previous):
    """Returns map `[N, C, H, W]` and vector `[N, hidden]`."""
    del previous
    x = self.first(torch.cat([image, _coordinates(image)], 1))
    x = torch.relu(x + self.condition(condition)[:, :, None, None])
    return self.rest(self.halve(x))


class PatchTorso(nn.Module):
  """Torso of patches instead of strided convolutions."""

  def __init__(self, parts, size: int, image_channels: int, config):
    super().__init__()
    self.config = config
    self.locations = [part for part in parts if part.grid_shape]
    self.patch = size // config.map_size
    marks = sum(_sub_cells(part, config) ** 2 for part in self.locations)
    self.first = nn.Conv2d(
        image_channels * self.patch**2 + marks + 2, 2 * config.channels, 1
    )
    self.second = nn.Conv2d(2 * config.channels, config.channels, 1)
    self.condition = nn.Linear(2 * config.embedding_size, config.channels)
    self.rest = _Rest(config)

  def forward(self, image, condition, previous):
    """Returns map `[N, C, H, W]` and vector `[N, hidden]`."""
    patches = F.pixel_unshuffle(image, self.patch)
    planes = [
        _planes(part, previous[part.name], self.config)
        for part in self.locations
    ]
    x = torch.cat([patches, *planes, _coordinates(patches)], 1)
    x = self.second(torch.relu(self.first(x)))
    return self.rest(x + self.condition(condition)[:, :, None, None])


class _Rest(nn.Module):
  """Common end of both torsos."""

  def __init__(self, config: agents.AgentConfig):
    super().__init__()
    self.blocks = nn.Sequential(
        *[Block(config.channels) for _ in range(config.torso_blocks)]
    )
    self.out = nn.Linear(
        config.map_size**2 * config.channels, config.hidden_size
    )

  def forward(self, x):
    x = torch.relu(self.blocks(x))
    return x, torch.relu(self.out(x.flatten(1)))


class DeconvHead(nn.Module):
  """Location head of the paper: transposed convolutions."""

  def __init__(self, part: action_lib.ActionPart, config: agents.AgentConfig):
    super().__init__()
    assert part.grid_shape is not None
    channels = config.channels
    doublings = (part.grid_shape[0] // 4).bit_length() - 1
    self.layers = nn.Sequential(
        nn.Conv2d(config.core_size // 16, channels, 3, padding=1),
        *[Block(channels) for _ in range(config.head_blocks)],
        *[
            layer
            for _ in range(doublings)
            for layer in (
                nn.ConvTranspose2d(channels, channels, 4, 2, 1),
                nn.ReLU(),
            )
        ],
        nn.Conv2d(channels, 1, 3, padding=1),
    )

  def forward(self, z, feature_map):
    """Maps z `[N, core]` to logits `[N, cells]`."""
    del feature_map
    x = z.view(len(z), -1, 4, 4).contiguous(memory_format=torch.channels_last)
    return self.layers(x).flatten(1)


class SpatialHead(nn.Module):
  """Location head on the torso's feature map."""

  def __init__(self, part: action_lib.ActionPart, config: agents.AgentConfig):
    super().__init__()
    self.sub_cells = _sub_cells(part, config)
    self.z = nn.Linear(config.core_size, config.channels)
    self.blocks = nn.Sequential(
        *[Block(config.channels) for _ in range(config.head_blocks)]
    )
    self.out = nn.Conv2d(config.channels, self.sub_cells**2, 1)
    self.dense = nn.Linear(config.core_size, part.num_values)

  def forward(self, z, feature_map):
    """Maps z `[N, core]` and map `[N, C, H, W]` to logits `[N, cells]`."""
    x = self.blocks(feature_map + self.z(z)[:, :, None, None])
    x = F.pixel_shuffle(self.out(torch.relu(x)), self.sub_cells)
    return x.flatten(1) + self.dense(z)


class Discriminator(nn.Module):
  """Score of strided convolutions, the first on patches if `patch_size` > 1."""

  def __init__(
      self, size: int, channels: int, config: agents.DiscriminatorConfig
  ):
    super().__init__()
    self.patch = config.patch_size
    layers: list[nn.Module] = []
    for index, features in enumerate(config.channels):
      if index == 0 and self.patch > 1:
        layers.append(nn.Conv2d(channels * self.patch**2, features, 1))
        size //= self.patch
      else:
        layers.append(nn.Conv2d(channels, features, 4, 2, 1))
        size //= 2
      layers.append(nn.LeakyReLU(0.2))
      channels = features
    self.layers = nn.Sequential(*layers)
    self.out = nn.Linear(size * size * channels, 1)

  def forward(self, image: torch.Tensor) -> torch.Tensor:
    """Maps `[N, C, H, W]` to scores `[N]`."""
    x = image - 0.5
    if self.patch > 1:
      x = F.pixel_unshuffle(x, self.patch)
    return self.out(self.layers(x).flatten(1))[:, 0]


def see(images: torch.Tensor, config: agents.AgentConfig) -> torch.Tensor:
  """Returns the torso's input of canvas and target, `[T, B, 2 C, H, W]`."""
  canvas, target = (1 - images.float() / 255).chunk(2, dim=2)
  seen = [target] if config.blind else [canvas, target]
  if _num_images(config) == 3:
    seen.append((target - canvas).abs())
  return torch.cat(seen, dim=2)


def _num_images(config: agents.AgentConfig) -> int:
  """Returns the number of images that a conditional agent sees.

  Patches also see the difference of canvas and target.
  """
  return 1 if config.blind else 2 + (config.torso == 'patches')


def discriminator_loss(
    network: Discriminator, real: torch.Tensor, fake: torch.Tensor
) -> torch.Tensor:
  """Returns the loss of `losses.wgan.wgan_loss`."""
  mix = torch.rand(len(real), 1, 1, 1)
  between = (mix * real + (1 - mix) * fake).requires_grad_()
  real_score, fake_score = network(real).mean(), network(fake).mean()
  (gradient,) = torch.autograd.grad(
      network(between).sum(), between, create_graph=True
  )
  norm = (gradient.square().sum((1, 2, 3)) + 1e-12).sqrt()
  offset = 0.5 * (real_score + fake_score)
  return (
      10.0 * (norm - 1).square().mean()
      - (real_score - fake_score)
      + 0.001 * offset.square()
  )


def num_parameters(module: nn.Module) -> int:
  """Returns the number of parameters of a module."""
  return sum(p.numel() for p in module.parameters())


def _by_part(parts, make) -> nn.ModuleDict:
  return nn.ModuleDict({part.name: make(part) for part in parts})


def _sub_cells(part: action_lib.ActionPart, config: agents.AgentConfig) -> int:
  assert part.grid_shape is not None
  return part.grid_shape[0] // config.map_size


def _planes(part, value, config) -> torch.Tensor:
  """Marks a location on the feature map, `[N, sub-cells, map, map]`."""
  plane = torch.zeros(len(value), part.num_values)
  plane.scatter_(1, value.clamp(min=0)[:, None], (value >= 0).float()[:, None])
  plane = plane.view(-1, 1, *part.grid_shape)
  return F.pixel_unshuffle(plane, _sub_cells(part, config))


def _features_at(part, value, feature_map) -> torch.Tensor:
  """Returns the features of the map's cell that holds a location, `[N, C]`."""
  height, width = part.grid_shape
  map_size = feature_map.shape[-1]
  row = value // width // (height // map_size)
  column = value % width // (width // map_size)
  return feature_map[torch.arange(len(value)), :, row, column]


def _coordinates(like: torch.Tensor) -> torch.Tensor:
  n, _, height, width = like.shape
  y, x = torch.meshgrid(
      torch.linspace(-1, 1, height), torch.linspace(-1, 1, width), indexing='ij'
  )
  return torch.stack([y, x]).expand(n, 2, height, width)
