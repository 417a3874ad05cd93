"""Teachers of a run: dreams, a memory of programs, a recognizer, other agents.

The memory of a conditional agent is searched by that agent. That of an agent
that draws from noise, the generator, is searched by a second agent beside it,
the recognizer, which redraws images: the two halves of wake-sleep (Hinton et
al., 1995; Hewitt, Le and Tenenbaum, arXiv:2007.03132).

    training images --> memory <-- search <-- recognizer
                          |                      ^
                          | lessons              | lessons from dreams
                          v                      | and the memory
                      generator ---- dreams -----+

A trained agent that redraws images can take the place of recognizer and memory:
its redrawings are the samples of a recognition model, as wake-sleep has them.
"""

import dataclasses
import functools
from typing import Literal, NamedTuple

from flax import linen as nn
import jax
import numpy as np

from spiral_jax import agents
from spiral_jax import datasets
from spiral_jax import search
from spiral_jax import types
from spiral_jax.driver import device_rollout
from spiral_jax.driver import rollout
from spiral_jax.training import experiment as experiment_lib
from spiral_jax.training import lessons
from spiral_jax.training import memory
from spiral_jax.training import trained_agent

Half = Literal['policy', 'recognizer']


class Recognizer(NamedTuple):
  """A conditional agent that learns beside an unconditional one."""

  agent: agents.Agent
  learner: agents.Learner


class Teacher(NamedTuple):
  """Lessons of one source for one learner."""

  name: str
  learns: Half  # Who learns from them.
  acts: Half  # Whose parameters they are made with.
  source: str
  lessons: lessons.Lessons


def make_recognizer(
    experiment: experiment_lib.Experiment,
    torso: nn.Module | None = None,
    mesh: jax.sharding.Mesh | None = None,
) -> Recognizer | None:
  """Returns the recognizer of a run, None if it has none.

  Args:
    experiment: configuration of the run.
    torso: the policy's, as for `agents.make_agent`.
    mesh: devices among which each batch is divided.
  """
  if not experiment.has_recognizer:
    return None
  agent = experiment.as_recognizer().make_agent(torso)
  config = dataclasses.replace(
      experiment.learner,
      reward_weight=0.0,
      dreams_weight=1.0,
      hindsight_weight=0.0,
      best_colors_weight=0.0,
      corrections_weight=0.0,
      memory_weight=1.0,
      teacher_weight=0.0,
      epochs=1,
      minibatches=1,
  )
  return Recognizer(agent, agents.make_learner(agent, config=config, mesh=mesh))


def make_teachers(
    experiment: experiment_lib.Experiment,
    agent: agents.Agent,
    recognizer: Recognizer | None,
    images: datasets.ImageDataset,
    renderer: device_rollout.Renderer | None = None,
    trained: trained_agent.TrainedAgent | None = None,
) -> tuple[list[Teacher], memory.Memory | None]:
  """Returns the teachers of a run, and its memory if it has one.

  Args:
    experiment: configuration of the run.
    agent: the agent that learns.
    recognizer: a second one, if the first draws from noise and remembers.
    images: images whose programs are remembered.
    renderer: draws lessons with `run.on_device`; None makes one.
    trained: what `load_teacher` returned.
  """
  if experiment.run.on_device and renderer is None:
    renderer = experiment.make_device_renderer()
  teachers: list[Teacher] = []
  remembered = None
  learner, seed = experiment.learner, experiment.run.seed * 1000
  if learner.memory_weight:
    config = experiment.lessons
    remembered = memory.Memory(
        images.images[: config.memory_size],
        experiment.environment.action_spec(),
        experiment.environment.episode_length,
        config.part_cost,
    )
    searcher = agent if recognizer is None else recognizer.agent
    wake = _make_wake(experiment, remembered, searcher)
    if recognizer is None:
      made = _make_lessons(experiment, wake, seed + 997, renderer)
      teachers.append(Teacher('memory', 'policy', 'policy', 'memory', made))
    else:
      teachers += _of_recognizer(experiment, agent, remembered, wake, renderer)
  if learner.dreams_weight:
    made = _make_lessons(
        experiment, _dream_source(experiment, remembered), seed + 998, renderer
    )
    teachers.append(Teacher('dreams', 'policy', 'policy', 'dreams', made))
  if trained is not None:
    redrawn = _Redrawn(trained, experiment, images)
    made = _make_lessons(experiment, redrawn, seed + 992, renderer)
    teachers.append(Teacher('teacher', 'policy', 'policy', 'teacher', made))
  return teachers, remembered


def _of_recognizer(
    experiment: experiment_lib.Experiment,
    generator: agents.Agent,
    remembered: memory.Memory,
    wake: memory.Wake,
    renderer: device_rollout.Renderer | None,
) -> list[Teacher]:
  """Returns the teachers of a recognizer, and what it teaches the generator."""
  redrawn, seed = experiment.as_recognizer(), experiment.run.seed * 1000
  if experiment.lessons.dream_prior == 'agent':
    dreams: lessons.Source = _Generated(experiment, generator)
  else:
    dreams = _dream_source(experiment, remembered)
  recall = memory.make_variations(
      remembered,
      experiment.environment.action_spec(),
      0.0,
      experiment.sample_programs,
  )
  return [
      Teacher(
          'recognizer memory',
          'recognizer',
          'recognizer',
          'memory',
          _make_lessons(redrawn, wake, seed + 995, renderer),
      ),
      Teacher(
          'recognizer dreams',
          'recognizer',
          'policy',
          'dreams',
          _make_lessons(redrawn, dreams, seed + 994, renderer),
      ),
      Teacher(
          'memory',
          'policy',
          'policy',
          'memory',
          _make_lessons(experiment, recall, seed + 997, renderer),
      ),
  ]


