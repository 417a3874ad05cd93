"""Dabs on a canvas: what they cover, and how they are blended.

Both are libmypaint's: a dab's opacity falls with the squared distance from its
center, small ones are antialiased, and each dab is rounded to fifteen bits.

Axes: D dabs, H height, W width, C channels.
"""

import math

import jax
import jax.numpy as jnp
import numpy as np

from spiral_jax.renderers import dabs as dabs_lib

_SMALLEST = 0.1  # No dab has a radius below, pixels.
_SMALL = 3.0  # Dabs below this radius are antialiased, pixels.
# Radius of a circle of the area of a pixel.
_UNIT_RADIUS = math.sqrt(1 / math.pi)
_TINY = 1e-9

_BITS = 15
ONE = 1 << _BITS  # 1.0 in libmypaint's fixed point.


def to_fixed(value: jax.Array) -> jax.Array:
  """Returns what is in [0, 1] in fixed point, int32."""
  return (value * ONE).astype(jnp.int32)


def lay(
    canvas: jax.Array,
    dabs: dabs_lib.Dabs,
    count: jax.Array,
    color: jax.Array,
    window: int,
) -> jax.Array:
  """Returns a canvas with dabs on it.

  Args:
    canvas: int32 `[H, W, C]`, from 0 to `ONE`; H = W.
    dabs: dabs of a stroke, in order, `[D]`; D is a multiple of `dabs.CHUNK`.
    count: int `[]`, number of the dabs.
    color: int32 `[C]`, from 0 to `ONE`.
    window: `dabs.Bounds.window` of the brush.
  """
  size, _, channels = canvas.shape

  def lay_some(index: jax.Array, canvas: jax.Array) -> jax.Array:
    some = jax.tree.map(
        lambda x: jax.lax.dynamic_slice(
            x, (index * dabs_lib.CHUNK,), (dabs_lib.CHUNK,)
        ),
        dabs,
    )
    is_dab = index * dabs_lib.CHUNK + np.arange(dabs_lib.CHUNK) < count

    def corner(center: jax.Array) -> jax.Array:
      least = jnp.where(is_dab, center - some.radius, jnp.inf).min() - 1.0
      return jnp.clip(jnp.floor(least), 0, size - window).astype(jnp.int32)

    y, x = corner(some.y), corner(some.x)
    cover = _cover(some._replace(x=some.x - x, y=some.y - y), window)
    cover = jnp.where(is_dab[:, None, None], cover, 0)[..., None]
    # Or XLA computes all of it anew for each dab.
    cover = jax.lax.optimization_barrier(cover)
    there = jax.lax.dynamic_slice(canvas, (y, x, 0), (window, window, channels))
    for dab in range(dabs_lib.CHUNK):  # Each is rounded.
      there = _times(cover[dab], color, (ONE - cover[dab]) * there)
    return jax.lax.dynamic_update_slice(canvas, there, (y, x, 0))

  chunks = (count + dabs_lib.CHUNK - 1) // dabs_lib.CHUNK
  return jax.lax.fori_loop(0, chunks, lay_some, canvas)


def _times(a: jax.Array, b: jax.Array, plus: jax.Array | int = 0) -> jax.Array:
  """Returns a * b + plus in fixed point, rounded down as libmypaint does."""
  return (a * b + plus) >> _BITS


def _cover(dabs: dabs_lib.Dabs, size: int) -> jax.Array:
  """Returns what dabs `[D]` cover of pixels, int32 `[D, size, size]`."""
  x, y, radius, hardness, opacity, ratio, angle = (
      values[:, None, None] for values in dabs
  )
  turn = jnp.deg2rad(angle)
  sine, cosine = jnp.sin(turn), jnp.cos(turn)
  pixel_y, pixel_x = np.mgrid[:size, :size].astype(np.float32)
  scale = 1.0 / jnp.maximum(radius * radius, _TINY)

  def squared(dx: jax.Array, dy: jax.Array) -> jax.Array:
    """Returns squared distances from the center, as shares of the radius."""
    across = (dy * cosine - dx * sine) * ratio
    along = dy * sine + dx * cosine
    return (across * across + along * along) * scale

  # A pixel as the dab's center sees it, with axes reversed.
  right, bottom = x - pixel_x, y - pixel_y
  left, top = right - 1.0, bottom - 1.0
  middle_x, middle_y = right - 0.5, bottom - 0.5
  middle = squared(middle_x, middle_y)

  # Of small dabs: between the nearest and the farthest point of the pixel.
  along = middle_x * cosine + middle_y * sine
  holds_center = (left < 0) & (right > 0) & (top < 0) & (bottom > 0)
  near_x = jnp.where(holds_center, 0.0, jnp.clip(cosine * along, left, right))
  near_y = jnp.where(holds_center, 0.0, jnp.clip(sine * along, top, bottom))
  near = squared(near_x, near_y)
  side = (middle_x - cosine) * sine - cosine * (middle_y + sine)
  away = jnp.where(side < 0, -_UNIT_RADIUS, _UNIT_RADIUS)
  far = squared(near_x + away * sine, near_y - away * cosine)
  solid = jnp.maximum(radius - 1.0, 0.0)
  visible = (1.0 - near) / (1.0 + far - near)
  antialiased = jnp.where(
      far < solid * solid / ratio * scale, (far + near) / 2.0, 1.0 - visible
  )
  antialiased = jnp.where(near > 1.0, near, antialiased)

  share = jnp.where(radius < _SMALL, antialiased, middle)
  inner = 1.0 - share * (1.0 / jnp.maximum(hardness, _TINY) - 1.0)
  outer = hardness / jnp.maximum(1.0 - hardness, _TINY) * (1.0 - share)
  mask = jnp.where(share <= hardness, inner, outer)
  is_drawn = (share <= 1.0) & (radius >= _SMALLEST) & (hardness > 0)
  return _times(to_fixed(jnp.where(is_drawn, mask, 0.0)), to_fixed(opacity))
