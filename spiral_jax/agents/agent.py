"""The agent: pure functions around the policy network.

Axes: T time (commands), B batch, H height, W width, C channels, Z noise.
"""

from collections.abc import Callable, Sequence
import functools
import math
import numbers
from typing import Any, NamedTuple, Protocol

import chex
from flax import linen as nn
import jax
import jax.numpy as jnp

from spiral_jax import types
from spiral_jax.agents import config as config_lib
from spiral_jax.agents import fit
from spiral_jax.agents import shared
from spiral_jax.losses import images as images_lib
from spiral_jax.networks import action as action_lib
from spiral_jax.networks import heads
from spiral_jax.networks import initializers
from spiral_jax.networks import policy
from spiral_jax.networks import torso as torso_lib


class Step(Protocol):
  """Decides one command on each canvas of a batch."""

  def __call__(
      self,
      params: types.Params,
      state: types.AgentState,
      observation: types.Observation,
      key: chex.PRNGKey,
      greedy: bool | chex.Array = False,
      temperature: float | chex.Array = 1.0,
  ) -> tuple[types.StepOutput, types.AgentState]:
    """Returns commands, int32 `[B]` a part, and the next state.

    Args:
      params: parameters of the policy.
      state: `initial_state(B)`, or what the last step returned.
      observation: canvas, uint8 or float in [0, 1], `[B, H, W, C]`; target,
        like it, of a conditional agent; noise, float32 `[B, Z]`, if it has
        `noise_size`.
      key: consumed; typed, or the data of one, uint32.
      greedy: decides for the likeliest value of each part. Static under jit it
        saves the random numbers; traced it is a choice between both commands.
      temperature: divides the logits of each part, above 0; below 1, commands
        are likelier ones. It holds for `log_prob` as well.

    Returns:
      `StepOutput(action, log_prob, value)`: float32 `[B]` but for the action.

    Raises:
      ValueError: when traced, if the observation has a target or noise too
        many or too few, or observation, state and parameters are not of the
        shapes of this agent; if the temperature is not above 0.
    """


class Unroll(Protocol):
  """Scores given commands with other parameters."""

  def __call__(
      self,
      params: types.Params,
      trajectory: types.Trajectory,
      imitated: types.Action | None = None,
      advice: types.Action | None = None,
  ) -> types.UnrollOutput:
    """Returns log_prob and value `[T, B]`, entropy and is_active `[T, B, P]`.

    And bootstrap `[B]`, the value of the last canvas, if the trajectory has it,
    and, if there is advice, part_log_prob and advice_log_prob `[T, B, P]`.

    Args:
      params: parameters of the policy, not necessarily those that acted.
      trajectory: canvas uint8 `[T + 1, B, H, W, C]`, action int32 `[T, B]` a
        part, and the state before the first command.
      imitated: commands that are scored in place of those that were executed,
        int32 `[T, B]` a part; None scores those of the trajectory.
      advice: other values of some parts that are scored as well, each after the
        parts of the scored command before it, int32 `[T, B]`; -1 is none.

    Raises:
      ValueError: when traced, as `Step`.
    """


class Agent(NamedTuple):
  """Pure functions; nothing is remembered between calls.

  Attributes:
    init: (key) -> params. The key is consumed.
    initial_state: (batch size) -> AgentState at the start of episodes.
    step: see `Step`. It says its `parts`, which rollouts compare with those of
      the environment.
    unroll: see `Unroll`.
    parts: the parts of a command, in the order of decision.
  """

  init: Callable[[chex.PRNGKey], types.Params]
  initial_state: Callable[[int], types.AgentState]
  step: Step
  unroll: Unroll
  parts: tuple[action_lib.ActionPart, ...]


def make_agent(
    action_spec: types.ActionSpec,
    canvas_shape: tuple[int, int, int],
    config: config_lib.AgentConfig = config_lib.AgentConfig(),
    *,
    torso: nn.Module | None = None,
) -> Agent:
  """Returns an agent for commands of `action_spec` on such canvases.

  Equal arguments give the same functions, so that what one user of them has
  compiled is there for the next.

  Args:
    action_spec: the parts of a command in the order of decision.
    canvas_shape: (height, width, channels).
    config: inputs and size of the network.
    torso: a Flax module that replaces `config.torso`. It is called as
      `torso(images, condition, planes)` with images, such as canvas and target,
      float `[N, H, W, C]` each (0 is white paper); the embedded last command
      and the noise `[N, E]`; and marks of the last command on the feature map
      `[N, map_size, map_size, any]`. It returns a feature map
      `[N, map_size, map_size, channels]` and a vector `[N, any]`.

  Raises:
    ValueError: if the network cannot be built for these shapes.
  """
  parts = _make_parts(action_spec, config.part_order)
  _check(parts, canvas_shape, config, is_own_torso=torso is not None)
  height, width, channels = canvas_shape
  return _make_agent(parts, (height, width, channels), config, torso)


