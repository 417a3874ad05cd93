"""Dabs: where a stroke of libmypaint puts them, and what they are like.

A brush follows a hand, whose place, pressure and time are known at points of
the stroke. Whenever it has gone far enough, as a share of its radius, it leaves
a dab; then its radius, hardness and opacity follow from the pressure and from
speeds that it smoothes.

Axes: E events (points of the hand), D dabs.
"""

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp

from spiral_jax.renderers import brush as brush_lib

_MIN_RADIUS, _MAX_RADIUS = 0.2, 1000.0  # libmypaint's bounds, pixels.
_INSTANT = 0.001  # Seconds of a step that takes no time.
_SLOW = 100.0  # slow_tracking is in hundredths of a second.
_NO_LAG = 0.001  # What lags less does not lag.
_TINY = 1e-9
CHUNK = 4  # Dabs that are laid on a canvas together.


class Hand(NamedTuple):
  """Events of one stroke: what the hand does, `[E]` each."""

  x: jax.Array  # Pixels.
  y: jax.Array
  pressure: jax.Array
  seconds: jax.Array  # Since the event before.


class BrushState(NamedTuple):
  """State of a brush between dabs, and between strokes; `[]` each."""

  x: jax.Array  # Of the hand as it is tracked, pixels.
  y: jax.Array
  pressure: jax.Array
  actual_x: jax.Array  # Of the brush, which lags.
  actual_y: jax.Array
  radius: jax.Array  # Of the last dab; 0 before the first.
  ratio: jax.Array  # As in `Dabs`.
  angle: jax.Array
  speed1: jax.Array  # Smoothed, pixels per second.
  speed2: jax.Array
  partial: jax.Array  # Share of the way to the next dab.


class Dabs(NamedTuple):
  """Dabs in order, `[D]` each; opacity 0 where there is none."""

  x: jax.Array  # Pixels.
  y: jax.Array
  radius: jax.Array
  hardness: jax.Array
  opacity: jax.Array
  ratio: jax.Array  # Of the long axis to the short one, 1 or more.
  angle: jax.Array  # Of the long axis, degrees.


class Bounds(NamedTuple):
  """Sizes that no stroke exceeds."""

  dabs: int  # Number of dabs, D.
  window: int  # Side of a square around `CHUNK` dabs in a row, pixels.


class _Loop(NamedTuple):
  """State of the loop over dabs and events."""

  event: jax.Array
  x: jax.Array  # Where the hand is tracked to until the event.
  y: jax.Array
  seconds: jax.Array  # Left until the event.
  moved: jax.Array  # Share of the way to the next dab.
  brush: BrushState
  num_dabs: jax.Array  # So far.
  dabs: jax.Array  # `[fields, D]`.


def lifted(x: jax.Array, y: jax.Array) -> BrushState:
  """Returns the state of a brush that was lifted and moved, `[]` each."""
  zeros = [jnp.zeros_like(x)] * len(BrushState._fields)
  return BrushState(*zeros)._replace(x=x, y=y, actual_x=x, actual_y=y)


def lift(
    brush: brush_lib.Brush,
    state: BrushState,
    x: jax.Array,
    y: jax.Array,
    seconds: float,
) -> BrushState:
  """Returns a brush that is lifted and moved, in a time, to (x, y) or near."""
  share = _share(brush.base('slow_tracking'), jnp.asarray(_SLOW * seconds))
  return lifted(
      state.x + (x - state.x) * share, state.y + (y - state.y) * share
  )


