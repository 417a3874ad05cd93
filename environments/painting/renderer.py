"""Renderer of brush strokes, on libmypaint."""

from collections.abc import Callable, Mapping
from typing import Literal, Protocol

from dm_env import specs
import numpy as np

from environments import contract
from environments import core
from environments.painting import brush_file
from environments.painting import command_covers
from environments.painting import enlargement
from environments.painting import library
from environments.painting import native
from environments.painting import portable
from environments.painting import settings as settings_lib
from environments.painting import strokes as strokes_lib

_MAX_DABS = 1 << 16  # That are recorded.
_LARGEST_RADIUS = 1000  # Pixels; the largest that libmypaint draws.

Backend = Literal['auto', 'native', 'ctypes']


class Canvases(Protocol):
  """N canvases, each with a brush; there is one class per backend."""

  def reset(self, log_radius: float) -> np.ndarray:
    """Clears all canvases, renews brushes; returns uint8 `[N, H, W, C]`."""

  def draw(self, strokes: strokes_lib.Strokes) -> np.ndarray:
    """Draws one command on each canvas; returns as `reset` does."""

  def draw_alone(
      self,
      log_radius: np.ndarray,
      points: np.ndarray,
      num_moves: int = 1,
      keeps_brush: bool = False,
  ) -> np.ndarray:
    """Clears the first canvases and draws a black stroke on each.

    Args:
      log_radius: float32 `[M]`, natural logarithm of pixels.
      points: float32 `[M, steps + 1, 3]`: x and y in pixels, pressure.
      num_moves: number of moves to the first point, before the stroke.
      keeps_brush: lets random numbers continue, rather than begin anew with a
        new brush, which takes as long as a stroke.

    Returns:
      Canvases, uint8 `[M, H, W, C]`.
    """

  def recorded(self, max_dabs: int, draw: Callable[[], object]) -> np.ndarray:
    """Returns the dabs on the first canvas while `draw` is called.

    Args:
      max_dabs: largest number of dabs that are returned.
      draw: draws on the canvases.

    Returns:
      Dabs in the columns of dab_columns.py, float32 `[D, 13]`.
    """

  def close(self) -> None:
    """Frees the canvases."""


