"""The configuration of a run, and what is made from it.

`Experiment` is data: a checkpoint keeps it as JSON, and everything that a run
consists of is made from it.
"""

from collections.abc import Mapping
import dataclasses
import functools
import os
import pkgutil
from typing import Any

from flax import linen as nn
import jax
import numpy as np

from spiral_jax import agents
from spiral_jax import datasets
from spiral_jax import saved_config
from spiral_jax import types
from spiral_jax.training import config as config_lib
from spiral_jax.training import task as task_lib


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
  run: config_lib.RunConfig = config_lib.RunConfig()
  environment: Any = None
  agent: agents.AgentConfig = agents.AgentConfig()
  learner: agents.LearnerConfig = agents.LearnerConfig()
  discriminator: agents.DiscriminatorConfig = agents.DiscriminatorConfig()
  lessons: config_lib.LessonConfig = config_lib.LessonConfig()
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
  def has_recognizer(self) -> bool:
    """True if a second agent redraws the images that are remembered."""
    return not self.agent.conditional and self.learner.memory_weight > 0

  def as_recognizer(self) -> 'Experiment':
    """Returns the experiment of which the recognizer is the agent."""
    agent = dataclasses.replace(self.agent, conditional=True, noise_size=0)
    return self.replace(agent=agent)

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

  def colors(self) -> tuple[str, ...]:
    """Returns names of the parts that are a command's color, if it has one."""
    spec = self.environment.action_spec()
    return tuple(name for name in self.find_task().colors if name in spec)

  def make_environment(self, count: int) -> Any:
    """Returns a batched environment that observes uint8 canvases."""
    return self.find_task().make_batch(
        self.environment, count, self.run.render_threads
    )

  def make_device_renderer(self) -> Any:
    """Returns a renderer of pure functions; see `renderers.Renderer`.

    Raises:
      ValueError: if the task offers none, it does not take these settings, or
        its canvases are not those of the task.
    """
    task = self.find_task()
    if task.device_renderer is None:
      raise ValueError(
          f'task {task.name} offers no renderer in JAX; give it a '
          'device_renderer, or draw with its own (without --on_device)'
      )
    name, *arguments = task.device_renderer(self.environment)
    try:
      make = pkgutil.resolve_name(name)
    except (ImportError, AttributeError, ValueError) as error:
      raise ValueError(
          f'device_renderer of task {task.name} is {name!r}, which cannot be '
          f"imported ({error}); name a function, as 'package.module:function'"
      ) from error
    renderer = make(self.environment, *arguments)
    _, canvas = jax.eval_shape(functools.partial(renderer.init, 2))
    if canvas.shape != (2, *self.canvas_shape) or canvas.dtype != 'uint8':
      raise ValueError(
          f'{name} draws {canvas.dtype} {list(canvas.shape)} for two canvases, '
          f'must draw uint8 {[2, *self.canvas_shape]}'
      )
    return renderer

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
      if not isinstance(name, str):
        raise TypeError(f'task is {name!r}')
    except (KeyError, TypeError, AttributeError, ValueError) as error:
      raise _not_an_experiment(error) from error
    found = task_lib.find_task(task or name)
    classes: dict[str, type] = {
        'run': config_lib.RunConfig,
        'environment': found.settings,
        'agent': agents.AgentConfig,
        'learner': agents.LearnerConfig,
        'discriminator': agents.DiscriminatorConfig,
        'lessons': config_lib.LessonConfig,
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


def from_file(
    path: str | os.PathLike[str],
    saved: Mapping[str, Any],
    task: 'str | task_lib.Task | None' = None,
) -> Experiment:
  """Returns an experiment that a run or weights hold; errors name the path.

  Args:
    path: where it was saved.
    saved: nested dicts.
    task: the task, where it is not in the module that was saved.

  Raises:
    ValueError: as `Experiment.from_json`.
  """
  try:
    return Experiment.from_json(saved, task)
  except ValueError as error:
    raise ValueError(f'{path}: {error}') from error


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
