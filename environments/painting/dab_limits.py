"""Limits to the dabs of a brush, which may come from outside.

libmypaint draws as many dabs as a brush asks for, wherever it puts them. Both
backends draw none that lies absurdly far away or is absurdly large, and stop a
brush that asks for more than `max_work` in one command. MyPaint's own brushes
keep to all of it. The limits depend on nothing but dabs, so that a program is
refused everywhere or nowhere. csrc/surface.c has the same numbers.
"""

LARGEST_RADIUS = 1 << 14  # Pixels.
FARTHEST = 1 << 20  # Pixels from the top left corner.
LARGEST_RATIO = LARGEST_ANGLE = 1e6
SMALLEST_HARDNESS = 1e-30
DAB_WORK = 8192.0  # Cost of a dab of no pixels, in pixels.

EXHAUSTED = (
    'the brush asks for more dabs in one command than can be drawn in'
    ' reasonable time; lower its dabs_per_actual_radius, dabs_per_basic_radius'
    ' or dabs_per_second, or use another brush'
)


def max_work(size: int) -> float:
  """Returns the largest cost of one command on a canvas, in pixels.

  On a canvas of 64 pixels it is drawn in half a second, and is five times
  what the most laborious of MyPaint's 373 brushes took there for a stroke from
  corner to corner; on larger ones it grows with their area, as strokes do.

  Args:
    size: height and width of the canvas, in pixels.
  """
  return 5e8 + 4096.0 * size * size


def covered(center: float, radius: float, size: int) -> float:
  """Returns the length of canvas that a dab covers in one direction, pixels."""
  return max(min(center + radius, size) - max(center - radius, 0.0), 0.0)
