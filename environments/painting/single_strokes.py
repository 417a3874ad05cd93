"""Single strokes on windows of a large picture, for searches.

A search for a painting of thousands of strokes tries each stroke alone, on a
window of the picture in a resolution that fits the stroke. What a stroke covers
does not depend on what lies below it, unless the brush smudges. Brushes that
draw random numbers cover a little differently each time.
"""

from collections.abc import Mapping, Sequence
import math

import numpy as np

from environments.painting import bezier
from environments.painting import brush_file
from environments.painting import enlargement
from environments.painting import library
from environments.painting import native
from environments.painting import portable
from environments.painting import program as program_lib
from environments.painting import renderer as renderer_lib
from environments.painting import settings as settings_lib
from environments.painting import strokes as strokes_lib

_OPAQUE = (settings_lib.ONE,) * 4  # White paper.

# Of `fine_settings`: radii of the sizes, from broad to fine, as shares of the
# picture's longer side; and locations in a row.
_BROADEST, _FINEST, _FINER = 1 / 4, 1 / 400, 2**-0.5
_CANVAS_SIZE, _GRID_SIZE = 64, 1024
# slow_tracking is in hundredths of a second; a brush has arrived if this share
# of its way is left.
_SLOW, _ARRIVED = 100.0, 0.01


def fine_settings(
    *,
    brush: str = 'classic/pen',
    brush_sizes: Sequence[float] | None = None,
    color: bool = True,
    background: str = 'white',
    brushes_path: str | None = None,
) -> settings_lib.PaintingSettings:
  """Returns settings for strokes of nearly any place and size.

  Args:
    brush: name of the brush.
    brush_sizes: radii that strokes choose from, where the picture's longer side
      is 64 long; None means fourteen, from 16 to 0.18.
    color: whether strokes are in color.
    background: color of the paper.
    brushes_path: folder of the brushes; None looks in the usual places.

  Raises:
    ValueError: if a setting is out of range.
  """
  if brush_sizes is None:
    count = 1 + round(math.log(_FINEST / _BROADEST) / math.log(_FINER))
    sizes = _CANVAS_SIZE * _BROADEST * _FINER ** np.arange(count)
    brush_sizes = np.round(sizes, 3).tolist()
  return settings_lib.PaintingSettings(
      canvas_size=_CANVAS_SIZE,
      grid_size=_GRID_SIZE,
      brush=brush,
      brush_sizes=tuple(brush_sizes),
      color=color,
      background=background,
      brushes_path=brushes_path,
  )


