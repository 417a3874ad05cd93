"""Renderer of scenes, from a table of sprites that MuJoCo made."""

from collections.abc import Mapping
import functools

from dm_env import specs
import numpy as np

from environments import contract
from environments import core
from environments.scene import commands as commands_lib
from environments.scene import compositor
from environments.scene import gl as gl_lib
from environments.scene import settings as settings_lib
from environments.scene import sprites as sprites_lib


class SceneRenderer:
  """Puts objects on a platform: a `core.Renderer` of N canvases.

  A command adds an object, changes the latest object into another one, or does
  nothing (skip). A change without an object does nothing either. Objects may
  overlap; there are no physics and no shadows. Pictures equal MuJoCo's own bit
  for bit.
  """

  def __init__(
      self,
      settings: settings_lib.SceneSettings,
      count: int = 1,
      gl: gl_lib.Kind = 'auto',
  ):
    """Initializes N = `count` canvases.

    Args:
      settings: settings of the scenes and their commands.
      count: number of canvases.
      gl: 'egl', 'osmesa' or 'auto', the OpenGL that draws the table of sprites
        if it is not in the user's cache yet; see `gl.open_context`.

    Raises:
      NoOpenGLError: if the table is not cached and there is no OpenGL; names
        the command that installs it.
      ValueError: if an argument is out of range.
    """
    if count < 1:
      raise ValueError(f'count is {count}, must be 1 or more')
    self._settings = settings
    self._count = count
    self._table = sprites_lib.load(settings, gl)
    self._canvases = compositor.Canvases(self._table, count)

  @property
  def count(self) -> int:
    """Number of canvases, N."""
    return self._count

  def action_spec(self) -> dict[str, core.Part]:
    """Returns the parts of a command, in the order of decision."""
    return self._settings.action_spec()

  def canvas_spec(self) -> specs.BoundedArray:
    """Returns the spec of one canvas: uint8 `[H, W, 3]`, 0 to 255."""
    size = self._settings.canvas_size
    return specs.BoundedArray((size, size, 3), np.uint8, 0, 255, 'canvas')

  def reset(self) -> np.ndarray:
    """Removes all objects; returns a fresh uint8 `[N, H, W, 3]`."""
    self._canvases.reset()
    return self._canvases.picture()

  def step(self, command: Mapping[str, np.ndarray]) -> np.ndarray:
    """Draws one command, int `[N]` for each part; returns as `reset` does."""
    kind = np.asarray(command['kind'])
    is_change = kind == settings_lib.CHANGE
    self._canvases.draw(
        kind == settings_lib.ADD,
        is_change & self._canvases.has_object(),
        *self._sprite(command),
    )
    return self._canvases.picture()

  @property
  def can_copy(self) -> bool:
    """True: `copy`, `draw_on` and `read` may be called."""
    return True

  def copy(self, source: np.ndarray, target: np.ndarray) -> None:
    """Makes canvases `target`, int `[M]`, copies of canvases `source`.

    Raises:
      ValueError: if a canvas does not exist, or a target is also a source.
    """
    self._canvases.copy(*contract.check_copy(source, target, self._count))

  def draw_on(
      self, command: Mapping[str, np.ndarray], which: np.ndarray
  ) -> None:
    """Draws one command, int `[M]` for each part, on some canvases.

    Args:
      command: as for `step`.
      which: int `[M]`, different canvases.

    Raises:
      ValueError: if `which` is not that.
    """
    which = contract.check_which(which, self._count).astype(np.int64)
    kind = np.asarray(command['kind'])
    is_change = kind == settings_lib.CHANGE
    self._canvases.draw(
        kind == settings_lib.ADD,
        is_change & self._canvases.has_object()[which],
        *self._sprite(command),
        which,
    )

  def read(self, which: np.ndarray) -> np.ndarray:
    """Returns the canvases `which`, int `[M]`: uint8 `[M, H, W, 3]`."""
    return self._canvases.read(contract.check_which(which, self._count))

  def render(self, objects: commands_lib.Objects) -> np.ndarray:
    """Returns pictures of whole scenes, uint8 `[N, H, W, 3]`.

    Does not affect the canvases of `step`.

    Args:
      objects: objects of the scenes, `[N, M]` each.
    """
    canvases = self._whole_scenes
    canvases.reset()
    nowhere = np.zeros(self._count, bool)
    for i in range(objects.present.shape[1]):
      here = commands_lib.Objects(*(values[:, i] for values in objects))
      canvases.draw(here.present, nowhere, *self._sprite(here._asdict()))
    return canvases.picture()

  @functools.cached_property
  def _whole_scenes(self) -> compositor.Canvases:
    return compositor.Canvases(self._table, self._count)

  def _sprite(
      self, values: Mapping[str, np.ndarray]
  ) -> tuple[np.ndarray, np.ndarray]:
    """Returns sprites, int `[N]`, and levels of their colors, int `[N, 3]`."""
    sprite = sprites_lib.sprite_of(
        self._settings, values['object'], values['location'], values['size']
    )
    levels = np.stack([values[name] for name in settings_lib.COLORS], axis=-1)
    return sprite, levels.astype(np.int64)
