"""Types that two layers or more share.

Axes, in the order in which they appear: T time (commands), B batch (canvases),
H height, W width, C channels, P parts of a command, Z noise, K alternatives.

Images are uint8 (0 to 255) where they are stored or moved, floats in [0, 1]
where they are computed with; paper is white (255, or 1).
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import chex
import numpy as np

if TYPE_CHECKING:  # Drivers share these types, and need no dm_env.
  from dm_env import specs

# The parts of one command by name, int32 `[B]` (or `[T, B]`) each.
Action = Mapping[str, chex.Array]

# The parts of a command in the order in which an agent decides them.  A part
# is a `DiscreteArray`; two optional attributes say more (see `grid_shape` and
# `active_if` below).
ActionSpec = Mapping[str, 'specs.DiscreteArray']

# Parameters of a network: any pytree of arrays.
Params = Any

# What a learner reports of one update: scalars `[]` by name.
Logs = dict[str, chex.Array]

# The value of a part of the previous command where there is none yet.
NO_COMMAND = -1


def grid_shape(part: 'specs.DiscreteArray') -> tuple[int, int] | None:
  """Returns (height, width) of a part that is a location, else None.

  The index of a location is `y * width + x`.
  """
  return getattr(part, 'grid_shape', None)


def active_if(
    part: 'specs.DiscreteArray',
) -> tuple[str, tuple[int, ...]] | None:
  """Returns on which values of which earlier part this part has a meaning.

  None: always.  An inactive part has no share in log-probabilities nor
  in entropies.
  """
  return getattr(part, 'active_if', None)


def governors(action_spec: ActionSpec) -> set[str]:
  """Returns the parts that say whether others have a meaning."""
  found = [active_if(part) for part in action_spec.values()]
  return {governor[0] for governor in found if governor is not None}


def uniform_programs(
    action_spec: ActionSpec, length: int, count: int, rng: np.random.Generator
) -> dict[str, np.ndarray]:
  """Returns programs of uniform values, int32 `[length, count]` a part."""
  return {
      name: rng.integers(0, part.num_values, (length, count), dtype=np.int32)
      for name, part in action_spec.items()
  }


class ActionCost(NamedTuple):
  """A cost of commands in which one part has one value."""

  name: str
  part: str
  value: int
  weight: float  # In reward units, per command that pays.
  only_starts: bool = False  # Only if the command before did not have it.


class AgentState(NamedTuple):
  """The state that an agent carries from one command to the next."""

  core: tuple[chex.Array, chex.Array]  # LSTM's (c, h), `[B, hidden]` each.
  previous: Action  # Last command, `[B]` each; NO_COMMAND at the start.


class Observation(NamedTuple):
  """An agent's inputs before a command."""

  canvas: chex.Array  # `[..., H, W, C]`, uint8, or float in [0, 1].
  target: chex.Array | None = None  # As canvas; None when unconditional.
  noise: chex.Array | None = None  # `[..., Z]`, standard normal.


class StepOutput(NamedTuple):
  """One command and what the agent thought of it."""

  action: Action  # `[B]` each.
  log_prob: chex.Array  # `[B]`, of the parts that count.
  value: chex.Array  # `[B]`, of the canvas before the command.


class UnrollOutput(NamedTuple):
  """An agent's view of given commands; `[T, B]` unless stated."""

  log_prob: chex.Array
  value: chex.Array
  entropy: chex.Array  # `[T, B, P]`, nats.
  # `[T, B, P]`, 1.0 where a part has a meaning, else 0.0.
  is_active: chex.Array
  # `[B]`, value of `canvas[T]`; None if the trajectory has none either.
  bootstrap: chex.Array | None = None
  # `[T, B, P]`, of each part that has a meaning, and of other values of some
  # parts; None where nobody asked for other values.
  part_log_prob: chex.Array | None = None
  advice_log_prob: chex.Array | None = None


class Alternatives(NamedTuple):
  """Results of whole episodes with another value of one part of one command."""

  value: Action  # int32 `[T, B]` each, -1 where none was tried.
  result: Action  # int32 `[T, B]` each: which of the K it led to.
  canvas: chex.Array  # uint8 `[K, B, H, W, C]`.


class Trajectory(NamedTuple):
  """Commands of B canvases in step, from the policy that acted (behavior).

  All or part of one episode: only the last command of a trajectory may end it.
  """

  canvas: chex.Array  # uint8 `[T + 1, B, H, W, C]`; `canvas[T]` is the result.
  action: Action  # int32 `[T, B]` each.
  log_prob: chex.Array  # `[T, B]`.
  value: chex.Array  # `[T, B]`.
  is_last: chex.Array  # bool `[T, B]`: the command ended its episode.
  # `[B]`, value of `canvas[T]`, unused after a last; None of whole episodes.
  bootstrap: chex.Array | None
  initial_state: AgentState  # Before the first command.
  target: chex.Array | None  # uint8 `[B, H, W, C]`.
  noise: chex.Array | None  # `[B, Z]`.
  params_version: chex.Array  # int32 `[]`: of the parameters that acted.
  alternatives: Alternatives | None = None


class Lesson(NamedTuple):
  """Whole programs to imitate, of B canvases in step.

  The commands that were executed may be disturbed ones: the agent then learns
  what to do on a canvas with mistakes (Laskey et al., arXiv:1703.09327).
  """

  canvas: chex.Array  # uint8 `[T + 1, B, H, W, C]`, of what was executed.
  executed: Action  # int32 `[T, B]` each.
  imitated: Action  # int32 `[T, B]` each.
  target: chex.Array | None = None  # uint8 `[B, H, W, C]`.
  noise: chex.Array | None = None  # `[B, Z]`.


def num_commands(
    trajectory: Trajectory | None, lessons: Mapping[str, Lesson] | None
) -> int:
  """Returns T * B of a batch: of its trajectory, or else of each lesson."""
  if trajectory is not None:
    times, batch = trajectory.is_last.shape
    return times * batch
  assert lessons
  times, batch = next(iter(lessons.values())).canvas.shape[:2]
  return (times - 1) * batch
