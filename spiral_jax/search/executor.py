"""Execution of many programs that differ little from a few current ones.

Where canvases can be copied, what comes before the first changed command is
drawn once, not for each program.

Axes: N images, K proposals an image, T commands, H height, W width, C channels.
"""

from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np

# int32 `[T, ...]` for each part of a command.
Programs = Mapping[str, np.ndarray]


class Environment(Protocol):
  """Canvases in step, such as `environments.core.BatchedEnvironment`.

  Its `renderer`, if it has one and this says `can_copy`, is used to copy
  canvases: see `environments.core.CopyingRenderer`.
  """

  @property
  def count(self) -> int:
    """Number of canvases."""

  def action_spec(self) -> Mapping[str, Any]:
    """Returns the parts of a command."""

  def reset(self) -> Any:
    """Returns a dm_env.TimeStep with observation['canvas'], uint8."""

  def step(self, action: Mapping[str, np.ndarray]) -> Any:
    """Draws a command on each canvas; returns as `reset` does."""


class Executor(Protocol):
  """Holds the current programs of N images and runs proposals for them."""

  @property
  def num_proposals(self) -> int:
    """Number of proposals an image, K."""

  def start(self, programs: Programs) -> np.ndarray:
    """Makes `programs`, `[T, N]`, the current ones.

    Returns:
      Their canvases, uint8 `[N, H, W, C]`.
    """

  def run(self, programs: Programs, start: np.ndarray) -> np.ndarray:
    """Runs K proposals an image.

    Args:
      programs: `[T, N, K]`.
      start: int `[N, K]`, the first command in which a proposal differs from
        the image's current program; T or less.

    Returns:
      Canvases, uint8 `[N, K, H, W, C]`.
    """

  def accept(self, programs: Programs, start: np.ndarray) -> None:
    """Makes `programs`, `[T, N]`, the current ones.

    Args:
      programs: `[T, N]`.
      start: int `[N]`, the first command in which each differs from the current
        program; T where it is the same.
    """


def canvases_needed(
    environment: Environment, length: int, num_proposals: int
) -> int:
  """Returns the number of canvases that one image takes.

  It is K where programs are run as a whole. Where canvases can be copied, T
  more hold the beginnings of the image's current program.

  Args:
    environment: environment to draw with.
    length: number of commands in a program, T.
    num_proposals: number of proposals an image, K.
  """
  return num_proposals + (length if _can_copy(environment) else 0)


def make_executor(
    environment: Environment,
    num_images: int,
    length: int,
    num_proposals: int,
) -> Executor:
  """Returns an executor that draws on the canvases of an environment.

  Args:
    environment: environment with canvases enough, see `canvases_needed`;
      further ones stay unused. It must be reset afterwards.
    num_images: number of images, N.
    length: number of commands in a program, T.
    num_proposals: number of proposals an image, K.

  Raises:
    ValueError: if there are too few canvases.
  """
  needed = num_images * canvases_needed(environment, length, num_proposals)
  if environment.count < needed:
    raise ValueError(
        f'the environment has {environment.count} canvases; {num_images} images'
        f' with {num_proposals} proposals each take {needed}'
    )
  if _can_copy(environment):
    return _CopyingExecutor(environment, num_images, length, num_proposals)
  return _PlainExecutor(environment, num_images, num_proposals)


def _can_copy(environment: Environment) -> bool:
  return getattr(_renderer(environment), 'can_copy', False)


def _renderer(environment: Environment) -> Any:
  return getattr(environment, 'renderer', None)


class _PlainExecutor:
  """Runs each program from its first command on."""

  def __init__(
      self, environment: Environment, num_images: int, num_proposals: int
  ):
    self._environment = environment
    self._num_images = num_images
    self.num_proposals = num_proposals

  def start(self, programs: Programs) -> np.ndarray:
    repeated = {
        name: np.repeat(values[:, :, np.newaxis], self.num_proposals, axis=2)
        for name, values in programs.items()
    }
    return self.run(repeated)[:, 0]

  def run(self, programs: Programs, start: Any = None) -> np.ndarray:
    del start
    used = self._num_images * self.num_proposals
    filled = {
        name: _fill(values.reshape(-1, used), self._environment.count)
        for name, values in programs.items()
    }
    length = len(next(iter(filled.values())))
    self._environment.reset()
    for t in range(length):
      time_step = self._environment.step({k: v[t] for k, v in filled.items()})
    canvas = time_step.observation['canvas'][:used]
    return canvas.reshape(
        self._num_images, self.num_proposals, *canvas.shape[1:]
    )

  def accept(self, programs: Programs, start: np.ndarray) -> None:
    del programs, start


class _CopyingExecutor:
  """Keeps the canvas before each command of the current programs."""

  def __init__(
      self,
      environment: Environment,
      num_images: int,
      length: int,
      num_proposals: int,
  ):
    self._environment = environment
    self._renderer = _renderer(environment)
    self.num_proposals = num_proposals
    self._length = length
    # Canvas of each proposal `[N, K]`, and canvas before each command `[N, T]`.
    self._proposals, self._before = np.split(
        np.arange(num_images * (num_proposals + length)).reshape(
            num_images, -1
        ),
        [num_proposals],
        axis=1,
    )
    self._is_reset = False

  def start(self, programs: Programs) -> np.ndarray:
    if (
        not self._is_reset
    ):  # What is before the first command is never drawn on.
      self._environment.reset()
      self._is_reset = True
    num_images = len(self._before)
    self.accept(programs, np.zeros(num_images, int))
    last = self._proposals[:, 0]
    self._renderer.copy(self._before[:, -1], last)
    self._renderer.draw_on(_take(programs, self._length - 1), last)
    return self._renderer.read(last)

  def run(self, programs: Programs, start: np.ndarray) -> np.ndarray:
    start = np.minimum(start, self._length - 1).ravel()
    proposals = self._proposals.ravel()
    flat = {k: v.reshape(self._length, -1) for k, v in programs.items()}
    image = np.repeat(np.arange(len(self._before)), self.num_proposals)
    self._renderer.copy(self._before[image, start], proposals)
    for t in range(start.min(), self._length):
      here = np.flatnonzero(start <= t)
      self._renderer.draw_on(_take(flat, t, here), proposals[here])
    canvas = self._renderer.read(proposals)
    return canvas.reshape(*self._proposals.shape, *canvas.shape[1:])

  def accept(self, programs: Programs, start: np.ndarray) -> None:
    for t in range(int(start.min()), self._length - 1):
      here = np.flatnonzero(start <= t)
      after = self._before[here, t + 1]
      self._renderer.copy(self._before[here, t], after)
      self._renderer.draw_on(_take(programs, t, here), after)


def _take(
    programs: Programs, time: int, which: np.ndarray | slice = slice(None)
) -> dict[str, np.ndarray]:
  """Returns one command of some programs `[T, M]`."""
  return {name: values[time, which] for name, values in programs.items()}


def _fill(values: np.ndarray, count: int) -> np.ndarray:
  """Repeats the last of programs `[T, M]` until there are `count`."""
  missing = count - values.shape[1]
  return np.pad(values, ((0, 0), (0, missing)), mode='edge')
