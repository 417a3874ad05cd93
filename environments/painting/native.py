"""Canvases painted by the native extension; see csrc/painter.c."""

import ctypes
import functools
import logging
import pathlib

import numpy as np

from environments import shared_library
from environments.painting import dab_limits
from environments.painting import library
from environments.painting import strokes as strokes_lib

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
      is_white: bool,
      seconds_per_point: float,
      num_threads: int = 1,
  ):
    """Initializes canvases, which `reset` must clear before the first draw.

    Args:
      brush: JSON text of a libmypaint brush.
      count: number of canvases, N.
      size: height and width, pixels.
      channels: number of channels, 1 or 3.
      is_white: whether a clear canvas is white; otherwise it is transparent.
      seconds_per_point: time between two points of a stroke.
      num_threads: number of threads that share the canvases.

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
        is_white,
        seconds_per_point,
        dab_limits.max_work(size),
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
      raise ValueError('libmypaint does not take the brush: is it a .myb file?')
    return pixels

  def draw(self, strokes: strokes_lib.Strokes) -> np.ndarray:
    """Draws one command on each canvas; returns them as `reset` does.

    Raises:
      ValueError: if the brush asks for too many dabs, see dab_limits.py.
    """
    pixels = np.empty(self._shape, np.uint8)
    if self._functions.painter_draw(
        self._painter,
        _pointer(strokes.is_paint),
        _pointer(strokes.is_jump),
        _pointer(strokes.log_radius),
        None if strokes.hsv is None else _pointer(strokes.hsv),
        _pointer(strokes.points),
        strokes.points.shape[1],
        self._num_threads,
        _pointer(pixels),
    ):
      raise ValueError(dab_limits.EXHAUSTED)
    return pixels


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
      ('painter_new', 'painter_free', 'painter_reset', 'painter_draw'),
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
      integer,
      ctypes.c_double,
      ctypes.c_double,
      pointer,
  ]
  functions.painter_free.restype = None
  functions.painter_free.argtypes = [pointer]
  functions.painter_reset.restype = integer
  functions.painter_reset.argtypes = [pointer, real, integer, pointer]
  functions.painter_draw.restype = integer
  functions.painter_draw.argtypes = (
      [pointer] * 6 + [integer, integer] + [pointer]
  )
  return functions