class PaintingRenderer:
  """Draws brush strokes: a `core.Renderer` of N canvases.

  A command moves the brush to `end` without ink (flag 0), or paints along the
  quadratic Bézier curve with control point `control` (flag 1). The pressure
  changes linearly from that of the preceding stroke to the command's own; after
  a move it is the command's own throughout. Episodes start at the top left.

  Every episode is exactly reproducible from its commands: earlier episodes,
  threads and the batch size do not matter.
  """

  def __init__(
      self,
      settings: settings_lib.PaintingSettings,
      count: int = 1,
      backend: Backend = 'auto',
      num_threads: int = 1,
      size: int | None = None,
      records_dabs: bool = False,
  ):
    """Initializes N = `count` canvases.

    Args:
      settings: settings of the canvases and their commands.
      count: number of canvases.
      backend: 'native' for the compiled extension; 'ctypes' for a slower one
        with the same pixels that needs no compiler; 'auto' for native if built.
      num_threads: number of threads that share a batch, if native.
      size: height and width of the canvas in pixels, to paint the same picture
        in more detail; None means `settings.canvas_size`.
      records_dabs: whether `step_and_record` will be called.

    Raises:
      ImportError: if libmypaint is missing, with the command that installs it;
        or if `backend` is 'native' and the extension was not built or does
        not load.
      FileNotFoundError: if there is no folder of brushes.
      ValueError: if the brush is unknown, or an argument is out of range.
    """
    for name, value in (('count', count), ('num_threads', num_threads)):
      if value < 1:
        raise ValueError(f'{name} is {value}, must be 1 or more')
    if backend not in ('auto', 'native', 'ctypes'):
      raise ValueError(
          f"backend is {backend!r}, must be 'auto', 'native' or 'ctypes'"
      )
    if backend == 'native' and not native.is_built():
      raise ImportError(
          'the native painting step is not built, or does not load; run `pip'
          " install -e .` where a C compiler is, or use backend='auto'"
      )
    brush = library.read_brush(settings.brush, settings.brushes_path)
    self._num_threads = num_threads
    self._is_enlarged = size not in (None, settings.canvas_size)
    settings, brush, steps, seconds = enlargement.enlarge(
        settings, brush, settings.canvas_size if size is None else size
    )
    self._settings = settings
    self._count = count
    self._strokes = strokes_lib.StrokeMaker(settings, count, steps)
    shape = (count, settings.canvas_size, settings.channels)
    paper = settings.paper()
    self._records_dabs = records_dabs
    self._is_closed = False
    self._is_started = False
    self._canvases: Canvases
    if backend != 'ctypes' and native.is_built():
      self._canvases = native.NativeCanvases(
          brush,
          *shape,
          paper,
          seconds,
          num_threads,
          is_deterministic=brush_file.is_deterministic(brush),
      )
    else:
      # MyPaint's own brushes keep to all limits, at sizes that it knows.
      is_trusted = (
          not records_dabs
          and not settings.brushes_path
          and max(settings.brush_sizes) <= _LARGEST_RADIUS
          and not brush_file.colorizes(brush)
      )
      self._canvases = portable.PortableCanvases(
          brush, *shape, paper, seconds, is_trusted
      )

  @property
  def count(self) -> int:
    """Number of canvases, N."""
    return self._count

  def action_spec(self) -> dict[str, core.Part]:
    """Returns the parts of a command, in the order of decision."""
    return self._settings.action_spec()

  def canvas_spec(self) -> specs.BoundedArray:
    """Returns the spec of one canvas: uint8 `[H, W, C]`, 0 to 255."""
    size = self._settings.canvas_size
    return specs.BoundedArray(
        (size, size, self._settings.channels), np.uint8, 0, 255, 'canvas'
    )

  def reset(self) -> np.ndarray:
    """Clears all canvases; returns a fresh uint8 `[N, H, W, C]`.

    Raises:
      RuntimeError: if the renderer is closed.
      ValueError: if libmypaint does not accept the brush.
    """
    if self._is_closed:
      raise RuntimeError('the renderer is closed; make another one')
    self._is_started = True
    self._strokes.reset()
    return self._canvases.reset(self._strokes.initial_log_radius)

  def step(self, command: Mapping[str, np.ndarray]) -> np.ndarray:
    """Draws one command, int `[N]` for each part; returns as `reset` does.

    Raises:
      RuntimeError: if `reset` was not called, or the renderer is closed.
      ValueError: if the brush asks for too many dabs, see dab_limits.py.
    """
    self._check_is_started()
    return self._canvases.draw(self._strokes.make(command))

  def draw(self, command: Mapping[str, np.ndarray]) -> None:
    """Draws as `step` does, without reading the canvases, which takes time.

    Raises:
      RuntimeError, ValueError: as `step`.
    """
    self._check_is_started()
    strokes = self._strokes.make(command)
    if isinstance(self._canvases, native.NativeCanvases):
      self._canvases.draw_on(strokes, np.arange(self._count, dtype=np.int32))
    else:
      self._canvases.draw(strokes)

  def step_and_record(self, command: Mapping[str, np.ndarray]) -> np.ndarray:
    """Draws as `step` does; returns the dabs on the first canvas.

    Returns:
      Dabs in the columns of dab_columns.py, float32 `[D, 13]`; of more than
      65536, the first ones.

    Raises:
      RuntimeError: as `step`, or without `records_dabs`.
      ValueError: as `step`.
    """
    if not self._records_dabs:
      raise RuntimeError(
          'this renderer does not record dabs; make it with records_dabs=True'
      )
    return self._canvases.recorded(_MAX_DABS, lambda: self.draw(command))

  @property
  def can_copy(self) -> bool:
    """True if `copy`, `draw_on` and `read` may be called.

    It takes the native backend, libmypaint 1.5 or later, and a brush that draws
    no random numbers: their generator cannot be copied.
    """
    return getattr(self._canvases, 'can_copy', False)

  def copy(self, source: np.ndarray, target: np.ndarray) -> None:
    """Makes canvases `target`, int `[M]`, copies of canvases `source`.

    Later commands draw the same on both.

    Raises:
      RuntimeError: as `draw_on`.
      ValueError: if a canvas does not exist, or a target is also a source.
    """
    canvases = self._native()
    source, target = contract.check_copy(source, target, self._count)
    canvases.copy(source, target)
    self._strokes.copy(source, target)

  def draw_on(
      self, command: Mapping[str, np.ndarray], which: np.ndarray
  ) -> None:
    """Draws one command, int `[M]` for each part, on some canvases.

    Args:
      command: as for `step`.
      which: int `[M]`, different canvases.

    Raises:
      RuntimeError: as `step`, or if not `can_copy`.
      ValueError: if `which` is not that; or as `step`.
    """
    which = contract.check_which(which, self._count)
    canvases = self._native()
    canvases.draw_on(self._strokes.make(command, which), which)

  def read(self, which: np.ndarray) -> np.ndarray:
    """Returns the canvases `which`, int `[M]`: uint8 `[M, H, W, C]`.

    Raises:
      RuntimeError, ValueError: as `draw_on`.
    """
    return self._native().read(contract.check_which(which, self._count))

  @property
  def can_cover(self) -> bool:
    """True if `make_covers` may be called.

    It takes the native backend, paper that is not transparent, a canvas of the
    settings' size, and a brush that neither smudges nor erases nor changes its
    color.
    """
    return (
        not self._is_enlarged
        and isinstance(self._canvases, native.NativeCanvases)
        and command_covers.can_cover(self._settings)
    )

  def make_covers(
      self, length: int, count: int
  ) -> command_covers.CommandCovers:
    """Returns what says what commands cover, each alone, for a search.

    Args:
      length: number of commands of the program, T.
      count: largest number of commands that are tried at once, K.
    """
    return command_covers.CommandCovers(
        self._settings, length, count, self._num_threads
    )

  def _check_is_started(self) -> None:
    if self._is_closed or not self._is_started:
      raise RuntimeError(
          'the renderer is closed; make another one'
          if self._is_closed
          else 'step before reset; call reset first'
      )

  def _native(self) -> native.NativeCanvases:
    """Returns the canvases, which can copy."""
    if self._is_closed or not self._is_started or not self.can_copy:
      raise RuntimeError(
          'these canvases cannot be copied, see can_copy'
          if not self._is_closed and self._is_started
          else 'the renderer is closed, or reset was not called'
      )
    assert isinstance(self._canvases, native.NativeCanvases)
    return self._canvases

  def close(self) -> None:
    """Frees the canvases; the renderer is unusable afterwards."""
    self._is_closed = True
    self._canvases.close()
