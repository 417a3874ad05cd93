"""Measures how well larger pictures of a program match its canvas.

Recorded programs (tests/data/painting_golden.npz) are painted at two sizes; the
benchmark prints the correlation of the canvas's pixels with means over blocks
of the larger picture.

  python experiments/benchmarks/resolution.py --size=512
"""

from collections.abc import Sequence
import dataclasses
import json
import pathlib

from absl import flags
import numpy as np
import rich.table

from environments import painting
from spiral_jax import console as console_lib
from spiral_jax.training import cli

_SIZE = flags.DEFINE_integer(
    'size',
    512,
    'height and width of the larger picture, in pixels; a multiple of those of '
    'the canvas',
    lower_bound=1,
)
_PROGRAMS = flags.DEFINE_string(
    'programs',
    str(
        pathlib.Path(__file__).resolve().parents[2]
        / 'tests/data/painting_golden.npz'
    ),
    'file of recorded programs',
)


def main(argv: Sequence[str]) -> None:
  """Prints a row for each brush."""
  del argv
  rows: dict[str, list[tuple[float, float]]] = {}
  with np.load(_PROGRAMS.value) as data:
    record = json.loads(str(data['json']))
    for entry in record['sets']:
      settings = _settings(entry['settings'])
      actions = data[f's{entry["index"]}_actions']
      for episode in actions:
        program = painting.Program(
            settings,
            {
                name: episode[:, record['action_keys'].index(name)]
                for name in settings.action_spec()
            },
        )
        rows.setdefault(settings.brush, []).append(_correlations(program))
  table = rich.table.Table(
      'brush', 'programs', 'least', 'mean', 'mean, sizes alone scaled'
  )
  for brush, pairs in rows.items():
    found, naive = np.array(pairs).T
    table.add_row(
        brush,
        str(len(pairs)),
        f'{found.min():.3f}',
        f'{found.mean():.3f}',
        f'{naive.mean():.3f}',
    )
  console_lib.Console().print(table)


def _settings(recorded: dict) -> painting.PaintingSettings:
  return painting.PaintingSettings(
      canvas_size=recorded['canvas_width'],
      grid_size=recorded['grid_width'],
      brush=recorded['brush_type'],
      brush_sizes=tuple(recorded['brush_sizes']),
      color=recorded['use_color'],
      pressure=recorded['use_pressure'],
      background=recorded['background'],
  )


def _correlations(program: painting.Program) -> tuple[float, float]:
  """Returns correlations with the picture enlarged, and with radii alone."""
  settings, size = program.settings, _SIZE.value
  factor = size / settings.canvas_size
  naive = dataclasses.replace(
      settings,
      canvas_size=size,
      brush_sizes=tuple(factor * radius for radius in settings.brush_sizes),
  )
  small = program.render()
  return (
      _correlation(program.render(size), small),
      _correlation(painting.Program(naive, program.commands).render(), small),
  )


def _correlation(large: np.ndarray, small: np.ndarray) -> float:
  size, factor = len(small), len(large) // len(small)
  if len(large) % len(small):
    raise ValueError(
        f'--size={len(large)} is not a multiple of {size}; change it'
    )
  blocks = large.reshape(size, factor, size, factor, -1).mean((1, 3))
  return float(np.corrcoef(blocks.ravel(), small.ravel())[0, 1])


if __name__ == '__main__':
  cli.run(main)
