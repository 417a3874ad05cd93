"""Configuration of agents, discriminators and their learners.

One frozen dataclass a part, one default a field.  The defaults are the paper's
(Ganin et al., arXiv:1804.01118, appendices B and C) where the paper states
them.
"""

from collections.abc import Callable, Mapping
import dataclasses
import math
import numbers
from typing import Any


@dataclasses.dataclass(frozen=True)
class AgentConfig:
  """What the policy network sees, and what it is made of.

  Attributes:
    conditional: sees a target image to reconstruct.
    blind: does not see the canvas.
    noise_size: standard normal inputs, drawn once an episode: an unconditional
      agent's source of variety.
    torso: 'conv', strided convolutions (the paper), or 'patches', matrix
      products and 3x3 convolutions at low resolution only, which also marks on
      the feature map where the last command ended.
    mix_cells: of torso 'patches': let each cell of the feature map see all
      others, for pictures on which a location is not seen where it lies on the
      map (an oblique camera).
    location_head: 'deconv', locations come out of the LSTM's vector (the
      paper), or 'spatial', out of the torso's feature map as well.
    channels: of the convolutions.
    torso_blocks: residual blocks of the torso.
    head_blocks: residual blocks of a location head.
    hidden_size: of the torso's output vector.
    core_size: of the LSTM.
    embedding_size: of one part of a command.
    map_size: height and width of the torso's feature map, cells.
    compute_dtype: of features and of the weights that make them, 'float32' or
      'bfloat16', for accelerators that multiply the latter faster. Parameters,
      the LSTM, values and probabilities are float32 either way.
  """

  conditional: bool = False
  blind: bool = False
  noise_size: int = 0
  torso: str = 'conv'
  mix_cells: bool = False
  location_head: str = 'deconv'
  channels: int = 32
  torso_blocks: int = 8
  head_blocks: int = 8
  hidden_size: int = 256
  core_size: int = 256
  embedding_size: int = 16
  map_size: int = 8
  compute_dtype: str = 'float32'

  def __post_init__(self) -> None:
    """Raises ValueError, with the field and its value, if one is no good."""
    _check(
        self,
        torso=('conv', 'patches'),
        location_head=('deconv', 'spatial'),
        compute_dtype=('float32', 'bfloat16'),
        noise_size='a whole number from 0 on',
        channels='a whole number from 1 on',
        torso_blocks='a whole number from 0 on',
        head_blocks='a whole number from 0 on',
        hidden_size='a whole number from 1 on',
        core_size='a whole number from 1 on',
        embedding_size='a whole number from 1 on',
        map_size='a whole number from 1 on',
    )


@dataclasses.dataclass(frozen=True)
class LearnerConfig:
  """How the policy learns.

  Attributes:
    reward: 'discriminator', its score; 'l2', minus the mean squared error a
      pixel between canvas and target; or 'log_l2', minus the logarithm of that
      error, for pictures whose first strokes matter far more to it than all
      that come later.
    reward_at: 'end', the score of the result (the paper), or 'step', what each
      command added to the score of its canvas.
    scale_rewards: divide rewards by their running deviation.
    stroke_start_cost: for starting a continuous sequence of strokes, in units
      of the scaled reward.
    blank_page_cost: for a result without a visible stroke, likewise.
    object_cost: for adding an object to a scene, likewise: without it, another
      object on top of the last mends it as well as a change does.
    colour_cost: for the earth mover's distance, from 0 to 1, between the
      colours of canvas and target, likewise; earned when reward_at says.
    colour_bins: of each channel's histogram, from which it is taken.
    algorithm: 'vtrace', one gradient step a batch (A2C where the parameters
      that acted are those that learn), or 'clipped', the clipped surrogate over
      several epochs of minibatches of whole episodes.
    epochs: of 'clipped', passes over each batch.
    minibatches: of 'clipped', gradient steps a pass.
    clip: of 'clipped', how far a probability ratio may move from 1.
    discount: of the reward, a command.
    lambda_: 1, Monte-Carlo returns; less mixes values in.
    normalise_advantages: to mean 0 at each time and deviation 1 over the batch.
    normalise_each_time: with it, to deviation 1 at each time instead: for
      results to which late commands add much less than early ones.
    entropy_cost: weight of the entropy, summed over the parts that count.
    entropy_shares: take each part's entropy as its share of its maximum.
    value_cost: weight of the value loss.
    learning_rate: of Adam.
    adam_epsilon: of Adam.
    max_gradient_norm: global norm to which gradients are clipped.
    decay_frames: commands over which the learning rate, the entropy's weight
      and the epochs (rounded up) fall linearly; 0, not by themselves.
    decay_to: what is left of them then, a share.
  """

  reward: str = 'discriminator'
  reward_at: str = 'end'
  scale_rewards: bool = False
  stroke_start_cost: float = 0.0
  blank_page_cost: float = 0.0
  object_cost: float = 0.0
  colour_cost: float = 0.0
  colour_bins: int = 32
  algorithm: str = 'vtrace'
  epochs: int = 1
  minibatches: int = 1
  clip: float = 0.2
  discount: float = 1.0
  lambda_: float = 1.0
  normalise_advantages: bool = False
  normalise_each_time: bool = False
  entropy_cost: float = 0.01
  entropy_shares: bool = False
  value_cost: float = 0.5
  learning_rate: float = 1e-4
  adam_epsilon: float = 1e-8
  max_gradient_norm: float = 40.0
  decay_frames: int = 0
  decay_to: float = 0.0

  def __post_init__(self) -> None:
    """Raises ValueError, with the field and its value, if one is no good."""
    _check(
        self,
        reward=('discriminator', 'l2', 'log_l2'),
        reward_at=('end', 'step'),
        algorithm=('vtrace', 'clipped'),
        stroke_start_cost='0 or more',
        blank_page_cost='0 or more',
        object_cost='0 or more',
        colour_cost='0 or more',
        colour_bins='a whole number from 2 to 256',
        epochs='a whole number from 1 on',
        minibatches='a whole number from 1 on',
        clip='above 0',
        discount='from 0 to 1',
        lambda_='from 0 to 1',
        entropy_cost='0 or more',
        value_cost='0 or more',
        learning_rate='above 0',
        adam_epsilon='above 0',
        max_gradient_norm='above 0',
        decay_frames='a whole number from 0 on',
        decay_to='from 0 to 1',
    )


