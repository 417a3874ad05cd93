"""What a run is told: flags, configurations, and what is made from them.

A script defines the flags (`define_flags`), reads them into a `Setup` and hands
it to `training.train`; a checkpoint keeps it (`to_json`, `from_json`).
"""

import dataclasses
import math
from typing import Any, NamedTuple

from absl import flags
import jax

import config_flags
from environments import core
from environments import painting
import renderers
import scene_data
from spiral_jax import agents
from spiral_jax import datasets

# Flags belong to the scripts: their --help lists them.
flags.disclaim_key_flags()


@dataclasses.dataclass(frozen=True)
class RunConfig:
  """One run: where it goes, how long, and how its nodes share the work.

  Attributes:
    run_dir: folder of the run's checkpoints, metrics and pictures.
    resume: go on from the latest checkpoint in run_dir.
    minutes: to train, over all resumptions; 0, no end.
    frames: commands to learn from; 0, no end.
    decay_by_clock: let the learner's decay last for `decay_minutes`, not for
      decay_frames, so that it ends with the run on a machine of any speed.
    decay_minutes: 0, `minutes`.
    batch_size: episodes in a batch of either learner.
    unroll_length: commands that actors hand on, and the policy learns from, at
      once, for episodes that are too long to be kept whole; it divides
      episode_length. Values stand for what comes later. 0, whole episodes.
    devices: accelerators among which each learner's batch is divided; 0, all
      of this machine.
    num_actors: nodes that paint, a batch at a time.
    launcher: 'threads', all in this process, or 'ray', actors in processes of
      their own, on all machines of a Ray cluster.
    ray_address: of the cluster's head; empty, this machine alone.
    max_lag: updates that an actor may run ahead of the policy learner; below 0,
      as far as the queue allows.
    render_threads: of each actor, to share its canvases.
    replay_batches: batches of final canvases kept for the discriminator.
    unfinished_share: of the replay's canvases, to be taken from within episodes
      instead of their ends: where rewards at every command are differences of
      scores, the discriminator should know such canvases.
    discriminator_updates: bound of discriminator updates a batch of episodes.
    lockstep: all nodes in turn in one thread, reproducible bit for bit.
    seed: of everything random.
    log_every: policy updates between two records of metrics.
    checkpoint_minutes: between checkpoints.
    checkpoint_rounds: with lockstep, rounds between checkpoints instead; 0,
      none.
    picture_seconds: between pictures of what the agent paints and, if it is
      conditional, measurements of its held-out error; 0, none.
    data_dir: folder of the data set; empty, the subset that comes with the
      package.
    download: fetch the data set's files that are missing.
  """

  run_dir: str = ''
  resume: bool = False
  minutes: float = 0.0
  frames: int = 0
  decay_by_clock: bool = False
  decay_minutes: float = 0.0
  batch_size: int = 64
  unroll_length: int = 0
  devices: int = 1
  num_actors: int = 1
  launcher: str = 'threads'
  ray_address: str = ''
  max_lag: int = -1
  render_threads: int = 1
  replay_batches: int = 20
  unfinished_share: float = 0.0
  discriminator_updates: float = 1.0
  lockstep: bool = False
  seed: int = 0
  log_every: int = 10
  checkpoint_minutes: float = 5.0
  checkpoint_rounds: int = 0
  picture_seconds: float = 60.0
  data_dir: str = ''
  download: bool = False

  def __post_init__(self) -> None:
    """Checks the values.

    Raises:
      ValueError: that names the setting, its value and what it may be.
    """
    for name, least in (
        ('minutes', 0),
        ('decay_minutes', 0),
        ('frames', 0),
        ('batch_size', 1),
        ('unroll_length', 0),
        ('devices', 0),
        ('num_actors', 1),
        ('render_threads', 1),
        ('replay_batches', 1),
        ('log_every', 1),
        ('checkpoint_rounds', 0),
        ('picture_seconds', 0),
        ('seed', 0),
    ):
      value = getattr(self, name)
      if not least <= value < math.inf:
        raise ValueError(f'{name} is {value}, must be {least} or more')
    for name in ('discriminator_updates', 'checkpoint_minutes'):
      value = getattr(self, name)
      if not 0 < value < math.inf:
        raise ValueError(f'{name} is {value}, must be above 0')
    if self.decay_by_clock and not (self.minutes or self.decay_minutes):
      raise ValueError(
          'decay_by_clock is set but minutes is 0; say how long the run is'
      )
    if not 0 <= self.unfinished_share <= 1:
      raise ValueError(
          f'unfinished_share is {self.unfinished_share}, must be from 0 to 1'
      )
    if self.lockstep and self.discriminator_updates % 1:
      raise ValueError(
          f'discriminator_updates is {self.discriminator_updates}, must be a '
          'whole number with lockstep'
      )
    if self.launcher not in ('threads', 'ray'):
      raise ValueError(
          f"launcher is {self.launcher!r}; give one of ('threads', 'ray')"
      )
    if self.lockstep and self.launcher == 'ray':
      raise ValueError("launcher is 'ray', must be 'threads' with lockstep")
    if self.lockstep and self.num_actors > 1:
      raise ValueError(
          f'num_actors is {self.num_actors}, must be 1 with lockstep'
      )
    if self.checkpoint_rounds and not self.lockstep:
      raise ValueError(
          f'checkpoint_rounds is {self.checkpoint_rounds}, must be 0 without '
          'lockstep; checkpoint_minutes holds there'
      )


