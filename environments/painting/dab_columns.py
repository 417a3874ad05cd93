"""Columns of recorded dabs, float32 `[D, 13]`: what libmypaint asks for."""

X, Y, RADIUS = 0, 1, 2  # Pixels.
RED, GREEN, BLUE = 3, 4, 5
OPACITY, HARDNESS = 6, 7
ALPHA = 8  # Below 1 where a brush erases.
RATIO = 9  # Of the long axis to the short one.
ANGLE = 10  # Of the long axis, degrees.
LOCK_ALPHA, COLORIZE = 11, 12  # Shares of other ways to blend.
COUNT = 13
