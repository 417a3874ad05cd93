"""Damaged programs and brushes, fed to the library that reads them.

`programs` and `brushes` each make one input and use it as a user would. They
return if it is taken, raise ValueError or OSError if it is refused (which must
be one short line), and anything else is a fault of the library. `KINDS` has
both by name, for a program that calls them in processes of their own, within
limits of time and memory.
"""

from collections.abc import Callable
import functools
import json
import pathlib
from typing import Any
import warnings

import numpy as np

from environments import painting
from environments import scene
from environments.painting import library

_LONGEST = 400  # Characters of a message.
_DEEP = '[' * 2000 + ']' * 2000
_JUNK: tuple[Any, ...] = (
    None, True, False, 0, -1, 1, 7, 64, 255, 8192, 8193, 10**9, 2**31, 2**63,
    10**40, 0.0, -0.0, 0.5, 1e-30, 1e6, -1e6, 1e30, 1e300,
    float('nan'), float('inf'), -float('inf'),
    '', '0', '1.0', 'x', 'x' * 3000, '\0', '\ud800', 'é', '..', '/', '[red]',
    '../../../../etc/passwd', '/etc/hostname', 'classic/pen', 'white',
    [], [[]], {}, {'': 0}, [0], [1, 2], [[0, 0], [1, 1]], [[1, 0], [0, 1]],
    [[0, 0]], [[0, 0], [1e-6, 50.0]], [['0', None]], 'DEEP',
)  # fmt: skip


def programs(rng: np.random.Generator, folder: pathlib.Path) -> None:
  """Damages the JSON of a program, of strokes or of a scene, and uses it.

  Args:
    rng: source of all that is random.
    folder: folder for files of this input alone.

  Raises:
    ValueError, OSError: if the library refuses the program.
  """
  del folder
  if rng.random() < 0.5:
    _try(lambda: _use_painting(damaged_json(rng, _painting_program(rng))))
  else:
    _try(lambda: _use_scene(damaged_json(rng, _scene_program(rng))))


def brushes(rng: np.random.Generator, folder: pathlib.Path) -> None:
  """Damages a brush of MyPaint, and paints with it.

  Args:
    rng: source of all that is random.
    folder: folder for files of this input alone.

  Raises:
    ValueError, OSError: if the library refuses the brush.
  """
  names = _brush_names()
  text = library.read_brush(names[rng.integers(len(names))]).decode()
  if rng.random() < 0.7:
    text = _with_odd_values(rng, text)
  else:
    text = damaged_json(rng, text)
  (folder / 'mine.myb').write_bytes(_encoded(rng, text))
  settings = painting.PaintingSettings(
      canvas_size=int(rng.choice([8, 64])),
      brush='mine',
      brushes_path=str(folder),
      brush_sizes=(float(10 ** rng.uniform(-1, 3)), 2.0),
      color=bool(rng.random() < 0.5),
      background='white' if rng.random() < 0.5 else 'transparent',
  )
  _try(lambda: _paint(rng, settings))


KINDS: dict[str, Callable[[np.random.Generator, pathlib.Path], None]] = {
    'programs': programs,
    'brushes': brushes,
}


def _try(use: Callable[[], None]) -> None:
  """Checks that a refusal is one short line."""
  with warnings.catch_warnings():
    warnings.simplefilter('ignore', UserWarning)
    try:
      use()
    except (ValueError, OSError) as error:
      text = str(error)
      if '\n' in text or not 10 < len(text) < _LONGEST:
        raise AssertionError(f'not one short line: {text[:999]!r}') from error
      raise


@functools.cache
def _brush_names() -> list[str]:
  folder = library.find_brushes()
  return sorted(
      file.relative_to(folder).with_suffix('').as_posix()
      for file in folder.rglob('*.myb')
  )


def _commands(rng: np.random.Generator, spec: Any) -> dict[str, np.ndarray]:
  length = int(rng.integers(1, 6))
  return {k: rng.integers(0, p.num_values, length) for k, p in spec.items()}


def _painting_program(rng: np.random.Generator) -> str:
  settings = painting.PaintingSettings(
      canvas_size=int(rng.choice([8, 32, 64])),
      color=bool(rng.random() < 0.5),
      pressure=bool(rng.random() < 0.5),
  )
  commands = _commands(rng, settings.action_spec())
  return painting.Program(settings, commands).to_json()


