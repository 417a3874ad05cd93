"""Rollouts of actors, in this process or in one of Ray's, and dreams.

Axes: B batch, H height, W width, C channels.
"""

import sys
from typing import TYPE_CHECKING

from flax import linen as nn
import jax

from spiral_jax import agents
from spiral_jax import datasets
from spiral_jax import search
from spiral_jax.driver import ray_token
from spiral_jax.driver import rollout
from spiral_jax.training import config as config_lib
from spiral_jax.training import experiment as experiment_lib
from spiral_jax.training import lessons
from spiral_jax.training import memory
from spiral_jax.training import runtime

if TYPE_CHECKING:
  from spiral_jax.driver import ray_launcher


def make_rollout(
    experiment: experiment_lib.Experiment,
    index: int,
    agent: agents.Agent,
    step: agents.Step,
    images: datasets.ImageDataset,
) -> rollout.Rollout:
  """Returns the rollout of an actor in this process.

  Args:
    experiment: configuration of the run.
    index: number of the actor.
    agent: the agent that acts.
    step: the agent's step, jitted.
    images: targets of a conditional agent.
  """
  run = experiment.run
  seed = run.seed * 1000 + index
  targets = None
  if experiment.agent.conditional:
    targets = datasets.ImageStream(images, run.batch_size, seed=seed)
  return rollout.Rollout(
      experiment.make_environment(run.batch_size),
      step,
      agent.initial_state(run.batch_size),
      noise_size=experiment.agent.noise_size,
      targets=targets,
      seed=seed,
      unroll_length=run.unroll_length,
  )


def make_remote_rollout(
    experiment: experiment_lib.Experiment,
    index: int,
    torso: nn.Module | None = None,
) -> rollout.Rollout:
  """Returns the same in a process of its own."""
  runtime.prepare()
  agent = experiment.make_agent(torso)
  step = jax.jit(agent.step, static_argnames='greedy')
  images = experiment.load_images('train')
  return make_rollout(experiment, index, agent, step, images)


def make_lessons(
    experiment: experiment_lib.Experiment,
    agent: agents.Agent,
    images: datasets.ImageDataset,
) -> tuple[dict[str, lessons.Lessons], memory.Memory | None]:
  """Returns the lessons that a policy learner imitates, and their memory.

  Lessons are by source; there is no memory if it has no weight.

  Args:
    experiment: configuration of the run.
    agent: the agent that learns; it is the recognizer of the memory.
    images: images whose programs are remembered.
  """
  config, learner = experiment.lessons, experiment.learner
  environment, run = experiment.environment, experiment.run
  made: dict[str, lessons.Lessons] = {}
  remembered = None
  if learner.memory_weight:
    remembered = memory.Memory(
        images.images[: config.memory_size],
        environment.action_spec(),
        environment.episode_length,
    )
    # Besides proposals, a canvas for each beginning of an image's program.
    canvases = search.NUM_PROPOSALS + environment.episode_length
    wake = memory.Wake(
        remembered,
        experiment.make_environment(config.search_images * canvases),
        agent,
        images=config.search_images,
        samples=config.search_samples,
        rounds=config.search_rounds,
        seed=run.seed * 1000 + 996,
    )
    made['memory'] = _make_lessons(experiment, wake, run.seed * 1000 + 997)
  if learner.dreams_weight:
    source = _dream_source(experiment, remembered)
    made['dreams'] = _make_lessons(experiment, source, run.seed * 1000 + 998)
  return made, remembered


def _dream_source(
    experiment: experiment_lib.Experiment, remembered: memory.Memory | None
) -> lessons.Source:
  """Returns the programs that are dreamed of."""
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
    experiment: experiment_lib.Experiment, source: lessons.Source, seed: int
) -> lessons.Lessons:
  return lessons.Lessons(
      experiment.make_environment(experiment.run.batch_size),
      source,
      action_spec=experiment.environment.action_spec(),
      disturbance=experiment.lessons.disturbance,
      conditional=experiment.agent.conditional,
      noise_size=experiment.agent.noise_size,
      seed=seed,
  )


def connect(
    run: config_lib.RunConfig,
) -> 'ray_launcher.Cluster | None':
  """Returns a connection to Ray if actors are to be there, else None.

  Raises:
    ImportError: if Ray is missing.
    ValueError: if no head answers, or none is to be asked.
  """
  if run.launcher != 'ray':
    if run.ray_address:
      raise ValueError(
          f'--ray_address={run.ray_address} needs --launcher=ray; add it, or '
          'leave the address out'
      )
    return None
  ray_token.use_token()
  try:
    from spiral_jax.driver import ray_launcher  # Late: Ray is optional.
  except ImportError as error:
    raise ImportError(
        f'--launcher=ray needs Ray ({error}); install it by: {sys.executable} '
        '-m pip install ray'
    ) from error
  return ray_launcher.Cluster(run.ray_address, run.num_actors)