class Setup(NamedTuple):
  """Everything that a run is told, one configuration a part."""

  dataset: str
  run: RunConfig
  environment: renderers.Settings
  agent: agents.AgentConfig
  learner: agents.LearnerConfig
  discriminator: agents.DiscriminatorConfig
  data: scene_data.SceneData | None = None  # Of kinds that have any.

  @property
  def pieces(self) -> int:
    """Trajectories in which actors hand an episode on."""
    length = self.environment.episode_length
    return length // (self.run.unroll_length or length)

  @property
  def painting(self) -> painting.PaintingSettings:
    """The environment's settings.

    Raises:
      ValueError: if the run does not paint.
    """
    if not isinstance(self.environment, painting.PaintingSettings):
      raise ValueError(
          f'{self.run.run_dir or "this"} is no run that paints; name another'
      )
    return self.environment


def _parts(kind: str) -> dict[str, tuple[type, str]]:
  """Returns class and prefix of flags of each part, by its saved name.

  The environment's part is saved under the name of its kind, a key of
  `renderers.KINDS`.
  """
  renderer = renderers.KINDS[kind]
  return {
      'run': (RunConfig, ''),
      kind: (renderer.settings, ''),
      'agent': (agents.AgentConfig, ''),
      'learner': (agents.LearnerConfig, ''),
      'discriminator': (agents.DiscriminatorConfig, 'discriminator_'),
      **({'data': (renderer.data, '')} if renderer.data else {}),
  }


def _setup(dataset: str, kind: str, parts: dict[str, Any]) -> Setup:
  return Setup(dataset=dataset, environment=parts.pop(kind), **parts)


def define_flags(
    kind: str = 'painting', flag_values: flags.FlagValues = flags.FLAGS
) -> None:
  """Defines a flag for each field of each part of a `Setup`.

  Args:
    kind: of the environment, a key of `renderers.KINDS`.
    flag_values: where to define them.
  """
  for config_class, prefix in _parts(kind).values():
    config_flags.define(config_class, prefix, flag_values)


def read_flags(
    dataset: str,
    kind: str = 'painting',
    flag_values: flags.FlagValues = flags.FLAGS,
) -> Setup:
  """Returns what the flags say.

  Args:
    dataset: its name in `spiral_jax.datasets`.
    kind: as for `define_flags`.
    flag_values: where they were defined.

  Raises:
    ValueError: if a flag is out of its range.
  """
  parts: dict[str, Any] = {
      name: config_flags.read(config_class, prefix, flag_values)
      for name, (config_class, prefix) in _parts(kind).items()
  }
  return _setup(dataset, kind, parts)


def to_json(setup: Setup) -> dict[str, Any]:
  """Returns a setup as nested dicts of numbers, strings and lists."""
  kind = renderers.kind_of(setup.environment)
  parts = setup._asdict() | {kind: setup.environment}
  return {
      'dataset': setup.dataset,
      **{name: dataclasses.asdict(parts[name]) for name in _parts(kind)},
  }


