"""Rollouts that do not leave the device: agent and renderer in one program.

Axes: T time (commands), B batch, H height, W width, C channels, Z noise.
"""

from collections.abc import Callable, Mapping
import functools
import threading
from typing import Any, NamedTuple, Protocol

import jax
import jax.numpy as jnp
import numpy as np

from spiral_jax import types
from spiral_jax.driver import rollout


class Renderer(Protocol):
  """A renderer of pure functions, such as `spiral_jax.renderers.Renderer`."""

  @property
  def init(self) -> Callable[[int], tuple[Any, jax.Array]]:
    """(B) -> state and clear canvases, uint8 `[B, H, W, C]`."""

  @property
  def step(self) -> Callable[[Any, types.Action], tuple[Any, jax.Array]]:
    """(state, command) -> next state and canvases."""


class Carry(NamedTuple):
  """State of renderer and agent between two commands."""

  drawn: Any
  canvas: jax.Array
  agent: types.AgentState


class _Episode(NamedTuple):
  """State of an unfinished episode."""

  beginning: rollout.Beginning
  carry: Carry
  left: int  # Commands.


class DeviceRollout:
  """Plays as `rollout.Rollout` does, an episode or part of one per call.

  Canvases stay on the device, and the host is not asked between commands. Keys,
  noise and targets are those of a `Rollout` with the same seed, and so is the
  checkpointed state: either continues where the other stopped.
  """

  def __init__(
      self,
      renderer: Renderer,
      step: Callable[..., tuple[types.StepOutput, types.AgentState]],
      initial_state: types.AgentState,
      *,
      length: int,
      noise_size: int = 0,
      targets: Callable[[], np.ndarray] | None = None,
      seed: int = 0,
      unroll_length: int = 0,
  ):
    """Initializes a rollout.

    Args:
      renderer: pure functions that draw, in a NamedTuple.
      step: an agent's `(params, state, observation, key) -> (output, state)`.
      initial_state: agent state at the start of an episode, of B canvases.
      length: commands in an episode.
      noise_size: size of the noise vector, Z; 0 means no noise.
      targets: returns the next targets, uint8 `[B, H, W, C]`; None means no
        targets. If it has `get_state` and `set_state`, its state is saved too.
      seed: random seed of sampled commands and noise.
      unroll_length: commands per trajectory, fewer at the end of an episode; 0
        means whole episodes.
    """
    self._initial_state = initial_state
    self._batch = len(jax.tree.leaves(initial_state)[0])
    self._length = length
    self._beginnings = rollout.Beginnings(
        self._batch, noise_size=noise_size, targets=targets, seed=seed
    )
    self._unroll_length = unroll_length
    self._going_on: _Episode | None = None
    self._lock = threading.Lock()
    # Compiled once for all that play with the same functions.
    self._clear = functools.partial(_clear, renderer, self._batch)
    self._play = functools.partial(_play, renderer, step)
    self._value = functools.partial(_value, step)

  def __call__(self, params: types.Params, version: int) -> types.Trajectory:
    """Returns B whole episodes or the next part of them, on the device."""
    with self._lock:
      return self._next(params, version)

  def _next(self, params: types.Params, version: int) -> types.Trajectory:
    episode = self._going_on or self._begin()
    (rng, noise, target), carry, left = episode
    count = min(left, self._unroll_length or left)
    keys = np.stack([rollout.make_key(rng) for _ in range(count)])
    after, canvases, outputs = self._play(params, carry, target, noise, keys)
    is_last = np.zeros((count, self._batch), bool)
    bootstrap = None
    if count == left:
      self._going_on = None
      is_last[-1] = True
      if self._unroll_length:  # All trajectories are alike.
        bootstrap = np.zeros(self._batch, np.float32)
    else:
      self._going_on = _Episode(episode.beginning, after, left - count)
      key = rollout.make_key(None)
      bootstrap = self._value(params, after, target, noise, key)
    return types.Trajectory(
        canvas=canvases,
        action=outputs.action,
        log_prob=outputs.log_prob,
        value=outputs.value,
        is_last=is_last,
        bootstrap=bootstrap,
        initial_state=carry.agent,
        target=target,
        noise=noise,
        params_version=np.asarray(version, np.int32),
    )

  def _begin(self) -> _Episode:
    beginning = self._beginnings()
    # Once, not for each piece of an episode.
    beginning = beginning._replace(target=jax.device_put(beginning.target))
    drawn, canvas = self._clear()
    carry = Carry(drawn, canvas, self._initial_state)
    return _Episode(beginning, carry, self._length)

  def get_state(self) -> dict[str, Any]:
    """Returns the state of the beginnings; see `Rollout.get_state`."""
    with self._lock:
      return self._beginnings.get_state()

  def set_state(self, state: Mapping[str, Any]) -> None:
    """Resumes where `get_state` was called, at the start of an episode."""
    with self._lock:
      self._beginnings.set_state(state)
      self._going_on = None


