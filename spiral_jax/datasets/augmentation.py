"""Random changes of images, so that few of them teach like many.

In an hour an agent sees each of 10,000 digits a hundred times, and what it
learns holds for these more than for others.

Axes: B batch, H height, W width, C channels.
"""

from collections.abc import Sequence

import numpy as np
from PIL import Image

KINDS = ('warp', 'mirror', 'colors')

# Largest changes, on both sides of none. Of a warp, in radians:
_TURN = 0.2
# ... as logarithms of factors, of both sides of the picture and of one:
_SCALE, _STRETCH = 0.15, 0.1
# ... as shares of the picture's size:
_SHEAR, _SHIFT, _BEND = 0.2, 0.06, 0.03
# Squares a side whose corners bend on their own.
_SQUARES = 4

# Of colors, as logarithms of factors, of all channels and of each:
_CONTRAST, _TINT = 0.25, 0.08
# ... as a share of white that is added:
_BRIGHTNESS = 0.1


def augment(
    images: np.ndarray,
    rng: np.random.Generator,
    kinds: Sequence[str],
) -> np.ndarray:
  """Returns images, each changed at random in its own way.

  Args:
    images: uint8 `[B, H, W, C]`; not changed.
    rng: random numbers.
    kinds: changes, of `KINDS`: 'warp' turns, scales, shears, shifts and bends,
      as hands differ, and what comes in from outside repeats the edge; 'mirror'
      exchanges left and right of every other image; 'colors' changes contrast,
      tint and brightness.

  Returns:
    uint8 `[B, H, W, C]`.

  Raises:
    ValueError: if a kind is unknown or named twice.
  """
  check(kinds)
  if 'warp' in kinds:
    images = _warp(images, rng)
  if 'mirror' in kinds:
    is_mirrored = rng.random(len(images)) < 0.5
    images = np.where(
        is_mirrored[:, None, None, None], images[:, :, ::-1], images
    )
  if 'colors' in kinds:
    images = _change_colors(images, rng)
  return images


def check(kinds: Sequence[str]) -> None:
  """Raises ValueError, as `augment` does."""
  for kind in kinds:
    if kind not in KINDS:
      raise ValueError(
          f'augment is {",".join(kinds)}, and {kind!r} is none of '
          f'{", ".join(KINDS)}; name some of these, or none'
      )
  if len(set(kinds)) < len(kinds):
    raise ValueError(f'augment is {",".join(kinds)}; name each kind once')


def _warp(images: np.ndarray, rng: np.random.Generator) -> np.ndarray:
  """Returns images whose squares come from elsewhere in them."""
  count, height, width, channels = images.shape
  size = np.array([width, height])
  # Corners of the squares, (x, y), as shares of the size.
  squares = min(_SQUARES, height, width)
  steps = np.linspace(0, 1, squares + 1)
  corners = np.stack(np.meshgrid(steps, steps), axis=-1)
  sources = _sources(corners, count, rng)
  # Nothing comes from further outside than this.
  margin = max(height, width) // 2
  sources = np.clip(sources * size, -margin, size + margin) + margin
  corners = np.rint(corners * size).astype(int)
  boxes = _squares(corners)[..., [0, 2], :].reshape(-1, 4).tolist()
  quads = _squares(sources).reshape(count, -1, 8).tolist()
  outside = ((0, 0), (margin, margin), (margin, margin), (0, 0))
  padded = np.pad(images, outside, 'edge')
  warped = np.empty_like(images)
  for i, mesh in enumerate(quads):
    for channel in range(channels):
      warped[i, :, :, channel] = Image.fromarray(
          padded[i, :, :, channel]
      ).transform(
          (width, height),
          Image.Transform.MESH,
          list(zip(boxes, mesh, strict=True)),
          Image.Resampling.BILINEAR,
      )
  return warped


def _sources(
    corners: np.ndarray, count: int, rng: np.random.Generator
) -> np.ndarray:
  """Returns where `corners` come from, `[count, *corners.shape]`."""

  def uniform(most, *shape):
    return rng.uniform(-most, most, (count, *shape))

  turn, shear = uniform(_TURN), uniform(_SHEAR)
  scale, stretch = uniform(_SCALE), uniform(_STRETCH)
  cosine, sine = np.cos(turn), np.sin(turn)
  one, zero = np.ones(count), np.zeros(count)
  turns = np.array([[cosine, -sine], [sine, cosine]])
  shears = np.array([[one, shear], [zero, one]])
  scales = np.exp([scale + stretch, scale - stretch])
  matrices = np.einsum('ijb,jkb,kb->bik', turns, shears, scales)
  sources = np.einsum('yxk,bik->byxi', corners - 0.5, matrices) + 0.5
  sources += uniform(_SHIFT, 1, 1, 2)
  return sources + uniform(_BEND, *corners.shape)


def _squares(corners: np.ndarray) -> np.ndarray:
  """Returns the four corners of each square of a grid `[..., Y, X, 2]`.

  Returns:
    Upper left, lower left, lower right, upper right: `[..., Y - 1, X - 1, 4,
    2]`.
  """
  up, down = corners[..., :-1, :, :], corners[..., 1:, :, :]
  left, right = slice(None, -1), slice(1, None)
  return np.stack(
      [
          up[..., left, :],
          down[..., left, :],
          down[..., right, :],
          up[..., right, :],
      ],
      axis=-2,
  )


def _change_colors(images: np.ndarray, rng: np.random.Generator) -> np.ndarray:
  """Returns images of another contrast, tint and brightness."""
  count, _, _, channels = images.shape

  def uniform(most, channels):
    return rng.uniform(-most, most, (count, 1, 1, channels))

  changed = images.astype(np.float32) / 255.0 - 0.5
  changed *= np.exp(uniform(_CONTRAST, 1) + uniform(_TINT, channels))
  changed += 0.5 + uniform(_BRIGHTNESS, 1)
  return np.rint(255.0 * changed.clip(0.0, 1.0)).astype(np.uint8)
