"""Checks that what is put together belongs together: shapes, parts, values.

Shapes are checked when a function is traced, and cost nothing afterwards.

Axes: T time (commands), B batch, H height, W width, C channels, Z noise.
"""

from collections.abc import Mapping

import chex
import jax
import numpy as np

from spiral_jax import types
from spiral_jax.agents import config as config_lib
from spiral_jax.losses import images as images_lib
from spiral_jax.networks import action as action_lib

_Parts = tuple[action_lib.ActionPart, ...]


def check_inputs(
    canvas_shape: tuple[int, int, int],
    config: config_lib.AgentConfig,
    canvas: chex.Array,
    target: chex.Array | None,
    noise: chex.Array | None,
) -> None:
  """Checks an observation against the agent that sees it.

  Args:
    canvas_shape: (height, width, channels) that the agent was made for.
    config: the agent's configuration.
    canvas: `[T, B, H, W, C]`.
    target: `[B, H, W, C]`, or None.
    noise: `[B, Z]`, or None.

  Raises:
    ValueError: if one of them is missing, not expected, or of another shape.
  """
  if canvas.ndim != 5 or canvas.shape[2:] != tuple(canvas_shape):
    raise ValueError(
        f'canvases are {list(canvas.shape[1:])}, and the agent was made for '
        f'{["B", *canvas_shape]}; make the environment with the settings that '
        'the agent was trained with (`**trained.environment`), or an agent for '
        'this canvas'
    )
  batch = canvas.shape[1]
  if config.conditional:
    if target is None:
      raise ValueError(
          'the agent is conditional but the observation has no target; give '
          'one, or build the agent with AgentConfig(conditional=False)'
      )
    if target.shape != canvas.shape[1:]:
      raise ValueError(
          f'targets are {list(target.shape)}, and canvases '
          f'{list(canvas.shape[1:])}; give one target a canvas, of its shape'
      )
  elif target is not None:
    raise ValueError(
        'the observation has a target but the agent is unconditional; leave it '
        'out, or build the agent with AgentConfig(conditional=True)'
    )
  if config.noise_size:
    if noise is None:
      raise ValueError(
          f'the agent takes {config.noise_size} noise inputs but the '
          'observation has none; draw them once an episode, standard normal, '
          'or build the agent with AgentConfig(noise_size=0)'
      )
    if noise.shape != (batch, config.noise_size):
      raise ValueError(
          f'noise is {list(noise.shape)}, must be {[batch, config.noise_size]}:'
          ' the inputs of each canvas'
      )
  elif noise is not None:
    raise ValueError(
        f'the observation has noise {list(noise.shape)} but the agent takes '
        'none; leave it out, or build the agent with '
        f'AgentConfig(noise_size={noise.shape[-1]})'
    )


def check_temperature(temperature: float | chex.Array) -> None:
  """Raises ValueError if a temperature is known, and not above 0."""
  if isinstance(temperature, jax.core.Tracer):
    return
  if not np.all(np.asarray(temperature) > 0):
    raise ValueError(
        f'temperature is {temperature}, must be above 0; greedy=True decides '
        'for the likeliest values'
    )


def check_state(
    parts: _Parts, state: types.AgentState, batch: int, core_size: int
) -> None:
  """Checks a state against the agent and the number of canvases.

  Raises:
    ValueError: if it is the state of another agent, or of another batch.
  """
  names = [part.name for part in parts]
  if set(state.previous) != set(names) or any(
      x.shape[1:] != (core_size,) for x in state.core
  ):
    raise ValueError(
        f'the state is of another agent: it has parts {list(state.previous)} '
        f'and a core of {list(state.core[0].shape)}, this one parts {names} '
        f'and {[batch, core_size]}; start from initial_state of this agent'
    )
  counts = {x.shape[0] for x in jax.tree.leaves(state)}
  if counts != {batch}:
    raise ValueError(
        f'the state is of {"/".join(map(str, sorted(counts)))} canvases, and '
        f'the observation of {batch}; start from initial_state({batch})'
    )