def make_drawer(
    renderer: Renderer, count: int
) -> Callable[[Mapping[str, np.ndarray]], jax.Array]:
  """Returns a function that runs programs on B = `count` canvases.

  It takes programs, int32 `[T, B]` a part, and returns their canvases, uint8
  `[T + 1, B, H, W, C]`.
  """
  return lambda program: _draw(renderer, count, dict(program))


def play(
    renderer: Renderer,
    step: Callable[..., Any],
    params: types.Params,
    carry: Carry,
    target: jax.Array | None,
    noise: jax.Array | None,
    keys: jax.Array,
) -> tuple[Carry, jax.Array, types.StepOutput]:
  """Plays T commands; a pure function.

  Args:
    renderer: pure functions that draw.
    step: an agent's `(params, state, observation, key) -> (output, state)`.
    params: parameters of the policy.
    carry: states of renderer and agent, and canvases, of B canvases.
    target: uint8 `[B, H, W, C]`, or None.
    noise: float32 `[B, Z]`, or None.
    keys: data of a key for each command, `[T, ...]`.

  Returns:
    What comes after; canvases, uint8 `[T + 1, B, H, W, C]`; commands,
    log-probabilities and values, `[T, B]` each.
  """

  def command(carry: Carry, key: jax.Array):
    observation = types.Observation(carry.canvas, target, noise)
    output, agent = step(params, carry.agent, observation, key)
    drawn, canvas = renderer.step(carry.drawn, output.action)
    return Carry(drawn, canvas, agent), (canvas, output)

  after, (canvases, outputs) = jax.lax.scan(command, carry, keys)
  return after, jnp.concatenate([carry.canvas[None], canvases]), outputs


_play = jax.jit(play, static_argnums=(0, 1))


@functools.partial(jax.jit, static_argnums=(0, 1))
def _clear(renderer: Renderer, batch: int) -> tuple[Any, jax.Array]:
  """Returns the state of clear canvases, and these."""
  return renderer.init(batch)


@functools.partial(jax.jit, static_argnums=(0, 1))
def _draw(
    renderer: Renderer, batch: int, program: Mapping[str, jax.Array]
) -> jax.Array:
  """Returns the canvases of programs `[T, B]`, `[T + 1, B, H, W, C]`."""
  state, blank = renderer.init(batch)
  _, canvases = jax.lax.scan(renderer.step, state, program)
  return jnp.concatenate([blank[None], canvases])


@functools.partial(jax.jit, static_argnums=0)
def _value(
    step: Callable[..., Any],
    params: types.Params,
    carry: Carry,
    target: jax.Array | None,
    noise: jax.Array | None,
    key: jax.Array,
) -> jax.Array:
  """Returns the value of canvases, `[B]`; it does not depend on the key."""
  observation = types.Observation(carry.canvas, target, noise)
  output, _ = step(params, carry.agent, observation, key)
  return output.value
