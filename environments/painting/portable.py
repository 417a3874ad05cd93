"""Canvases on libmypaint's own surface, through ctypes: needs no compiler.

Slower than native.py, with the same pixels; for machines on which the extension
was not built.
"""

from collections.abc import Callable
import ctypes
import functools

import numpy as np

from environments.painting import dab_columns
from environments.painting import dab_guard
from environments.painting import library
from environments.painting import settings as settings_lib
from environments.painting import strokes as strokes_lib

# Indices of brush settings, from mypaint-brush-settings-gen.h.
_RADIUS_LOGARITHMIC = 3
_DABS_PER = (6, 7, 8)  # Basic radius, actual radius, second.
_COLOR_H, _COLOR_S, _COLOR_V = 20, 21, 22

_TILE_SIZE = 64  # Pixels; libmypaint's constant.
_ONE = settings_lib.ONE


class _TileRequest(ctypes.Structure):
  """MyPaintTileRequest of mypaint-tiled-surface.h."""

  _fields_ = [
      ('tx', ctypes.c_int),
      ('ty', ctypes.c_int),
      ('readonly', ctypes.c_int),
      ('buffer', ctypes.c_void_p),
      ('context', ctypes.c_void_p),
      ('thread_id', ctypes.c_int),
      ('mipmap_level', ctypes.c_int),
  ]


class _TiledSurface(ctypes.Structure):
  """MyPaintTiledSurface, which libmypaint fills in."""

  _fields_ = [
      ('draw_dab', dab_guard.DrawDab),
      ('get_color', dab_guard.GetColor),
      ('functions', ctypes.c_void_p * 4),
      ('refcount', ctypes.c_int),
      ('tile_request_functions', ctypes.c_void_p * 2),
      ('surface_do_symmetry', ctypes.c_int),
      ('surface_center_x', ctypes.c_float),
      ('operation_queue', ctypes.c_void_p),
      ('dirty_bbox', ctypes.c_int * 4),
      ('threadsafe_tile_requests', ctypes.c_int),
      ('tile_size', ctypes.c_int),
  ]


_TileFunction = ctypes.CFUNCTYPE(
    None, ctypes.c_void_p, ctypes.POINTER(_TileRequest)
)


