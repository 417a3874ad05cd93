"""Times the painting renderer: microseconds per command and canvas.

All ways to paint take turns, so that other work on the machine slows all alike;
printed are medians over the turns, with quartiles.

  python experiments/benchmarks/painting.py
  python experiments/benchmarks/painting.py --brush=classic/dry_brush --color
"""

from collections.abc import Mapping, Sequence
import time
from typing import Literal, NamedTuple

from absl import flags
import numpy as np

from environments import painting
from environments.painting import native
from spiral_jax.training import cli
from spiral_jax.training import profiling

_BRUSH = flags.DEFINE_string('brush', 'classic/pen', 'brush to paint with')
_COLOR = flags.DEFINE_boolean('color', False, 'paints in color')
_CANVASES = flags.DEFINE_integer(
    'canvases', 64, 'number of canvases in a batch', lower_bound=1
)
_COMMANDS = flags.DEFINE_integer(
    'commands', 20, 'number of commands in an episode', lower_bound=1
)
_TURNS = flags.DEFINE_integer(
    'turns', 9, 'number of episodes of each way to paint', lower_bound=1
)
_FIGURES = flags.DEFINE_string(
    'figures',
    '',
    'file of JSON lines that figures are added to; empty for none',
)


class Way(NamedTuple):
  """One way to paint."""

  name: str
  backend: Literal['native', 'ctypes']
  num_threads: int


_CTYPES = Way('ctypes', 'ctypes', 1)
_ONE_THREAD = Way('native, one thread', 'native', 1)
_TWO_THREADS = Way('native, two threads', 'native', 2)


def make_program(
    settings: painting.PaintingSettings, num_commands: int, count: int
) -> list[dict[str, np.ndarray]]:
  """Returns random commands that all paint, int `[count]` a part."""
  rng = np.random.default_rng(0)
  program = []
  for _ in range(num_commands):
    command = {
        name: rng.integers(0, part.num_values, count)
        for name, part in settings.action_spec().items()
    }
    command['flag'][:] = 1
    program.append(command)
  return program


def time_commands(
    renderer: painting.PaintingRenderer,
    program: Sequence[Mapping[str, np.ndarray]],
) -> float:
  """Returns microseconds per command and canvas, of wall time."""
  renderer.reset()
  start = time.perf_counter()
  for command in program:
    renderer.step(command)
  seconds = time.perf_counter() - start
  return 1e6 * seconds / (len(program) * renderer.count)


def main(argv: Sequence[str]) -> None:
  """Prints a table, and ratios of ways to paint."""
  del argv
  settings = painting.PaintingSettings(
      brush=_BRUSH.value,
      color=_COLOR.value,
      episode_length=_COMMANDS.value,
  )
  ways = [_CTYPES]
  if native.is_built():
    ways = [_CTYPES, _ONE_THREAD, _TWO_THREADS]
  renderers = {
      way: painting.PaintingRenderer(
          settings, _CANVASES.value, way.backend, way.num_threads
      )
      for way in ways
  }
  program = make_program(settings, _COMMANDS.value, _CANVASES.value)
  times: dict[Way, list[float]] = {way: [] for way in ways}
  for _ in range(_TURNS.value):
    for way, renderer in renderers.items():
      times[way].append(time_commands(renderer, program))

  kind = 'color' if settings.color else 'gray'
  print(
      f'{settings.brush}, {kind}, {_CANVASES.value} canvases of'
      f' {settings.canvas_size} pixels, {_TURNS.value} turns;'
      ' microseconds per command and canvas'
  )
  for way in ways:
    low, median, high = np.percentile(times[way], [25, 50, 75])
    print(f'{way.name:20} {median:8.1f}  ({low:.1f} to {high:.1f})')
  if len(ways) == 1:
    print('The native step is not built.')
    return
  _compare(_ONE_THREAD, _CTYPES, times)
  _compare(_TWO_THREADS, _ONE_THREAD, times)


def _compare(fast: Way, slow: Way, times: Mapping[Way, list[float]]) -> None:
  """Prints the ratio of times: median over the turns, with quartiles."""
  ratios = np.array(times[slow]) / np.array(times[fast])
  low, median, high = np.percentile(ratios, [25, 50, 75])
  print(
      f'{fast.name} against {slow.name}: {median:.2f}x'
      f' ({low:.2f} to {high:.2f})'
  )
  profiling.record(
      _FIGURES.value,
      profiling.Figure(
          f'a command on a canvas, {fast.name}',
          float(np.median(times[fast])),
          'us',
          float(np.median(times[slow])),
          slow.name,
          median,
          (low, high),
      ),
  )


if __name__ == '__main__':
  cli.run(main)
