"""What a run is told: flags, configurations, and what is made from them.

A script defines the flags (`define_flags`), reads them into a `Setup` and hands
it to `training.train`; a checkpoint keeps it (`to_json`, `from_json`).
"""

import dataclasses
import math
from typing import Any, NamedTuple

from absl import flags
import numpy as np

import config_flags
from environments import painting
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
    batch_size: episodes in a batch of either learner.
    num_actors: nodes that paint, a batch at a time.
    max_lag: updates that an actor may run ahead of the policy learner; below 0,
      as far as the queue allows.
    render_threads: of each actor, to share its canvases.
    replay_batches: batches of final canvases kept for the discriminator.
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
  batch_size: int = 64
  num_actors: int = 1
  max_lag: int = -1
  render_threads: int = 1
  replay_batches: int = 20
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
      ('frames', 0),
      ('batch_size', 1),
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
    if self.lockstep and self.discriminator_updates % 1:
      raise ValueError(
        f'discriminator_updates is {self.discriminator_updates}, must be a '
        'whole number with lockstep'
      )
    if self.lockstep and self.num_actors > 1:
      raise ValueError(
        f'num_actors is {self.num_actors}, must be 1 with lockstep'
      )


class Setup(NamedTuple):
  """Everything that a run is told, one configuration a part."""

  dataset: str
  run: RunConfig
  painting: painting.PaintingSettings
  agent: agents.AgentConfig
  learner: agents.LearnerConfig
  discriminator: agents.DiscriminatorConfig


_PREFIXES = {
  'run': (RunConfig, ''),
  'painting': (painting.PaintingSettings, ''),
  'agent': (agents.AgentConfig, ''),
  'learner': (agents.LearnerConfig, ''),
  'discriminator': (agents.DiscriminatorConfig, 'discriminator_'),
}

def define_flags() -> None:
  """Defines a flag for each field of each part of a `Setup`."""
  for config_class, prefix in _PREFIXES.values():
    config_flags.define(config_class, prefix)


def read_flags(dataset: str) -> Setup:
  """Returns what the flags say.

  Raises:
    ValueError: if a flag is out of its range.
  """
  configs: dict[str, Any] = {
    name: config_flags.read(config_class, prefix)
    for name, (config_class, prefix) in _PREFIXES.items()
  }
  return Setup(dataset=dataset, **configs)


def to_json(setup: Setup) -> dict[str, Any]:
  """Returns a setup as nested dicts of numbers, strings and lists."""
  return {
    'dataset': setup.dataset,
    **{name: dataclasses.asdict(getattr(setup, name)) for name in _PREFIXES},
  }


def from_json(saved: dict[str, Any]) -> Setup:
  """Undoes `to_json`; a field that was added since has its default.

  Raises:
    ValueError: if this is no setup.
  """
  try:
    parts: dict[str, Any] = {'dataset': saved['dataset']}
    for name, (config_class, _) in _PREFIXES.items():
      known = {field.name for field in dataclasses.fields(config_class)}
      parts[name] = config_class(
        **{
          field: tuple(value) if isinstance(value, list) else value
          for field, value in saved[name].items()
          if field in known
        }
      )
  except (KeyError, TypeError, AttributeError) as error:
    raise ValueError(
      f'the saved configuration is not one of a training run ({error!r}); '
      'name another run, or another of its checkpoints'
    ) from error
  return Setup(**parts)


def load_dataset(setup: Setup, split: str) -> datasets.ImageDataset:
  """Returns images `[n, canvas_size, canvas_size, channels]`."""
  return datasets.load(
    setup.dataset,
    split,
    data_dir=setup.run.data_dir or None,
    size=setup.painting.canvas_size,
    channels=setup.painting.channels,
    download=setup.run.download,
  )


def make_environment(setup: Setup, count: int):
  """Returns a batched environment that observes uint8 canvases."""
  return painting.make_batch(
    count,
    dtype=np.uint8,
    num_threads=setup.run.render_threads,
    **dataclasses.asdict(setup.painting),
  )


def make_agent(setup: Setup) -> agents.Agent:
  """Returns the agent of a setup."""
  return agents.make_agent(
    setup.painting.action_spec(), canvas_shape(setup), setup.agent
  )


def canvas_shape(setup: Setup) -> tuple[int, int, int]:
  """Returns (height, width, channels)."""
  size = setup.painting.canvas_size
  return size, size, setup.painting.channels


def check_fit(setup: Setup) -> None:
  """Raises ValueError where parts of a setup do not fit each other."""
  batch_size, minibatches = setup.run.batch_size, setup.learner.minibatches
  if batch_size % minibatches:
    raise ValueError(
      f'--batch_size={batch_size} does not divide into --minibatches='
      f'{minibatches}; change one of them'
    )
  if setup.learner.reward == 'l2' and not setup.agent.conditional:
    raise ValueError(
      '--reward=l2 compares with a target and the agent has none; add '
      '--conditional, or take --reward=discriminator'
    )