def bounds(
    brush: brush_lib.Brush,
    radii: tuple[float, ...],
    *,
    length: float,
    seconds: float,
    canvas_size: int,
) -> Bounds:
  """Returns sizes that no stroke exceeds.

  Args:
    brush: the brush.
    radii: radii that are set, pixels.
    length: largest length of a stroke, pixels.
    seconds: duration of a stroke.
    canvas_size: height and width of the canvas, pixels.
  """
  # A quadratic curve is at most twice as fast as on average of its legs.
  speed = 2 * length / seconds
  least, most = brush.extremes('radius_logarithmic', speed)
  base = brush.base('radius_logarithmic')
  _, ratio = brush.extremes('elliptical_dab_ratio', speed)
  _, softening = brush.extremes('anti_aliasing', speed)

  def dabs_a_pixel(radius: float, change: float) -> float:
    actual, basic = (
        min(max(value, _MIN_RADIUS), _MAX_RADIUS)
        for value in (radius * math.exp(change), radius)
    )
    return (
        brush.base('dabs_per_actual_radius') / actual
        + brush.base('dabs_per_basic_radius') / basic
    )

  densest = dabs_a_pixel(min(radii), least - base) * max(ratio, 1.0)
  num_dabs = length * densest + seconds * brush.base('dabs_per_second') + 2
  loosest = dabs_a_pixel(max(radii), most - base)
  reach = max(radii) * math.exp(most - base) + max(softening, 0.0) + 1.0
  window = canvas_size
  if loosest > 0:
    window = math.ceil((CHUNK - 1) / loosest + 2 * reach) + 1
  return Bounds(
      -(-math.ceil(num_dabs) // CHUNK) * CHUNK, min(window, canvas_size)
  )


def draw_stroke(
    brush: brush_lib.Brush,
    state: BrushState,
    hand: Hand,
    first: jax.Array,
    log_radius: jax.Array,
    num_dabs: int,
) -> tuple[BrushState, Dabs, jax.Array]:
  """Returns the brush after a stroke, its dabs, and their number `[]`.

  Args:
    brush: the brush.
    state: the brush before the stroke.
    hand: what the hand does.
    first: int `[]`, the first event that counts; E for none.
    log_radius: natural logarithm of the radius that is set, pixels, `[]`.
    num_dabs: room for dabs, D, see `bounds`; where it is full, a stroke ends.
  """
  num_events = hand.x.shape[0]

  def track(state: BrushState, event: jax.Array):
    """Returns where the hand is tracked to, and the time until then."""
    seconds = hand.seconds[event]
    share = _share(brush.base('slow_tracking'), _SLOW * seconds)
    x = state.x + (hand.x[event] - state.x) * share
    y = state.y + (hand.y[event] - state.y) * share
    return x, y, seconds

  def goes_on(loop: _Loop) -> jax.Array:
    return (loop.event < num_events) & (loop.num_dabs < num_dabs)

  def advance(loop: _Loop) -> _Loop:
    """Goes to the next dab, or to the event if that comes first."""
    todo = _dabs_to(brush, loop, log_radius)
    is_due = loop.moved + todo >= 1.0
    step = jnp.where(is_due, 1.0 - loop.moved, todo)
    share = jnp.where(is_due, step / jnp.maximum(todo, _TINY), 1.0)
    state, dab = _move(
        brush,
        loop.brush,
        share * (loop.x - loop.brush.x),
        share * (loop.y - loop.brush.y),
        share * (hand.pressure[loop.event] - loop.brush.pressure),
        share * loop.seconds,
        step,
        log_radius,
    )
    at = jnp.where(is_due, loop.num_dabs, num_dabs)  # Beyond the end: left out.
    event = loop.event + ~is_due
    x, y, seconds = track(state, jnp.minimum(event, num_events - 1))
    return _Loop(
        event=event,
        x=jnp.where(is_due, loop.x, x),
        y=jnp.where(is_due, loop.y, y),
        seconds=jnp.where(is_due, (1.0 - share) * loop.seconds, seconds),
        moved=jnp.where(is_due, 0.0, loop.moved + todo),
        brush=state,
        num_dabs=loop.num_dabs + is_due,
        dabs=loop.dabs.at[:, at].set(jnp.stack(dab), mode='drop'),
    )

  x, y, seconds = track(state, jnp.minimum(first, num_events - 1))
  loop = jax.lax.while_loop(
      goes_on,
      advance,
      _Loop(
          event=first,
          x=x,
          y=y,
          seconds=seconds,
          moved=state.partial,
          brush=state,
          num_dabs=jnp.zeros((), jnp.int32),
          dabs=jnp.zeros((len(Dabs._fields), num_dabs), jnp.float32),
      ),
  )
  state = loop.brush._replace(partial=loop.moved)
  return state, Dabs(*loop.dabs), jnp.minimum(loop.num_dabs, num_dabs)


def _dabs_to(
    brush: brush_lib.Brush, loop: _Loop, log_radius: jax.Array
) -> jax.Array:
  """Returns the number of dabs until the event, `[]`."""
  state = loop.brush
  base = jnp.exp(log_radius)
  radius = jnp.where(state.radius == 0, base, state.radius)
  radius, base = (
      value.clip(_MIN_RADIUS, _MAX_RADIUS) for value in (radius, base)
  )
  dx, dy = loop.x - state.x, loop.y - state.y
  turn = jnp.deg2rad(state.angle)
  along = dx * jnp.cos(turn) + dy * jnp.sin(turn)
  across = dy * jnp.cos(turn) - dx * jnp.sin(turn)
  distance = jnp.hypot(along, jnp.maximum(state.ratio, 1.0) * across)
  return (
      distance / radius * brush.base('dabs_per_actual_radius')
      + distance / base * brush.base('dabs_per_basic_radius')
      + loop.seconds * brush.base('dabs_per_second')
  )


def _move(
    brush: brush_lib.Brush,
    state: BrushState,
    dx: jax.Array,
    dy: jax.Array,
    dpressure: jax.Array,
    seconds: jax.Array,
    step: jax.Array,
    log_radius: jax.Array,
) -> tuple[BrushState, Dabs]:
  """Moves a brush by a share of a dab.

  Args:
    brush: the brush.
    state: its state before.
    dx: movement of the hand, pixels, `[]`.
    dy: as `dx`.
    dpressure: change of pressure, `[]`.
    seconds: time of the movement, `[]`.
    step: share of a dab, `[]`.
    log_radius: natural logarithm of the radius that is set, pixels, `[]`.

  Returns:
    Its state then, and a dab there.
  """
  seconds = jnp.where(seconds > 0, seconds, _INSTANT)
  state = state._replace(
      x=state.x + dx,
      y=state.y + dy,
      pressure=jnp.maximum(state.pressure + dpressure, 0.0),
  )
  # Of the speeds until now.
  inputs = brush.inputs(state.pressure, state.speed1, state.speed2)

  def value(name: str) -> jax.Array:
    return jnp.asarray(brush.value(name, inputs), jnp.float32)

  speed = jnp.hypot(dx, dy) / seconds
  lag = _share(value('slow_tracking_per_dab'), step)
  change = value('radius_logarithmic') - brush.base('radius_logarithmic')
  state = state._replace(
      actual_x=state.actual_x + (state.x - state.actual_x) * lag,
      actual_y=state.actual_y + (state.y - state.actual_y) * lag,
      speed1=state.speed1
      + (speed - state.speed1) * _share(value('speed1_slowness'), seconds),
      speed2=state.speed2
      + (speed - state.speed2) * _share(value('speed2_slowness'), seconds),
      radius=jnp.exp(log_radius + change).clip(_MIN_RADIUS, _MAX_RADIUS),
      ratio=value('elliptical_dab_ratio'),
      angle=value('elliptical_dab_angle'),
  )
  opacity = jnp.maximum(value('opaque'), 0.0) * value('opaque_multiply')
  radius, hardness = _soften(
      state.radius, value('hardness').clip(0.0, 1.0), value('anti_aliasing')
  )
  dab = Dabs(
      x=state.actual_x,
      y=state.actual_y,
      radius=radius,
      hardness=hardness,
      opacity=_linearize(brush, opacity.clip(0.0, 1.0)),
      ratio=jnp.maximum(state.ratio, 1.0),
      angle=state.angle,
  )
  return state, dab


def _share(lag: jax.Array | float, step: jax.Array) -> jax.Array:
  """Returns the share of its distance that what lags covers in a step."""
  lags = jnp.asarray(lag) > _NO_LAG
  rest = jnp.exp(-step / jnp.where(lags, lag, 1.0))
  return 1.0 - jnp.where(lags, rest, 0.0)


def _linearize(brush: brush_lib.Brush, opacity: jax.Array) -> jax.Array:
  """Returns the opacity of a dab of which several overlap to `opacity`."""
  linearize = brush.base('opaque_linearize')
  if not linearize:
    return opacity
  dabs = 2.0 * (
      brush.base('dabs_per_actual_radius') + brush.base('dabs_per_basic_radius')
  )
  dabs = 1.0 + linearize * (max(dabs, 1.0) - 1.0)
  return 1.0 - (1.0 - opacity) ** (1.0 / dabs)


def _soften(
    radius: jax.Array, hardness: jax.Array, least: jax.Array
) -> tuple[jax.Array, jax.Array]:
  """Returns radius and hardness with an edge of `least` pixels or more."""
  optical = radius * (1.0 + hardness) / 2.0
  softer = (optical - least / 2.0) / (optical + least / 2.0)
  larger = least / jnp.maximum(1.0 - softer, _TINY)
  is_hard = radius * (1.0 - hardness) < least
  return (
      jnp.where(is_hard, larger, radius),
      jnp.where(is_hard, softer, hardness),
  )