@dataclasses.dataclass(frozen=True)
class DiscriminatorConfig:
  """What the discriminator is made of, and how it learns.

  Attributes:
    channels: of each layer; each halves height and width.
    patch_size: pixels square that the first layer sees without overlap; 1, the
      first layer is strided like the others.
    loss: 'wgan', Wasserstein with gradient penalty (the paper), or 'logistic',
      logistic loss with spectral normalisation (SPIRAL++).
    penalty_weight: of the gradient penalty.
    offset_weight: of the squared mean score.
    learning_rate: of Adam.
    beta1: of Adam.
    beta2: of Adam.
  """

  channels: tuple[int, ...] = (64, 128, 256, 512)
  patch_size: int = 1
  loss: str = 'wgan'
  penalty_weight: float = 10.0
  offset_weight: float = 0.001
  learning_rate: float = 1e-4
  beta1: float = 0.5
  beta2: float = 0.999

  def __post_init__(self) -> None:
    """Raises ValueError, with the field and its value, if one is no good."""
    _check(
        self,
        channels='one or more whole numbers from 1 on',
        patch_size='a whole number from 1 on',
        loss=('wgan', 'logistic'),
        penalty_weight='0 or more',
        offset_weight='0 or more',
        learning_rate='above 0',
        beta1='from 0 to below 1',
        beta2='from 0 to below 1',
    )


def _is_whole(value: Any, least: int) -> bool:
  return isinstance(value, numbers.Integral) and int(value) >= least


# What a field may be, in the words of the error.  Nothing holds of NaN.
_RULES: Mapping[str, Callable[[Any], bool]] = {
    'a whole number from 0 on': lambda value: _is_whole(value, 0),
    'a whole number from 1 on': lambda value: _is_whole(value, 1),
    'a whole number from 2 to 256': lambda value: (
        _is_whole(value, 2) and value <= 256
    ),
    'one or more whole numbers from 1 on': lambda values: (
        len(values) > 0 and all(_is_whole(value, 1) for value in values)
    ),
    '0 or more': lambda value: 0 <= value < math.inf,
    'above 0': lambda value: 0 < value < math.inf,
    'from 0 to 1': lambda value: 0 <= value <= 1,
    'from 0 to below 1': lambda value: 0 <= value < 1,
}


def _check(config: object, **rules: str | tuple[str, ...]) -> None:
  """Raises ValueError if a field is not a key of `_RULES` or one of names."""
  for field, rule in rules.items():
    value = getattr(config, field)
    if isinstance(rule, tuple):
      if value not in rule:
        raise ValueError(f'{field} is {value!r}; give one of {rule}')
    elif not _RULES[rule](value):
      raise ValueError(f'{field} is {value!r}, must be {rule}')
