"""An agent as a run or the package has it, and episodes that it draws.

Axes: N images, T time (commands), B batch, H height, W width, C channels.
"""

from collections.abc import Callable, Iterator
import functools
import math
import pathlib
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

import run_setup
from spiral_jax import agents
from spiral_jax import types
from spiral_jax.driver import checkpoints
from spiral_jax.driver import rollout
from spiral_jax.driver import serialization

# Canvases that are drawn at once, at most, and bytes that they may take: an
# episode keeps those after each command.
_BATCH = 250
_BYTES = 1 << 30


class Restored(NamedTuple):
  """What a checkpoint holds of a run.

  Attributes:
    setup: what the run was told.
    agent: pure functions of `params`.
    params: of the policy.
    checkpoint: all of it; of weights that come with the package, no state.
  """

  setup: run_setup.Setup
  agent: agents.Agent
  params: types.Params
  checkpoint: checkpoints.Checkpoint


def load(run_dir: pathlib.Path, step: int | None = None) -> Restored:
  """Returns the agent of a training run.

  Args:
    run_dir: of the run.
    step: of the checkpoint; None, the latest.

  Raises:
    FileNotFoundError: if there is no such checkpoint.
    ValueError: if it is damaged, or not one of a training run.
  """
  checkpoint = checkpoints.load(run_dir / 'checkpoints', step)
  setup = run_setup.from_json(checkpoint.config)
  agent = run_setup.make_agent(setup)
  template = jax.eval_shape(agent.init, jax.random.PRNGKey(0))
  try:
    params = serialization.from_plain(
        template, checkpoint.state['policy']['learner']['params']
    )
  except ValueError as error:
    raise ValueError(
        f'the checkpoint in {run_dir} is of another action space or network '
        'than '
        'its settings, or of another version of this package; name another '
        f'run, or train it again ({error})'
    ) from error
  return Restored(setup, agent, params, checkpoint)


def load_weights(name: str) -> Restored:
  """Returns an agent whose weights come with the package.

  Args:
    name: as for `agents.load`.

  Raises:
    ValueError: as `agents.load` does.
  """
  weights = agents.load(name)
  return Restored(
      run_setup.from_json(weights.setup),
      weights.agent,
      weights.params,
      checkpoints.Checkpoint(weights.figures['step'], {}, weights.setup),
  )


def load_either(run_dir: str, step: int | None, weights: str) -> Restored:
  """Returns the agent of a run, or without one, of the package's weights.

  Args:
    run_dir: of the run; empty, none.
    step: of its checkpoint; None, the latest.
    weights: name of weights that come with the package.

  Raises:
    FileNotFoundError, ValueError: as `load` and `load_weights` do.
  """
  if run_dir:
    return load(pathlib.Path(run_dir).expanduser(), step)
  return load_weights(weights)


def check_conditional(restored: Restored) -> None:
  """Raises ValueError if an agent takes no targets."""
  if not restored.setup.agent.conditional:
    raise ValueError(
        'this agent draws from noise, not from images; name a run that was '
        'trained with --conditional, or other weights'
    )


def make_score(
    restored: Restored,
) -> Callable[[np.ndarray, np.ndarray], np.ndarray] | None:
  """Returns the run's discriminator, None if there is none.

  It takes canvases and targets, uint8 `[B, H, W, C]`, and returns scores
  `[B]`, float32: higher is better.
  """
  setup, state = restored.setup, restored.checkpoint.state
  if 'discriminator' not in state:
    return None
  discriminator = agents.make_discriminator(
      run_setup.canvas_shape(setup),
      setup.agent.conditional,
      setup.discriminator,
  )
  template = jax.eval_shape(discriminator.init, jax.random.PRNGKey(0))
  params = serialization.from_plain(
      template, state['discriminator']['learner']['params']
  )

  @jax.jit
  def score(params: Any, canvas: jax.Array, target: jax.Array) -> jax.Array:
    return discriminator.score(
        params,
        canvas.astype(jnp.float32) / 255,
        target.astype(jnp.float32) / 255,
    )

  return lambda canvas, target: np.asarray(score(params, canvas, target))


def episodes(
    restored: Restored,
    count: int,
    targets: np.ndarray | None = None,
    *,
    seed: int | None = None,
    greedy: bool = False,
) -> Iterator[agents.Trajectory]:
  """Yields trajectories of equally many episodes until there are `count`.

  Args:
    restored: the agent.
    count: of episodes; the last trajectory may have more, which are to be
      left out.
    targets: uint8 `[N, H, W, C]`, of which each episode has the next one, and
      the first after the last; None if the agent takes none.
    seed: of sampled commands and noise; None, one that belongs to the run.
    greedy: decide for the likeliest value of each part, sample none.
  """
  pixels = math.prod(run_setup.canvas_shape(restored.setup))
  length = restored.setup.environment.episode_length + 1
  batch = min(_BATCH, count, max(1, _BYTES // (length * pixels)))
  stream = None
  if targets is not None:
    order = np.arange(-(-count // batch) * batch) % len(targets)
    stream = map(targets.__getitem__, order.reshape(-1, batch)).__next__
  if seed is None:
    seed = restored.setup.run.seed + 1_000_003
  act = rollout.Rollout(
      run_setup.make_environment(restored.setup, batch),
      jax.jit(functools.partial(restored.agent.step, greedy=greedy)),
      restored.agent.initial_state(batch),
      noise_size=restored.setup.agent.noise_size,
      targets=stream,
      seed=seed,
  )
  for _ in range(-(-count // batch)):
    yield act(restored.params, 0)