class PortableCanvases:
  """N canvases, drawn one after another.

  Implements `renderer.Canvases`.
  """

  def __init__(
      self,
      brush: bytes,
      count: int,
      size: int,
      channels: int,
      paper: tuple[int, int, int, int],
      seconds_per_point: float,
      is_trusted: bool = False,
  ):
    """Initializes canvases, which `reset` must clear before the first draw.

    Args:
      brush: JSON text of a libmypaint brush.
      count: number of canvases, N.
      size: height and width, pixels.
      channels: number of channels, 1 or 3.
      paper: red, green, blue and alpha of a clear canvas, from 0 to
        `settings.ONE`.
      seconds_per_point: time between two points of a stroke.
      is_trusted: whether the brush is known to keep to dab_limits.py, so that
        its dabs need not be looked at, which takes up to three times as long.

    Raises:
      ImportError: if libmypaint is missing.
    """
    self._canvases: list[_Canvas] = []
    self._brush = brush
    self._size = size
    self._channels = channels
    self._paper = np.array(paper, np.uint16)
    across = -(-size // _TILE_SIZE)
    self._tiles = np.empty(
        (count, across, across, _TILE_SIZE, _TILE_SIZE, 4), np.uint16
    )
    for tiles in self._tiles:
      self._canvases.append(
          _Canvas(tiles, size, self._paper, seconds_per_point, is_trusted)
      )

  def close(self) -> None:
    """Frees the canvases."""
    for canvas in self._canvases:
      canvas.close()
    self._canvases.clear()

  def reset(self, log_radius: float) -> np.ndarray:
    """Clears all canvases and creates new brushes.

    Args:
      log_radius: natural logarithm of the brushes' radius in pixels.

    Returns:
      Canvases, uint8 `[N, H, W, C]`.

    Raises:
      ValueError: if libmypaint does not accept the brush.
    """
    self._tiles[:] = self._paper
    for canvas in self._canvases:
      canvas.take_new_brush(self._brush)
      canvas.lift_to(0.0, 0.0)
      canvas.set_brush(log_radius, (0.0, 0.0, 0.0))
    return self._read()

  def draw(self, strokes: strokes_lib.Strokes) -> np.ndarray:
    """Draws one command on each canvas; returns them as `reset` does.

    Raises:
      ValueError: if the brush asks for too many dabs, see dab_limits.py.
    """
    for index, canvas in enumerate(self._canvases):
      canvas.start_command()
      points = strokes.points[index].tolist()
      if not strokes.is_paint[index]:
        canvas.lift_to(*points[-1][:2])
        continue
      hsv = None if strokes.hsv is None else strokes.hsv[index].tolist()
      canvas.set_brush(float(strokes.log_radius[index]), hsv)
      # After a jump, also draw to the start point: libmypaint takes the
      # stroke's first pressure from there.
      canvas.draw(points if strokes.is_jump[index] else points[1:])
    return self._read()

  def draw_alone(
      self,
      log_radius: np.ndarray,
      points: np.ndarray,
      num_moves: int = 1,
      keeps_brush: bool = False,
  ) -> np.ndarray:
    """Draws single strokes, see `renderer.Canvases`.

    Brushes are always new.

    Raises:
      ValueError: as `draw`, or as `reset`.
    """
    del keeps_brush
    self._tiles[:] = self._paper
    for canvas, radius, path in zip(self._canvases, log_radius, points):
      canvas.take_new_brush(self._brush)
      canvas.lift_to(0.0, 0.0)
      canvas.start_command()
      for _ in range(num_moves):
        canvas.lift_to(*path[0, :2].tolist())
      canvas.set_brush(float(radius), (0.0, 0.0, 0.0))
      canvas.draw(path.tolist())
    return self._read()[: len(points)]

  def recorded(self, max_dabs: int, draw: Callable[[], object]) -> np.ndarray:
    """Returns dabs, see `renderer.Canvases`; of trusted ones, none."""
    dabs = self._canvases[0].recorded(draw)[:max_dabs]
    return np.array(dabs, np.float32).reshape(len(dabs), dab_columns.COUNT)

  def _read(self) -> np.ndarray:
    """Returns the canvases with alpha divided out, uint8 `[N, H, W, C]`."""
    count, across = self._tiles.shape[:2]
    width = across * _TILE_SIZE
    fixed = self._tiles.swapaxes(2, 3).reshape(count, width, width, 4)
    fixed = fixed[:, : self._size, : self._size].astype(np.uint32)
    alpha = fixed[..., 3:]
    straight = fixed[..., : self._channels] * _ONE + alpha // 2
    straight = np.where(alpha == 0, 0, straight // np.maximum(alpha, 1))
    return ((255 * straight + _ONE // 2) // _ONE).astype(np.uint8)


class _Canvas:
  """A tiled surface of libmypaint and the brush that draws on it."""

  def __init__(
      self,
      tiles: np.ndarray,
      size: int,
      paper: np.ndarray,
      seconds_per_point: float,
      is_trusted: bool,
  ):
    """Initializes a surface on `tiles`, `[T, T, 64, 64, 4]`, uint16."""
    self._seconds = seconds_per_point
    self._brush: int | None = None
    self._surface_pointer: int | None = None
    self._library = _library()
    # libmypaint keeps the addresses of both, so they must stay alive.
    self._surface = _TiledSurface()
    self._tile_functions = _tile_functions(tiles, paper)
    self._surface_pointer = ctypes.addressof(self._surface)
    self._library.mypaint_tiled_surface_init(
        self._surface_pointer, *self._tile_functions
    )
    self._guard = dab_guard.Guard(size, paper)
    if not is_trusted:
      self._guard.attach(self._surface)

  def __del__(self):
    self.close()

  def close(self) -> None:
    if self._brush:
      self._library.mypaint_brush_unref(self._brush)
      self._brush = None
    if self._surface_pointer:
      self._library.mypaint_tiled_surface_destroy(self._surface_pointer)
      self._surface_pointer = None

  def take_new_brush(self, json: bytes) -> None:
    """Replaces the brush: its random generator and lag outlive a reset."""
    if self._brush:
      self._library.mypaint_brush_unref(self._brush)
    self._brush = self._library.mypaint_brush_new()
    if not self._library.mypaint_brush_from_string(self._brush, json):
      raise ValueError('libmypaint does not take the brush: is it a .myb file?')
    # Not a method: the canvas would keep itself alive through it.
    self._guard.start_episode(
        functools.partial(_stop, self._library, self._brush)
    )

  def recorded(self, draw: Callable[[], object]) -> list[tuple[float, ...]]:
    """Returns the arguments of dabs while `draw` is called."""
    return self._guard.recorded(draw)

  def start_command(self) -> None:
    """Allows the brush as much work as one command may cost."""
    self._guard.start_command()

  def lift_to(self, x: float, y: float) -> None:
    self._library.mypaint_brush_reset(self._brush)
    self._library.mypaint_brush_new_stroke(self._brush)
    self.draw([(x, y, 0.0)])

  def set_brush(self, log_radius: float, hsv) -> None:
    set_value = self._library.mypaint_brush_set_base_value
    set_value(self._brush, _RADIUS_LOGARITHMIC, log_radius)
    if hsv is not None:
      for setting, value in zip((_COLOR_H, _COLOR_S, _COLOR_V), hsv):
        set_value(self._brush, setting, value)

  def draw(self, points) -> None:
    """Draws to each point (x, y, pressure) in turn."""
    stroke_to = self._library.mypaint_brush_stroke_to
    brush, surface = self._brush, self._surface_pointer
    self._library.mypaint_surface_begin_atomic(surface)
    for x, y, pressure in points:
      stroke_to(brush, surface, x, y, pressure, 0.0, 0.0, self._seconds)
    self._library.mypaint_surface_end_atomic(surface, None)
    self._guard.check()


def _stop(functions: ctypes.CDLL, brush: int) -> None:
  """Ends libmypaint's loop over dabs, which ends where none is due."""
  for setting in _DABS_PER:
    functions.mypaint_brush_set_base_value(brush, setting, 0.0)


def _tile_functions(tiles: np.ndarray, paper: np.ndarray):
  """Returns the functions that libmypaint calls before and after using a tile.

  They are not methods of the canvas: it would keep itself alive through them.
  """
  across = len(tiles)
  beyond = np.full(tiles.shape[2:], paper, np.uint16)
  beyond_address = beyond.ctypes.data
  addresses = [[tile.ctypes.data for tile in row] for row in tiles]

  @_TileFunction
  def start(unused_surface, request):
    request = request.contents
    if 0 <= request.tx < across and 0 <= request.ty < across:
      request.buffer = addresses[request.ty][request.tx]
    else:
      request.buffer = beyond_address

  @_TileFunction
  def end(unused_surface, request):
    # Erase what was drawn beyond the canvas: brushes that pick up color must
    # find the paper there.
    if request.contents.buffer == beyond_address:
      beyond[:] = paper

  return start, end


@functools.cache
def _library() -> ctypes.CDLL:
  """Loads libmypaint and declares the types of its functions."""
  functions = ctypes.CDLL(library.find_libmypaint())
  pointer, integer, real = ctypes.c_void_p, ctypes.c_int, ctypes.c_float
  for name, restype, argtypes in (
      ('mypaint_brush_new', pointer, []),
      ('mypaint_brush_unref', None, [pointer]),
      ('mypaint_brush_from_string', integer, [pointer, ctypes.c_char_p]),
      ('mypaint_brush_reset', None, [pointer]),
      ('mypaint_brush_new_stroke', None, [pointer]),
      ('mypaint_brush_set_base_value', None, [pointer, integer, real]),
      (
          'mypaint_brush_stroke_to',
          integer,
          [pointer, pointer, real, real, real, real, real, ctypes.c_double],
      ),
      (
          'mypaint_tiled_surface_init',
          None,
          [pointer, _TileFunction, _TileFunction],
      ),
      ('mypaint_tiled_surface_destroy', None, [pointer]),
      ('mypaint_surface_begin_atomic', None, [pointer]),
      ('mypaint_surface_end_atomic', None, [pointer, pointer]),
  ):
    function = getattr(functions, name)
    function.restype = restype
    function.argtypes = argtypes
  return functions
