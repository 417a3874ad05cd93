"""Imitation of programs by an agent: from lessons to losses.

Axes: T time (commands), B batch.
"""

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
