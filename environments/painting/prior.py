"""Random programs of painting: what an agent may dream of.

Axes: T commands, N canvases.
"""

from typing import Any

import numpy as np

from environments.painting import settings as settings_lib

# Lengths are shares of the canvas.
_MARGIN = 0.15  # Strokes end no nearer to the edge.
_STEP = 0.19  # Standard deviation of a stroke's length, along each axis.
_BEND = 0.125  # That of the control point, from the middle of the stroke.
# Shares of the strokes that begin elsewhere than where the last one ended: the
# strokes of a drawing mostly hang together, patches of color do not.
_LIFTS = 0.2
_LIFTS_IN_COLOR = 0.5
_LEAST_PRESSURE = 4  # Fainter strokes can hardly be seen.


def sample_programs(
    settings: settings_lib.PaintingSettings,
    data: Any,
    rng: np.random.Generator,
    count: int,
) -> dict[str, np.ndarray]:
  """Returns programs of a pen's random walk, int32 `[T, N]` for each part.

  The walk has up to T - 1 strokes; then the pen stays where it is. It begins
  with a move, and some strokes are moves as well. A program keeps its size of
  brush, except in color. Pressure and color of each stroke are uniform.

  Args:
    settings: settings of the canvas.
    data: unused.
    rng: random numbers.
    count: number of programs, N.
  """
  del data
  length, grid = settings.episode_length, settings.grid_size
  program = {
      name: rng.integers(0, part.num_values, (length, count), dtype=np.int32)
      for name, part in settings.action_spec().items()
  }
  lifts = _LIFTS_IN_COLOR if settings.color else _LIFTS
  num_steps = rng.integers(1, max(length, 2), count)
  pen = rng.uniform(_MARGIN, 1 - _MARGIN, (2, count))
  for t in range(length):
    is_step = (t > 0) & (t <= num_steps)
    draws = is_step & (rng.random(count) >= lifts)
    to = np.clip(pen + rng.normal(0, _STEP, pen.shape), _MARGIN, 1 - _MARGIN)
    if settings.color:  # A patch begins anywhere.
      anywhere = rng.uniform(_MARGIN, 1 - _MARGIN, pen.shape)
      to = np.where(draws, to, anywhere)
    to = np.where(is_step, to, pen)
    bend = (pen + to) / 2 + rng.normal(0, _BEND, pen.shape)
    program['flag'][t] = np.where(draws, settings_lib.PAINT, 0)
    program['end'][t] = _cells(to, grid)
    program['control'][t] = _cells(bend, grid)
    pen = to
  if 'size' in program and not settings.color:
    program['size'][:] = program['size'][0]
  if 'pressure' in program:
    program['pressure'] = np.maximum(program['pressure'], _LEAST_PRESSURE)
  return program


def _cells(point: np.ndarray, grid: int) -> np.ndarray:
  """Returns the locations nearest to points (y, x), `[2, N]` in [0, 1]."""
  y, x = np.clip(np.rint(point * grid), 0, grid - 1).astype(np.int32)
  return y * grid + x
