"""Drawings in lines: told from photographs, on white paper, in black ink.

Whether a picture is a drawing can only be guessed. Paper is what the border of
a picture shows, as far as light that changes slowly makes it brighter or darker
elsewhere; ink is all else.

Axes: H height, W width, C channels. Images are uint8 in color.
"""

from typing import NamedTuple

import numpy as np
from PIL import Image

_GLANCE = 64  # Height and width of what paper is recognized by, pixels.
_RING = 6  # Width of the border, pixels of a glance.
# Paper differs from its own smooth surface by less than this, in shades; the
# surface is fitted to what differs by less and less.
_EVEN = 24
_TOLERANCES = (96, 48, _EVEN, _EVEN)
# A drawing in lines has at least this share of paper.
_PAPER = 0.62
# Photographs on paper: a share of their ink is thicker than lines, and varies
# there, both from one pixel to the next (in shades) and as a whole (its median
# deviation, as a share of its contrast). Digits have .08 at most, portraits
# that are cut out .1 at least.
_CORE = 5  # Height and width that fit into thick parts, pixels of a glance.
_THICK, _TEXTURE, _VARIETY = 0.2, 5.0, 0.085
# Ink differs from paper by more than noise.
_NOISE = 16
# Share of a picture that is ink at least, more than dirt; and share of the ink
# that becomes black.
_LEAST_INK, _BLACK = 0.0005, 0.1
# Difference of the channels of full ink that makes it colored; blue ballpoints
# have about 105.
_COLORED, _COLORED_SHARE = 120, 0.25
# Shadows are no darker than this share of the paper around them, and wider than
# this share of the picture.
_SHADOW, _SHADOW_WIDTH = 0.5, 0.35
_GLARE = 32  # Shades that a board reflects however dark it is.


class Look(NamedTuple):
  """Guesses about a picture."""

  is_drawing: bool  # A drawing in lines, no photograph.
  is_light: bool  # A drawing whose ink is lighter than its paper.
  is_colored: bool  # A drawing in colored ink.


def look(image: np.ndarray) -> Look:
  """Returns guesses about a picture.

  Args:
    image: uint8 `[H, W, 3]`.
  """
  glance = _shrunk(image, _GLANCE)
  surface = _surface(glance)
  is_paper = np.abs(glance - surface).max(-1) < _EVEN
  if is_paper.mean() <= _PAPER or _is_photograph(glance, surface, ~is_paper):
    return Look(False, False, False)
  difference = image - _enlarged(surface, image.shape[:2])
  shade = difference @ np.array([0.299, 0.587, 0.114], np.float32)
  noise = _noise(shade)
  dark, light = shade < -noise, shade > noise
  is_light = bool(shade[light].sum() > -shade[dark].sum())
  ink = np.abs(difference).max(-1) > noise
  is_colored = False
  if ink.any():
    paper = image[ink] - difference[ink]
    share = (_saturation(paper, difference[ink]) > _COLORED).mean()
    is_colored = bool(share > _COLORED_SHARE)
  return Look(True, is_light, is_colored)


def in_ink(
    image: np.ndarray, stroke: float, *, is_light: bool = False
) -> np.ndarray:
  """Returns a drawing with white paper, black ink and no thinner strokes.

  Args:
    image: ink on lighter paper, uint8 `[H, W, C]`.
    stroke: least width of strokes, pixels of the image.
    is_light: whether the paper is darker than the ink.

  Returns:
    uint8 `[H, W, C]`; if there is no ink, the image itself or its negative.
  """
  if is_light:
    paper = 255 - _paper(255 - image)
    light = (paper + _GLARE) / (np.median(paper) + _GLARE)
    flat = 255 - (image - paper) / light
  else:
    flat = np.float32(255) * image / _paper(image)
  shade = flat.mean(-1)
  paper = np.median(shade)
  noise = _noise(shade - paper)
  is_ink = shade < paper - noise
  if is_ink.mean() < _LEAST_INK:
    return 255 - image if is_light else image
  ink = np.quantile(shade[is_ink], _BLACK)
  # Of noisy paper, all but the darkest grains are white.
  paper -= min((noise - _NOISE / 2) / 2, (paper - ink) / 4)
  shades = ((flat - ink) / (paper - ink)).clip(0, 1)
  result = np.rint(255 * shades).astype(np.uint8)
  return _thickened(result, stroke)


def _shrunk(image: np.ndarray, size: int) -> np.ndarray:
  """Returns an image `[H, W, C]` as float32 `[size, size, C]`, by averages."""
  channels = [
      Image.fromarray(channel.astype(np.float32)).resize(
          (size, size), Image.Resampling.BOX
      )
      for channel in np.moveaxis(image, -1, 0)
  ]
  return np.stack([np.asarray(channel) for channel in channels], -1)