@shared.shared
def _make_agent(
    parts: tuple[action_lib.ActionPart, ...],
    canvas_shape: tuple[int, int, int],
    config: config_lib.AgentConfig,
    torso: nn.Module | None,
) -> Agent:
  network = _make_network(parts, config, torso)
  height, width, channels = canvas_shape

  def initial_state(batch: int) -> types.AgentState:
    """Returns the state of `batch` agents at the start of episodes.

    Args:
      batch: number of canvases, B.

    Returns:
      `AgentState`: core, two float32 `[B, core_size]`; previous, int32 `[B]` a
      part, NO_COMMAND.
    """
    zeros = jnp.zeros((batch, config.core_size), jnp.float32)
    none = jnp.full((batch,), types.NO_COMMAND, jnp.int32)
    return types.AgentState(
        core=(zeros, zeros), previous={part.name: none for part in parts}
    )

  def apply(params, canvas, target, noise, previous, core, action, **kwargs):
    """Applies the network to `[T, B, ...]`."""
    time_and_batch = canvas.shape[:2]
    if noise is None:
      noise = jnp.zeros((0,), jnp.float32)
    dtype = jnp.dtype(config.compute_dtype)
    noise = jnp.broadcast_to(noise, (*time_and_batch, config.noise_size))
    return network.apply(
        jax.tree.map(lambda weights: weights.astype(dtype), params),
        _images(canvas, target, config, dtype),
        noise.astype(dtype),
        previous,
        core,
        action,
        **kwargs,
    )

  def initialize(key: chex.PRNGKey) -> types.Params:
    state = initial_state(1)
    canvas = jnp.zeros((1, 1, height, width, channels), jnp.float32)
    target = canvas[0] if config.conditional else None
    return network.init(
        key,
        _images(canvas, target, config, jnp.float32),
        jnp.zeros((1, 1, config.noise_size), jnp.float32),
        jax.tree.map(lambda x: x[None], dict(state.previous)),
        state.core,
        None,
        jax.random.key(0),
    )

  @functools.cache
  def own_shapes() -> dict[str, tuple[int, ...]]:
    return fit.shapes(jax.eval_shape(initialize, jax.random.key(0)))

  @jax.jit  # Op by op, compiling it takes much longer.
  def init(key: chex.PRNGKey) -> types.Params:
    """Returns random parameters, a tree of float32. The key is consumed."""
    numbers_key, key = jax.random.split(key)
    count = sum(map(math.prod, own_shapes().values()))
    with initializers.drawn_at_once(numbers_key, count):
      return initialize(key)

  def check(params, canvas, inputs, state) -> None:
    """Raises ValueError if what is given is not of this agent's shapes."""
    fit.check_inputs(canvas_shape, config, canvas, inputs.target, inputs.noise)
    fit.check_state(parts, state, canvas.shape[1], config.core_size)
    fit.check_params(own_shapes(), params)

  def step(
      params: types.Params,
      state: types.AgentState,
      observation: types.Observation,
      key: chex.PRNGKey,
      greedy: bool | chex.Array = False,
      temperature: float | chex.Array = 1.0,
  ) -> tuple[types.StepOutput, types.AgentState]:
    fit.check_temperature(temperature)
    canvas = observation.canvas[None]
    check(params, canvas, observation, state)
    previous = {part.name: state.previous[part.name] for part in parts}
    action, log_prob, _, _, value, core, *_ = apply(
        params,
        canvas,
        observation.target,
        observation.noise,
        jax.tree.map(lambda x: x[None], previous),
        state.core,
        None,
        key=_typed_key(key),
        greedy=greedy,
        temperature=temperature,
    )
    action, log_prob, value = jax.tree.map(
        lambda x: x[0], (action, log_prob, value)
    )
    output = types.StepOutput(action, log_prob, value)
    return output, types.AgentState(core, action)

  def unroll(
      params: types.Params,
      trajectory: types.Trajectory,
      imitated: types.Action | None = None,
      advice: types.Action | None = None,
  ) -> types.UnrollOutput:
    fit.check_trajectory(trajectory)
    check(params, trajectory.canvas[:-1], trajectory, trajectory.initial_state)
    action = {part.name: trajectory.action[part.name] for part in parts}
    previous = {
        name: jnp.concatenate(
            [trajectory.initial_state.previous[name][None], values[:-1]]
        )
        for name, values in action.items()
    }
    scored = action
    if imitated is not None:
      scored = {part.name: imitated[part.name] for part in parts}
    _, log_prob, entropy, is_active, value, core, *parted = apply(
        params,
        trajectory.canvas[:-1],
        trajectory.target,
        trajectory.noise,
        previous,
        trajectory.initial_state.core,
        scored,
        key=None,
        advice=advice,
    )
    bootstrap = None
    if trajectory.bootstrap is not None:
      last = jax.tree.map(lambda x: x[-1:], action)
      # The value does not depend on the command that is scored.
      *_, after, _, _, _ = apply(
          params,
          trajectory.canvas[-1:],
          trajectory.target,
          trajectory.noise,
          last,
          core,
          last,
          key=None,
      )
      bootstrap = after[0]
    return types.UnrollOutput(
        log_prob,
        value,
        entropy,
        is_active,
        bootstrap,
        *([None, None] if advice is None else parted),
    )

  # So that help(agent.step) says what the functions take and return.
  step.__doc__ = Step.__call__.__doc__
  step.parts = parts  # type: ignore[attr-defined]
  unroll.__doc__ = Unroll.__call__.__doc__
  return Agent(init, initial_state, step, unroll, parts)


