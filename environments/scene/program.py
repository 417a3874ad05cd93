"""Scene programs: settings and commands, to save, render and open in MuJoCo."""

from collections.abc import Mapping
import dataclasses
import json

import numpy as np
import numpy.typing as npt

from environments import parts
from environments import reprs
from environments.scene import commands as commands_lib
from environments.scene import gl as gl_lib
from environments.scene import mujoco_renderer
from environments.scene import settings as settings_lib
from environments.scene import world

_FORMAT = 'spiral_jax scene program'
_VERSION = 1
# Parts whose values are written as words.
_WORDS = {'kind': settings_lib.KINDS, 'object': settings_lib.OBJECTS}


class Program:
  """Commands that make a scene, and the settings that give them a meaning."""

  def __init__(
      self,
      settings: settings_lib.SceneSettings,
      commands: Mapping[str, npt.ArrayLike],
  ):
    """Initializes a program of T commands.

    Args:
      settings: settings of the environment of these commands.
      commands: int `[T]` for each part, in the order in which they are run.

    Raises:
      ValueError: if a part is out of range; names it, its value and its range.
    """
    length = np.shape(next(iter(commands.values()), ()))[:1]
    checked = parts.check_command(settings.action_spec(), commands, length)
    self._settings = settings
    self._commands = checked

  def __eq__(self, other: object) -> bool:
    if not isinstance(other, Program):
      return NotImplemented
    return self._settings == other._settings and all(
        np.array_equal(values, other._commands[name])
        for name, values in self._commands.items()
    )

  __hash__ = None  # type: ignore[assignment]

  def __len__(self) -> int:
    """Returns the number of commands, T."""
    return len(self._commands['kind'])

  @property
  def settings(self) -> settings_lib.SceneSettings:
    """Settings of the environment of these commands."""
    return self._settings

  @property
  def commands(self) -> dict[str, np.ndarray]:
    """Copy of the commands, int32 `[T]` for each part."""
    return {name: values.copy() for name, values in self._commands.items()}

  def objects(self) -> commands_lib.Objects:
    """Returns the objects of the final scene, `[M]` each."""
    placed = commands_lib.place(
        {name: values[:, None] for name, values in self._commands.items()}
    )
    present = placed.present[0]
    return commands_lib.Objects(*(values[0, present] for values in placed))

  def to_json(self) -> str:
    """Returns the program as JSON, one command per line."""
    rows = [
        {
            name: _WORDS[name][value] if name in _WORDS else int(value)
            for name, value in zip(self._commands, row)
        }
        for row in zip(*self._commands.values())
    ]
    head = json.dumps(
        {
            'format': _FORMAT,
            'version': _VERSION,
            'settings': dataclasses.asdict(self._settings),
        }
    )
    body = ',\n'.join('  ' + json.dumps(row) for row in rows)
    return f'{head[:-1]},\n"commands": [\n{body}\n]}}\n'

  @classmethod
  def from_json(cls, text: str) -> 'Program':
    """Returns the program that `to_json` wrote.

    Raises:
      ValueError: if the text is not a program; says what is wrong with it.
    """
    try:
      data = json.loads(text)
    except (ValueError, RecursionError) as error:
      fault = ' '.join(str(error).split())
      raise ValueError(
          f"the program is no JSON ({fault}); give a file that a program's"
          ' to_json wrote'
      ) from None
    if not isinstance(data, dict) or data.get('format') != _FORMAT:
      raise ValueError(
          f"the JSON is no program for scenes: its 'format' must be {_FORMAT!r}"
      )
    version = data.get('version')
    if type(version) is not int or version != _VERSION:
      raise ValueError(
          f'the program has version {reprs.short(version)}; this release reads'
          f' version {_VERSION}'
      )
    settings = _read_settings(data.get('settings'))
    return cls(settings, _read_commands(settings, data.get('commands')))

  def to_mjcf(self, *, size: int | None = None, shadows: bool = False) -> str:
    """Returns the final scene as MuJoCo's XML.

    The camera is named 'camera'. At the canvas's size and without shadows,
    MuJoCo's picture from it equals the environment's.

    Args:
      size: height and width of the largest picture that MuJoCo can take of the
        scene, pixels; None means the canvas's size.
      shadows: whether the lamp casts shadows.
    """
    return world.mjcf(
        self._geoms(), size or self._settings.canvas_size, shadows=shadows
    )

  def render(
      self,
      size: int | None = None,
      *,
      shadows: bool = False,
      gl: gl_lib.Kind = 'auto',
  ) -> np.ndarray:
    """Returns MuJoCo's picture of the final scene, uint8 `[H, W, 3]`.

    At the canvas's size and without shadows the picture equals the
    environment's; any other is drawn in finer detail.

    Args:
      size: height and width, pixels; None means the canvas's size.
      shadows: whether the lamp casts shadows.
      gl: 'egl', 'osmesa' or 'auto'; see `gl.open_context`.

    Raises:
      NoOpenGLError: if there is no OpenGL; names the command that installs it.
      ValueError: if an argument is out of range.
    """
    canvas_size = self._settings.canvas_size
    size = canvas_size if size is None else size
    is_canvas = size == canvas_size and not shadows
    geoms = self._geoms()
    with mujoco_renderer.LiveRenderer(
        size,
        max_objects=len(geoms),
        quality=world.Quality() if is_canvas else world.FINE,
        shadows=shadows,
        gl=gl,
    ) as renderer:
      return renderer.render(geoms)

  def _geoms(self) -> list[world.Geom]:
    return world.geoms(self._settings, self.objects())


def _read_settings(fields: object) -> settings_lib.SceneSettings:
  if not isinstance(fields, dict):
    raise ValueError("the program lacks 'settings'")
  names = [
      field.name for field in dataclasses.fields(settings_lib.SceneSettings)
  ]
  for name in (*fields, *names):
    if (name in fields) != (name in names):
      state = 'unknown' if name in fields else 'missing'
      raise ValueError(
          f"{state} setting {reprs.short(name)} in the program's settings"
      )
  return settings_lib.SceneSettings(**fields)


def _read_commands(
    settings: settings_lib.SceneSettings, rows: object
) -> dict[str, np.ndarray]:
  """Returns the commands, int32 `[T]` for each part of the action spec."""
  if not isinstance(rows, list):
    raise ValueError("the program lacks 'commands', a list")
  spec = settings.action_spec()
  for i, row in enumerate(rows):
    if not isinstance(row, dict) or set(row) != set(spec):
      raise ValueError(
          f'command {i} is {reprs.short(row)}, must have the parts'
          f' {", ".join(spec)}'
      )
  columns = {}
  for name in spec:
    values = [row[name] for row in rows]
    if name in _WORDS:
      values = [_index(i, name, word) for i, word in enumerate(values)]
    for i, value in enumerate(values):
      if type(value) is not int or not 0 <= value < spec[name].num_values:
        raise ValueError(
            f'part {name!r} of command {i} is {reprs.short(value)}, must be an'
            f' int from 0 to {spec[name].num_values - 1}'
        )
    columns[name] = np.array(values, np.int32)
  return columns


def _index(i: int, name: str, word: object) -> int:
  words = _WORDS[name]
  if word not in words:
    raise ValueError(
        f'part {name!r} of command {i} is {reprs.short(word)}, must be one of'
        f' {", ".join(words)}'
    )
  return words.index(str(word))
