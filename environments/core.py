"""The contract between agents and renderers, and environments over any of it.

A renderer owns N canvases and draws one command on each. `RenderEnvironment`
makes a dm_env environment of a renderer of one canvas, `BatchedEnvironment`
one of N canvases that stay in step, since every episode has the same length.
A `Task` is all that training needs to know of a renderer.

Axes: N canvases, H height, W width, C channels.
"""

from collections.abc import Callable, Mapping
import dataclasses
import math
import numbers
from typing import Any, NamedTuple, Protocol

import dm_env
from dm_env import specs
import numpy as np
import numpy.typing as npt

from environments import contract
from environments import parts
from environments import reprs

Part = parts.Part  # So that a renderer of one's own needs this module alone.


class Renderer(Protocol):
  """Owns N canvases and draws one command on each.

  `step` may trust its command: the environments below check it.
  """

  @property
  def count(self) -> int:
    """Number of canvases, N."""

  def action_spec(self) -> dict[str, Part]:
    """Returns the parts of a command, in the order of decision."""

  def canvas_spec(self) -> specs.BoundedArray:
    """Returns the spec of one canvas: uint8 `[H, W, C]`, 0 to 255."""

  def reset(self) -> np.ndarray:
    """Clears all canvases; returns a fresh uint8 `[N, H, W, C]`."""

  def step(self, command: Mapping[str, np.ndarray]) -> np.ndarray:
    """Draws one command, int `[N]` a part; returns as `reset` does."""


class CopyingRenderer(Renderer, Protocol):
  """A renderer whose canvases can be copied while they are drawn.

  Optional. Programs with the same beginning then need to draw it once, which
  makes the search for programs faster. Indices of canvases are int `[M]`.
  """

  @property
  def can_copy(self) -> bool:
    """True if the methods below may be called, with these settings."""

  def copy(self, source: np.ndarray, target: np.ndarray) -> None:
    """Makes canvases `target` copies of canvases `source`.

    Later commands draw the same on both. No target is a source.
    """

  def draw_on(
      self, command: Mapping[str, np.ndarray], which: np.ndarray
  ) -> None:
    """Draws one command, int `[M]` a part, on the canvases `which`.

    The canvases are different ones.
    """

  def read(self, which: np.ndarray) -> np.ndarray:
    """Returns the canvases `which`, uint8 `[M, H, W, C]`."""


class Settings(Protocol):
  """Settings of an environment: a frozen dataclass with these as well.

  Its fields become flags; its docstring describes them under `Attributes:`.
  """

  @property
  def canvas_size(self) -> int:
    """Height and width of the canvas, in pixels."""

  @property
  def channels(self) -> int:
    """Channels of the canvas: 1 or 3."""

  @property
  def episode_length(self) -> int:
    """Commands in an episode."""

  def action_spec(self) -> dict[str, Part]:
    """Returns the parts of a command, in the order of decision."""


class Images(NamedTuple):
  """Images to learn from."""

  images: np.ndarray  # uint8 `[n, H, W, C]`, 0 to 255.
  labels: np.ndarray | None = None  # int32 `[n]`, if they have classes.
  # What the images were drawn by, arrays `[n, ...]` by name, if it is known.
  programs: Mapping[str, np.ndarray] | None = None


class ActionCost(NamedTuple):
  """A command that may cost something: one whose `part` has `value`."""

  part: str
  value: int
  description: str  # As in "cost of ...".
  only_starts: bool = False  # Only if the command before did not have it.


