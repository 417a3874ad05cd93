"""Configuration of agents, discriminators and their learners.

One frozen dataclass a part, one default a field.  The defaults are the paper's
(Ganin et al., arXiv:1804.01118, appendices B and C) where the paper states
them, except for `AgentConfig.architecture` and `part_order`: the default
network is faster, and that of the bundled weights.
"""

from collections.abc import Callable, Mapping
import dataclasses
import math
import numbers
import typing
from typing import Any, Literal


@dataclasses.dataclass(frozen=True)
class AgentConfig:
  """The policy network: its inputs and its size.

  Attributes:
    conditional: gives the policy a target image to reconstruct.
    blind: hides the canvas from the policy.
    noise_size: number of standard normal inputs, drawn once an episode; an
      unconditional agent's source of variety.
    torso: 'conv' for strided convolutions (the paper); 'patches' for matrix
      products and 3x3 convolutions at low resolution only, with a mark on the
      feature map where the last command ended; 'fine' for patches of half that
      size with convolutions, which tell small shapes apart and take longer.
    mix_cells: lets each cell of the feature map see all others; for pictures on
      which a location is not seen where it lies on the map (an oblique camera).
      Needs torso 'patches' or 'fine'.
    architecture: 'stated' for what figures 12 and 13 of the paper state; 'own'
      for planes of coordinates, linear embeddings, sums instead of replacements
      in the decoder, blocks that begin with a ReLU, and location heads whose
      blocks have 4x4 cells: faster, and what bundled weights have. 'stated'
      needs torso 'conv' and location_head 'deconv'.
    part_order: names of a command's parts in the order in which they are
      decided; empty for the environment's order. A part that depends on a later
      one always counts.
    location_head: 'deconv' for locations decoded from the LSTM's vector alone
      (the paper); 'spatial' for locations decoded from the torso's feature map
      as well.
    attend: lets the decoder read the feature map by attention, too, once a
      location is decided, wherever that is seen. Needs location_head 'spatial'.
    channels: number of channels of the policy's convolutions.
    torso_blocks: number of residual blocks of the torso.
    head_blocks: number of residual blocks of a location head.
    hidden_size: size of the torso's output vector.
    core_size: size of the LSTM.
    embedding_size: size of the embedding of one part of a command.
    map_size: height and width of the torso's feature map, in cells.
    compute_dtype: type of features and of the weights that make them;
      'bfloat16' is for accelerators that multiply it faster. Parameters, the
      LSTM, values and probabilities are float32 either way.
  """

  conditional: bool = False
  blind: bool = False
  noise_size: int = 0
  torso: Literal['conv', 'patches', 'fine'] = 'conv'
  mix_cells: bool = False
  architecture: Literal['own', 'stated'] = 'own'
  part_order: tuple[str, ...] = ()
  location_head: Literal['deconv', 'spatial'] = 'deconv'
  attend: bool = False
  channels: int = 32
  torso_blocks: int = 8
  head_blocks: int = 8
  hidden_size: int = 256
  core_size: int = 256
  embedding_size: int = 16
  map_size: int = 8
  compute_dtype: Literal['float32', 'bfloat16'] = 'float32'

  def __post_init__(self) -> None:
    """Raises ValueError, naming the field and its value, if one is invalid."""
    check_fields(
        self,
        noise_size='a whole number from 0 on',
        channels='a whole number from 1 on',
        torso_blocks='a whole number from 0 to 64',
        head_blocks='a whole number from 0 to 64',
        hidden_size='a whole number from 1 on',
        core_size='a whole number from 1 on',
        embedding_size='a whole number from 1 on',
        map_size='a whole number from 1 on',
    )
    if self.architecture == 'stated' and (
        self.torso != 'conv' or self.location_head != 'deconv'
    ):
      raise ValueError(
          "architecture is 'stated', which has torso 'conv' and location_head "
          f"'deconv', but torso is {self.torso!r} and location_head is "
          f"{self.location_head!r}; give those or architecture='own'"
      )
    if self.attend and self.location_head != 'spatial':
      raise ValueError(
          "attend reads the feature map of location_head 'spatial', and "
          f'location_head is {self.location_head!r}; change one of them'
      )


