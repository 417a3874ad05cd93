"""Covers of the commands of a program, each alone, for searches.

A search that tries other commands in the middle of a program need not draw the
others again: what a command covers depends on those before it through the brush
alone, and the picture follows from covers and colors.
"""

from collections.abc import Mapping
import dataclasses

import numpy as np

from environments import contract
from environments.painting import brush_file
from environments.painting import library
from environments.painting import native
from environments.painting import settings as settings_lib
from environments.painting import strokes as strokes_lib

_OPAQUE = (settings_lib.ONE,) * 4  # White paper, on which ink is black.


def can_cover(settings: settings_lib.PaintingSettings) -> bool:
  """Returns whether `CommandCovers` can be made for such a program.

  It takes opaque paper, and a brush that lays its color over what is below,
  whatever that is.

  Args:
    settings: settings of the programs.
  """
  brush = library.read_brush(settings.brush, settings.brushes_path)
  return settings.background != 'transparent' and brush_file.lays_covers(brush)


class CommandCovers:
  """Covers of the commands of one program, and of others in their places.

  Covers are opacities, uint8 `[H, W]`, on the canvas of the settings. A move
  covers nothing. The covers of a program are exact. So are those of trials
  where brushes can be copied (see `PaintingRenderer.can_copy`); elsewhere each
  is drawn as after a move, and differs a little each time.

  Attributes:
    colors: names of the parts of a command that are its color; none if ink is
      black.
    handed_on: names of the parts on which the cover of the next command
      depends; what else brushes remember matters little.
    shades: values that each of them chooses from, float32, in [0, 1].
    paper: color of the paper, float32 `[C]`, in [0, 1].
  """

  def __init__(
      self,
      settings: settings_lib.PaintingSettings,
      length: int,
      count: int,
      num_threads: int = 1,
  ):
    """Initializes brushes.

    Args:
      settings: settings for which `can_cover` is true.
      length: number of commands of the program, T.
      count: largest number of commands that are tried at once, K.
      num_threads: number of threads that share them.
    """
    self.colors = settings_lib.COLORS if settings.color else ()
    self.handed_on = tuple(
        name
        for name in ('flag', 'end', 'pressure')
        if name in settings.action_spec()
    )
    self.shades = strokes_lib.SHADES.astype(np.float32)
    self.paper = settings.paper_shades()
    gray = dataclasses.replace(settings, color=False, background='white')
    # Brushes before each command and after the last, then those of trials.
    self._length, self._count = length, count
    self._strokes = strokes_lib.StrokeMaker(gray, length + 1 + count)
    brush = library.read_brush(settings.brush, settings.brushes_path)
    library.find_libmypaint()
    is_deterministic = brush_file.is_deterministic(brush)

    def make(number: int) -> native.NativeCanvases:
      canvases = native.NativeCanvases(
          brush,
          number,
          gray.canvas_size,
          1,
          _OPAQUE,
          strokes_lib.SECONDS_PER_POINT,
          num_threads,
          is_deterministic,
      )
      canvases.reset(self._strokes.initial_log_radius)
      return canvases

    # Random numbers cannot be copied: then another brush draws the program.
    self._canvases = make(length + 1 + count if is_deterministic else count)
    self._is_copied = self._canvases.can_copy
    self._program = self._canvases if self._is_copied else make(1)

  def draw(
      self, program: Mapping[str, np.ndarray], first: int = 0
  ) -> np.ndarray:
    """Makes a program the current one.

    Args:
      program: int `[T]` a part; colors are not needed.
      first: first command that has changed, if there was one before.

    Returns:
      Covers of the commands from `first` on, or from an earlier one, uint8
      `[n, H, W]`.

    Raises:
      ValueError: if the brush asks for too many dabs, see dab_limits.py.
    """
    if not self._is_copied:
      first = 0
      self._program.reset(self._strokes.initial_log_radius)
    covers = []
    for time in range(first, self._length):
      before, after = _one(time), _one(time + 1)
      self._strokes.copy(before, after)
      strokes = self._strokes.make(
          {name: values[time : time + 1] for name, values in program.items()},
          after,
      )
      on = after
      if self._is_copied:
        self._program.copy(before, after, clears=True)
      else:
        on = _one(0)
        self._program.clear(on)
      self._program.draw_on(strokes, on)
      covers.append(255 - self._program.read(on)[..., 0])
    return np.concatenate(covers)

  def try_commands(
      self, time: int, commands: Mapping[str, np.ndarray]
  ) -> np.ndarray:
    """Returns covers of commands in the place of one of the program.

    Args:
      time: number of that command.
      commands: int `[K]` a part; colors are not needed.

    Returns:
      Covers, uint8 `[K, H, W]`.

    Raises:
      ValueError: as `draw`.
    """
    count = len(next(iter(commands.values())))
    trials = np.arange(count, dtype=np.int32) + self._length + 1
    before = np.full(count, time, np.int32)
    self._strokes.copy(before, trials)
    if self._is_copied:
      self._canvases.copy(before, trials, clears=True)
    return self._cover(commands, trials)

  def follow(
      self, commands: Mapping[str, np.ndarray], which: np.ndarray
  ) -> np.ndarray:
    """Returns covers of commands that follow those that were tried last.

    Args:
      commands: int `[M]` a part; colors are not needed.
      which: int `[M]`, indices of different trials, after which they come.

    Returns:
      Covers, uint8 `[M, H, W]`.

    Raises:
      ValueError: if there are no such trials; or as `draw`.
    """
    trials = contract.check_which(which, self._count) + self._length + 1
    if self._is_copied:
      self._canvases.clear(trials)
    return self._cover(commands, trials)

  def _cover(
      self, commands: Mapping[str, np.ndarray], trials: np.ndarray
  ) -> np.ndarray:
    strokes = self._strokes.make(commands, trials)
    if self._is_copied:
      self._canvases.draw_on(strokes, trials)
      return 255 - self._canvases.read(trials)[..., 0]
    painted = np.flatnonzero(strokes.is_paint)
    drawn = self._canvases.draw_alone(
        strokes.log_radius[painted], strokes.points[painted], keeps_brush=True
    )
    covers = np.zeros((len(trials), *drawn.shape[1:3]), np.uint8)
    covers[painted] = 255 - drawn[..., 0]
    return covers


def _one(index: int) -> np.ndarray:
  return np.array([index], np.int32)