@dataclasses.dataclass(frozen=True)
class Task:
  """All that training needs to know of an environment.

  A module offers one under the name `TASK`, and is then found by its dotted
  name, as `--task=my_package.rectangles`.

  Attributes:
    name: dotted name of the module, `__name__`.
    settings: class of the settings, see `Settings`.
    make_renderer: (settings, count, num_threads) -> renderer of `count`
      canvases.
    make_images: (settings, data, split, seed) -> images, uint8
      `[n, H, W, C]` or `Images`, of split 'train' or 'test'; None if images
      come from data sets alone.
    dataset: name of the data set that `make_images` stands for.
    data: class of the configuration of `make_images`, a frozen dataclass; None
      if it has none.
    read_programs: (canvas, action), uint8 `[T + 1, B, H, W, C]` and int32
      `[T, B]` a part, -> a NamedTuple of arrays `[B, ...]`; None if there is
      nothing to measure.
    summarize_programs: (settings, programs, true programs or None), with
      arrays `[N, ...]`, -> figures by name, in groups by name.
    costs: commands that may cost something, by name; training gives weights.
    colors: names of the parts that are the color which a command lays over what
      is there, in the order of the canvas's channels; their values are shades
      from 0 to 1, evenly spaced. Settings may lack them.
    sample_programs: (settings, data, rng, count) -> random programs as long as
      an episode, int32 `[T, count]` a part, whose pictures are worth learning
      to recognize; None stands for commands of uniform values.
    device_renderer: (settings) -> how to make a renderer that draws in JAX, as
      'package.module:function' and what that function takes after the settings;
      it is imported where it is used, and returns pure functions (init, step),
      see `spiral_jax.renderers.types.Renderer`. None if there is no such one.
  """

  name: str
  settings: type[Any]
  make_renderer: Callable[[Any, int, int], Renderer]
  make_images: Callable[[Any, Any, str, int], np.ndarray | Images] | None = None
  dataset: str = ''
  data: type[Any] | None = None
  read_programs: (
      Callable[[np.ndarray, Mapping[str, np.ndarray]], Any] | None
  ) = None
  summarize_programs: (
      Callable[[Any, Any, Any], dict[str, dict[str, Any]]] | None
  ) = None
  costs: Mapping[str, ActionCost] = dataclasses.field(default_factory=dict)
  colors: tuple[str, ...] = ()
  sample_programs: (
      Callable[[Any, Any, np.random.Generator, int], Mapping[str, np.ndarray]]
      | None
  ) = None
  device_renderer: Callable[[Any], tuple[Any, ...]] | None = None

  def make_batch(
      self, settings: Settings, count: int, num_threads: int = 1
  ) -> 'BatchedEnvironment':
    """Returns an environment of `count` canvases, observed as uint8."""
    renderer = self.make_renderer(settings, count, num_threads)
    return BatchedEnvironment(renderer, settings.episode_length, np.uint8)


class RenderEnvironment(dm_env.Environment):
  """A dm_env environment over a renderer of one canvas.

  An episode has a fixed number of commands. The observation is
  `{'canvas': float32 [H, W, C] in [0, 1]}`, every reward is 0 (rewards come
  from a discriminator or a distance, outside), the discount is 1 and 0 at the
  last command.
  """

  def __init__(self, renderer: Renderer, episode_length: int):
    """Initializes the environment, which owns the renderer from now on.

    Args:
      renderer: a renderer of one canvas.
      episode_length: commands in an episode.

    Raises:
      ValueError: if the renderer has more canvases than one, or canvases that
        are not uint8; or `episode_length` is not positive.
    """
    if renderer.count != 1:
      raise ValueError(
          f'renderer has {renderer.count} canvases, RenderEnvironment takes'
          ' one; use BatchedEnvironment'
      )
    self._batch = BatchedEnvironment(renderer, episode_length)

  def reset(self) -> dm_env.TimeStep:
    """Starts an episode on a clear canvas."""
    return _first_of_batch(self._batch.reset())

  def step(self, action: Mapping[str, npt.ArrayLike]) -> dm_env.TimeStep:
    """Draws one command; starts an episode instead where dm_env says so.

    Args:
      action: an int, or an int array `[]`, for each part of `action_spec`.

    Raises:
      ValueError: if a part is missing, unknown, no int, or out of range.
    """
    if self._batch.needs_reset:
      return self.reset()
    command = parts.check_command(self._batch.action_spec(), action, ())
    return _first_of_batch(
        self._batch.draw({k: v[np.newaxis] for k, v in command.items()})
    )

  def action_spec(self) -> dict[str, Part]:
    """Returns the parts of a command, in the order of decision."""
    return self._batch.action_spec()

  def observation_spec(self) -> dict[str, specs.BoundedArray]:
    """Returns `{'canvas': spec of float32 [H, W, C] in [0, 1]}`."""
    batched = self._batch.observation_spec()['canvas']
    return {'canvas': batched.replace(shape=batched.shape[1:])}

  def close(self) -> None:
    """Frees what the renderer holds."""
    self._batch.close()


