"""What actors do, in this process or in one of Ray's.

Axes: B batch, H height, W width, C channels.
"""

import sys
from typing import TYPE_CHECKING, Any

import jax
import numpy as np

import process
import run_setup
from spiral_jax import agents
from spiral_jax import datasets
from spiral_jax.driver import rollout

if TYPE_CHECKING:
  from spiral_jax.driver import ray_launcher


class ImageStream:
  """Draws batches of images without end; its place is saved with its node."""

  def __init__(self, images: datasets.ImageDataset, batch_size: int, seed: int):
    self._batches = datasets.Batches(images, batch_size, seed=seed)
    self.get_state = self._batches.get_state
    self.set_state = self._batches.set_state

  def __call__(self) -> np.ndarray:
    """Returns uint8 `[B, H, W, C]`."""
    return next(self._batches).images


def make_rollout(
    setup: run_setup.Setup,
    index: int,
    agent: agents.Agent,
    step: Any,
    images: datasets.ImageDataset,
) -> rollout.Rollout:
  """Returns what an actor of this process does.

  Args:
    setup: of the run.
    index: of the actor.
    agent: that acts.
    step: its, jitted.
    images: targets, if it takes any.
  """
  run = setup.run
  seed = run.seed * 1000 + index
  targets = None
  if setup.agent.conditional:
    targets = ImageStream(images, run.batch_size, seed)
  return rollout.Rollout(
      run_setup.make_environment(setup, run.batch_size),
      step,
      agent.initial_state(run.batch_size),
      noise_size=setup.agent.noise_size,
      targets=targets,
      seed=seed,
      unroll_length=run.unroll_length,
  )


def make_remote_rollout(setup: run_setup.Setup, index: int) -> rollout.Rollout:
  """Returns the same in a process of its own."""
  process.prepare()
  agent = run_setup.make_agent(setup)
  step = jax.jit(agent.step, static_argnames='greedy')
  images = run_setup.load_dataset(setup, 'train')
  return make_rollout(setup, index, agent, step, images)


def connect(run: run_setup.RunConfig) -> 'ray_launcher.Cluster | None':
  """Returns a connection to Ray if actors are to be there, else None.

  Raises:
    ImportError: if Ray is missing.
    ValueError: if no head answers, or none is to be asked.
  """
  if run.launcher != 'ray':
    if run.ray_address:
      raise ValueError(
          f'--ray_address={run.ray_address} is of no use to --launcher='
          f'{run.launcher}; add --launcher=ray, or leave it out'
      )
    return None
  try:
    from spiral_jax.driver import ray_launcher  # Late: Ray is optional.
  except ImportError as error:
    raise ImportError(
        f'--launcher=ray needs Ray ({error}); install it by: {sys.executable} '
        '-m '
        "pip install 'ray[tune]'"
    ) from error
  return ray_launcher.Cluster(run.ray_address, run.num_actors)
