"""What commands mean: each becomes points, pressures and brush settings.

Both ways of painting (native.py, portable.py) draw what this file computes.
The conventions are those of DeepMind's environment of 2019, whose episodes
are reproduced bit for bit, but for one mistake: there, a move left its y in
both coordinates.
"""

from collections.abc import Mapping
from typing import NamedTuple, Optional

import numpy as np

from environments.painting import bezier
from environments.painting import colours
from environments.painting import settings as settings_lib

# Points after the first on a stroke. Halving them saves little time, most of
# which goes into dabs, and changes pixels.
STEPS_PER_STROKE = 50


class Strokes(NamedTuple):
  """One command on each of N canvases; C-contiguous arrays."""

  is_paint: np.ndarray  # bool [N]; otherwise a move without ink.
  is_jump: np.ndarray  # bool [N]; whether no stroke came right before.
  log_radius: np.ndarray  # float32 [N], natural logarithm of pixels.
  hsv: Optional[np.ndarray]  # float32 [N, 3] in [0, 1]; None if ink is black.
  # float32 [N, STEPS_PER_STROKE + 1, 3]: x and y in pixels, pressure in
  # [0, 1]. A move goes to the last point.
  points: np.ndarray


class StrokeMaker:
  """Turns commands into strokes, from where those before left the brushes."""

  def __init__(self, settings: settings_lib.PaintingSettings, count: int):
    """Initialises N = `count` brushes at the top left corner."""
    self._settings = settings
    self._log_radii = np.log(np.array(settings.brush_sizes, np.float64))
    self._pressures = np.linspace(0.1, 1.0, settings_lib.NUM_PRESSURES)
    shades = np.linspace(0.0, 1.0, settings_lib.NUM_SHADES)
    self._hsv = colours.rgb_to_hsv(
        np.stack(np.meshgrid(shades, shades, shades, indexing='ij'), axis=-1)
    ).astype(np.float32)
    self._position = np.zeros((count, 2))  # Pixels (y, x).
    self._pressure = np.zeros(count)  # At the end of the last stroke.
    self._was_paint = np.zeros(count, bool)

  @property
  def initial_log_radius(self) -> float:
    """The brushes' radius as an episode starts, natural log of pixels."""
    return float(self._log_radii[0])

  def reset(self) -> None:
    """Starts an episode: all brushes lifted, at the top left corner."""
    self._position[:] = 0.0
    self._was_paint[:] = False

  def make(self, command: Mapping[str, np.ndarray]) -> Strokes:
    """Returns the strokes of one command, int `[N]` a part, on each canvas."""
    settings = self._settings
    zeros = np.zeros_like(command['flag'])
    is_paint = command['flag'] == settings_lib.PAINT
    is_jump = ~self._was_paint
    end = self._locate(command['end'])
    pressure = (
        self._pressures[command['pressure']]
        if settings.pressure
        else np.ones(len(end))
    )
    first_pressure = np.where(is_jump, pressure, self._pressure)

    control = self._locate(command['control'])
    num_points = STEPS_PER_STROKE + 1
    path = bezier.quadratic_bezier(self._position, control, end, num_points)
    points = np.empty((len(end), num_points, 3), np.float32)
    points[..., 0] = path[..., 1]
    points[..., 1] = path[..., 0]
    share = np.arange(num_points) / STEPS_PER_STROKE
    points[..., 2] = (
        first_pressure[:, np.newaxis] * (1.0 - share)
        + pressure[:, np.newaxis] * share
    )

    self._position = end
    self._pressure = pressure
    self._was_paint = is_paint
    return Strokes(
        is_paint=is_paint,
        is_jump=is_jump,
        log_radius=self._log_radii[command.get('size', zeros)].astype(
            np.float32
        ),
        hsv=self._colour(command) if settings.colour else None,
        points=points,
    )

  def _locate(self, location: np.ndarray) -> np.ndarray:
    """Returns pixels `[N, 2]`, (y, x), of locations `[N]`."""
    grid = self._settings.grid_size
    y, x = np.divmod(location, grid)
    size = float(self._settings.canvas_size)
    return np.stack([size * y / grid, size * x / grid], axis=-1)

  def _colour(self, command: Mapping[str, np.ndarray]) -> np.ndarray:
    return self._hsv[command['red'], command['green'], command['blue']]