class BatchedEnvironment:
  """Environments over the N canvases of one renderer, all in step.

  As `RenderEnvironment`, with a leading axis N: the observation is
  `{'canvas': [N, H, W, C]}`, rewards and discounts are float32 `[N]`. One
  `step_type` holds for all, because every episode has the same length.
  """

  def __init__(
      self,
      renderer: Renderer,
      episode_length: int,
      dtype: npt.DTypeLike = np.float32,
  ):
    """Initializes the environment, which owns the renderer from now on.

    Args:
      renderer: a renderer of N canvases.
      episode_length: commands in an episode.
      dtype: type of the observed canvas: float32 in [0, 1], or uint8, 0 to 255,
        as the renderer gives it.

    Raises:
      ValueError: if `episode_length` is not positive, `dtype` is neither, or
        the renderer's canvases are not uint8.
    """
    if episode_length < 1:
      raise ValueError(
          f'episode_length is {episode_length}, must be 1 command or more'
      )
    if np.dtype(dtype) not in (np.dtype(np.float32), np.dtype(np.uint8)):
      raise ValueError(f'dtype is {dtype}, must be float32 or uint8')
    self._renderer = renderer
    self._episode_length = episode_length
    self._dtype = np.dtype(dtype)
    self._check_canvas = contract.CanvasCheck(renderer)
    self._action_spec = renderer.action_spec()
    self._commands_left = 0

  @property
  def count(self) -> int:
    """Number of canvases, N."""
    return self._renderer.count

  @property
  def renderer(self) -> Renderer:
    """The renderer; who draws with it resets the environment afterwards."""
    return self._renderer

  @property
  def needs_reset(self) -> bool:
    """True if the next `step` starts an episode and ignores its action."""
    return self._commands_left == 0

  def reset(self) -> dm_env.TimeStep:
    """Starts an episode on N clear canvases.

    Raises:
      ValueError: if the renderer returns other canvases than it says, or its
        own buffer.
    """
    canvas = self._check_canvas(self._renderer.reset(), 'reset')
    self._commands_left = self._episode_length
    return dm_env.restart(self._observe(canvas))

  def step(self, action: Mapping[str, npt.ArrayLike]) -> dm_env.TimeStep:
    """Draws one command on each canvas, or starts an episode after a last.

    Args:
      action: an int array `[N]` for each part of `action_spec`.

    Raises:
      ValueError: if a part is missing, unknown, not `[N]` ints, or out of
        range; or as `reset`.
    """
    if self.needs_reset:
      return self.reset()
    return self.draw(
        parts.check_command(self._action_spec, action, (self.count,))
    )

  def draw(self, command: Mapping[str, np.ndarray]) -> dm_env.TimeStep:
    """Does what `step` does within an episode, for a checked command."""
    canvas = self._check_canvas(self._renderer.step(command), 'step')
    observation = self._observe(canvas)
    self._commands_left -= 1
    is_last = self._commands_left == 0
    return dm_env.TimeStep(
        step_type=dm_env.StepType.LAST if is_last else dm_env.StepType.MID,
        reward=np.zeros(self.count, np.float32),
        discount=np.full(self.count, 0 if is_last else 1, np.float32),
        observation=observation,
    )

  def action_spec(self) -> dict[str, Part]:
    """Returns the parts of one canvas's command, in the order of decision."""
    return dict(self._action_spec)

  def observation_spec(self) -> dict[str, specs.BoundedArray]:
    """Returns `{'canvas': spec of [N, H, W, C]}`."""
    canvas = self._renderer.canvas_spec()
    return {
        'canvas': specs.BoundedArray(
            shape=(self.count, *canvas.shape),
            dtype=self._dtype,
            minimum=0,
            maximum=255 if self._dtype == np.uint8 else 1,
            name='canvas',
        )
    }

  def close(self) -> None:
    """Frees what the renderer holds, where it has a `close`."""
    getattr(self._renderer, 'close', lambda: None)()

  def _observe(self, canvas: np.ndarray) -> dict[str, np.ndarray]:
    if self._dtype == np.float32:
      canvas = canvas.astype(np.float32) / np.float32(255)
    return {'canvas': canvas}


def check_int(
    name: str, value: object, low: int, high: int | None = None
) -> None:
  """Checks a setting, which may be from `low` to `high` (None: any above).

  Raises:
    ValueError: that names the setting, its value and what it may be.
  """
  if (
      not isinstance(value, int)
      or isinstance(value, bool)
      or not low <= value <= (math.inf if high is None else high)
  ):
    span = f'{low} or more' if high is None else f'from {low} to {high}'
    raise ValueError(f'{name} is {reprs.short(value)}, must be an int, {span}')


def is_number(value: object) -> bool:
  """Returns true for an int or a float, of Python or NumPy, but not a bool."""
  return isinstance(value, numbers.Real) and not isinstance(value, bool)


def _first_of_batch(time_step: dm_env.TimeStep) -> dm_env.TimeStep:
  """Takes canvas 0 out of a batched time step; FIRST has no reward."""
  first = time_step.first()
  return dm_env.TimeStep(
      step_type=time_step.step_type,
      reward=None if first else float(time_step.reward[0]),
      discount=None if first else float(time_step.discount[0]),
      observation={k: v[0] for k, v in time_step.observation.items()},
  )
