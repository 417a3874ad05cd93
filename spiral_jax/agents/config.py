"""Configuration of agents, discriminators and their learners.

One frozen dataclass a part, one default a field.  The defaults are the paper's
(Ganin et al., arXiv:1804.01118, appendices B and C) where the paper states
them.
"""

import dataclasses


@dataclasses.dataclass(frozen=True)
class AgentConfig:
  """What the policy network sees, and what it is made of."""

  # Sees a target image to reconstruct.
  conditional: bool = False
  # Does not see the canvas.
  blind: bool = False
  # Standard normal inputs, drawn once an episode; a source of variety.
  noise_size: int = 0
  # 'conv': strided convolutions (the paper); 'patches': matrix products only,
  # and marks where the last command ended.
  torso: str = 'conv'
  # 'deconv': locations come out of the LSTM's vector (the paper); 'spatial':
  # out of the torso's feature map as well.
  location_head: str = 'deconv'
  channels: int = 32
  torso_blocks: int = 8
  head_blocks: int = 8
  hidden_size: int = 256
  core_size: int = 256
  embedding_size: int = 16
  # Height and width of the torso's feature map, in cells.
  map_size: int = 8


@dataclasses.dataclass(frozen=True)
class LearnerConfig:
  """How the policy learns."""

  # 'discriminator' or 'l2' (minus mean squared error a pixel).
  reward: str = 'discriminator'
  # 'end': the score of the result; 'step': what each command added to it.
  reward_at: str = 'end'
  # Divide rewards by their running deviation.
  scale_rewards: bool = False
  # Penalties, in reward units (after scaling).
  stroke_start_cost: float = 0.0
  blank_page_cost: float = 0.0
  # 'vtrace' (A2C at zero lag): one gradient step a batch; 'clipped': the
  # clipped surrogate, several epochs of minibatches a batch.
  algorithm: str = 'vtrace'
  epochs: int = 1
  minibatches: int = 1
  clip: float = 0.2
  discount: float = 1.0
  lambda_: float = 1.0
  normalise_advantages: bool = False
  entropy_cost: float = 0.01
  # Weigh each part's entropy as its share of the part's maximum.
  entropy_shares: bool = False
  value_cost: float = 0.5
  learning_rate: float = 1e-4
  adam_epsilon: float = 1e-8
  # Global norm to which gradients are clipped.
  max_gradient_norm: float = 40.0
  # Frames over which the learning rate falls linearly to zero; 0: never.
  decay_frames: int = 0


@dataclasses.dataclass(frozen=True)
class DiscriminatorConfig:
  """What the discriminator is made of, and how it learns."""

  channels: tuple[int, ...] = (64, 128, 256, 512)
  # Pixels square that the first layer sees without overlap; 1: strided.
  patch_size: int = 1
  # 'wgan' (gradient penalty) or 'logistic' (spectral normalisation).
  loss: str = 'wgan'
  penalty_weight: float = 10.0
  offset_weight: float = 0.001
  learning_rate: float = 1e-4
  beta1: float = 0.5
  beta2: float = 0.999
