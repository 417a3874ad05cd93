"""Rollouts of actors, in this process or in one of Ray's."""

import sys
from typing import TYPE_CHECKING, Any

from flax import linen as nn
import jax

from spiral_jax import agents
from spiral_jax import datasets
from spiral_jax.driver import device_rollout
from spiral_jax.driver import nodes
from spiral_jax.driver import ray_token
from spiral_jax.driver import rollout
from spiral_jax.training import alternatives
from spiral_jax.training import config as config_lib
from spiral_jax.training import experiment as experiment_lib
from spiral_jax.training import runtime

if TYPE_CHECKING:
  from spiral_jax.driver import ray_launcher


def make_rollout(
    experiment: experiment_lib.Experiment,
    index: int,
    agent: agents.Agent,
    step: agents.Step,
    images: datasets.ImageDataset,
    renderer: device_rollout.Renderer | None = None,
) -> nodes.RolloutFn:
  """Returns the rollout of an actor in this process.

  Args:
    experiment: configuration of the run.
    index: number of the actor.
    agent: the agent that acts.
    step: the agent's step, jitted.
    images: targets of a conditional agent.
    renderer: draws with `run.on_device`; None makes one.
  """
  run = experiment.run
  seed = run.seed * 1000 + index
  targets = None
  if experiment.agent.conditional:
    targets = datasets.ImageStream(
        images,
        run.batch_size,
        seed=seed,
        augment=run.augment,
    )
  further: dict[str, Any] = dict(
      noise_size=experiment.agent.noise_size,
      targets=targets,
      seed=seed,
      unroll_length=run.unroll_length,
  )
  initial_state = agent.initial_state(run.batch_size)
  if run.on_device:
    return device_rollout.DeviceRollout(
        renderer or experiment.make_device_renderer(),
        step,
        initial_state,
        length=experiment.environment.episode_length,
        **further,
    )
  environment = experiment.make_environment(run.batch_size)
  play = rollout.Rollout(environment, step, initial_state, **further)
  if not experiment.learner.corrections_weight:
    return play
  return alternatives.RolloutWithAlternatives(
      play,
      experiment.make_environment,
      batch=run.batch_size,
      length=experiment.environment.episode_length,
      count=experiment.lessons.alternatives,
      # Those whose best values are known are not searched for.
      fixed=experiment.colors()
      if experiment.learner.best_colors_weight
      else (),
      seed=seed,
  )


def make_remote_rollout(
    experiment: experiment_lib.Experiment,
    index: int,
    torso: nn.Module | None = None,
) -> nodes.RolloutFn:
  """Returns the same in a process of its own."""
  runtime.prepare()
  agent = experiment.make_agent(torso)
  step = jax.jit(agent.step, static_argnames='greedy')
  images = experiment.load_images('train')
  return make_rollout(experiment, index, agent, step, images)


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
