"""Compares renderers in JAX with those of the environments: pixels and speed.

Both draw the same programs of uniform values. Printed are, of canvases after
each command: the share of those that are equal; how much they differ, in shades
of 255, in the mean and in the worst case; how much a blank page differs, for
comparison; their least correlation. And microseconds a command on the host and
in JAX. The picture shows the results that differ most, the environment's canvas
on the left.

  python experiments/benchmarks/renderers.py --count=3000
  python experiments/benchmarks/renderers.py --only=scenes --count=3000
"""

from collections.abc import Mapping, Sequence
import pathlib
import time
from typing import Any, NamedTuple

from absl import flags
import jax
import numpy as np
from PIL import Image
import rich.box
import rich.table

from environments import painting
from environments import scene
from environments.painting import library
from environments.scene import sprites
from spiral_jax import console
from spiral_jax import renderers
from spiral_jax import types
from spiral_jax.training import cli

_BRUSHES = ('pen', 'calligraphy', 'kabura', 'bulk', 'slow_ink', 'brush')
_CASES = ('scenes', 'color', *_BRUSHES)

_ONLY = flags.DEFINE_multi_enum(
    'only',
    list(_CASES),
    _CASES,
    'cases: scenes, the pen in color, or a brush in gray',
)
_COUNT = flags.DEFINE_integer(
    'count',
    250,
    'number of programs; rounded up to whole batches',
    lower_bound=1,
)
_BATCH = flags.DEFINE_integer(
    'batch', 250, 'number of canvases that are drawn at once', lower_bound=1
)
_LENGTH = flags.DEFINE_integer(
    'length', 20, 'number of commands in a program', lower_bound=2
)
_OUT = flags.DEFINE_string(
    'out', '', 'file of the picture of the worst cases; empty for none'
)
_SHOWN = 12  # Episodes in the picture.


class _Compared(NamedTuple):
  """Differences of what both draw, in one case."""

  equal: float  # Share of canvases that are equal bit for bit.
  mean: float  # Mean absolute difference of pixels, shades of 255.
  worst: float  # Largest mean absolute difference of a canvas.
  blank: float  # As `mean`, of a blank page.
  correlation: float  # Least correlation of two canvases.
  host: float  # Microseconds a command.
  device: float
  pictures: np.ndarray  # Those that differ most, uint8 `[n, H, 2 W, 3]`.


def main(argv: Sequence[str]) -> None:
  """Prints a line for each case."""
  del argv
  table = rich.table.Table(box=rich.box.SIMPLE)
  table.add_column('')
  for column in (
      'equal',
      'mean',
      'worst',
      'blank',
      'least r',
      'host, us',
      f'{jax.default_backend()}, us',
  ):
    table.add_column(column, justify='right')
  pictures = []
  for case in _ONLY.value:
    found = _compare(*_make(case))
    pictures.append(found.pictures)
    table.add_row(
        case,
        f'{found.equal:.2%}',
        f'{found.mean:.5f}',
        f'{found.worst:.4f}',
        f'{found.blank:.1f}',
        f'{found.correlation:.6f}',
        f'{found.host:.0f}',
        f'{found.device:.0f}',
    )
  console.Console().print(table)
  if _OUT.value:
    rows = [np.concatenate(list(case), axis=1) for case in pictures]
    path = pathlib.Path(_OUT.value)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.concatenate(rows)).save(path)
    console.say(f'wrote {path}')


def _make(case: str) -> tuple[Any, Any, renderers.Renderer]:
  """Returns settings, the environment's renderer and that in JAX."""
  if case == 'scenes':
    scenes = scene.SceneSettings()
    host = scene.SceneRenderer(scenes, _BATCH.value)
    return scenes, host, renderers.make_scenes(scenes, sprites.load(scenes))
  settings = painting.PaintingSettings(
      brush='classic/pen' if case == 'color' else f'classic/{case}',
      color=case == 'color',
  )
  brush = library.read_brush(settings.brush)
  return (
      settings,
      painting.TASK.make_renderer(settings, _BATCH.value, 1),
      renderers.make_strokes(settings, brush),
  )


def _compare(settings: Any, host: Any, device: renderers.Renderer) -> _Compared:
  """Draws programs by both."""
  init, step = jax.jit(device.init, static_argnums=0), jax.jit(device.step)
  rng = np.random.default_rng(0)
  differences, blanks, correlations, pictures, ends = [], [], [], [], []
  seconds = np.zeros(2)
  batches = -(-_COUNT.value // _BATCH.value)
  for batch in range(batches):
    programs = types.uniform_programs(
        settings.action_spec(), _LENGTH.value, _BATCH.value, rng
    )
    state, ours = init(_BATCH.value)
    theirs = host.reset()
    blank = theirs[0].astype(np.float32)
    for t in range(_LENGTH.value):
      command: Mapping[str, Any] = {k: v[t] for k, v in programs.items()}
      begin = time.perf_counter()
      theirs = host.step(command)
      middle = time.perf_counter()
      state, ours = jax.block_until_ready(step(state, command))
      if batch or t:  # The first step compiles.
        seconds += middle - begin, time.perf_counter() - middle
      pair = np.asarray(ours).astype(np.float32), theirs.astype(np.float32)
      differences.append(np.abs(pair[0] - pair[1]).mean(axis=(1, 2, 3)))
      blanks.append(np.abs(pair[1] - blank).mean())
      correlations.append(_correlations(*pair))
    worst = np.argsort(-differences[-1])[:_SHOWN]
    both = np.concatenate([theirs, np.asarray(ours)], axis=2)[worst]
    pictures.append(np.broadcast_to(both, (*both.shape[:3], 3)))
    ends.append(differences[-1][worst])
  order = np.argsort(-np.concatenate(ends))[:_SHOWN]
  found = np.concatenate(differences)
  commands = (batches * _LENGTH.value - 1) * _BATCH.value
  return _Compared(
      float((found == 0).mean()),
      float(found.mean()),
      float(found.max()),
      float(np.mean(blanks)),
      float(np.concatenate(correlations).min()),
      1e6 * seconds[0] / commands,
      1e6 * seconds[1] / commands,
      np.concatenate(pictures)[order],
  )


def _correlations(first: np.ndarray, second: np.ndarray) -> np.ndarray:
  """Returns correlations of canvases `[B, H, W, C]`; 1 where both are even."""
  a, b = (
      values.reshape(len(values), -1).astype(np.float64)
      for values in (first, second)
  )
  a, b = (values - values.mean(axis=1, keepdims=True) for values in (a, b))
  size = np.sqrt((a * a).sum(axis=1) * (b * b).sum(axis=1))
  product = (a * b).sum(axis=1)
  return np.where(size == 0, 1.0, product / np.where(size == 0, 1.0, size))


if __name__ == '__main__':
  cli.run(main)