@dataclasses.dataclass(frozen=True)
class LearnerConfig:
  """The policy's rewards and its algorithm.

  Attributes:
    reward_weight: weight of the loss of the rewards; 0 learns from programs
      alone.
    dreams_weight: weight of the imitation of dreams, programs of a prior. With
      the other three at 0, as it is by default, the learner is the paper's.
    hindsight_weight: weight of the imitation of the agent's own programs, as if
      their results had been the targets; needs a conditional agent.
    memory_weight: weight of the imitation of the best programs that were found
      for training images.
    teacher_weight: weight of the imitation of another agent that redraws
      training images.
    reward: 'discriminator' for its score; 'l2' for minus the mean squared error
      per pixel between canvas and target; 'euclidean' for minus their Euclidean
      distance, the optimal discriminator of the paper's appendix A;
      'multiscale_l2' for minus the sum of mean squared errors at three
      resolutions, for thin lines, which seldom meet at first; 'log_l2' for
      minus the logarithm of the mean squared error, for pictures on which the
      first strokes change the error far more than all later ones.
    reward_at: 'end' to reward the score of the result (the paper); 'step' to
      reward what each command added to the score of its canvas.
    scale_rewards: divides rewards by their running standard deviation.
    blank_page_cost: cost of a result without a visible stroke, in units of the
      scaled reward.
    color_cost: cost of the earth mover's distance, from 0 to 1, between the
      colors of canvas and target, in units of the scaled reward; charged when
      reward_at says.
    color_bins: number of histogram bins per channel for color_cost.
    best_colors_weight: weight of the imitation of the colors in which the
      strokes of an episode would have come nearest to the target, in the loss
      that reward_weight weighs. For brushes that lay one color over another.
    corrections_weight: weight of the loss of preferring the worse of two values
      of a part of a command, in the loss that reward_weight weighs.
      Trajectories must have alternatives.
    algorithm: 'vtrace' for one gradient step per batch (A2C if the acting
      parameters are the learning ones); 'clipped' for the clipped surrogate
      over several epochs of minibatches of whole episodes (PPO).
    epochs: passes over each batch with algorithm 'clipped'.
    minibatches: gradient steps per pass with algorithm 'clipped'.
    clip: largest change of a probability ratio from 1 with algorithm 'clipped'.
    discount: discount of rewards per command.
    td_lambda: mixing of returns; 1 for Monte-Carlo returns, less for returns
      that bootstrap from values.
    normalize_advantages: normalizes advantages to mean 0 at each time and
      standard deviation 1 over the batch.
    normalize_each_time: normalizes advantages to standard deviation 1 at each
      time instead, for results to which late commands add much less than early
      ones. Needs normalize_advantages.
    entropy_cost: weight of the entropy bonus, summed over the active parts of a
      command.
    entropy_shares: takes each part's entropy as a share of its maximum.
    value_cost: weight of the value loss.
    learning_rate: the policy's learning rate, for Adam.
    adam_epsilon: epsilon of the policy's Adam.
    max_gradient_norm: global norm to which the policy's gradients are clipped.
    decay_frames: commands over which the learning rate, the entropy bonus and
      the epochs (rounded up) decay linearly to decay_to; 0 disables the decay.
    decay_to: share that is left after the decay.
  """

  reward_weight: float = 1.0
  dreams_weight: float = 0.0
  hindsight_weight: float = 0.0
  memory_weight: float = 0.0
  teacher_weight: float = 0.0
  reward: Literal[
      'discriminator', 'l2', 'multiscale_l2', 'log_l2', 'euclidean'
  ] = 'discriminator'
  reward_at: Literal['end', 'step'] = 'end'
  scale_rewards: bool = False
  blank_page_cost: float = 0.0
  color_cost: float = 0.0
  color_bins: int = 32
  best_colors_weight: float = 0.0
  corrections_weight: float = 0.0
  algorithm: Literal['vtrace', 'clipped'] = 'vtrace'
  epochs: int = 1
  minibatches: int = 1
  clip: float = 0.2
  discount: float = 1.0
  td_lambda: float = 1.0
  normalize_advantages: bool = False
  normalize_each_time: bool = False
  entropy_cost: float = 0.01
  entropy_shares: bool = False
  value_cost: float = 0.5
  learning_rate: float = 1e-4
  adam_epsilon: float = 1e-8
  max_gradient_norm: float = 40.0
  decay_frames: int = 0
  decay_to: float = 0.0

  def __post_init__(self) -> None:
    """Raises ValueError, naming the field and its value, if one is invalid."""
    check_fields(
        self,
        reward_weight='0 or more',
        dreams_weight='0 or more',
        hindsight_weight='0 or more',
        memory_weight='0 or more',
        teacher_weight='0 or more',
        blank_page_cost='0 or more',
        color_cost='0 or more',
        color_bins='a whole number from 2 to 256',
        best_colors_weight='0 or more',
        corrections_weight='0 or more',
        epochs='a whole number from 1 on',
        minibatches='a whole number from 1 on',
        clip='above 0',
        discount='from 0 to 1',
        td_lambda='from 0 to 1',
        entropy_cost='0 or more',
        value_cost='0 or more',
        learning_rate='above 0',
        adam_epsilon='above 0',
        max_gradient_norm='above 0',
        decay_frames='a whole number from 0 to 2147483647',
        decay_to='from 0 to 1',
    )
    if not self.reward_weight and not any(self.lesson_weights.values()):
      raise ValueError(
          'reward_weight is 0, and so are dreams_weight, hindsight_weight, '
          'memory_weight and teacher_weight: nothing is learned; give one of '
          'them'
      )

  @property
  def lesson_weights(self) -> dict[str, float]:
    """Weights of the imitation of each source of lessons."""
    return {
        'dreams': self.dreams_weight,
        'hindsight': self.hindsight_weight,
        'memory': self.memory_weight,
        'teacher': self.teacher_weight,
    }


