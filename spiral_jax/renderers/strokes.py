"""Strokes of libmypaint's pens and round brushes, in JAX.

The conventions are those of `environments.painting`: quadratic Bezier curves,
drawn in fifty steps of a tenth of a second, from where the command before
ended. Pixels are near to libmypaint's, not equal: the number of dabs hangs on
the last bit of floats, and libmypaint rounds each dab to fifteen bits.

Axes: B batch, E events (points of the hand), H height, W width, C channels.
"""

from collections.abc import Mapping
import math
from typing import Any, NamedTuple, Protocol

import jax
import jax.numpy as jnp
import numpy as np

from spiral_jax.renderers import blend
from spiral_jax.renderers import brush as brush_lib
from spiral_jax.renderers import dabs as dabs_lib
from spiral_jax.renderers import types

_PAINT = 1  # The value of part `flag` that draws.
_STEPS = 50  # Points of a stroke after the first.
_SECONDS = float(np.float32(0.1))  # Between two of them.
# After a jump libmypaint first stays where the stroke begins without pressure,
# for nearly all of the time.
_LANDING = 0.0001
_NUM_PRESSURES, _NUM_SHADES = 10, 20
_PRESSURES = np.linspace(0.1, 1.0, _NUM_PRESSURES, dtype=np.float32)
_SHADES = np.linspace(0.0, 1.0, _NUM_SHADES, dtype=np.float32)
_COLORS = ('red', 'green', 'blue')


class Settings(Protocol):
  """Settings that are read, of `environments.painting.PaintingSettings`."""

  @property
  def brush(self) -> str:
    """Name of the brush, for errors."""

  @property
  def canvas_size(self) -> int:
    """Height and width of the canvas, pixels."""

  @property
  def grid_size(self) -> int:
    """Number of locations in a row and in a column."""

  @property
  def brush_sizes(self) -> tuple[float, ...]:
    """Radii that a command can choose from, pixels."""

  @property
  def color(self) -> bool:
    """True if commands choose red, green and blue."""

  @property
  def background(self) -> str:
    """The paper: 'white' or 'transparent'."""


class StrokeState(NamedTuple):
  """Canvases and the brushes that draw on them."""

  canvas: jax.Array  # int32 `[B, H, W, C]`, from 0 to `blend.ONE`.
  brush: dabs_lib.BrushState  # `[B]` each.
  x: jax.Array  # Of the last command's end, pixels, `[B]`.
  y: jax.Array
  pressure: jax.Array  # Of the last stroke's end, `[B]`.
  was_paint: jax.Array  # bool `[B]`: a stroke came right before.


def make_strokes(settings: Settings, brush: bytes) -> types.Renderer:
  """Returns a renderer of strokes on white paper.

  Args:
    settings: `environments.painting.PaintingSettings`.
    brush: JSON text of the brush, as `environments.painting.library` reads it.

  Raises:
    ValueError: if the brush has a setting that is not drawn here, or the paper
      is not white.
  """
  if settings.background != 'white':
    raise ValueError(
        f'background is {settings.background!r}, which is not drawn in JAX; '
        "choose 'white', or draw with libmypaint (without --on_device)"
    )
  own = brush_lib.read(brush, settings.brush)
  size, grid = settings.canvas_size, settings.grid_size
  channels = 3 if settings.color else 1
  log_radii = np.log(np.array(settings.brush_sizes, np.float64))
  log_radii = log_radii.astype(np.float32)
  # No stroke is longer than both legs of its triangle.
  length = 2 * math.sqrt(2) * size
  bounds = dabs_lib.bounds(
      own,
      settings.brush_sizes,
      length=length,
      seconds=_STEPS * _SECONDS,
      canvas_size=size,
  )

  def locate(cell: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Returns pixel coordinates (x, y); the nearest of what is out of range."""
    y, x = jnp.divmod(jnp.clip(cell, 0, grid**2 - 1), grid)
    return x * np.float32(size / grid), y * np.float32(size / grid)

  def init(batch: int) -> tuple[StrokeState, jax.Array]:
    zero = jnp.zeros(batch, jnp.float32)
    canvas = jnp.full((batch, size, size, channels), blend.ONE, jnp.int32)
    brushes = dabs_lib.lifted(zero, zero)
    nowhere = jnp.zeros(batch, bool)
    state = StrokeState(canvas, brushes, zero, zero, zero, nowhere)
    return state, _to_bytes(canvas)

  def draw(state: StrokeState, command: Mapping[str, Any]):
    """Draws one command on one canvas."""
    is_paint = command['flag'] == _PAINT
    end_x, end_y = locate(command['end'])
    control_x, control_y = locate(command['control'])
    log_radius = jnp.asarray(log_radii)[command.get('size', 0)]
    last = jnp.asarray(_PRESSURES)[command.get('pressure', -1)]
    first = jnp.where(state.was_paint, state.pressure, last)
    hand = _hand(
        (state.x, control_x, end_x), (state.y, control_y, end_y), (first, last)
    )
    # After a stroke the brush is where this one begins; a move draws nothing.
    first_event = jnp.where(
        is_paint, jnp.where(state.was_paint, 2, 0), hand.x.shape[0]
    )
    after, dabs, count = dabs_lib.draw_stroke(
        own, state.brush, hand, first_event, log_radius, bounds.dabs
    )
    color = jnp.zeros(channels, jnp.float32)
    if settings.color:
      shades = jnp.asarray(_SHADES)
      color = jnp.stack([shades[command[name]] for name in _COLORS])
    moved = dabs_lib.lift(own, state.brush, end_x, end_y, _SECONDS)
    return StrokeState(
        canvas=blend.lay(
            state.canvas, dabs, count, blend.to_fixed(color), bounds.window
        ),
        brush=jax.tree.map(
            lambda a, b: jnp.where(is_paint, a, b), after, moved
        ),
        x=end_x,
        y=end_y,
        pressure=last,
        was_paint=is_paint,
    )

  def step(
      state: StrokeState, command: Mapping[str, Any]
  ) -> tuple[StrokeState, jax.Array]:
    state = jax.vmap(draw)(state, dict(command))
    return state, _to_bytes(state.canvas)

  return types.Renderer(init, step)


def _hand(xs, ys, pressures) -> dabs_lib.Hand:
  """Returns what the hand does, `[E]` each: two landings, then the stroke."""
  t = np.linspace(0.0, 1.0, _STEPS + 1, dtype=np.float32)

  def curve(start, control, end):
    return (1 - t) * (1 - t) * start + 2 * (1 - t) * t * control + t * t * end

  x, y = curve(*xs), curve(*ys)
  first, last = pressures
  pressure = first * (1 - t) + last * t
  seconds = np.full(_STEPS + 2, _SECONDS, np.float32)
  seconds[:2] = _SECONDS - _LANDING, _LANDING
  return dabs_lib.Hand(
      x=jnp.concatenate([x[:1], x]),
      y=jnp.concatenate([y[:1], y]),
      pressure=jnp.concatenate([jnp.zeros(1), pressure]),
      seconds=jnp.asarray(seconds),
  )


def _to_bytes(canvas: jax.Array) -> jax.Array:
  """Returns canvases as uint8."""
  one = blend.ONE
  return ((255 * canvas + one // 2) // one).astype(jnp.uint8)
