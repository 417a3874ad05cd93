"""A renderer of brush strokes, on libmypaint."""

from collections.abc import Mapping
from typing import Literal, Protocol

from dm_env import specs
import numpy as np

from environments import core
from environments.painting import enlargement
from environments.painting import library
from environments.painting import native
from environments.painting import portable
from environments.painting import settings as settings_lib
from environments.painting import strokes as strokes_lib

Backend = Literal['auto', 'native', 'ctypes']


class Canvases(Protocol):
  """Owns N canvases, each with a brush; one class for each way to paint."""

  def reset(self, log_radius: float) -> np.ndarray:
    """Clears all canvases, takes new brushes; returns uint8 `[N, H, W, C]`."""

  def draw(self, strokes: strokes_lib.Strokes) -> np.ndarray:
    """Draws one command on each canvas; returns as `reset` does."""

  def close(self) -> None:
    """Frees the canvases."""


class PaintingRenderer:
  """Draws brush strokes: a `core.Renderer` of N canvases.

  A command moves the brush to `end` without ink (flag 0), or paints along the
  quadratic Bézier curve that `control` bends (flag 1). The pressure goes
  evenly from that of the stroke before to the command's own; after a move it
  is the command's own from the start. Episodes start at the top left corner.

  Every episode is exactly reproducible from its commands, whatever was
  painted before, on one thread or several, in a batch or alone.
  """

  def __init__(
      self,
      settings: settings_lib.PaintingSettings,
      count: int = 1,
      backend: Backend = 'auto',
      num_threads: int = 1,
      size: int | None = None,
  ):
    """Initializes N = `count` canvases.

    Args:
      settings: of the canvases and their commands.
      count: number of canvases.
      backend: 'native', the compiled step; 'ctypes', slower, the same pixels,
        needs no compiler; or 'auto', native where it was built.
      num_threads: that share a batch; the native step only.
      size: height and width to paint at, pixels, where the same picture is
        wanted in more detail than `settings.canvas_size` holds.

    Raises:
      ImportError: if libmypaint is missing, with the command that installs
        it; or if the native step is asked for and was not built.
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
          'the native painting step is not built; run `pip install -e .` where'
          " a C compiler is, or use backend='auto'"
      )
    brush = library.read_brush(settings.brush, settings.brushes_path)
    settings, brush, steps, seconds = enlargement.enlarge(
        settings, brush, settings.canvas_size if size is None else size
    )
    self._settings = settings
    self._count = count
    self._strokes = strokes_lib.StrokeMaker(settings, count, steps)
    shape = (count, settings.canvas_size, settings.channels)
    is_white = settings.background == 'white'
    self._is_closed = False
    self._is_started = False
    self._canvases: Canvases
    if backend != 'ctypes' and native.is_built():
      self._canvases = native.NativeCanvases(
          brush, *shape, is_white, seconds, num_threads
      )
    else:
      self._canvases = portable.PortableCanvases(
          brush, *shape, is_white, seconds
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
      ValueError: if libmypaint does not take the brush.
    """
    if self._is_closed:
      raise RuntimeError('the renderer is closed; make another one')
    self._is_started = True
    self._strokes.reset()
    return self._canvases.reset(self._strokes.initial_log_radius)

  def step(self, command: Mapping[str, np.ndarray]) -> np.ndarray:
    """Draws one command, int `[N]` a part; returns as `reset` does.

    Raises:
      RuntimeError: if no `reset` came first, or the renderer is closed.
    """
    if self._is_closed or not self._is_started:
      raise RuntimeError(
          'the renderer is closed; make another one'
          if self._is_closed
          else 'step before reset; call reset first'
      )
    return self._canvases.draw(self._strokes.make(command))

  def close(self) -> None:
    """Frees the canvases; the renderer is of no use afterwards."""
    self._is_closed = True
    self._canvases.close()
