"""Imitation of programs by an agent: from lessons to losses.

Axes: T time (commands), B batch, P parts of a command, K alternatives.
"""

from typing import NamedTuple

import chex
import jax
import jax.numpy as jnp
import numpy as np

from spiral_jax import types
from spiral_jax.agents import agent as agent_lib
from spiral_jax.losses import color
from spiral_jax.losses import imitation
from spiral_jax.networks import action as action_lib


def lesson_loss(
    params: types.Params, agent: agent_lib.Agent, lesson: types.Lesson
) -> chex.Array:
  """Returns the loss `[]` of a lesson, by the path of all log-probabilities.

  Args:
    params: parameters of the policy.
    agent: the agent that imitates.
    lesson: whole programs on B canvases.

  Raises:
    ValueError: when traced, if the lesson does not fit the agent.
  """
  batch = lesson.canvas.shape[1]
  times = next(iter(lesson.executed.values())).shape[0]
  trajectory = types.Trajectory(
      canvas=lesson.canvas,
      action=lesson.executed,
      log_prob=None,
      value=None,
      is_last=jnp.zeros((times, batch), bool),
      bootstrap=None,
      initial_state=agent.initial_state(batch),
      target=lesson.target,
      noise=lesson.noise,
      params_version=None,
  )
  out = agent.unroll(params, trajectory, lesson.imitated)
  return imitation.imitation_loss(out.log_prob)


def hindsight(trajectory: types.Trajectory) -> types.Lesson:
  """Returns whole episodes as lessons: their results are the targets."""
  return types.Lesson(
      canvas=trajectory.canvas,
      executed=trajectory.action,
      imitated=trajectory.action,
      target=trajectory.canvas[-1],
      noise=trajectory.noise,
  )


def best_colors(
    trajectory: types.Trajectory,
    parts: tuple[action_lib.ActionPart, ...],
    colors: tuple[str, ...],
) -> types.Action:
  """Returns the best colors of the strokes of whole episodes.

  Args:
    trajectory: whole episodes, with targets.
    parts: the parts of a command.
    colors: names of those that are its color, one for each channel.

  Returns:
    Values of these parts, int32 `[T, B]`; -1 where nothing is seen of a stroke.

  Raises:
    ValueError: when traced, if there are no targets.
  """
  if trajectory.target is None:
    raise ValueError(
        'the trajectory has no target that strokes could come near; make the '
        'agent conditional, or set best_colors_weight=0'
    )
  steps = {part.name: part.num_values - 1 for part in parts}
  largest = np.array([steps[name] for name in colors], np.float32)
  drawn = jnp.stack([trajectory.action[name] for name in colors], axis=-1)
  best, is_seen = color.best_stroke_colors(
      trajectory.canvas, drawn / largest, trajectory.target
  )
  values = jnp.rint(best * largest).astype(jnp.int32)
  values = jnp.where(is_seen[..., jnp.newaxis], values, -1)
  return {name: values[..., n] for n, name in enumerate(colors)}


class Advice(NamedTuple):
  """Values of parts that are learned in the pass of the rewards."""

  values: types.Action  # int32 `[T, B]` of some parts, -1 where there is none.
  # float32 `[T, B, P]`, by how much results are better with them; None if no
  # part is compared.
  gain: chex.Array | None = None


def compare(
    trajectory: types.Trajectory,
    gain: chex.Array,
    parts: tuple[action_lib.ActionPart, ...],
    known: tuple[str, ...] = (),
) -> Advice:
  """Returns the alternatives of whole episodes, command by command.

  Args:
    trajectory: episodes that have alternatives.
    gain: by how much their results are better, `[K, B]`. It is divided by its
      mean size, so that alternatives that matter little count little.
    parts: the parts of a command.
    known: names of those that are not compared.
  """
  alternatives = trajectory.alternatives
  assert alternatives is not None
  values, gains = {}, []
  for part in parts:
    value = alternatives.value[part.name]
    if part.name in known:
      value = jnp.full_like(value, -1)
    values[part.name] = value
    index = alternatives.result[part.name]
    own = jnp.take_along_axis(gain, index, axis=0)
    gains.append(jnp.where(value >= 0, own, 0.0))
  each = jnp.stack(gains, axis=-1)
  size = jnp.sum(jnp.abs(each)) / jnp.maximum(jnp.sum(each != 0), 1)
  return Advice(values, each / jnp.maximum(size, 1e-9))


def take_columns(lesson: types.Lesson, columns: chex.Array) -> types.Lesson:
  """Returns whole programs: `columns` of the batch axis."""

  def timed(x):  # [T, B, ...]
    return jnp.take(x, columns, axis=1, mode='clip')

  def untimed(x):  # [B, ...]
    return jnp.take(x, columns, axis=0, mode='clip')

  return types.Lesson(
      canvas=timed(lesson.canvas),
      executed=jax.tree.map(timed, dict(lesson.executed)),
      imitated=jax.tree.map(timed, dict(lesson.imitated)),
      target=jax.tree.map(untimed, lesson.target),
      noise=jax.tree.map(untimed, lesson.noise),
  )
