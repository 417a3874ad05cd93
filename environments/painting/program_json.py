"""Programs as JSON: a version, named settings, and one command per line.

```json
{
  "format": "spiral_jax painting program",
  "version": 3,
  "settings": {"canvas_size": 64, "brush": "classic/pen", ...},
  "commands": [
    {"flag": 0, "end": 130, "control": 0, "size": 0, "pressure": 0},
    ...
  ]
}
```

A location is `y * grid_size + x`, as in the environment.
"""

from collections.abc import Mapping
import dataclasses
import json
import typing
from typing import Any

import numpy as np

from environments import reprs
from environments.painting import settings as settings_lib

FORMAT = 'spiral_jax painting program'
VERSION = 3  # 3 has aspects and colored papers; 2 named `color` so.
_OLD_NAMES = {'colour': 'color'}  # Of version 1.

_TYPES = typing.get_type_hints(settings_lib.PaintingSettings)


def dump(
    settings: settings_lib.PaintingSettings,
    commands: Mapping[str, np.ndarray],
    aspect: float,
) -> str:
  """Returns a program as text that ends with a newline.

  Args:
    settings: settings of the program.
    commands: int `[T]` for each part.
    aspect: width of the picture divided by its height; left out if 1.
  """
  rows = zip(*(array.tolist() for array in commands.values()))
  lines = ',\n'.join(
      '    ' + json.dumps(dict(zip(commands, row))) for row in rows
  )
  return (
      '{\n'
      f'  "format": {json.dumps(FORMAT)},\n'
      f'  "version": {VERSION},\n'
      f'  "settings": {json.dumps(dataclasses.asdict(settings))},\n'
      + ('' if aspect == 1 else f'  "aspect": {json.dumps(aspect)},\n')
      + f'  "commands": [\n{lines}\n  ]\n'
      '}\n'
  )


def load(
    text: str,
) -> tuple[settings_lib.PaintingSettings, dict[str, np.ndarray], float]:
  """Returns the settings, commands and aspect of a text.

  Raises:
    ValueError: if `dump` did not write the text; one line names the fault, its
      value and the remedy.
  """
  try:
    record = json.loads(text)
  except (ValueError, RecursionError) as error:
    raise ValueError(
        f'the program is not JSON ({" ".join(str(error).split())}); give a'
        " file that a program's to_json wrote"
    ) from None
  if not isinstance(record, dict) or record.get('format') != FORMAT:
    raise ValueError(
        f'the JSON is not a program: its format is not {FORMAT!r}; give a file'
        " that a program's to_json wrote"
    )
  version = record.get('version')
  if type(version) is not int or version not in range(1, VERSION + 1):
    raise ValueError(
        f'version of the program is {reprs.short(version)}, this library'
        f' reads 1 to {VERSION}; update spiral_jax, or write the program again'
    )
  record = {'aspect': 1.0, **record}
  names = ('format', 'version', 'settings', 'commands', 'aspect')
  _check_names('the program', record, names)
  if not _is_number(record['aspect']):
    raise ValueError(
        f'aspect is {reprs.short(record["aspect"])}, must be a number'
    )
  record['settings'] = _current_names(record['settings'], version)
  settings = _settings(record['settings'])
  return settings, _commands(record['commands'], settings), record['aspect']


def _current_names(settings: Any, version: int) -> Any:
  """Returns settings under the names of this version."""
  if version > 1 or not isinstance(settings, dict):
    return settings
  return {_OLD_NAMES.get(k, k): value for k, value in settings.items()}


def _settings(record: Any) -> settings_lib.PaintingSettings:
  _check_names('settings', record, tuple(_TYPES))
  checked = {}
  for name, value in record.items():
    if name == 'brush_sizes':
      if not isinstance(value, list) or not all(map(_is_number, value)):
        raise ValueError(
            f'setting brush_sizes is {reprs.short(value)}, must be a list of'
            ' numbers, as [1, 2, 3]'
        )
      value = tuple(value)
    else:
      hint = _TYPES[name]
      kinds = typing.get_args(hint) or (hint,)
      # Exact types: JSON's true and 64.0 are not ints.
      if type(value) not in kinds:
        raise ValueError(
            f'setting {name} is {reprs.short(value)}, must be of type'
            f' {" or ".join(kind.__name__ for kind in kinds)}'
        )
    checked[name] = value
  return settings_lib.PaintingSettings(**checked)


def _commands(
    record: Any, settings: settings_lib.PaintingSettings
) -> dict[str, np.ndarray]:
  if not isinstance(record, list) or not record:
    raise ValueError(
        f'commands is {reprs.short(record)}, must be a list of one command or'
        ' more'
    )
  spec = settings.action_spec()
  for index, command in enumerate(record):
    _check_names(f'command {index}', command, tuple(spec))
    for name, value in command.items():
      most = spec[name].num_values - 1
      if type(value) is not int or not 0 <= value <= most:
        raise ValueError(
            f'part {name!r} of command {index} is {reprs.short(value)}, must be'
            f' an int from 0 to {most}'
        )
  return {
      name: np.array([command[name] for command in record], np.int32)
      for name in spec
  }


def _check_names(what: str, record: Any, names: tuple[str, ...]) -> None:
  """Raises ValueError unless a record is a dict with exactly these names."""
  if not isinstance(record, dict):
    raise ValueError(
        f'{what} is {reprs.short(record)}, must be an object with'
        f' {", ".join(names)}'
    )
  for name in record:
    if name not in names:
      raise ValueError(
          f'{what} has an unknown entry {reprs.short(name)}; entries are'
          f' {", ".join(names)}'
      )
  for name in names:
    if name not in record:
      raise ValueError(f'{what} lacks {name!r}; entries are {", ".join(names)}')


def _is_number(value: Any) -> bool:
  return isinstance(value, (int, float)) and not isinstance(value, bool)
