"""Rewards of commands from scores of canvases: pure functions of arrays.

Axes: T time (commands), B batch, H height, W width, C channels. `scores[t]`
belongs to the canvas before command t, `scores[T]` to the final canvas. Images
are uint8 from 0 to 255, or floats in [0, 1], or one of each.
"""

from typing import NamedTuple

import chex
import jax.numpy as jnp
import numpy as np

from spiral_jax.losses import images


def final_rewards(final_score: chex.Array, is_last: chex.Array) -> chex.Array:
  """Returns the final score at the last command of an episode, 0 elsewhere.

  Eq. 4 of Ganin et al. (arXiv:1804.01118).

  Args:
    final_score: score of the final canvas, `[B]`.
    is_last: bool `[T, B]`, true at the last command.

  Returns:
    Rewards `[T, B]`, in score units.

  Raises:
    AssertionError: when traced, if the arguments differ in B.
  """
  chex.assert_shape(final_score, (is_last.shape[1],))
  return jnp.where(is_last, final_score, 0.0)


def difference_rewards(scores: chex.Array) -> chex.Array:
  """Returns the change of the score by each command.

  Temporal credit assignment of Mellor et al. (arXiv:1910.01007): over an
  episode, the rewards add up to the final score minus the blank page's.

  Args:
    scores: scores of the canvases `[T + 1, B]`.

  Returns:
    Rewards `[T, B]`, in score units.
  """
  return scores[1:] - scores[:-1]


def negative_l2(canvas: chex.Array, target: chex.Array) -> chex.Array:
  """Returns minus the mean squared error per pixel, a score `[...]`.

  Args:
    canvas: images `[..., H, W, C]`.
    target: images to match, of the same shape but for leading axes that one of
      the two may lack.

  Raises:
    AssertionError: when traced, if the shapes differ otherwise.
    ValueError: as `images.to_float`.
  """
  images.assert_paired(canvas, target)
  canvas = images.to_float(canvas, 'canvases')
  target = images.to_float(target, 'targets')
  return -jnp.mean((canvas - target) ** 2, axis=(-3, -2, -1))


def negative_multiscale_l2(
    canvas: chex.Array, target: chex.Array, *, scales: int = 3
) -> chex.Array:
  """Returns minus the mean squared errors at several resolutions, `[...]`.

  At a lower resolution a thin line that misses its target by a few pixels is
  nearer to it than no line. Per pixel it is further away.

  Args:
    canvas: images `[..., H, W, C]`.
    target: images to match, as for `negative_l2`, which says what raises.
    scales: number of resolutions, whose errors are added: the images' own, and
      those of means over squares of 2, 4, ... pixels a side.
  """
  images.assert_paired(canvas, target)
  canvas = images.to_float(canvas, 'canvases')
  target = images.to_float(target, 'targets')
  difference = canvas - target
  score = -jnp.mean(difference**2, axis=(-3, -2, -1))
  for _ in range(scales - 1):
    difference = _halve(difference)
    score -= jnp.mean(difference**2, axis=(-3, -2, -1))
  return score


def _halve(image: chex.Array) -> chex.Array:
  """Returns means over squares of 2 pixels a side, `[..., H / 2, W / 2, C]`.

  Where a side is odd, what is left over is repeated.
  """
  *lead, height, width, channels = image.shape
  rest = [(0, 0)] * len(lead) + [(0, height % 2), (0, width % 2), (0, 0)]
  even = jnp.pad(image, rest, mode='edge')
  squares = even.reshape(
      *lead, even.shape[-3] // 2, 2, even.shape[-2] // 2, 2, channels
  )
  return jnp.mean(squares, axis=(-4, -2))


def negative_euclidean(canvas: chex.Array, target: chex.Array) -> chex.Array:
  """Returns minus the Euclidean distance, a score `[...]`.

  The optimal discriminator of a single target: appendix A of Ganin et al.

  Args:
    canvas: float images `[..., H, W, C]` in [0, 1].
    target: images to match, broadcast against `canvas`.
  """
  return -jnp.sqrt(jnp.sum((canvas - target) ** 2, axis=(-3, -2, -1)))


