"""Translation of commands into points, pressures and brush settings.

Both backends (native.py, portable.py) draw what this module computes. The
conventions are those of DeepMind's environment of 2019. Its episodes are
reproduced bit for bit, except for one bug: there, a move left its y in both
coordinates.
"""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from environments.painting import bezier
from environments.painting import colors
from environments.painting import settings as settings_lib

# Points of a stroke after the first. Halving their number would change pixels
# and save little time, as most of it goes into dabs.
STEPS_PER_STROKE = 50
# Seconds between two points. The original environment passed 0.1 through a C
# float, which makes it greater than 0.1: libmypaint then takes it for a lifted
# pen.
SECONDS_PER_POINT = float(np.float32(0.1))

# Values that the parts of a command choose from, in [0, 1].
PRESSURES = np.linspace(0.1, 1.0, settings_lib.NUM_PRESSURES)
SHADES = np.linspace(0.0, 1.0, settings_lib.NUM_SHADES)


class Strokes(NamedTuple):
  """One command on each of N canvases, as C-contiguous arrays."""

  is_paint: np.ndarray  # bool [N]; if false, a move without ink.
  is_jump: np.ndarray  # bool [N]; true if no stroke came right before.
  log_radius: np.ndarray  # float32 [N], natural logarithm of pixels.
  hsv: np.ndarray | None  # float32 [N, 3] in [0, 1]; None if ink is black.
  # float32 [N, steps + 1, 3]: x and y in pixels, pressure in [0, 1]. Of a move,
  # only the last point is used.
  points: np.ndarray


class StrokeMaker:
  """Turns commands into strokes; keeps the brushes' positions and pressures."""

  def __init__(
      self,
      settings: settings_lib.PaintingSettings,
      count: int,
      steps: int = STEPS_PER_STROKE,
  ):
    """Initializes N = `count` brushes at the top left corner.

    Args:
      settings: settings of the canvas and its commands.
      count: number of brushes.
      steps: number of points of a stroke after the first.
    """
    self._settings = settings
    self._steps = steps
    self._log_radii = np.array([np.log(float(r)) for r in settings.brush_sizes])
    self._hsv = colors.rgb_to_hsv(
        np.stack(np.meshgrid(SHADES, SHADES, SHADES, indexing='ij'), axis=-1)
    ).astype(np.float32)
    self._position = np.zeros((count, 2))  # Pixels (y, x).
    self._pressure = np.zeros(count)  # At the end of the last stroke.
    self._was_paint = np.zeros(count, bool)

  @property
  def initial_log_radius(self) -> float:
    """Brush radius at the start of an episode, natural log of pixels."""
    return float(self._log_radii[0])

  def reset(self) -> None:
    """Starts an episode with all brushes lifted, at the top left corner."""
    self._position[:] = 0.0
    self._was_paint[:] = False

  def copy(self, source: np.ndarray, target: np.ndarray) -> None:
    """Gives brushes `target`, int `[M]`, the state of brushes `source`."""
    for state in (self._position, self._pressure, self._was_paint):
      state[target] = state[source]

  def make(
      self,
      command: Mapping[str, np.ndarray],
      which: np.ndarray | slice = slice(None),
  ) -> Strokes:
    """Returns the strokes of one command.

    Args:
      command: int `[M]` for each part.
      which: int `[M]`, different brushes; by default all.
    """
    # Filled in place: a part of the wrong length must not reach native code.
    was_paint = self._was_paint[which]
    count = len(was_paint)
    num_points = self._steps + 1
    strokes = Strokes(
        is_paint=np.empty(count, bool),
        is_jump=~was_paint,
        log_radius=np.empty(count, np.float32),
        hsv=np.empty((count, 3), np.float32) if self._settings.color else None,
        points=np.empty((count, num_points, 3), np.float32),
    )
    strokes.is_paint[:] = command['flag'] == settings_lib.PAINT
    strokes.log_radius[:] = self._log_radii[command.get('size', 0)]
    if strokes.hsv is not None:
      strokes.hsv[:] = self._hsv[
          command['red'], command['green'], command['blue']
      ]

    end = locate(self._settings, command['end'])
    control = locate(self._settings, command['control'])
    path = bezier.quadratic_bezier(
        self._position[which], control, end, num_points
    )
    strokes.points[..., 0] = path[..., 1]
    strokes.points[..., 1] = path[..., 0]

    # Linear from the last stroke's pressure; constant after a jump.
    last = PRESSURES[command.get('pressure', -1)]
    first = np.where(strokes.is_jump, last, self._pressure[which])
    share = np.arange(num_points)[:, np.newaxis] / self._steps
    strokes.points[..., 2] = (first * (1.0 - share) + last * share).T

    self._position[which] = end
    self._pressure[which] = last
    self._was_paint[which] = strokes.is_paint
    return strokes


def locate(
    settings: settings_lib.PaintingSettings, location: np.ndarray
) -> np.ndarray:
  """Returns the pixel coordinates (y, x), `[N, 2]`, of locations `[N]`."""
  grid = settings.grid_size
  y, x = np.divmod(location, grid)
  size = float(settings.canvas_size)
  return np.stack([size * y / grid, size * x / grid], axis=-1)