class SingleStrokes:
  """Draws single strokes, each on a clear window of its own.

  Strokes are ints `[K]` by name: the locations `start`, `control` and `end`,
  flat on the settings' grid, and the further parts of the settings' commands
  (`size`, `pressure`, `red`, `green`, `blue`) that apply.

  Attributes:
    settings: settings of the programs.
    num_values: number of values of each part that is no location and no color.
  """

  def __init__(
      self, settings: settings_lib.PaintingSettings, num_threads: int = 1
  ):
    """Initializes a brush.

    Args:
      settings: settings of the programs to be found. The longer side of their
        pictures is `canvas_size` long.
      num_threads: number of threads that share the windows.

    Raises:
      ImportError: if libmypaint is missing.
      FileNotFoundError: if there is no folder of brushes.
      ValueError: if the brush is unknown, the canvas is larger than 64 pixels,
        or the paper is transparent.
    """
    if settings.canvas_size > _CANVAS_SIZE:
      raise ValueError(
          f'canvas_size is {settings.canvas_size}, must be {_CANVAS_SIZE} or'
          ' less to try strokes; use fine_settings, and render a larger picture'
      )
    if settings.background == 'transparent':
      raise ValueError(
          "background is 'transparent', on which ink keeps its full color; name"
          " a color, as '#ffffff'"
      )
    self.settings = settings
    self._num_threads = num_threads
    self._brush = library.read_brush(settings.brush, settings.brushes_path)
    library.find_libmypaint()
    self.num_values = {
        name: part.num_values
        for name, part in settings.action_spec().items()
        if name not in ('flag', 'end', 'control', *settings_lib.COLORS)
    }
    # A brush that lags in time would still come from the stroke before.
    slow = brush_file.base_value(self._brush, 'slow_tracking')
    self._num_moves = 1
    if slow > 0:
      lag = math.exp(-_SLOW * strokes_lib.SECONDS_PER_POINT / slow)
      self._num_moves = math.ceil(math.log(_ARRIVED) / math.log(lag))
    self._scales: dict[int, enlargement.Enlarged] = {}
    self._canvases: dict[tuple[int, int, int], renderer_lib.Canvases] = {}

  @property
  def grid_size(self) -> int:
    """Number of locations in a row and in a column."""
    return self.settings.grid_size

  @property
  def radii(self) -> np.ndarray:
    """Nominal radius of each size, as a share of the picture's longer side."""
    return np.array(self.settings.brush_sizes) / self.settings.canvas_size

  @property
  def paper(self) -> np.ndarray:
    """Color of the paper, float32 `[C]`, in [0, 1]."""
    return self.settings.paper_shades()

  @property
  def shades(self) -> np.ndarray:
    """Values that a channel of a color chooses from, float32, in [0, 1]."""
    return strokes_lib.SHADES.astype(np.float32)

  def cover(
      self,
      strokes: Mapping[str, np.ndarray],
      corner: np.ndarray,
      *,
      size: int,
      window: int,
  ) -> np.ndarray:
    """Returns what each of K strokes covers of a window.

    Args:
      strokes: int `[K]` by name; colors are not needed.
      corner: top left pixel (y, x) of the window, int `[2]`, or `[K, 2]` for a
        window each.
      size: length of the picture's longer side, pixels; `canvas_size` or more.
      window: height and width of a window, pixels.

    Returns:
      Opacities, uint8 `[K, window, window]`.

    Raises:
      ValueError: if the brush asks for too many dabs, see dab_limits.py.
    """
    count = len(strokes['end'])
    scale = self._scale(size)
    points = np.empty((count, scale.steps_per_stroke + 1, 3), np.float32)
    start, control, end = (
        strokes_lib.locate(scale.settings, strokes[name])
        for name in ('start', 'control', 'end')
    )
    path = bezier.quadratic_bezier(start, control, end, points.shape[1])
    path = path - np.broadcast_to(corner, (count, 2))[:, np.newaxis]
    points[..., :2] = path[..., ::-1]
    pressures = strokes_lib.PRESSURES[strokes.get('pressure', [-1] * count)]
    points[..., 2] = pressures[:, np.newaxis]
    radii = np.array([math.log(r) for r in scale.settings.brush_sizes])
    log_radius = radii[strokes.get('size', [0] * count)].astype(np.float32)
    # A power of two, so that few kinds of canvases are made.
    canvases = self._canvases_of(size, window, 1 << (count - 1).bit_length())
    return (
        255 - canvases.draw_alone(log_radius, points, self._num_moves)[..., 0]
    )

  def program(
      self, strokes: Mapping[str, np.ndarray], aspect: float = 1.0
  ) -> program_lib.Program:
    """Returns the program that draws strokes one after the other.

    Args:
      strokes: int `[K]` by name. Without any, the program is a move.
      aspect: width of the picture divided by its height.
    """
    spec = self.settings.action_spec()
    if not strokes or not len(strokes['end']):
      return program_lib.Program(
          self.settings, {name: np.zeros(1, int) for name in spec}, aspect
      )
    moves = self._num_moves
    commands = {
        name: np.repeat(strokes[name], moves + 1)
        for name in spec
        if name not in ('flag', 'end')
    }
    ends = [strokes['start']] * moves + [strokes['end']]
    commands['end'] = np.stack(ends, axis=1).ravel()
    flags = [1 - settings_lib.PAINT] * moves + [settings_lib.PAINT]
    commands['flag'] = np.tile(flags, len(strokes['end']))
    return program_lib.Program(
        self.settings, {name: commands[name] for name in spec}, aspect
    )

  def _scale(self, size: int) -> enlargement.Enlarged:
    if size not in self._scales:
      self._scales[size] = enlargement.enlarge(self.settings, self._brush, size)
    return self._scales[size]

  def _canvases_of(
      self, size: int, window: int, count: int
  ) -> renderer_lib.Canvases:
    """Returns gray canvases, which are kept."""
    key = size, window, count
    if key not in self._canvases:
      scale = self._scale(size)
      shape = (scale.brush, count, window, 1)
      if native.is_built():
        self._canvases[key] = native.NativeCanvases(
            *shape,
            _OPAQUE,
            scale.seconds_per_point,
            self._num_threads,
            brush_file.is_deterministic(scale.brush),
        )
      else:
        self._canvases[key] = portable.PortableCanvases(
            *shape, _OPAQUE, scale.seconds_per_point
        )
    return self._canvases[key]
