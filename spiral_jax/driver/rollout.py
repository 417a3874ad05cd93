"""Rollouts: trajectories of an agent in a batch of environments.

Axes: T time (commands), B batch, H height, W width, C channels, Z noise.
"""

from collections.abc import Callable, Mapping
import functools
import math
import threading
from typing import Any, NamedTuple, Protocol

import jax
import numpy as np

from spiral_jax import types
from spiral_jax.driver import serialization
from spiral_jax.losses import images


class Environment(Protocol):
  """B canvases in step, such as `environments.core.BatchedEnvironment`."""

  @property
  def count(self) -> int:
    """Number of canvases, B."""

  def reset(self) -> Any:
    """Returns a dm_env.TimeStep with observation['canvas'] `[B, H, W, C]`."""

  def step(self, action: Mapping[str, np.ndarray]) -> Any:
    """Draws a command on each canvas; returns as `reset` does."""


class Beginning(NamedTuple):
  """Beginning of an episode, besides clear canvases."""

  rng: np.random.Generator  # Of its keys.
  noise: np.ndarray | None  # float32 `[B, Z]`.
  target: np.ndarray | None  # uint8 `[B, H, W, C]`.


class Beginnings:
  """Makes the beginnings of episodes, one after another.

  They depend only on the seed and the index of the episode, and on the state of
  the targets, which together is the checkpointed state.
  """

  def __init__(
      self,
      batch: int,
      *,
      noise_size: int,
      targets: Callable[[], np.ndarray] | None,
      seed: int,
  ):
    """Stands before the first episode.

    Args:
      batch: number of canvases, B.
      noise_size: size of the noise vector, Z; 0 means no noise.
      targets: returns the next targets; None means no targets. If it has
        `get_state` and `set_state`, its state is saved too.
      seed: random seed.
    """
    self._batch = batch
    self._noise_size = noise_size
    self._targets: Any = targets
    self._seed = seed
    self._episodes = 0

  def __call__(self) -> Beginning:
    """Returns the next beginning."""
    rng = np.random.default_rng((self._seed, self._episodes))
    self._episodes += 1
    noise = target = None
    if self._noise_size:
      shape = (self._batch, self._noise_size)
      noise = rng.standard_normal(shape, np.float32)
    if self._targets is not None:
      target = self._targets()
      images.check_values(target, 'targets')
    return Beginning(rng, noise, target)

  def get_state(self) -> dict[str, Any]:
    """Returns the number of episodes and the state of the targets."""
    state: dict[str, Any] = {'episodes': self._episodes}
    if isinstance(self._targets, serialization.Stateful):
      state['targets'] = self._targets.get_state()
    return state

  def set_state(self, state: Mapping[str, Any]) -> None:
    """Continues where `get_state` was called."""
    self._episodes = int(state['episodes'])
    if isinstance(self._targets, serialization.Stateful):
      self._targets.set_state(state['targets'])


class _Episode(NamedTuple):
  """State of an unfinished episode."""

  beginning: Beginning
  state: types.AgentState
  canvas: np.ndarray