def _typed_key(key: chex.PRNGKey | None) -> chex.PRNGKey | None:
  """Returns a key of the type that JAX has for keys."""
  if key is None or jnp.issubdtype(key.dtype, jax.dtypes.prng_key):
    return key
  return jax.random.wrap_key_data(key)


def _images(
    canvas: chex.Array,
    target: chex.Array | None,
    config: config_lib.AgentConfig,
    dtype: jax.typing.DTypeLike,
) -> tuple[chex.Array, ...]:
  """Returns what the torso sees, `[T, B, H, W, C]` each, 0 for white paper.

  At least one, with C = 0 if there is nothing to see.
  Mostly zeros, where the paper would be mostly ones: inputs that hardly vary
  slow learning down.

  Args:
    canvas: `[T, B, H, W, C]`.
    target: `[B, H, W, C]`; None if unconditional.
    config: says which of them the agent sees.
    dtype: type of the returned images.
  """
  images = (
      [] if config.blind else [1.0 - images_lib.to_float(canvas, 'canvases')]
  )
  if config.conditional:
    target = 1.0 - images_lib.to_float(target, 'targets')
    images.append(jnp.broadcast_to(target, canvas.shape))
  if len(images) == 2 and config.torso != 'conv':
    # Where the two differ, pixel by pixel: a patch's sums do not tell it.
    images.append(jnp.abs(images[1] - images[0]))
  if not images:
    images.append(jnp.zeros((*canvas.shape[:-1], 0), jnp.float32))
  return tuple(image.astype(dtype) for image in images)


def _make_parts(
    action_spec: types.ActionSpec, order: Sequence[str]
) -> tuple[action_lib.ActionPart, ...]:
  """Returns the parts of a command in the order of decision.

  Which parts have a meaning is known only after the part that says so. What is
  decided before it always counts: it may have influenced the other's value.
  """
  names = tuple(order) or tuple(action_spec)
  if sorted(names) != sorted(action_spec):
    raise ValueError(
        f'part_order is {",".join(names)}; give each of these once, or leave '
        f'it out: {",".join(action_spec)}'
    )
  parts: list[action_lib.ActionPart] = []
  for name in names:
    spec = action_spec[name]
    active_if = types.active_if(spec)
    if order and active_if is not None:
      if active_if[0] not in [part.name for part in parts]:
        active_if = None
    parts.append(
        action_lib.ActionPart(
            name, spec.num_values, types.grid_shape(spec), active_if
        )
    )
  return tuple(parts)


