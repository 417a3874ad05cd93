"""Colors of images and of strokes: pure functions.

Axes: T time (strokes), B batch, H height, W width, C channels, M pixels. Images
are uint8 from 0 to 255, or floats in [0, 1], or one of each.
"""

import chex
import jax
import jax.numpy as jnp

from spiral_jax.losses import images as images_lib

# Squared distance of colors from which on a stroke tells its cover.
_TELLING = 0.01
# Pixels, for which a stroke's own color counts.
_RIDGE = 1.0


def earth_movers_distance(
    canvas: chex.Array, target: chex.Array, *, bins: int = 32
) -> chex.Array:
  """Returns the earth mover's distance between color histograms, `[...]`.

  The penalty of section 4.5 of Ganin et al. (arXiv:1804.01118). On a line, the
  distance is exactly the l1 distance of the cumulative histograms. It is
  averaged over channels, each of which has its own histogram. Bins are evenly
  spaced from 0 to 1, so that black and white are 1 apart. With 256 bins, no two
  values of uint8 images share a bin.

  Args:
    canvas: images `[..., H, W, C]`.
    target: images to match, with the same C; H and W may differ. Leading axes
      are those of `canvas`, but for some that one of the two may lack.
    bins: number of bins of each channel's histogram, 2 to 256.

  Raises:
    AssertionError: when traced, if `bins` is out of its range or the shapes
      differ otherwise.
    ValueError: as `images.to_float`.
  """
  chex.assert_scalar_in(bins, 2, 256)
  images_lib.assert_paired(canvas, target, any_size=True)
  shares = [jnp.cumsum(histograms(x, bins), axis=-1) for x in (canvas, target)]
  # Neighboring bins are 1 / (bins - 1) apart, so the mean over all but the last
  # bin, whose cumulative share is always 1, is the sum times that distance.
  distance = jnp.abs(shares[0] - shares[1])[..., :-1]
  return jnp.mean(distance, axis=(-2, -1))


def histograms(images: chex.Array, bins: int) -> chex.Array:
  """Returns the share of pixels in each bin, float `[..., C, bins]`.

  Args:
    images: `[..., H, W, C]`.
    bins: number of bins of equal width; 1.0 falls in the last.

  Raises:
    ValueError: as `images.to_float`.
  """
  images = images_lib.to_float(images)
  *lead, height, width, channels = images.shape
  index = jnp.floor(jnp.nan_to_num(images) * bins).astype(jnp.int32)
  index = jnp.clip(index, 0, bins - 1)
  index = index.reshape(-1, height * width, channels)
  count = index.shape[0]
  # One row of counters per image and channel, filled by a scatter: on a CPU,
  # comparing with each bin edge in turn takes ten times as long.
  row = jnp.arange(count)[:, None, None] * channels + jnp.arange(channels)
  # Not a number where the image is none.
  weight = (1.0 + 0.0 * images).astype(jnp.float32).reshape(index.shape)
  totals = (
      jnp.zeros(count * channels * bins, jnp.float32)
      .at[row * bins + index]
      .add(weight)
  )
  return totals.reshape(*lead, channels, bins) / (height * width)


def best_stroke_colors(
    canvas: chex.Array, colors: chex.Array, target: chex.Array
) -> tuple[chex.Array, chex.Array]:
  """Returns the colors in which strokes come nearest to a target, or nearly so.

  All at once, in l2: a linear least-squares problem, since a stroke of cover a
  makes (1 - a) x + a c of what is below, x; its solution is cut to [0, 1].
  Covers are found from the canvases. Where a stroke has the color of what is
  below, it counts as no cover.

  Args:
    canvas: images before, between and after T strokes, `[T + 1, B, H, W, C]`.
    colors: colors of the strokes, in [0, 1], `[T, B, C]`.
    target: images `[B, H, W, C]`.

  Returns:
    Colors in [0, 1], `[T, B, C]`, and of which strokes anything is seen in the
    end, bool `[T, B]`: the squares of what is seen must add up to a pixel.

  Raises:
    AssertionError: when traced, if shapes do not fit.
    ValueError: as `images.to_float`.
  """
  canvas = images_lib.to_float(canvas, 'canvases')
  target = images_lib.to_float(target, 'targets')
  chex.assert_shape(colors, (len(canvas) - 1, *target.shape[:1], None))
  chex.assert_shape(canvas[0], target.shape)
  before, after = canvas[:-1], canvas[1:]
  way = colors[:, :, jnp.newaxis, jnp.newaxis] - before
  square = jnp.sum(way**2, axis=-1)
  cover = jnp.sum((after - before) * way, axis=-1)
  cover = (cover / jnp.maximum(square, _TELLING)).clip(0, 1)
  cover = jnp.where(square > _TELLING, cover, 0.0)
  cover = cover.reshape(*cover.shape[:2], -1)  # [T, B, M]
  left = jnp.cumprod((1 - cover)[::-1], axis=0)[::-1]
  seen = cover * jnp.concatenate([left[1:], jnp.ones_like(left[:1])])
  paper = left[0][..., jnp.newaxis] * canvas[0].reshape(
      *left.shape[1:], canvas.shape[-1]
  )
  wanted = target.reshape(paper.shape) - paper
  products = jnp.einsum('tbm,sbm->bts', seen, seen)
  ridge = _RIDGE * jnp.eye(len(seen), dtype=products.dtype)
  sums = jnp.einsum('tbm,bmc->btc', seen, wanted)
  sums += _RIDGE * jnp.moveaxis(colors, 0, 1)
  best = jnp.linalg.solve(products + ridge, sums)
  is_seen = jnp.einsum('tbm,tbm->tb', seen, seen) > _RIDGE
  return jax.lax.stop_gradient(jnp.moveaxis(best.clip(0, 1), 1, 0)), is_seen
