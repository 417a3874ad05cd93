"""Table of sprites: all possible objects, each drawn once by MuJoCo.

Apart from color, there are only kinds x locations x sizes different objects.
Without shadows, a pixel of a scene is that of the nearest object. So a scene
can be composed from sprites (see compositor.py), equal to MuJoCo's own picture
bit for bit and hundreds of times faster.

All light is white, so each channel of a pixel depends only on that channel of
the object's color. A pixel of a sprite is therefore one brightness per shade.
"""

import functools
import hashlib
import importlib.metadata
import json
import logging
import pathlib
from typing import NamedTuple
import zipfile
import zlib

import numpy as np

from environments import files
from environments.scene import commands as commands_lib
from environments.scene import gl as gl_lib
from environments.scene import mujoco_renderer
from environments.scene import settings as settings_lib
from environments.scene import world

_VERSION = 1  # Raise it when the content of the table changes.


class Table(NamedTuple):
  """Sprites, and the empty platform behind them.

  Axes: H height, W width of the canvas, S sprites, P pixels of all sprites.
  Sprite `(object * L + location) * sizes + size`, with L locations, has the
  pixels from `starts[sprite]` to `starts[sprite + 1]`. Sprite `S` stands for no
  object and has no pixels. Nearness goes from 0 (empty) to 1 (nearest).
  """

  background: np.ndarray  # uint8 [H, W, 3].
  background_nearness: np.ndarray  # float32 [H, W].
  starts: np.ndarray  # int32 [S + 2].
  pixels: np.ndarray  # int32 [P], y * W + x.
  nearness: np.ndarray  # float32 [P].
  brightness: np.ndarray  # uint8 [P, shades].


@functools.lru_cache(maxsize=4)
def load(
    settings: settings_lib.SceneSettings, gl: gl_lib.Kind = 'auto'
) -> Table:
  """Returns the table from the user's cache, or builds and caches it.

  Args:
    settings: settings of the scenes.
    gl: kind of OpenGL to build the table with; see `gl.open_context`.

  Raises:
    NoOpenGLError: if the table is not cached and there is no OpenGL; names the
      command that installs it.
  """
  path = cache_path(settings)
  table = _read(path, settings)
  if table is None:
    table = build(settings, gl)
    try:
      files.write_atomically(
          path, lambda file: np.savez(file, **table._asdict())
      )
    except OSError as error:
      logging.warning(
          'scenes: the table could not be kept in %s (%s); it is made again'
          ' next time',
          path,
          error,
      )
  for array in table:
    array.flags.writeable = False
  return table


def cache_path(settings: settings_lib.SceneSettings) -> pathlib.Path:
  """Returns the table's file, named by a hash of all that determines it."""
  what = [
      _VERSION,
      importlib.metadata.version('mujoco'),
      world.mjcf(_samples(settings), settings.canvas_size),
      settings.grid_size,
      settings.span,
      settings.sizes,
      settings.shades,
  ]
  digest = hashlib.sha256(json.dumps(what).encode()).hexdigest()[:16]
  return files.directory('scenes') / f'sprites-{digest}.npz'


def build(
    settings: settings_lib.SceneSettings, gl: gl_lib.Kind = 'auto'
) -> Table:
  """Returns the table, drawn by MuJoCo.

  Raises:
    NoOpenGLError: if there is no OpenGL; names the command that installs it.
  """
  size = settings.canvas_size
  with mujoco_renderer.LiveRenderer(size, gl=gl) as renderer:
    background, background_nearness = renderer.render_depth([])
  pixels, nearness, brightness = [], [], []
  with mujoco_renderer.LiveRenderer(size, gl=gl, platform=False) as renderer:
    for sprite in range(num_sprites(settings)):
      near, bright = _draw(renderer, settings, sprite)
      shows = near > 0
      pixels.append(np.flatnonzero(shows))
      nearness.append(near[shows])
      brightness.append(bright[shows])
  starts = np.cumsum([0, *map(len, pixels)])
  return Table(
      background,
      background_nearness,
      np.append(starts, starts[-1]).astype(np.int32),
      np.concatenate(pixels).astype(np.int32),
      np.concatenate(nearness),
      np.concatenate(brightness),
  )


def num_sprites(settings: settings_lib.SceneSettings) -> int:
  """Returns the number of sprites in a table, S."""
  num_objects = len(settings_lib.OBJECTS)
  return num_objects * settings.grid_size**2 * len(settings.sizes)


def sprite_of(
    settings: settings_lib.SceneSettings,
    object_: np.ndarray,
    location: np.ndarray,
    size: np.ndarray,
) -> np.ndarray:
  """Returns the sprites `[...]` of objects `[...]`."""
  at = np.asarray(object_) * settings.grid_size**2 + location
  return at * len(settings.sizes) + size


def _draw(
    renderer: mujoco_renderer.LiveRenderer,
    settings: settings_lib.SceneSettings,
    sprite: int,
) -> tuple[np.ndarray, np.ndarray]:
  """Returns nearness `[H, W]` and brightness `[H, W, shades]` of a sprite."""
  brightness = []
  nearness = np.empty(0)
  for first in range(0, settings.shades, 3):
    # Draws three shades at once, one in each channel.
    levels = np.minimum(np.arange(first, first + 3), settings.shades - 1)
    picture, nearness = renderer.render_depth(
        world.geoms(settings, _single(settings, sprite, levels))
    )
    brightness.append(picture)
  together = np.concatenate(brightness, axis=-1)
  return nearness, together[..., : settings.shades]


def _single(
    settings: settings_lib.SceneSettings, sprite: int, levels: np.ndarray
) -> commands_lib.Objects:
  """Returns the single object of a sprite, `[1]` each."""
  at, size = divmod(sprite, len(settings.sizes))
  object_, location = divmod(at, settings.grid_size**2)
  values = [object_, location, size, *levels]
  return commands_lib.Objects(
      np.ones(1, bool), *(np.array([value]) for value in values)
  )


def _samples(settings: settings_lib.SceneSettings) -> list[world.Geom]:
  """Returns one object of each kind, so that the hash covers their shapes."""
  per_kind = settings.grid_size**2 * len(settings.sizes)
  black = np.zeros(3, int)
  return [
      world.geoms(settings, _single(settings, i * per_kind, black))[0]
      for i in range(len(settings_lib.OBJECTS))
  ]


def _read(
    path: pathlib.Path, settings: settings_lib.SceneSettings
) -> Table | None:
  """Returns the table in a file, or None if it is missing or damaged.

  The archive's checksums reveal damage.
  """
  try:
    with np.load(path, allow_pickle=False) as data:
      table = Table(*(data[name] for name in Table._fields))
  except FileNotFoundError:
    return None
  except (
      OSError,
      ValueError,
      KeyError,
      EOFError,
      zlib.error,
      zipfile.BadZipFile,
  ) as error:
    logging.warning('scenes: %s is damaged (%s)', path, error)
    return None
  size = settings.canvas_size
  is_whole = (
      table.background.shape == (size, size, 3)
      and table.starts.shape == (num_sprites(settings) + 2,)
      and len(table.pixels) == table.starts[-1] == len(table.nearness)
      and table.brightness.shape == (len(table.pixels), settings.shades)
  )
  return table if is_whole else None