def _make_network(
    parts: tuple[action_lib.ActionPart, ...],
    config: config_lib.AgentConfig,
    torso: nn.Module | None,
) -> policy.Policy:
  is_stated = config.architecture == 'stated'
  torso_classes: dict[str, Callable[..., Any]] = {
      'conv': functools.partial(torso_lib.ConvTorso, as_stated=is_stated),
      'patches': functools.partial(
          torso_lib.PatchTorso, mix_cells=config.mix_cells
      ),
      'fine': functools.partial(
          torso_lib.FineTorso, mix_cells=config.mix_cells
      ),
  }
  mark_location = torso is not None or config.torso != 'conv'
  if torso is None:
    torso = torso_classes[config.torso](
        config.channels,
        config.torso_blocks,
        config.hidden_size,
        config.map_size,
    )
  return policy.Policy(
      parts=parts,
      torso=torso,
      map_size=config.map_size,
      core_size=config.core_size,
      decoder=heads.Decoder(
          parts=parts,
          embedding_size=config.embedding_size,
          spatial=config.location_head == 'spatial',
          channels=config.channels,
          num_blocks=config.head_blocks,
          as_stated=is_stated,
          attend=config.attend,
      ),
      embedding_size=config.embedding_size,
      mark_location=mark_location,
      condition_size=config.channels if is_stated else None,
  )


def _check(parts, canvas_shape, config, *, is_own_torso) -> None:
  """Raises ValueError, with the remedy, where the network cannot be built."""
  if config.mix_cells and config.torso == 'conv':
    raise ValueError(
        "mix_cells is for torso 'patches' or 'fine', and torso is 'conv'; "
        'leave it out, or change torso'
    )
  height, width, _ = canvas_shape
  factor, rest = divmod(height, config.map_size)
  if height != width or rest or not factor:
    raise ValueError(
        f'a canvas of {height} x {width} pixels does not divide into '
        f'{config.map_size} x {config.map_size} cells; choose a square canvas '
        f'whose size is a multiple of map_size={config.map_size}'
    )
  if not is_own_torso and config.torso == 'fine' and factor % 2:
    raise ValueError(
        f"torso 'fine' halves the cells of the feature map; {height} pixels "
        f'are not a multiple of twice map_size={config.map_size}'
    )
  if not is_own_torso and config.torso == 'conv' and factor & (factor - 1):
    raise ValueError(
        f"torso 'conv' halves the canvas down to {config.map_size} cells; "
        f'{height} pixels is not that times a power of two'
    )
  seen: set[str] = set()
  for part in parts:
    if part.active_if is not None and part.active_if[0] not in seen:
      raise ValueError(
          f'part {part.name!r} depends on {part.active_if[0]!r}, which is not '
          f'decided earlier; the order is {[p.name for p in parts]}'
      )
    if part.active_if is not None:
      governor = next(p for p in parts if p.name == part.active_if[0])
      if not any(
          isinstance(value, numbers.Integral)
          and int(value) in range(governor.num_values)
          for value in part.active_if[1]
      ):
        raise ValueError(
            f'part {part.name!r} has a meaning if {governor.name!r} is one of '
            f'{part.active_if[1]}, which it never is: its values are 0 to '
            f'{governor.num_values - 1}'
        )
    seen.add(part.name)
    if part.grid_shape is None:
      continue
    rows, columns = part.grid_shape
    fits, needs = rows == columns, ['square']
    if (
        config.location_head == 'spatial'
        or is_own_torso
        or config.torso != 'conv'
    ):
      fits &= rows % config.map_size == 0
      needs.append(f'a multiple of map_size={config.map_size}')
    if config.location_head == 'deconv':
      least = 8 if config.architecture == 'stated' else 4
      fits &= rows >= least and not rows & (rows - 1)
      needs.append(f'a power of two from {least} on')
    if not fits:
      raise ValueError(
          f'part {part.name!r} has a grid of {rows} x {columns} cells; with '
          f'location_head={config.location_head!r}, torso={config.torso!r} it '
          f'must be {" and ".join(needs)}'
      )
    if config.location_head == 'deconv' and config.core_size % 16:
      raise ValueError(
          f'core_size is {config.core_size}; the deconv location head reshapes '
          'it to 4 x 4, so choose a multiple of 16'
      )