def negative_log_l2(
    canvas: chex.Array, target: chex.Array, *, minimum: float = 1e-4
) -> chex.Array:
  """Returns minus the logarithm of the mean squared error, a score `[...]`.

  For small changes, a command adds the share of the error that it removes. So
  the last touches of a picture count as much as the first broad strokes.

  Args:
    canvas: images `[..., H, W, C]`.
    target: images to match, as for `negative_l2`, which says what raises.
    minimum: constant added to the error to bound the score. The default is the
      error of a picture that is off by 0.01 everywhere.
  """
  return -jnp.log(minimum - negative_l2(canvas, target))


def start_penalties(has_value: chex.Array, had_value: chex.Array) -> chex.Array:
  """Returns -1 where `has_value` turns from false to true, 0 elsewhere.

  For painting, these are the starts of continuous sequences of strokes: section
  4.3 of Ganin et al. encourages a single continuous motion.

  Args:
    has_value: bool `[T, B]`, for example true where a command paints.
    had_value: bool `[B]`, the same for the command before the first one.

  Returns:
    Penalties `[T, B]`, no unit.
  """
  before = jnp.concatenate([had_value[None], has_value[:-1]])
  return -(has_value & ~before).astype(jnp.float32)


def blank_page_penalties(
    canvas: chex.Array,
    background: chex.Array | int | float,
    is_last: chex.Array,
) -> chex.Array:
  """Returns -1 where an episode ends without a visible stroke, 0 elsewhere.

  Section 4.3 of Ganin et al.

  Args:
    canvas: final canvases `[B, H, W, C]`.
    background: blank page, `[H, W, C]` or `[C]`; or one value, an int from 0 to
      255 or a float in [0, 1].
    is_last: bool `[T, B]`, true at the last command.

  Returns:
    Penalties `[T, B]`, no unit.

  Raises:
    AssertionError: when traced, if the page is not of the canvases' shape.
    ValueError: as `images.to_float`.
  """
  if isinstance(background, int):
    background = np.uint8(background)
  background = jnp.asarray(background)
  if background.ndim and background.shape not in (
      canvas.shape[1:],
      canvas.shape[3:],
  ):
    raise AssertionError(
        f'the blank page is {list(background.shape)} and canvases are '
        f'{list(canvas.shape)}; give [H, W, C], [C] or one value'
    )
  doubt: chex.Array | float = 0.0  # NaN where a canvas is.
  if not canvas.dtype == background.dtype == jnp.uint8:
    canvas = images.to_float(canvas, 'canvases')
    background = images.to_float(background, 'the blank page')
    doubt = 0.0 * jnp.sum(canvas - background, axis=(-3, -2, -1))
  blank = jnp.all(canvas == background, axis=(-3, -2, -1))
  return doubt - (blank & is_last).astype(jnp.float32)


class RunningDeviation(NamedTuple):
  """Standard deviation of a stream, from exponential moving averages."""

  mean: chex.Array  # `[]`, mean of values.
  square: chex.Array  # `[]`, mean of squares.
  weight: chex.Array  # `[]`, total weight of the observations, at most 1.

  @classmethod
  def init(cls) -> 'RunningDeviation':
    """Returns the statistics before any observation."""
    zero = jnp.zeros((), jnp.float32)
    return cls(zero, zero, zero)

  def update(
      self, values: chex.Array, decay: float = 0.99
  ) -> 'RunningDeviation':
    """Returns the statistics after a batch of `values`, of any shape."""
    keep = 1.0 - decay
    return RunningDeviation(
        mean=decay * self.mean + keep * jnp.mean(values),
        square=decay * self.square + keep * jnp.mean(values**2),
        weight=decay * self.weight + keep,
    )

  def deviation(self, minimum: float = 1e-6) -> chex.Array:
    """Returns the standard deviation `[]`, bias-corrected (as Adam's)."""
    weight = jnp.maximum(self.weight, 1e-8)
    mean = self.mean / weight
    variance = self.square / weight - mean**2
    return jnp.sqrt(jnp.maximum(variance, minimum**2))
