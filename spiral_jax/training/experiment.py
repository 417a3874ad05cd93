"""The configuration of a run, and what is made from it.

`Experiment` is data: a checkpoint keeps it as JSON, and everything that a run
consists of is made from it.
"""

from collections.abc import Mapping
import dataclasses
from typing import Any, Literal

from flax import linen as nn
import jax
import numpy as np

from spiral_jax import agents
from spiral_jax import datasets
from spiral_jax import saved_config
from spiral_jax import types
from spiral_jax.agents import config as config_lib
from spiral_jax.training import task as task_lib


@dataclasses.dataclass(frozen=True)
class RunConfig:
  """Folder, length and parallelism of a run.

  Attributes:
    run_dir: folder of the run's checkpoints, metrics and pictures.
    resume: continues the run in run_dir from its latest checkpoint. All other
      flags may be left out.
    init_from: weights to start from: a name, as portraits, or the folder of
      another run. Settings are those of this run.
    minutes: minutes of training, over all resumptions; 0 disables the limit.
    frames: commands to learn from; 0 disables the limit.
    decay_by_clock: lets the learner's decay last for decay_minutes instead of
      decay_frames, so that it ends with the run on a machine of any speed.
    decay_minutes: minutes of the decay by clock; 0 means minutes.
    batch_size: number of episodes in a batch of either learner.
    unroll_length: commands per trajectory; must divide episode_length. Partial
      trajectories bootstrap from the value function. 0 means whole episodes.
    devices: number of accelerators among which each learner's batch is divided;
      0 means all of this machine.
    num_actors: number of actors, each of which draws a batch at a time.
    launcher: 'threads' for actors in this process; 'ray' for actors in
      processes of their own, on all machines of a Ray cluster.
    ray_address: address of the Ray cluster's head; empty means this machine.
    max_lag: updates that an actor may run ahead of the policy learner; below 0,
      only the queue limits it.
    render_threads: number of threads of each actor that share its canvases.
    replay_batches: number of batches of final canvases kept for the
      discriminator.
    unfinished_share: share of the replay's canvases that are taken from within
      episodes. With rewards at every command, which are differences of scores,
      the discriminator should know such canvases.
    discriminator_updates: largest number of discriminator updates per batch of
      episodes.
    lockstep: runs all nodes in turn in one thread, reproducible bit for bit.
    seed: seed of all random numbers.
    data_seed: seed of the images that the task makes; -1 means seed.
    log_every: policy updates between two records of metrics.
    checkpoint_minutes: minutes between checkpoints.
    checkpoint_rounds: rounds between checkpoints with lockstep; 0 disables
      them.
    picture_seconds: seconds between pictures of the agent's canvases and, for a
      conditional agent, measurements of its held-out error; 0 disables them.
    data_dir: folder of the data set; empty means the data that comes with the
      package or that the task makes.
    download: fetches files of the data set that are missing.
  """

  run_dir: str = ''
  resume: bool = False
  init_from: str = ''
  minutes: float = 0.0
  frames: int = 0
  decay_by_clock: bool = False
  decay_minutes: float = 0.0
  batch_size: int = 64
  unroll_length: int = 0
  devices: int = 1
  num_actors: int = 1
  launcher: Literal['threads', 'ray'] = 'threads'
  ray_address: str = ''
  max_lag: int = -1
  render_threads: int = 1
  replay_batches: int = 20
  unfinished_share: float = 0.0
  discriminator_updates: float = 1.0
  lockstep: bool = False
  seed: int = 0
  data_seed: int = -1
  log_every: int = 10
  checkpoint_minutes: float = 5.0
  checkpoint_rounds: int = 0
  picture_seconds: float = 60.0
  data_dir: str = ''
  download: bool = False

  def __post_init__(self) -> None:
    """Raises ValueError, naming the field and its value, if one is invalid."""
    config_lib.check_fields(
        self,
        minutes='0 or more',
        frames='a whole number from 0 on',
        decay_minutes='0 or more',
        batch_size='a whole number from 1 on',
        unroll_length='a whole number from 0 on',
        devices='a whole number from 0 on',
        num_actors='a whole number from 1 on',
        render_threads='a whole number from 1 on',
        replay_batches='a whole number from 1 on',
        unfinished_share='from 0 to 1',
        discriminator_updates='above 0',
        seed='a whole number from 0 on',
        data_seed='a whole number from -1 on',
        log_every='a whole number from 1 on',
        checkpoint_minutes='above 0',
        checkpoint_rounds='a whole number from 0 on',
        picture_seconds='0 or more',
    )
    if self.decay_by_clock and not (self.minutes or self.decay_minutes):
      raise ValueError(
          'decay_by_clock is set but minutes is 0; say how long the run is'
      )
    if self.lockstep and self.discriminator_updates % 1:
      raise ValueError(
          f'discriminator_updates is {self.discriminator_updates}, must be a '
          'whole number with lockstep'
      )
    if self.lockstep and self.decay_by_clock:
      raise ValueError(
          'decay_by_clock is set, which is not reproducible; leave it out with '
          'lockstep, and give decay_frames instead'
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


@dataclasses.dataclass(frozen=True)
class LessonConfig:
  """Programs to imitate, if the learner gives them a weight.

  Attributes:
    dream_prior: programs that are dreamed of: 'task' for the task's own random
      programs, uniform ones if it has none; 'uniform' for commands of uniform
      values; 'memory' for remembered programs with some commands changed.
    variation: share of a remembered program's commands that are changed for a
      dream.
    disturbance: share of a lesson's commands that are executed disturbed, and
      imitated undisturbed.
    memory_size: number of training images whose best programs are remembered.
    search_images: number of these that are searched for each lesson.
    search_samples: number of programs that the agent samples for each of them.
    search_rounds: rounds of the local search that improves the best of these;
      a round renders 16 programs an image.
  """

  dream_prior: Literal['task', 'uniform', 'memory'] = 'task'
  variation: float = 0.3
  disturbance: float = 0.6
  memory_size: int = 10_000
  search_images: int = 32
  search_samples: int = 4
  search_rounds: int = 4

  def __post_init__(self) -> None:
    """Raises ValueError, naming the field and its value, if one is invalid."""
    config_lib.check_fields(
        self,
        variation='from 0 to 1',
        disturbance='from 0 to 1',
        memory_size='a whole number from 1 on',
        search_images='a whole number from 1 on',
        search_samples='a whole number from 1 on',
        search_rounds='a whole number from 0 on',
    )


@dataclasses.dataclass(frozen=True)
class Experiment:
  """The configuration of a run, one part a subject.

  Attributes:
    task: the environment: dotted name of a module that offers a task, or a
      task. A run can be resumed and evaluated by other processes if its task
      is in a module that they can import.
    dataset: name of the data set, one of `datasets.NAMES`; empty means the
      images that the task makes.
    run: folder, length and parallelism.
    environment: settings of the task's class; None means the default ones.
    agent: the policy network.
    learner: rewards and algorithm.
    discriminator: network and optimizer.
    lessons: programs to imitate.
    costs: weights of the task's costs, in units of the scaled reward, by name.
    data: configuration of the images that the task makes; None means the
      default one.
  """

  task: 'str | task_lib.Task'
  dataset: str = ''
  run: RunConfig = RunConfig()
  environment: Any = None
  agent: agents.AgentConfig = agents.AgentConfig()
  learner: agents.LearnerConfig = agents.LearnerConfig()
  discriminator: agents.DiscriminatorConfig = agents.DiscriminatorConfig()
  lessons: LessonConfig = LessonConfig()
  costs: Mapping[str, float] = dataclasses.field(default_factory=dict)
  data: Any = None

  def __post_init__(self) -> None:
    """Completes the defaults that depend on the task, and checks the parts.

    Raises:
      ValueError: if there is no such task, or a part is not of its kind.
    """
    task = self.find_task()
    if self.environment is None:
      object.__setattr__(self, 'environment', task.settings())
    if self.data is None and task.data is not None:
      object.__setattr__(self, 'data', task.data())
    if not isinstance(self.environment, task.settings):
      raise ValueError(
          f'environment is {self.environment!r}, but task {task.name} has '
          f'settings of class {task.settings.__name__}; give one of these'
      )
    for name, weight in self.costs.items():
      if name not in task.costs:
        raise ValueError(
            f'costs has {name!r}, but task {task.name} has no such cost; its '
            f'costs are: {", ".join(task.costs) or "none"}'
        )
      if not 0 <= weight < float('inf'):
        raise ValueError(f'costs[{name!r}] is {weight}, must be 0 or more')
    costs = {name: float(self.costs.get(name, 0.0)) for name in task.costs}
    object.__setattr__(self, 'costs', costs)

  def replace(self, **parts: Any) -> 'Experiment':
    """Returns a copy in which some parts, or fields of the run, are others.

    Args:
      **parts: a part of the experiment, as `agent=...`, or a field of `run`, as
        `run_dir='runs/second'`.
    """
    own = {field.name for field in dataclasses.fields(self)}
    fields = {name: parts.pop(name) for name in list(parts) if name not in own}
    if fields:
      run = parts.get('run', self.run)
      parts['run'] = dataclasses.replace(run, **fields)
    return dataclasses.replace(self, **parts)

  def find_task(self) -> task_lib.Task:
    """Returns the task."""
    return task_lib.find_task(self.task)

  @property
  def canvas_shape(self) -> tuple[int, int, int]:
    """Shape (height, width, channels) of a canvas."""
    size = self.environment.canvas_size
    return size, size, self.environment.channels

  @property
  def has_discriminator(self) -> bool:
    """True if the rewards are the scores of a discriminator."""
    learner = self.learner
    return learner.reward == 'discriminator' and learner.reward_weight > 0

  @property
  def num_pieces(self) -> int:
    """Number of trajectories into which an episode is divided."""
    length = self.environment.episode_length
    return length // (self.run.unroll_length or length)

  def action_costs(self) -> tuple[agents.ActionCost, ...]:
    """Returns the task's costs with this run's weights."""
    costs = self.find_task().costs
    return tuple(
        agents.ActionCost(
            name,
            costs[name].part,
            costs[name].value,
            weight,
            costs[name].only_starts,
        )
        for name, weight in self.costs.items()
    )

  def make_environment(self, count: int) -> Any:
    """Returns a batched environment that observes uint8 canvases."""
    return self.find_task().make_batch(
        self.environment, count, self.run.render_threads
    )

  def sample_programs(
      self, rng: np.random.Generator, count: int
  ) -> Mapping[str, np.ndarray]:
    """Returns programs of the prior of dreams, int32 `[T, count]` a part."""
    sample = self.find_task().sample_programs
    if sample is not None and self.lessons.dream_prior != 'uniform':
      return sample(self.environment, self.data, rng, count)
    return types.uniform_programs(
        self.environment.action_spec(),
        self.environment.episode_length,
        count,
        rng,
    )

  def make_agent(self, torso: nn.Module | None = None) -> agents.Agent:
    """Returns the agent; `torso` is as for `agents.make_agent`."""
    return agents.make_agent(
        self.environment.action_spec(),
        self.canvas_shape,
        self.agent,
        torso=torso,
    )

  def make_discriminator(self) -> agents.Discriminator:
    """Returns the discriminator."""
    return agents.make_discriminator(
        self.canvas_shape, self.agent.conditional, self.discriminator
    )

  def load_images(self, split: str) -> datasets.ImageDataset:
    """Returns images uint8 `[n, canvas_size, canvas_size, channels]`.

    Args:
      split: 'train' or 'test'.

    Raises:
      FileNotFoundError: if data is missing.
      ValueError: if data is damaged, or does not fit the environment.
    """
    task, run = self.find_task(), self.run
    make = task.make_images if self.dataset == task.dataset else None
    if make is not None and not run.data_dir:
      seed = run.seed if run.data_seed < 0 else run.data_seed
      images = make(self.environment, self.data, split, seed)
      if not isinstance(images, tuple):
        images = (images,)
      found = datasets.ImageDataset(*images)
    elif self.dataset:
      found = datasets.load(
          self.dataset,
          split,
          data_dir=run.data_dir or None,
          size=self.environment.canvas_size,
          channels=self.environment.channels,
          download=run.download,
      )
      self._check_settings(found)
    else:
      raise ValueError(
          f'task {task.name} makes no images; name a data set, one of '
          f'{", ".join(datasets.NAMES)}, as --dataset=mnist'
      )
    if found.images.shape[1:] != self.canvas_shape or (
        found.images.dtype != 'uint8'
    ):
      raise ValueError(
          f'{split} images are {found.images.dtype} '
          f'{list(found.images.shape)}, canvases uint8 '
          f'{[len(found.images), *self.canvas_shape]}; they must be alike'
      )
    return found

  def _check_settings(self, images: datasets.ImageDataset) -> None:
    """Raises ValueError if images were drawn by another environment."""
    if images.settings is None:
      return
    for field in dataclasses.fields(self.environment):
      name, value = field.name, getattr(self.environment, field.name)
      other = images.settings.get(name, value)
      other = tuple(other) if isinstance(other, list) else other
      # The length of an episode says nothing about an image.
      if name != 'episode_length' and value != other:
        raise ValueError(
            f'the images in {self.run.data_dir} have --{name}={other}, the '
            f'environment has {value}; give the same, or make other images'
        )

  def to_json(self) -> dict[str, Any]:
    """Returns nested dicts of numbers, strings and lists."""
    parts = {
        name: dataclasses.asdict(value)
        for name, value in vars(self).items()
        if dataclasses.is_dataclass(value)
        and not isinstance(value, type)
        and name != 'task'
    }
    return {
        'task': self.find_task().name,
        'dataset': self.dataset,
        **parts,
        'costs': dict(self.costs),
    }

  @classmethod
  def from_json(
      cls, saved: Mapping[str, Any], task: 'str | task_lib.Task | None' = None
  ) -> 'Experiment':
    """Undoes `to_json`; also reads what earlier versions saved.

    Fields that were added since have their defaults.

    Args:
      saved: nested dicts.
      task: the task, where it is not in the module that was saved.

    Raises:
      ValueError: if this is no experiment, or its task cannot be found.
    """
    try:
      saved = saved_config.upgrade(saved)
      name = saved['task']
    except (KeyError, TypeError, AttributeError, ValueError) as error:
      raise _not_an_experiment(error) from error
    found = task_lib.find_task(task or name)
    classes: dict[str, type] = {
        'run': RunConfig,
        'environment': found.settings,
        'agent': agents.AgentConfig,
        'learner': agents.LearnerConfig,
        'discriminator': agents.DiscriminatorConfig,
        'lessons': LessonConfig,
    }
    if found.data is not None:
      classes['data'] = found.data
    try:
      saved.setdefault('lessons', {})  # Earlier versions had none.
      parts = {
          part: _restore(config_class, saved[part])
          for part, config_class in classes.items()
      }
      costs = {k: v for k, v in saved['costs'].items() if k in found.costs}
      return cls(task or name, saved['dataset'], costs=costs, **parts)
    except (KeyError, TypeError, AttributeError, ValueError) as error:
      raise _not_an_experiment(error) from error


def check_fit(experiment: Experiment) -> None:
  """Raises ValueError where parts of an experiment do not fit each other."""
  run, learner = experiment.run, experiment.learner
  batch_size, minibatches = run.batch_size, learner.minibatches
  if batch_size % minibatches:
    raise ValueError(
        f'--batch_size={batch_size} does not divide into --minibatches='
        f'{minibatches}; change one of them'
    )
  if learner.normalize_advantages and batch_size == 1:
    raise ValueError(
        '--normalize_advantages of --batch_size=1 makes all advantages zero; '
        'leave it out, or change --batch_size'
    )
  devices = run.devices or jax.local_device_count()
  if batch_size // minibatches % devices:
    raise ValueError(
        f'--batch_size={batch_size} in --minibatches={minibatches} does not '
        f'divide among --devices={devices}; change one of them'
    )
  episode_length = experiment.environment.episode_length
  if run.unroll_length and episode_length % run.unroll_length:
    raise ValueError(
        f'--unroll_length={run.unroll_length} does not divide '
        f'--episode_length={episode_length}; change one of them'
    )
  if experiment.num_pieces > 1 and run.unfinished_share:
    raise ValueError(
        f'--unfinished_share={run.unfinished_share} needs whole episodes; add '
        f'--unfinished_share=0, or leave out --unroll_length='
        f'{run.unroll_length}'
    )
  is_remembering = learner.memory_weight > 0
  if experiment.lessons.dream_prior == 'memory' and not is_remembering:
    raise ValueError(
        '--dream_prior=memory needs a memory; add --memory_weight, or take '
        '--dream_prior=task'
    )
  if learner.hindsight_weight and experiment.num_pieces > 1:
    raise ValueError(
        f'--hindsight_weight={learner.hindsight_weight} learns from whole '
        f'episodes, and --unroll_length={run.unroll_length} divides them; '
        'leave one out'
    )
  if not experiment.agent.conditional:
    if is_remembering:
      raise ValueError(
          f'--memory_weight={learner.memory_weight} remembers programs of '
          'images that the agent is shown; add --conditional, or leave it out'
      )
    if learner.hindsight_weight:
      raise ValueError(
          f'--hindsight_weight={learner.hindsight_weight} takes results for '
          'targets and the agent has none; add --conditional, or leave it out'
      )
    if learner.reward_weight and learner.reward != 'discriminator':
      raise ValueError(
          f'--reward={learner.reward} compares with a target and the agent has '
          'none; add --conditional, or take --reward=discriminator'
      )
    if learner.color_cost:
      raise ValueError(
          f'--color_cost={learner.color_cost} compares with a target and the '
          'agent has none; add --conditional, or leave it out'
      )
  if run.decay_by_clock and learner.decay_frames:
    raise ValueError(
        f'--decay_frames={learner.decay_frames} and --decay_by_clock are two '
        'ways of the same; leave one out'
    )


def _restore(config_class: type, saved: Mapping[str, Any]) -> Any:
  known = {field.name for field in dataclasses.fields(config_class)}
  return config_class(
      **{
          field: tuple(value) if isinstance(value, list) else value
          for field, value in saved.items()
          if field in known
      }
  )


def _not_an_experiment(error: Exception) -> ValueError:
  return ValueError(
      f'the saved configuration is not one of a training run ({error!r}); '
      'name another run, or another of its checkpoints'
  )
