"""Canvases painted by the native extension; see csrc/painter.c."""

from collections.abc import Callable
import ctypes
import functools
import logging
import pathlib

import numpy as np

from environments import shared_library
from environments.painting import dab_columns
from environments.painting import dab_limits
from environments.painting import library
from environments.painting import strokes as strokes_lib

_EXHAUSTED = -1  # Returned by functions of the extension.
_NOT_TAKEN = 'libmypaint does not take the brush: is it a .myb file?'
_EXTENSION = pathlib.Path(__file__).with_name('_native.so')


@functools.cache
def is_built() -> bool:
  """Returns true if the extension was built, which needs a C compiler.

  One that does not load counts as not built, with one warning.
  """
  if not _EXTENSION.is_file():
    return False
  try:
    _functions()
  except ImportError as error:
    logging.warning('painting step by step in Python, more slowly: %s', error)
    return False
  return True


class NativeCanvases:
  """N canvases; draws a batch of commands in one call, without the GIL.

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
      num_threads: int = 1,
      is_deterministic: bool = False,
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
      num_threads: number of threads that share the canvases.
      is_deterministic: whether the brush draws no random numbers, so that its
        states are all that it remembers.

    Raises:
      ImportError: if libmypaint or the extension is missing or does not load.
    """
    self._shape = (count, size, size, channels)
    self._num_threads = num_threads
    self._painter: int | None = None
    self._functions = _functions()
    error = ctypes.c_char_p()
    self._painter = self._functions.painter_new(
        library.find_libmypaint().encode(),
        brush,
        count,
        size,
        channels,
        (ctypes.c_uint16 * 4)(*paper),
        seconds_per_point,
        dab_limits.max_work(size),
        is_deterministic,
        ctypes.byref(error),
    )
    if not self._painter:
      reason = (error.value or b'').decode()
      raise ImportError(f'the native painting step does not start: {reason}')

  def __del__(self):
    self.close()

  def close(self) -> None:
    """Frees the canvases."""
    if self._painter:
      self._functions.painter_free(self._painter)
      self._painter = None

  def reset(self, log_radius: float) -> np.ndarray:
    """Clears all canvases and creates new brushes.

    Args:
      log_radius: natural logarithm of the brushes' radius in pixels.

    Returns:
      Canvases, uint8 `[N, H, W, C]`.

    Raises:
      ValueError: if libmypaint does not accept the brush.
    """
    pixels = np.empty(self._shape, np.uint8)
    if self._functions.painter_reset(
        self._painter, log_radius, self._num_threads, _pointer(pixels)
    ):
      raise ValueError(_NOT_TAKEN)
    return pixels

  def draw(self, strokes: strokes_lib.Strokes) -> np.ndarray:
    """Draws one command on each canvas; returns them as `reset` does.

    Raises:
      ValueError: if the brush asks for too many dabs, see dab_limits.py.
    """
    pixels = np.empty(self._shape, np.uint8)
    self._draw(strokes, None, _pointer(pixels))
    return pixels

  @property
  def can_copy(self) -> bool:
    """True if canvases can be copied, see `copy`."""
    return bool(self._functions.painter_can_copy(self._painter))

  def copy(
      self, source: np.ndarray, target: np.ndarray, *, clears: bool = False
  ) -> None:
    """Makes canvases copies of others, with all that later commands depend on.

    Args:
      source: int32 `[M]`, canvases to copy, none of which is a target.
      target: int32 `[M]`, different canvases that become copies.
      clears: copies the brushes alone, and clears the targets.
    """
    self._functions.painter_copy(
        self._painter, _pointer(source), _pointer(target), len(source), clears
    )

  def clear(self, which: np.ndarray) -> None:
    """Clears the canvases `which`, int32 `[M]`; brushes stay as they are."""
    self._functions.painter_clear(self._painter, _pointer(which), len(which))

  def draw_on(self, strokes: strokes_lib.Strokes, which: np.ndarray) -> None:
    """Draws one command on each of some canvases.

    Args:
      strokes: strokes of M commands.
      which: int32 `[M]`, different canvases.

    Raises:
      ValueError: as `draw`.
    """
    self._draw(strokes, _pointer(which), None)

  def draw_alone(
      self,
      log_radius: np.ndarray,
      points: np.ndarray,
      num_moves: int = 1,
      keeps_brush: bool = False,
  ) -> np.ndarray:
    """Draws single strokes, see `renderer.Canvases`.

    Raises:
      ValueError: as `draw`, or as `reset`.
    """
    count, num_points, _ = points.shape
    ones = np.ones(count, np.uint8)
    pixels = np.empty((count, *self._shape[1:]), np.uint8)
    failure = self._functions.painter_draw_alone(
        self._painter,
        count,
        num_moves,
        _pointer(ones),
        _pointer(log_radius),
        _pointer(points),
        num_points,
        keeps_brush,
        self._num_threads,
        _pointer(pixels),
    )
    if failure:
      raise ValueError(
          dab_limits.EXHAUSTED if failure == _EXHAUSTED else _NOT_TAKEN
      )
    return pixels

  def recorded(self, max_dabs: int, draw: Callable[[], object]) -> np.ndarray:
    """Returns dabs, see `renderer.Canvases`."""
    dabs = np.empty((max_dabs, dab_columns.COUNT), np.float32)
    record = self._functions.painter_record
    record(self._painter, _pointer(dabs), max_dabs)
    try:
      draw()
    finally:
      count = record(self._painter, None, 0)
    return dabs[:count].copy()

  def read(self, which: np.ndarray) -> np.ndarray:
    """Returns the canvases `which`, int32 `[M]`: uint8 `[M, H, W, C]`."""
    pixels = np.empty((len(which), *self._shape[1:]), np.uint8)
    self._functions.painter_read(
        self._painter,
        len(which),
        _pointer(which),
        self._num_threads,
        _pointer(pixels),
    )
    return pixels

  def _draw(
      self, strokes: strokes_lib.Strokes, which: int | None, pixels: int | None
  ) -> None:
    if self._functions.painter_draw(
        self._painter,
        len(strokes.is_paint),
        which,
        _pointer(strokes.is_paint),
        _pointer(strokes.is_jump),
        _pointer(strokes.log_radius),
        None if strokes.hsv is None else _pointer(strokes.hsv),
        _pointer(strokes.points),
        strokes.points.shape[1],
        self._num_threads,
        pixels,
    ):
      raise ValueError(dab_limits.EXHAUSTED)