class _Generated:
  """A source of lessons: programs of the generator, as it is at the moment."""

  def __init__(
      self, experiment: experiment_lib.Experiment, generator: agents.Agent
  ):
    run = experiment.run
    self._rollout = rollout.Rollout(
        experiment.make_environment(run.batch_size),
        jax.jit(generator.step, static_argnames='greedy'),
        generator.initial_state(run.batch_size),
        noise_size=experiment.agent.noise_size,
        seed=run.seed * 1000 + 993,
    )

  def __call__(
      self, rng: np.random.Generator, count: int, params: types.Params
  ) -> tuple[dict[str, np.ndarray], None]:
    """Returns programs int32 `[T, B]` a part; their pictures are targets."""
    del rng, count
    return dict(self._rollout(params, 0).action), None

  def get_state(self):
    """Returns the state of the random numbers."""
    return self._rollout.get_state()

  def set_state(self, state) -> None:
    """Restores what `get_state` returned."""
    self._rollout.set_state(state)


def load_teacher(
    experiment: experiment_lib.Experiment,
) -> trained_agent.TrainedAgent | None:
  """Returns the trained agent that a run imitates; None if there is none.

  Raises:
    FileNotFoundError, ValueError: as `trained_agent.restore`; or if the agent
      draws from noise, or elsewhere than in the run's environment.
  """
  name = experiment.lessons.teacher
  if not name:
    return None
  trained = trained_agent.restore(name)
  if not trained.experiment.agent.conditional:
    raise ValueError(
        f'--teacher={name} draws from noise; name an agent that redraws images'
    )
  own, other = experiment.environment, trained.experiment.environment
  if experiment.task != trained.experiment.task or own != other:
    raise ValueError(
        f'--teacher={name} draws in another environment: it has {other}, and '
        f'the run {own}; name another teacher, or give its settings to the run'
    )
  return trained


class _Redrawn:
  """A source of lessons: what a trained agent most likely draws of images."""

  def __init__(
      self,
      trained: trained_agent.TrainedAgent,
      experiment: experiment_lib.Experiment,
      images: datasets.ImageDataset,
  ):
    step = jax.jit(trained.agent.step, static_argnames='greedy')
    run = experiment.run
    seed = run.seed * 1000 + 991
    self._params = trained.params
    self._rollout = rollout.Rollout(
        experiment.make_environment(run.batch_size),
        functools.partial(step, greedy=True),
        trained.agent.initial_state(run.batch_size),
        targets=datasets.ImageStream(
            images, run.batch_size, seed=seed, augment=run.augment
        ),
        seed=seed,
    )
    self.get_state = self._rollout.get_state
    self.set_state = self._rollout.set_state

  def __call__(
      self, rng: np.random.Generator, count: int, params: types.Params
  ) -> tuple[types.Action, np.ndarray | None]:
    """Returns programs int32 `[T, B]` a part, and images `[B, H, W, C]`."""
    del rng, count, params
    episodes = self._rollout(self._params, 0)
    return episodes.action, episodes.target


def _make_wake(
    experiment: experiment_lib.Experiment,
    remembered: memory.Memory,
    searcher: agents.Agent,
) -> memory.Wake:
  config = experiment.lessons
  # Besides proposals, a canvas for each beginning of an image's program.
  canvases = search.NUM_PROPOSALS + experiment.environment.episode_length
  return memory.Wake(
      remembered,
      experiment.make_environment(config.search_images * canvases),
      searcher,
      images=config.search_images,
      samples=config.search_samples,
      rounds=config.search_rounds,
      prior=experiment.sample_programs,
      after=config.search_after,
      seed=experiment.run.seed * 1000 + 996,
  )


def _dream_source(
    experiment: experiment_lib.Experiment, remembered: memory.Memory | None
) -> lessons.Source:
  """Returns the programs that are dreamed of, if not by an agent."""
  if experiment.lessons.dream_prior == 'memory':
    assert remembered is not None
    return memory.make_variations(
        remembered,
        experiment.environment.action_spec(),
        experiment.lessons.variation,
        experiment.sample_programs,
    )
  return lambda rng, count, params: (
      experiment.sample_programs(rng, count),
      None,
  )


def _make_lessons(
    experiment: experiment_lib.Experiment,
    source: lessons.Source,
    seed: int,
    renderer: device_rollout.Renderer | None,
) -> lessons.Lessons:
  count = experiment.run.batch_size
  if renderer is not None:
    draw: lessons.Draw = device_rollout.make_drawer(renderer, count)
  else:
    draw = functools.partial(lessons.render, experiment.make_environment(count))
  return lessons.Lessons(
      draw,
      count,
      source,
      action_spec=experiment.environment.action_spec(),
      disturbance=experiment.lessons.disturbance,
      conditional=experiment.agent.conditional,
      noise_size=experiment.agent.noise_size,
      seed=seed,
  )