class Rollout:
  """Plays an episode, or part of one, on B canvases per call.

  Randomness depends only on the seed and the episode index, which is the whole
  checkpointed state. A partial episode is dropped on restore.
  """

  def __init__(
      self,
      environment: Environment,
      step: Callable[..., tuple[types.StepOutput, types.AgentState]],
      initial_state: types.AgentState,
      *,
      noise_size: int = 0,
      targets: Callable[[], np.ndarray] | None = None,
      seed: int = 0,
      unroll_length: int = 0,
  ):
    """Initializes a rollout, which owns the environment from then on.

    Args:
      environment: environment of B canvases, observed as uint8.
      step: `(params, state, observation, key) -> (output, state)`, jitted. An
        agent's says its `parts`, also through `jax.jit`, and they are compared
        with those of the environment.
      initial_state: agent state at the start of an episode, of B canvases.
      noise_size: size of the noise vector, Z; 0 means no noise.
      targets: returns the next targets, uint8 `[B, H, W, C]`; None means no
        targets. If it has `get_state` and `set_state`, its state is saved too.
      seed: random seed of sampled commands and noise.
      unroll_length: commands per trajectory, fewer at the end of an episode; 0
        means whole episodes.

    Raises:
      ValueError: if the agent was made for other commands than those of the
        environment, or the state is of another number of canvases.
    """
    _check_fit(environment, step, initial_state)
    self._environment = environment
    self._step = step
    self._initial_state = jax.tree.map(np.asarray, initial_state)
    self._beginnings = Beginnings(
        environment.count, noise_size=noise_size, targets=targets, seed=seed
    )
    self._unroll_length = unroll_length or math.inf
    self._going_on: _Episode | None = None
    self._lock = threading.Lock()

  def __call__(self, params: types.Params, version: int) -> types.Trajectory:
    """Returns B whole episodes or the next part of them, in host memory."""
    with self._lock:
      return self._play(params, version)

  def _play(self, params: types.Params, version: int) -> types.Trajectory:
    episode = self._going_on or self._begin()
    (rng, noise, target), state, canvas = episode
    canvases = [canvas]
    # To the device once, and back at the end but for what is drawn.
    given = jax.device_put((target, noise))
    actions: list[types.Action] = []
    others: list[tuple[jax.Array, jax.Array]] = []
    is_over = False
    while not is_over and len(actions) < self._unroll_length:
      observation = types.Observation(canvases[-1], *given)
      output, state = self._step(params, state, observation, make_key(rng))
      actions.append(jax.device_get(output.action))
      others.append((output.log_prob, output.value))
      time_step = self._environment.step(actions[-1])
      is_over = time_step.last()
      canvases.append(_canvas(time_step))
    action = jax.tree.map(lambda *x: np.stack(x), *actions)
    log_prob, value = map(np.stack, zip(*jax.device_get(others)))
    is_last = np.zeros(log_prob.shape, bool)
    bootstrap = None
    if is_over:
      self._going_on = None
      is_last[-1] = True
      if math.isfinite(self._unroll_length):  # All trajectories are alike.
        bootstrap = np.zeros(log_prob.shape[1], np.float32)
    else:
      self._going_on = _Episode(episode.beginning, state, canvases[-1])
      # Only the value is needed, which does not depend on the key: the next
      # command will be sampled from newer parameters.
      observation = types.Observation(canvases[-1], *given)
      output, _ = self._step(params, state, observation, make_key(None))
      bootstrap = np.asarray(output.value)
    return types.Trajectory(
        canvas=np.stack(canvases),
        action=action,
        log_prob=log_prob,
        value=value,
        is_last=is_last,
        bootstrap=bootstrap,
        initial_state=jax.device_get(episode.state),
        target=target,
        noise=noise,
        params_version=np.asarray(version, np.int32),
    )

  def _begin(self) -> _Episode:
    beginning = self._beginnings()
    canvas = _canvas(self._environment.reset())
    return _Episode(beginning, self._initial_state, canvas)

  def get_state(self) -> dict[str, Any]:
    """Returns the state of the beginnings.

    Waits for the end of a trajectory that is being made.
    """
    with self._lock:
      return self._beginnings.get_state()

  def set_state(self, state: Mapping[str, Any]) -> None:
    """Resumes where `get_state` was called, at the start of an episode."""
    with self._lock:
      self._beginnings.set_state(state)
      self._going_on = None


def _check_fit(environment: Any, step: Any, initial_state: Any) -> None:
  """Raises ValueError if an agent was not made for an environment."""
  counts = {leaf.shape[0] for leaf in jax.tree.leaves(initial_state)}
  if counts - {environment.count}:
    raise ValueError(
        f'the state is of {"/".join(map(str, sorted(counts)))} canvases, and '
        f'the environment of {environment.count}; give '
        f'agent.initial_state({environment.count})'
    )
  while not hasattr(step, 'parts'):  # Inside of jax.jit and functools.partial.
    step = getattr(step, '__wrapped__', None) or getattr(step, 'func', None)
    if step is None:
      return
  if not hasattr(environment, 'action_spec'):
    return
  ours = {part.name: (part.num_values, part.grid_shape) for part in step.parts}
  theirs = {
      name: (part.num_values, types.grid_shape(part))
      for name, part in environment.action_spec().items()
  }
  for name in ours | theirs:
    if ours.get(name) != theirs.get(name):
      raise ValueError(
          f'the agent has {_described(name, ours)}, and the environment '
          f'{_described(name, theirs)}; make the environment with the settings '
          'that the agent was trained with (`**trained.environment`), or an '
          'agent for its action_spec()'
      )


def _described(
    name: str, parts: Mapping[str, tuple[int, tuple[int, int] | None]]
) -> str:
  if name not in parts:
    return f'no part {name!r}'
  num_values, grid_shape = parts[name]
  grid = (
      '' if grid_shape is None else ' on a grid of {} x {}'.format(*grid_shape)
  )
  return f'a part {name!r} of {num_values} values{grid}'


def _canvas(time_step: Any) -> np.ndarray:
  """Returns the canvases of a time step, `[B, H, W, C]`."""
  canvas = time_step.observation['canvas']
  images.check_values(canvas, 'canvases')
  return canvas


def make_key(rng: np.random.Generator | None) -> np.ndarray:
  """Returns data of a key for JAX; faster than splitting another one in JAX.

  Args:
    rng: draws the key; None for one that will not be used.
  """
  shape = _key_shape()
  if rng is None:
    return np.zeros(shape, np.uint32)
  return rng.integers(1 << 32, size=shape, dtype=np.uint32)


@functools.cache
def _key_shape() -> tuple[int, ...]:
  """Returns the shape of the data of a key; JAX can be told of another kind."""
  key = jax.eval_shape(lambda: jax.random.key_data(jax.random.key(0)))
  return key.shape
