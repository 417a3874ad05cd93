"""The same rectangles in JAX, for training on the device."""

from collections.abc import Mapping

import jax
import jax.numpy as jnp

from environments import core
from spiral_jax import renderers
from tests.own_renderer import rectangles


def make(settings: rectangles.Settings) -> renderers.Renderer:
  """Returns a renderer of rectangles, as pure functions."""
  size = settings.canvas_size
  scale = size // 8

  def init(batch: int) -> tuple[jax.Array, jax.Array]:
    canvas = jnp.full((batch, size, size, 1), 255, jnp.uint8)
    return canvas, canvas

  def step(
      canvas: jax.Array, command: Mapping[str, jax.Array]
  ) -> tuple[jax.Array, jax.Array]:
    first = scale * jnp.stack(jnp.divmod(command['corner'], 8))  # [2, B]
    end = first + scale * (command['side'] + 1)
    place = jnp.arange(size)[:, None, None]
    rows, columns = jnp.moveaxis((first <= place) & (place < end), 0, -1)
    inside = rows[:, :, None] & columns[:, None, :]
    canvas = jnp.where(inside[..., None], jnp.uint8(80), canvas)
    return canvas, canvas

  return renderers.Renderer(init, step)


TASK = core.Task(
    __name__,
    rectangles.Settings,
    rectangles.Rectangles,
    device_renderer=lambda settings: (f'{__name__}:make',),
)
