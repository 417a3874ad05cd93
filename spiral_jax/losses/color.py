"""Distance between the color distributions of images: pure functions.

Axes: H height, W width, C channels. The positions of colors do not
matter. Images are uint8 from 0 to 255, or floats in [0, 1], or one of each.
"""

import chex
import jax.numpy as jnp

from spiral_jax.losses import images as images_lib


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