def _enlarged(image: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
  """Returns a smooth image of floats `[h, w, C]` as `[*shape, C]`."""
  height, width = shape
  channels = [
      Image.fromarray(channel.astype(np.float32)).resize(
          (width, height), Image.Resampling.BILINEAR
      )
      for channel in np.moveaxis(image, -1, 0)
  ]
  return np.stack([np.asarray(channel) for channel in channels], -1)


def _surface(glance: np.ndarray) -> np.ndarray:
  """Returns what paper alone would look like, float32 of the same shape.

  A quadratic surface is fitted to the border, then to all that is close to it.

  Args:
    glance: picture, float32 `[S, S, C]`.
  """
  size = len(glance)
  x, y = np.meshgrid(*2 * [np.linspace(-1, 1, size)])
  basis = np.stack([np.ones_like(x), x, y, x * x, x * y, y * y], -1)
  ring = np.ones((size, size), bool)
  ring[_RING:-_RING, _RING:-_RING] = False
  surface = np.broadcast_to(np.median(glance[ring], axis=0), glance.shape)
  for i, tolerance in enumerate(_TOLERANCES):
    is_close = np.abs(glance - surface).max(-1) < tolerance
    if not i:
      is_close &= ring
    if is_close.sum() < size:  # Too few to say anything.
      break
    weights, *_ = np.linalg.lstsq(basis[is_close], glance[is_close], rcond=None)
    surface = (basis @ weights).clip(0, 255)
  return surface.astype(np.float32)


def _is_photograph(
    glance: np.ndarray, surface: np.ndarray, ink: np.ndarray
) -> bool:
  """Returns whether what is on paper has thick parts with texture.

  Args:
    glance: picture, float32 `[S, S, 3]`.
    surface: its paper, float32 `[S, S, 3]`.
    ink: mask of what is not paper, bool `[S, S]`.
  """
  core = _least(ink, _CORE // 2)
  if core.sum() <= _THICK * ink.sum() or not core.any():
    return False
  texture = np.zeros(ink.shape)
  texture[:, 1:] += np.abs(np.diff(glance, axis=1)).max(-1)
  texture[1:] += np.abs(np.diff(glance, axis=0)).max(-1)
  middle = np.median(glance[core], axis=0)
  contrast = np.abs(middle - np.median(surface[core], axis=0)).max()
  variety = np.median(np.abs(glance[core] - middle).max(-1))
  return bool(
      np.median(texture[core]) > _TEXTURE and variety > _VARIETY * contrast
  )


def _noise(shade: np.ndarray) -> float:
  """Returns the distance from paper below which shades may be noise.

  Args:
    shade: shades `[H, W]` above those of paper.
  """
  near = np.abs(shade)[np.abs(shade) < _EVEN]
  deviation = 1.48 * float(np.median(near)) if near.size else 0.0
  return max(_NOISE, 4 * deviation)


def _saturation(paper: np.ndarray, difference: np.ndarray) -> np.ndarray:
  """Returns the difference of the channels of full ink, `[n]`, in shades.

  Thin lines show ink mixed with paper; full ink is where a line through both
  meets black or white in some channel.

  Args:
    paper: color of the paper below, `[n, 3]`.
    difference: what the ink adds to it, `[n, 3]`.
  """
  is_dark = difference.mean(-1, keepdims=True) < 0
  room = np.where(is_dark, paper, 255 - paper)
  toward = np.where(is_dark, -difference, difference)
  scale = (room / np.maximum(toward, 1e-3)).min(-1, keepdims=True)
  full = paper + difference * np.maximum(scale, 1)
  return np.ptp(full, axis=-1)


def _paper(image: np.ndarray) -> np.ndarray:
  """Returns what the paper of a drawing in dark ink looks like, `[H, W, C]`.

  Other than `look`, it finds shadows that have an edge.

  Args:
    image: uint8 `[H, W, C]`.
  """
  glance = _shrunk(image, _GLANCE)
  surface = _surface(glance)
  closing = np.stack([_closed(c) for c in np.moveaxis(glance, -1, 0)], -1)
  is_shadow = (closing > _SHADOW * surface).all(-1, keepdims=True)
  paper = np.where(is_shadow, closing, surface)
  return _enlarged(paper, image.shape[:2]).clip(1)


def _closed(glance: np.ndarray) -> np.ndarray:
  """Returns `[S, S]` without what is darker and narrower than a shadow."""
  margin = int(_SHADOW_WIDTH * _GLANCE) // 2
  # Light that fades toward the border fades on beyond it.
  wide = np.pad(glance, 2 * margin, 'reflect', reflect_type='odd')
  wide = np.rint(wide.clip(0, glance.max())).astype(np.uint8)
  wide = _least(255 - _least(255 - wide, margin), margin)
  return wide[2 * margin : -2 * margin, 2 * margin : -2 * margin]


def _thickened(image: np.ndarray, stroke: float) -> np.ndarray:
  """Returns black on white `[H, W, C]` with strokes of some width at least."""
  ink = image.mean(-1) < 128
  edges = (ink[1:] != ink[:-1]).sum() + (ink[:, 1:] != ink[:, :-1]).sum()
  if not edges:
    return image
  # A line of any direction crosses 2 edges in a row, or a column, or both.
  width = 2.5 * ink.sum() / edges
  missing = round((stroke - width) / 2)
  if missing < 1:
    return image
  return np.stack(
      [_least(channel, missing) for channel in np.moveaxis(image, -1, 0)], -1
  )


def _least(image: np.ndarray, radius: int) -> np.ndarray:
  """Returns the least of all that is near, of the shape of the image.

  Args:
    image: uint8 or bool `[H, W]`.
    radius: distance to the sides of a square around each pixel, pixels.
  """
  for _ in range(2):  # Along columns, then along rows.
    size = len(image)
    wide = np.pad(image, ((radius, radius), (0, 0)), 'edge')
    reach = 1  # Each row of `wide` is the least of so many.
    while reach < 2 * radius + 1:
      step = min(reach, 2 * radius + 1 - reach)
      wide = np.minimum(wide[:-step], wide[step:])
      reach += step
    image = wide[:size].T
  return image