@dataclasses.dataclass(frozen=True)
class DiscriminatorConfig:
  """The discriminator's network and its optimizer.

  Attributes:
    channels: number of channels of each layer; each layer halves height and
      width.
    patch_size: size of the square patches that the first layer sees without
      overlap, in pixels; 1 for a first layer strided like the others.
    loss: 'wgan' for Wasserstein with gradient penalty (the paper); 'logistic'
      for the logistic loss with spectral normalization (SPIRAL++).
    penalty_weight: weight of the gradient penalty.
    centering: share of the mean score of real and fake images that each update
      with loss 'wgan' subtracts from all scores. The loss leaves this constant
      free, and the paper keeps it close to 0.
    learning_rate: the discriminator's learning rate, for Adam.
    beta1: beta1 of the discriminator's Adam.
    beta2: beta2 of the discriminator's Adam.
  """

  channels: tuple[int, ...] = (64, 128, 256, 512)
  patch_size: int = 1
  loss: Literal['wgan', 'logistic'] = 'wgan'
  penalty_weight: float = 10.0
  centering: float = 0.25
  learning_rate: float = 1e-4
  beta1: float = 0.5
  beta2: float = 0.999

  def __post_init__(self) -> None:
    """Raises ValueError, naming the field and its value, if one is invalid."""
    check_fields(
        self,
        channels='one or more whole numbers from 1 on',
        patch_size='a whole number from 1 on',
        penalty_weight='0 or more',
        centering='from 0 to 1',
        learning_rate='above 0',
        beta1='from 0 to below 1',
        beta2='from 0 to below 1',
    )


def _is_whole(value: Any, least: int) -> bool:
  is_whole = isinstance(value, numbers.Integral) and not isinstance(value, bool)
  return is_whole and int(value) >= least


# What a field may be, in the words of the error.  Nothing holds of NaN.
_RULES: Mapping[str, Callable[[Any], bool]] = {
    'a whole number from -1 on': lambda value: _is_whole(value, -1),
    'a whole number from 0 on': lambda value: _is_whole(value, 0),
    'a whole number from 0 to 2147483647': lambda value: (
        _is_whole(value, 0) and value < 2**31
    ),
    'a whole number from 0 to 64': lambda value: (
        _is_whole(value, 0) and value <= 64
    ),
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


def check_fields(config: Any, **rules: str) -> None:
  """Checks the fields of a configuration dataclass.

  Fields whose type is a `Literal` must hold one of its values, those of type
  bool or str one of that type, and tuples; a list becomes a tuple. No number is
  a bool.

  Args:
    config: an instance of a dataclass.
    **rules: a key of `_RULES` by name of a field.

  Raises:
    ValueError: if a field is invalid; begins with its name.
  """
  for field, hint in typing.get_type_hints(type(config)).items():
    value, choices = getattr(config, field), typing.get_args(hint)
    if typing.get_origin(hint) is Literal:
      if value not in choices:
        raise ValueError(f'{field} is {value!r}; give one of {choices}')
    elif typing.get_origin(hint) is tuple:
      if isinstance(value, list):
        object.__setattr__(config, field, tuple(value))
      elif not isinstance(value, tuple):
        raise ValueError(f'{field} is {value!r}; give a tuple')
    elif hint in (bool, str) and not isinstance(value, hint):
      raise ValueError(f'{field} is {value!r}; give a {hint.__name__}')
    elif hint in (int, float) and isinstance(value, bool):
      raise ValueError(f'{field} is {value!r}; give a number')
  for field, rule in rules.items():
    value = getattr(config, field)
    try:
      is_valid = bool(_RULES[rule](value))
    except (TypeError, ValueError, OverflowError):  # Of another type.
      is_valid = False
    if not is_valid:
      hint = (
          '; a schedule goes to make_learner(optimizer=...), as '
          'optax.adam(schedule)' * callable(value)
      )
      raise ValueError(f'{field} is {value!r}, must be {rule}{hint}')
