"""Measurements for benchmarks: times in turns, traces, operations, figures."""

import collections
from collections.abc import Callable, Sequence
import gzip
import json
import os
import pathlib
import statistics
import time
from typing import NamedTuple

import jax

from spiral_jax import agents
from spiral_jax import types
from spiral_jax.ops import native

_PAUSE = 0.2  # Seconds.

# Kinds of operations that contain others.
_CONTAINERS = ('while', 'call', 'conditional')


class Figure(NamedTuple):
  """A result of a benchmark.

  Attributes:
    name: name of the quantity.
    ours: its value for this library.
    unit: unit of both values; '%' for shares, which are numbers from 0 to 1.
    theirs: its value for the reference, if there is one.
    reference: name of the reference.
    ratio: factor by which ours is better than the reference, if there is one;
      the median over turns, if there are several.
    quartiles: first and third quartile of the ratio over turns.
  """

  name: str
  ours: float
  unit: str
  theirs: float | None = None
  reference: str = ''
  ratio: float | None = None
  quartiles: tuple[float, float] | None = None


def record(path: str | os.PathLike[str], figure: Figure) -> None:
  """Adds a figure to a file of JSON lines; does nothing if `path` is empty."""
  if path:
    with pathlib.Path(path).open('a') as lines:
      lines.write(json.dumps(figure._asdict()) + '\n')


def read_figures(path: pathlib.Path) -> list[Figure]:
  """Returns the figures in a file that `record` wrote."""
  return [Figure(**json.loads(line)) for line in path.read_text().splitlines()]


def in_turns(
    functions: Sequence[Callable[[], object]],
    turns: int,
    *,
    warm_up: int = 2,
    seconds: float = 0.3,
    clock: Callable[[], float] = time.perf_counter,
) -> list[list[float]]:
  """Returns the seconds per call of each function in each turn.

  The functions take turns, so that other work on the machine slows all alike.
  In its turn a function is called repeatedly, and the median counts, since the
  first call may find other functions' data in the caches. The pause before a
  turn lets the threads of other functions fall asleep: those of PyTorch's pool
  spin while they wait, and would double the time of short calls.

  Args:
    functions: functions that return when their work is done.
    turns: number of turns.
    warm_up: calls of each function before the first turn.
    seconds: shortest length of a turn.
    clock: clock in seconds.

  Returns:
    One list of `turns` medians for each function.
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
    function: function that returns when its work is done.
    folder: folder of the profiler's files; perfetto_trace.json.gz, somewhere
      below it, is for https://ui.perfetto.dev.
    calls: number of calls.

  Returns:
    Seconds per call by kind of XLA's operations, longest first.
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
      if kind not in _CONTAINERS:
        seconds[kind] += 1e-6 * event['dur'] / calls
  return dict(seconds.most_common())


def gradient_flops(
    agent: agents.Agent, params: types.Params, trajectory: agents.Trajectory
) -> float:
  """Returns XLA's count of operations of the policy's gradients.

  Native convolutions are replaced by XLA's while it counts.

  Args:
    agent: pure functions of `params`.
    params: parameters of the policy.
    trajectory: episodes `[T, B]`.
  """

  def loss(params: types.Params) -> jax.Array:
    out = agent.unroll(params, trajectory)
    return (out.log_prob + out.value + out.entropy.sum(-1)).sum()

  is_built = native.is_built
  native.is_built = lambda: False  # type: ignore[assignment]
  shapes = jax.eval_shape(lambda: params)
  try:
    # XLA does not count operations of programs for GPUs.
    with jax.default_device(jax.devices('cpu')[0]):
      costs = jax.jit(jax.grad(loss)).lower(shapes).cost_analysis()
  finally:
    native.is_built = is_built
  assert costs is not None
  return costs['flops']