def _pointer(array: np.ndarray) -> int:
  return array.ctypes.data


@functools.cache
def _functions() -> ctypes.CDLL:
  """Loads the extension and declares the types of its functions.

  Raises:
    ImportError: if it does not load.
  """
  functions = shared_library.load(
      _EXTENSION,
      (
          'painter_new',
          'painter_free',
          'painter_can_copy',
          'painter_copy',
          'painter_clear',
          'painter_reset',
          'painter_draw',
          'painter_draw_alone',
          'painter_read',
          'painter_record',
      ),
  )
  pointer, integer, real = ctypes.c_void_p, ctypes.c_int, ctypes.c_float
  text = ctypes.c_char_p
  functions.painter_new.restype = pointer
  functions.painter_new.argtypes = [
      text,
      text,
      integer,
      integer,
      integer,
      pointer,
      ctypes.c_double,
      ctypes.c_double,
      integer,
      pointer,
  ]
  functions.painter_free.restype = None
  functions.painter_free.argtypes = [pointer]
  functions.painter_reset.restype = integer
  functions.painter_reset.argtypes = [pointer, real, integer, pointer]
  functions.painter_can_copy.restype = integer
  functions.painter_can_copy.argtypes = [pointer]
  functions.painter_copy.restype = None
  functions.painter_copy.argtypes = [
      pointer,
      pointer,
      pointer,
      integer,
      integer,
  ]
  functions.painter_clear.restype = None
  functions.painter_clear.argtypes = [pointer, pointer, integer]
  functions.painter_draw.restype = integer
  functions.painter_draw.argtypes = [
      pointer,
      integer,
      pointer,
      pointer,
      pointer,
      pointer,
      pointer,
      pointer,
      integer,
      integer,
      pointer,
  ]
  functions.painter_draw_alone.restype = integer
  functions.painter_draw_alone.argtypes = [
      pointer,
      integer,
      integer,
      pointer,
      pointer,
      pointer,
      integer,
      integer,
      integer,
      pointer,
  ]
  functions.painter_record.restype = integer
  functions.painter_record.argtypes = [pointer, pointer, integer]
  functions.painter_read.restype = None
  functions.painter_read.argtypes = [
      pointer,
      integer,
      pointer,
      integer,
      pointer,
  ]
  return functions
