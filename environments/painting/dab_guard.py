"""A guard between brush and surface of libmypaint, and a record of dabs."""

from collections.abc import Callable
import ctypes
import math
from typing import Any

import numpy as np

from environments.painting import dab_limits
from environments.painting import settings as settings_lib

_MARGIN = 2.0  # Pixels around a dab, more than antialiasing reaches.
_ONE = settings_lib.ONE

_pointer, _integer, _real = ctypes.c_void_p, ctypes.c_int, ctypes.c_float
DrawDab = ctypes.CFUNCTYPE(_integer, _pointer, *[_real] * 13)
GetColor = ctypes.CFUNCTYPE(
    None, _pointer, *[_real] * 3, *[ctypes.POINTER(_real)] * 4
)


class Guard:
  """Stands between brush and surface; see dab_limits.py.

  libmypaint asserts some of what is checked here, which would end the process.
  """

  def __init__(self, size: int, paper: np.ndarray):
    """Initializes a guard that must be attached.

    Args:
      size: height and width of the canvas, pixels.
      paper: red, green, blue and alpha of a clear canvas, uint16 `[4]`.
    """
    self._size = size
    self._max_work = dab_limits.max_work(size)
    self._paper = (paper / _ONE).tolist()
    self._work_left = 0.0
    self._stop: Callable[[], None] = lambda: None
    self._fault: BaseException | None = None
    self._record: list[tuple[float, ...]] | None = None

  def recorded(self, draw: Callable[[], object]) -> list[tuple[float, ...]]:
    """Returns the arguments of dabs while `draw` is called."""
    self._record = []
    try:
      draw()
      return self._record
    finally:
      self._record = None

  def attach(self, surface: Any) -> None:
    """Puts the guard in front of the functions that libmypaint gave."""
    # Copies: what a field of a structure gives is a reference to the field.
    self._draw = DrawDab(_address(surface.draw_dab))
    self._get = GetColor(_address(surface.get_color))
    surface.draw_dab = DrawDab(self._draw_dab)
    surface.get_color = GetColor(self._get_color)

  def start_episode(self, stop: Callable[[], None]) -> None:
    """Forgets a fault; `stop` is called where the brush must stop."""
    self._fault = None
    self._stop = stop
    self.start_command()

  def start_command(self) -> None:
    """Allows the brush as much work as one command may cost."""
    self._work_left = self._max_work

  def check(self) -> None:
    """Raises what came up while libmypaint drew."""
    if self._fault is not None:
      raise self._fault

  def _spend(self, pixels: float) -> None:
    self._work_left -= dab_limits.DAB_WORK + pixels
    if self._work_left < 0.0:
      self._end(ValueError(dab_limits.EXHAUSTED))

  def _is_near(self, center: float, radius: float) -> bool:
    return dab_limits.covered(center, radius + _MARGIN, self._size) > 0.0

  def _end(self, fault: BaseException) -> None:
    self._fault = self._fault or fault
    self._stop()

  def _draw_dab(self, surface, x, y, radius, *rest) -> int:
    try:
      red, green, blue, opaque, hardness, alpha, ratio, angle, *modes = rest
      if (
          not _is_placed(x, y, radius)
          or not abs(ratio) <= dab_limits.LARGEST_RATIO
          or not abs(angle) <= dab_limits.LARGEST_ANGLE
          or not hardness >= dab_limits.SMALLEST_HARDNESS
          or any(map(math.isnan, (red, green, blue, opaque, alpha, *modes)))
      ):
        self._spend(0.0)
        return 0
      width = dab_limits.covered(x, radius, self._size)
      height = dab_limits.covered(y, radius, self._size)
      self._spend(width * height)
      if self._record is not None and radius >= 0.1 and opaque * hardness > 0:
        self._record.append((x, y, radius, *rest))
      if modes[1] > 0.0 and _fixed(red) == _fixed(green) == _fixed(blue):
        # libmypaint divides by 0 where it colorizes with an exact gray.
        blue = (_fixed(blue) - 1 if _fixed(blue) else 1) / _ONE
        rest = (red, green, blue, *rest[3:])
      if not self._is_near(x, radius) or not self._is_near(y, radius):
        return 1  # libmypaint would keep an operation for each tile out there.
      return self._draw(surface, x, y, radius, *rest)
    except BaseException as fault:  # Ctrl-C, for one. C knows no exceptions.
      self._end(fault)
      return 0

  def _get_color(self, surface, x, y, radius, *channels) -> None:
    try:
      if _is_placed(x, y, radius):
        self._spend(4.0 * radius * radius)
        self._get(surface, x, y, radius, *channels)
        return
      self._spend(0.0)
    except BaseException as fault:
      self._end(fault)
    for channel, value in zip(channels, self._paper):
      channel[0] = value


def _address(function: Any) -> int:
  return ctypes.cast(function, _pointer).value or 0


def _fixed(value: float) -> int:
  """Returns a color's channel in libmypaint's fixed point."""
  return int(min(max(value, 0.0), 1.0) * _ONE)


def _is_placed(x: float, y: float, radius: float) -> bool:
  return (
      abs(x) <= dab_limits.FARTHEST
      and abs(y) <= dab_limits.FARTHEST
      and radius <= dab_limits.LARGEST_RADIUS
  )