def _scene_program(rng: np.random.Generator) -> str:
  settings = scene.SceneSettings()
  return scene.Program(
      settings, _commands(rng, settings.action_spec())
  ).to_json()


def _use_painting(text: str) -> None:
  program = painting.Program.from_json(text)
  again = painting.Program.from_json(program.to_json())
  assert again == program
  size = min(program.settings.canvas_size, 32)
  assert program.render(size).shape[0] == size
  assert program.frames(8).shape[0] == len(program) + 1
  program.to_svg()
  program.to_svg(center_lines=True)


def _use_scene(text: str) -> None:
  program = scene.Program.from_json(text)
  assert scene.Program.from_json(program.to_json()) == program
  program.objects()
  program.to_mjcf()


def _paint(
    rng: np.random.Generator, settings: painting.PaintingSettings
) -> None:
  commands = _commands(rng, settings.action_spec())
  commands['flag'][:] = 1
  program = painting.Program(settings, commands)
  program.to_svg()
  program.render(settings.canvas_size * int(rng.choice([1, 1, 1, 3])))
  if rng.random() < 0.9:
    return
  # Without the compiled extension, which is slow where dabs are many.
  renderer = painting.PaintingRenderer(settings, backend='ctypes')
  renderer.reset()
  for t in range(min(len(program), 2)):
    renderer.step({k: v[t : t + 1] for k, v in program.commands.items()})
  renderer.close()


# Damage.


def _junk(rng: np.random.Generator) -> Any:
  return _JUNK[rng.integers(len(_JUNK))]


def damaged_json(rng: np.random.Generator, text: str) -> str:
  """Returns JSON with changes of its structure, its characters, or both."""
  if rng.random() < 0.8:
    record = json.loads(text)
    for _ in range(int(rng.integers(1, 4))):
      _change(rng, record)
    text = json.dumps(record)
  if rng.random() < 0.3:
    characters = list(text)
    for _ in range(int(rng.integers(1, 5))):
      place = int(rng.integers(len(characters)))
      characters[place] = chr(int(rng.integers(128)))
    text = ''.join(characters)
  if rng.random() < 0.05:
    text = text[: int(rng.integers(len(text)))]
  return text.replace('"DEEP"', _DEEP)


def _change(rng: np.random.Generator, record: Any) -> None:
  """Replaces, removes or adds one value, anywhere."""
  place = record
  while True:
    keys: list[Any] = list(
        place if isinstance(place, dict) else range(len(place))
    )
    if not keys:
      return
    key = keys[rng.integers(len(keys))]
    inner = place[key]
    if not isinstance(inner, (dict, list)) or rng.random() < 0.2:
      break
    place = inner
  draw = rng.random()
  if draw < 0.7:
    place[key] = _junk(rng)
  elif draw < 0.85:
    del place[key]
  elif isinstance(place, dict):
    place[str(_junk(rng))] = _junk(rng)
  else:
    place.insert(key, _junk(rng))


def _with_odd_values(rng: np.random.Generator, text: str) -> str:
  """Returns a brush whose values are extreme, and mostly just allowed."""
  record = json.loads(text)
  names = list(record['settings'])
  for name in rng.choice(names, int(rng.integers(1, 6)), replace=False):
    setting = record['settings'][str(name)]
    scale = 10.0 ** rng.uniform(-2, 3)
    if rng.random() < 0.5:
      setting['base_value'] = float(rng.normal() * scale)
    if rng.random() < 0.7:
      x = np.sort(rng.normal(size=int(rng.integers(2, 6))))
      x = x * 10.0 ** rng.uniform(-5, 2)
      y = rng.normal(size=len(x)) * scale
      source = rng.choice(['pressure', 'speed1', 'random', 'stroke', 'custom'])
      setting['inputs'][str(source)] = np.stack([x, y], axis=-1).tolist()
  return json.dumps(record)


def _encoded(rng: np.random.Generator, text: str) -> bytes:
  codec = str(rng.choice(['utf-8', 'utf-8', 'utf-8', 'utf-8-sig', 'utf-16']))
  return text.encode(codec, errors='replace')
