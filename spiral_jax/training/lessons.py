"""Lessons: programs of some source, drawn by the renderer, to be imitated.

A program of any prior is an exact lesson (a dream), since its commands and its
picture are both known. Programs are executed with disturbances and imitated
without them, so that an agent also learns what to do on a canvas with mistakes
(DART, Laskey et al., arXiv:1703.09327).

Axes: T time (commands), B batch, H height, W width, C channels.
"""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from spiral_jax import types
from spiral_jax.driver import rollout
from spiral_jax.driver import serialization

# (random numbers, B, parameters of the policy) -> programs, int32 `[T, B]` a
# part, and images that they are to draw, uint8 `[B, H, W, C]`, or None.
Source = Callable[
    [np.random.Generator, int, Any],
    tuple[Mapping[str, np.ndarray], np.ndarray | None],
]

# Programs, int32 `[T, B]` a part -> canvases, uint8 `[T + 1, B, H, W, C]`.
Draw = Callable[[Mapping[str, np.ndarray]], Any]

# Locations are mostly disturbed to a neighboring one: such are the mistakes
# that an agent makes.
_NEAR = 0.8


class Lessons:
  """Renders a lesson of B programs per call.

  Randomness depends only on the seed and the number of lessons so far, which,
  with the state of the source, is the whole checkpointed state.
  """

  def __init__(
      self,
      draw: Draw,
      count: int,
      source: Source,
      *,
      action_spec: types.ActionSpec,
      disturbance: float,
      conditional: bool,
      noise_size: int = 0,
      seed: int = 0,
  ):
    """Initializes lessons, which own what they draw with from then on.

    Args:
      draw: runs programs on B canvases.
      count: number of canvases, B.
      source: returns programs as long as an episode, and perhaps the images
        that they are to draw. Its state, if it has `get_state` and `set_state`,
        is saved too.
      action_spec: the parts of a command.
      disturbance: share of the commands that are executed disturbed.
      conditional: gives lessons targets: the images of the source, or else the
        pictures of its programs, undisturbed.
      noise_size: size of the noise vector, Z; 0 means no noise.
      seed: random seed.
    """
    self._draw = draw
    self._count = count
    self._source: Any = source
    self._action_spec = action_spec
    self._disturbance = disturbance
    self._conditional = conditional
    self._noise_size = noise_size
    self._seed = seed
    self._lessons = 0

  def __call__(self, params: types.Params, version: int) -> types.Lesson:
    """Returns the next lesson.

    Args:
      params: parameters of the policy, which the source may use.
      version: unused.
    """
    del version
    rng = np.random.default_rng((self._seed, self._lessons))
    count = self._count
    programs, target = self._source(rng, count, params)
    imitated = hide_inactive(rng, self._action_spec, programs)
    executed = disturb(rng, self._action_spec, imitated, self._disturbance)
    noise = None
    if self._noise_size:
      noise = rng.standard_normal((count, self._noise_size), np.float32)
    canvas = self._draw(executed)
    if not self._conditional:
      target = None
    elif target is None:
      target = canvas[-1]
      if self._disturbance:
        target = self._draw(imitated)[-1]
    self._lessons += 1
    return types.Lesson(canvas, executed, imitated, target, noise)

  def get_state(self) -> dict[str, Any]:
    """Returns the number of lessons so far, and the state of the source."""
    state: dict[str, Any] = {'lessons': self._lessons}
    if isinstance(self._source, serialization.Stateful):
      state['source'] = self._source.get_state()
    return state

  def set_state(self, state: Mapping[str, Any]) -> None:
    """Continues where `get_state` was called."""
    self._lessons = int(state['lessons'])
    if isinstance(self._source, serialization.Stateful):
      self._source.set_state(state['source'])


def render(
    environment: rollout.Environment, program: Mapping[str, np.ndarray]
) -> np.ndarray:
  """Returns the canvases of programs, uint8 `[T + 1, B, H, W, C]`.

  Args:
    environment: environment of B canvases, observed as uint8.
    program: int `[T, B]` a part.
  """
  canvases = [environment.reset().observation['canvas']]
  length = len(next(iter(program.values())))
  for t in range(length):
    command = {name: values[t] for name, values in program.items()}
    canvases.append(environment.step(command).observation['canvas'])
  return np.stack(canvases)


def hide_inactive(
    rng: np.random.Generator,
    action_spec: types.ActionSpec,
    program: Mapping[str, np.ndarray],
) -> dict[str, np.ndarray]:
  """Returns programs whose parts that have no meaning are of uniform values.

  Whoever made a program left something there, which may well tell what it was
  about to draw. A learner would read that in its last command, and miss it in
  its own ones, as nothing teaches it what to write there.

  Args:
    rng: random numbers.
    action_spec: the parts of a command.
    program: int `[T, B]` a part; not changed.
  """
  cleaned = {k: np.asarray(v, np.int32) for k, v in program.items()}
  for name, part in action_spec.items():
    governor = types.active_if(part)
    if governor is None:
      continue
    has_meaning = np.isin(cleaned[governor[0]], governor[1])
    fresh = rng.integers(0, part.num_values, has_meaning.shape, dtype=np.int32)
    cleaned[name] = np.where(has_meaning, cleaned[name], fresh)
  return cleaned


def disturb(
    rng: np.random.Generator,
    action_spec: types.ActionSpec,
    program: Mapping[str, np.ndarray],
    share: float,
) -> dict[str, np.ndarray]:
  """Returns programs in which some commands have other values.

  Such a command differs in one part, or in all of them. Parts that say whether
  others have a meaning stay.

  Args:
    rng: random numbers.
    action_spec: the parts of a command.
    program: int32 `[T, B]` a part; not changed.
    share: share of the commands that are disturbed, from 0 to 1.
  """
  governors = types.governors(action_spec)
  free = [name for name in action_spec if name not in governors]
  shape = next(iter(program.values())).shape
  is_hit = rng.random(shape) < share
  which = rng.integers(0, len(free) + 1, shape)
  disturbed = dict(program)
  for index, name in enumerate(free):
    is_other = is_hit & ((which == index) | (which == len(free)))
    other = _other_values(rng, action_spec[name], program[name])
    disturbed[name] = np.where(is_other, other, program[name]).astype(np.int32)
  return disturbed


def _other_values(
    rng: np.random.Generator, part: Any, values: np.ndarray
) -> np.ndarray:
  """Returns uniform values; mostly neighbors if the part is a location."""
  fresh = rng.integers(0, part.num_values, values.shape, dtype=np.int32)
  grid = types.grid_shape(part)
  if grid is None:
    return fresh
  height, width = grid
  y, x = np.divmod(values, width)
  y = np.clip(y + rng.integers(-1, 2, values.shape), 0, height - 1)
  x = np.clip(x + rng.integers(-1, 2, values.shape), 0, width - 1)
  return np.where(rng.random(values.shape) < _NEAR, y * width + x, fresh)