def check_params(
    expected: Mapping[str, tuple[int, ...]], params: types.Params
) -> None:
  """Checks parameters against the shapes of an agent's own.

  Args:
    expected: what `shapes` returns of the agent's own.
    params: parameters that it is given.

  Raises:
    ValueError: that names an array that is missing, unknown, or of another
      shape.
  """
  found = shapes(params)
  for path in {**expected, **found}:
    if expected.get(path) != found.get(path):
      raise ValueError(
          f'the parameters are of another agent: {path} has shape '
          f'{found.get(path)}, here it is {expected.get(path)}; give those of '
          'an agent with this action spec, canvas and AgentConfig'
      )


def shapes(params: types.Params) -> dict[str, tuple[int, ...]]:
  """Returns the shapes of a tree's arrays by their path of names."""
  return {
      jax.tree_util.keystr(keys, simple=True, separator='/'): leaf.shape
      for keys, leaf in jax.tree_util.tree_flatten_with_path(params)[0]
  }


def check_trajectory(trajectory: types.Trajectory) -> None:
  """Checks that the arrays of a trajectory are of the same T and B.

  Raises:
    ValueError: that names the array, its shape and what it must be.
  """
  times, batch = trajectory.is_last.shape
  canvas = trajectory.canvas
  if canvas.ndim != 5 or canvas.shape[:2] != (times + 1, batch):
    raise ValueError(
        f'canvas is {list(canvas.shape)}, must be '
        f'{[times + 1, batch, "H", "W", "C"]} ([T + 1, B, H, W, C]) with '
        f'is_last {[times, batch]}'
    )
  expected = {
      'log_prob': (trajectory.log_prob, (times, batch)),
      'value': (trajectory.value, (times, batch)),
      'bootstrap': (trajectory.bootstrap, (batch,)),
      'target': (trajectory.target, canvas.shape[1:]),
  } | {
      f'action {name!r}': (value, (times, batch))
      for name, value in trajectory.action.items()
  }
  if trajectory.alternatives is not None:
    value, result, results = trajectory.alternatives
    shape = results.shape[:1] + canvas.shape[1:]
    expected['canvas of alternatives'] = results, shape
    for name in trajectory.action:
      expected[f'alternative {name!r}'] = value.get(name), (times, batch)
      expected[f'result of alternative {name!r}'] = (
          result.get(name),
          (times, batch),
      )
  for name, (array, shape) in expected.items():
    if array is not None and array.shape != shape:
      raise ValueError(
          f'{name} of the trajectory is {list(array.shape)}, must be '
          f'{list(shape)} with canvases {list(canvas.shape)}'
      )


def check_batch(
    config: config_lib.LearnerConfig,
    parts: _Parts,
    trajectory: types.Trajectory | None,
    lessons: Mapping[str, types.Lesson],
) -> None:
  """Checks what a learner is given for an update.

  Args:
    config: the learner's; its weights say what there must be.
    parts: the parts of the agent's commands.
    trajectory: T commands on B canvases, or None.
    lessons: by source.

  Raises:
    ValueError: if there is not what the weights ask for; or as `check_values`
      and `check_lesson`.
  """
  needs_trajectory = bool(config.reward_weight or config.hindsight_weight)
  if needs_trajectory != (trajectory is not None):
    raise ValueError(
        f'reward_weight is {config.reward_weight} and hindsight_weight '
        f'{config.hindsight_weight}, but '
        + (
            'there is no trajectory; give one'
            if needs_trajectory
            else 'there is a trajectory; give None'
        )
    )
  weights = config.lesson_weights
  expected = [name for name in ('dreams', 'memory', 'teacher') if weights[name]]
  if sorted(lessons) != expected:
    raise ValueError(
        f'lessons are of {", ".join(lessons) or "no source"}, and those with a '
        f'weight are of {", ".join(expected) or "none"}; give these'
    )
  if trajectory is not None:
    check_values(parts, trajectory)
    needs_alternatives = config.corrections_weight and config.reward_weight
    if needs_alternatives and trajectory.alternatives is None:
      raise ValueError(
          f'corrections_weight is {config.corrections_weight}, but the '
          'trajectory has no alternatives; give it some, or set the weight to 0'
      )
  for name, lesson in lessons.items():
    check_lesson(parts, name, lesson, trajectory)


