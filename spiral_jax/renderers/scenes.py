"""Scenes from a table of sprites, bit for bit those of `environments.scene`.

Without shadows a pixel of a scene is that of the nearest object, so a scene is
composed of pictures of single objects. The table has these as rows of pixels of
different lengths; here each is a window of one size.

Axes: B batch, H height, W width of the canvas, h and w of a window, S sprites.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple, Protocol

import jax
import jax.numpy as jnp
import numpy as np

from spiral_jax.renderers import types

# Values of part `kind`.
_ADD, _CHANGE = 0, 2
_COLORS = ('red', 'green', 'blue')


class Settings(Protocol):
  """Settings that are read, of `environments.scene.SceneSettings`."""

  @property
  def grid_size(self) -> int:
    """Number of locations in a row and in a column."""

  @property
  def sizes(self) -> tuple[float, ...]:
    """Sizes that a command can choose from."""


class Table(Protocol):
  """Arrays that are read, of `environments.scene.sprites.Table`."""

  @property
  def background(self) -> np.ndarray:
    """The empty platform, uint8 `[H, W, 3]`."""

  @property
  def background_nearness(self) -> np.ndarray:
    """Its nearness, float32 `[H, W]`."""

  @property
  def starts(self) -> np.ndarray:
    """First pixels of sprites, int32 `[S + 2]`."""

  @property
  def pixels(self) -> np.ndarray:
    """Places of pixels, `y * W + x`, int32 `[P]`."""

  @property
  def nearness(self) -> np.ndarray:
    """Nearness of pixels, float32 `[P]`."""

  @property
  def brightness(self) -> np.ndarray:
    """Brightness of pixels in each shade, uint8 `[P, shades]`."""


class _Layer(NamedTuple):
  """Pictures with their depth."""

  rgb: jax.Array  # uint8 `[B, H, W, 3]`.
  nearness: jax.Array  # float32 `[B, H, W]`.


class SceneState(NamedTuple):
  """Scenes, with and without their latest objects."""

  whole: _Layer
  without_latest: _Layer
  has_object: jax.Array  # bool `[B]`.


class _Windows(NamedTuple):
  """All sprites; a pixel that is not theirs has a nearness below any other."""

  corner: np.ndarray  # int32 `[S, 2]`, (y, x) on the canvas.
  nearness: np.ndarray  # float32 `[S, h, w]`.
  brightness: np.ndarray  # uint8 `[S, shades, h, w]`.


def make_scenes(settings: Settings, table: Table) -> types.Renderer:
  """Returns a renderer of scenes.

  Args:
    settings: `environments.scene.SceneSettings` of the scenes.
    table: `environments.scene.sprites.load(settings)`.
  """
  windows = _make_windows(table)
  grid, num_sizes = settings.grid_size, len(settings.sizes)

  def init(batch: int) -> tuple[SceneState, jax.Array]:
    empty = _Layer(
        *(
            jnp.broadcast_to(plane, (batch, *plane.shape))
            for plane in (table.background, table.background_nearness)
        )
    )
    state = SceneState(empty, empty, jnp.zeros(batch, bool))
    return state, state.whole.rgb

  def step(
      state: SceneState, command: Mapping[str, Any]
  ) -> tuple[SceneState, jax.Array]:
    kind = command['kind']
    adds = kind == _ADD
    acts = adds | ((kind == _CHANGE) & state.has_object)
    # What the new object is drawn on: an object that is replaced is not there.
    below = _choose(adds, state.whole, state.without_latest)
    at = command['object'] * grid**2 + command['location']
    sprite = at * num_sizes + command['size']
    levels = jnp.stack([command[name] for name in _COLORS], axis=-1)
    drawn = jax.vmap(_draw, (0, None, 0, 0))(below, windows, sprite, levels)
    state = SceneState(
        whole=_choose(acts, drawn, state.whole),
        without_latest=_choose(acts, below, state.without_latest),
        has_object=state.has_object | adds,
    )
    return state, state.whole.rgb

  return types.Renderer(init, step)


def _choose(which: jax.Array, first: _Layer, second: _Layer) -> _Layer:
  """Returns pictures of the first where `which`, `[B]`, is true."""

  def choose(a, b):
    return jnp.where(which.reshape(-1, *[1] * (a.ndim - 1)), a, b)

  return jax.tree.map(choose, first, second)


def _draw(
    below: _Layer, windows: _Windows, sprite: jax.Array, levels: jax.Array
) -> _Layer:
  """Draws an object on one picture; where equally near, it is visible."""
  height, width = windows.nearness.shape[1:]
  corner = jnp.asarray(windows.corner)[sprite]
  near = jnp.asarray(windows.nearness)[sprite]
  color = jnp.moveaxis(jnp.asarray(windows.brightness)[sprite, levels], 0, -1)
  rgb = jax.lax.dynamic_slice(below.rgb, (*corner, 0), (height, width, 3))
  nearness = jax.lax.dynamic_slice(below.nearness, corner, (height, width))
  shows = near >= nearness
  rgb = jnp.where(shows[..., None], color, rgb)
  nearness = jnp.where(shows, near, nearness)
  return _Layer(
      jax.lax.dynamic_update_slice(below.rgb, rgb, (*corner, 0)),
      jax.lax.dynamic_update_slice(below.nearness, nearness, corner),
  )


def _make_windows(table: Table) -> _Windows:
  """Returns the sprites of a table, in windows as large as the largest."""
  height, width = table.background_nearness.shape
  count = len(table.starts) - 2  # The last sprite stands for no object.
  sprite = np.repeat(np.arange(count), np.diff(table.starts[: count + 1]))
  y, x = np.divmod(table.pixels, width)
  first = np.full((2, count), max(height, width))
  last = np.zeros((2, count), int)
  for axis, place in enumerate((y, x)):
    np.minimum.at(first[axis], sprite, place)
    np.maximum.at(last[axis], sprite, place)
  sides = np.maximum((last - first + 1).max(axis=1), 1)
  corner = np.clip(first, 0, np.array([[height], [width]]) - sides[:, None])
  nearness = np.full((count, *sides), -1.0, np.float32)
  brightness = np.zeros((count, table.brightness.shape[1], *sides), np.uint8)
  row, column = y - corner[0, sprite], x - corner[1, sprite]
  nearness[sprite, row, column] = table.nearness
  brightness[sprite, :, row, column] = table.brightness
  return _Windows(corner.T.astype(np.int32), nearness, brightness)