def from_json(saved: dict[str, Any]) -> Setup:
  """Undoes `to_json`; a field that was added since has its default.

  Raises:
    ValueError: if this is no setup.
  """
  try:
    (kind,) = renderers.KINDS.keys() & saved.keys()
    parts = {
        name: _restore(config_class, saved[name])
        for name, (config_class, _) in _parts(kind).items()
    }
    return _setup(saved['dataset'], kind, parts)
  except (KeyError, TypeError, AttributeError, ValueError) as error:
    raise ValueError(
        f'the saved configuration is not one of a training run ({error!r}); '
        'name another run, or another of its checkpoints'
    ) from error


def _restore(config_class: type, saved: dict[str, Any]) -> Any:
  known = {field.name for field in dataclasses.fields(config_class)}
  return config_class(
      **{
          field: tuple(value) if isinstance(value, list) else value
          for field, value in saved.items()
          if field in known
      }
  )


def load_dataset(setup: Setup, split: str) -> datasets.ImageDataset:
  """Returns images `[n, canvas_size, canvas_size, channels]`."""
  return renderer_of(setup).load(setup, split)


def make_environment(setup: Setup, count: int) -> core.BatchedEnvironment:
  """Returns a batched environment that observes uint8 canvases."""
  return renderer_of(setup).make_batch(
      setup.environment, count, setup.run.render_threads
  )


def renderer_of(setup: Setup) -> renderers.Kind:
  """Returns what is known of the environment's kind."""
  return renderers.KINDS[renderers.kind_of(setup.environment)]


def make_agent(setup: Setup) -> agents.Agent:
  """Returns the agent of a setup."""
  return agents.make_agent(
      setup.environment.action_spec(), canvas_shape(setup), setup.agent
  )


def canvas_shape(setup: Setup) -> tuple[int, int, int]:
  """Returns (height, width, channels)."""
  size = setup.environment.canvas_size
  return size, size, setup.environment.channels


def check_fit(setup: Setup) -> None:
  """Raises ValueError where parts of a setup do not fit each other."""
  batch_size, minibatches = setup.run.batch_size, setup.learner.minibatches
  if batch_size % minibatches:
    raise ValueError(
        f'--batch_size={batch_size} does not divide into --minibatches='
        f'{minibatches}; change one of them'
    )
  devices = setup.run.devices or jax.local_device_count()
  if batch_size // minibatches % devices:
    raise ValueError(
        f'--batch_size={batch_size} in --minibatches={minibatches} does not '
        f'divide among --devices={devices}; change one of them'
    )
  unroll_length = setup.run.unroll_length
  episode_length = setup.environment.episode_length
  if unroll_length and episode_length % unroll_length:
    raise ValueError(
        f'--unroll_length={unroll_length} does not divide '
        f'--episode_length={episode_length}; change one of them'
    )
  if setup.pieces > 1 and setup.run.unfinished_share:
    raise ValueError(
        f'--unfinished_share={setup.run.unfinished_share} is of whole '
        'episodes; add --unfinished_share=0, or leave out '
        f'--unroll_length={unroll_length}'
    )
  reward = setup.learner.reward
  if reward != 'discriminator' and not setup.agent.conditional:
    raise ValueError(
        f'--reward={reward} compares with a target and the agent has none; add '
        '--conditional, or take --reward=discriminator'
    )
  if setup.learner.color_cost and not setup.agent.conditional:
    raise ValueError(
        f'--color_cost={setup.learner.color_cost} compares with a target and '
        'the agent has none; add --conditional, or leave it out'
    )
  if setup.run.decay_by_clock and setup.learner.decay_frames:
    raise ValueError(
        f'--decay_frames={setup.learner.decay_frames} and --decay_by_clock are '
        'two ways of the same; leave one out'
    )
  parts = setup.environment.action_spec()
  if setup.learner.stroke_start_cost and 'flag' not in parts:
    raise ValueError(
        f'--stroke_start_cost={setup.learner.stroke_start_cost} is for '
        'strokes; these commands draw none'
    )
  if setup.learner.object_cost and 'kind' not in parts:
    raise ValueError(
        f'--object_cost={setup.learner.object_cost} is for objects of a scene; '
        'these commands add none'
    )