def check_values(parts: _Parts, trajectory: types.Trajectory) -> None:
  """Checks what can be known of a trajectory in host memory.

  Raises:
    ValueError: if floats are not in [0, 1], or a command has a value that its
      part does not have.
  """
  images_lib.check_values(trajectory.canvas, 'canvases')
  if trajectory.target is not None:
    images_lib.check_values(trajectory.target, 'targets')
  _check_action(parts, trajectory.action, 'the trajectory')
  if trajectory.alternatives is not None:
    _check_alternatives(parts, trajectory.alternatives)


def check_lesson(
    parts: _Parts,
    source: str,
    lesson: types.Lesson,
    trajectory: types.Trajectory | None,
) -> None:
  """Checks a lesson, as far as its agent does not when it is scored.

  Args:
    parts: the parts of the agent's commands.
    source: where the lesson comes from.
    lesson: whole programs, `[T, B]`.
    trajectory: what is learned from in the same update, if anything is.

  Raises:
    ValueError: if arrays do not fit each other, or have other values than
      images and parts have.
  """
  images_lib.check_values(lesson.canvas, 'canvases')
  if lesson.target is not None:
    images_lib.check_values(lesson.target, 'targets')
  times, batch = lesson.canvas.shape[0] - 1, lesson.canvas.shape[1]
  for action in (lesson.executed, lesson.imitated):
    _check_action(parts, action, f'lessons from {source}')
    for name, values in action.items():
      if values.shape != (times, batch):
        raise ValueError(
            f'part {name!r} of lessons from {source} is {list(values.shape)}, '
            f'must be {[times, batch]} with canvases '
            f'{list(lesson.canvas.shape)}'
        )
  if trajectory is not None and trajectory.is_last.shape[1] != batch:
    raise ValueError(
        f'lessons from {source} are of {batch} programs, and the trajectory of '
        f'{trajectory.is_last.shape[1]}; give as many'
    )


def _check_alternatives(
    parts: _Parts, alternatives: types.Alternatives
) -> None:
  """Raises ValueError if parts are missing, or values out of range."""
  value, result, canvas = alternatives
  names = {part.name for part in parts}
  for kind, given in (('value', value), ('result', result)):
    if set(given) != names:
      raise ValueError(
          f'alternatives have a {kind} of parts {sorted(given)}, must be of '
          f'{sorted(names)}'
      )
  # Where none was tried, they hold -1.
  tried = {k: np.maximum(v, 0) if _is_known(v) else v for k, v in value.items()}
  _check_action(parts, tried, 'alternatives')
  for name, index in result.items():
    if not _is_known(index):
      continue
    low, high = index.min(), index.max()
    if low < 0 or high >= len(canvas):
      raise ValueError(
          f'results of part {name!r} of alternatives are from {low} to {high}, '
          f'and there are {len(canvas)} canvases'
      )


def _is_known(values: chex.Array) -> bool:
  """Returns whether there are values, in host memory."""
  return isinstance(values, np.ndarray) and values.size > 0


def _check_action(parts: _Parts, action: types.Action, owner: str) -> None:
  """Raises ValueError if arrays in host memory have values out of range."""
  for part in parts:
    values = action[part.name]
    if not _is_known(values):
      continue
    low, high = values.min(), values.max()
    if low < 0 or high >= part.num_values:
      raise ValueError(
          f'part {part.name!r} of {owner} has values from {low} to '
          f'{high}, and that of the agent from 0 to {part.num_values - 1}; '
          'draw it in an environment of the action spec of the agent'
      )
