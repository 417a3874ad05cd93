"""What the benchmarks share: times in turns, operations, traces, records."""

import collections
from collections.abc import Callable, Sequence
import gzip
import json
import pathlib
import statistics
import time
from typing import Any, NamedTuple

from absl import flags
import jax

from spiral_jax import agents
from spiral_jax import types
from spiral_jax.ops import native

_PAUSE = 0.2  # Seconds.

# Kinds of operations that others are part of.
_AROUND = ('while', 'call', 'conditional')

_FIGURES = flags.DEFINE_string(
    'figures', '', 'JSON lines to which the figures are added as well'
)


class Figure(NamedTuple):
  """What a benchmark found.

  Attributes:
    what: was measured.
    ours: how much it is for us.
    unit: of ours and theirs; '%' for shares, which are numbers from 0 to 1.
    theirs: how much it is for the reference, if there is one.
    reference: its name.
    ratio: how many times better ours is, if there is a reference; of several
      turns, the median of theirs.
    quartiles: the first and the third of these, if there are several.
  """

  what: str
  ours: float
  unit: str
  theirs: float | None = None
  reference: str = ''
  ratio: float | None = None
  quartiles: tuple[float, float] | None = None


def record(*args: Any, **kwargs: Any) -> None:
  """Adds a `Figure` of these to what --figures names, if it names a file."""
  if _FIGURES.value:
    with pathlib.Path(_FIGURES.value).open('a') as lines:
      lines.write(json.dumps(Figure(*args, **kwargs)._asdict()) + '\n')


def read_figures(path: pathlib.Path) -> list[Figure]:
  """Returns what was recorded in a file."""
  return [Figure(**json.loads(line)) for line in path.read_text().splitlines()]


def in_turns(
    functions: Sequence[Callable[[], object]],
    turns: int,
    *,
    warm_up: int = 2,
    seconds: float = 0.3,
    clock: Callable[[], float] = time.perf_counter,
) -> list[list[float]]:
  """Returns seconds a call of each function in each turn.

  They take turns, so that other work on the machine slows all alike. In its
  turn a function is called again and again, and the median counts: the first
  call may find other functions' data in the caches. A pause before it lets
  threads of other functions go to sleep, which wait for more work without rest:
  those of PyTorch's pool would slow short calls to half.

  Args:
    functions: what is timed; each returns when its work is done.
    turns: how often.
    warm_up: calls of each before all turns.
    seconds: that a turn takes at least, unless one call takes longer.
    clock: in seconds.
  """
  for function in functions:
    for _ in range(warm_up):
      function()
  times: list[list[float]] = [[] for _ in functions]
  for _ in range(turns):
    for row, function in zip(times, functions):
      time.sleep(_PAUSE)
      calls: list[float] = []
      end = time.monotonic() + seconds
      while not calls or time.monotonic() < end:
        start = clock()
        function()
        calls.append(clock() - start)
      row.append(statistics.median(calls))
  return times


def trace(
    function: Callable[[], object], folder: pathlib.Path, calls: int
) -> dict[str, float]:
  """Traces calls of a function, operation by operation.

  Args:
    function: what is traced; it returns when its work is done.
    folder: what JAX's profiler writes comes below it, of which
      perfetto_trace.json.gz is for https://ui.perfetto.dev.
    calls: how many.

  Returns:
    Kind of XLA's operations -> seconds a call, longest first.
  """
  with jax.profiler.trace(folder, create_perfetto_trace=True):
    for _ in range(calls):
      function()
  paths = folder.glob('**/perfetto_trace.json.gz')
  newest = max(paths, key=lambda path: path.stat().st_mtime)
  events = json.loads(gzip.decompress(newest.read_bytes()))['traceEvents']
  seconds: collections.Counter[str] = collections.Counter()
  for event in events:
    if operation := event.get('args', {}).get('hlo_op'):
      kind = operation.split('.')[0]
      if kind not in _AROUND:
        seconds[kind] += 1e-6 * event['dur'] / calls
  return dict(seconds.most_common())


def gradient_flops(
    agent: agents.Agent, params: types.Params, trajectory: agents.Trajectory
) -> float:
  """Returns what XLA counts for the policy's gradients, convolutions plain."""

  def loss(params: types.Params) -> jax.Array:
    out = agent.unroll(params, trajectory)
    return (out.log_prob + out.value + out.entropy.sum(-1)).sum()

  is_built = native.is_built
  native.is_built = lambda: False  # type: ignore[assignment]
  shapes = jax.eval_shape(lambda: params)
  try:
    # XLA counts no operations of programs for GPUs.
    with jax.default_device(jax.devices('cpu')[0]):
      costs = jax.jit(jax.grad(loss)).lower(shapes).cost_analysis()
  finally:
    native.is_built = is_built
  assert costs is not None
  return costs['flops']
