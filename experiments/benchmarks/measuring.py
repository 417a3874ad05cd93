"""What the benchmarks share: times in turns, and operations."""

from collections.abc import Callable, Sequence
import time

import jax

from spiral_jax import agents
from spiral_jax import types
from spiral_jax.networks import native


def in_turns(
  functions: Sequence[Callable[[], object]],
  turns: int,
  *,
  warm_up: int = 2,
  clock: Callable[[], float] = time.perf_counter,
) -> list[list[float]]:
  """Returns seconds of each function in each turn.

  They take turns, so that other work on the machine slows all alike.

  Args:
    functions: what is timed; each returns when its work is done.
    turns: how often.
    warm_up: turns before these, of which nothing is kept.
    clock: in seconds.
  """
  times: list[list[float]] = [[] for _ in functions]
  for turn in range(-warm_up, turns):
    for row, function in zip(times, functions):
      start = clock()
      function()
      if turn >= 0:
        row.append(clock() - start)
  return times


def gradient_flops(
  agent: agents.Agent, params: types.Params, trajectory: agents.Trajectory
) -> float:
  """Returns what XLA counts for the policy's gradients, convolutions plain."""

  def loss(params: types.Params) -> jax.Array:
    out = agent.unroll(params, trajectory)
    return (out.log_prob + out.value + out.entropy.sum(-1)).sum()

  is_built = native.is_built
  native.is_built = lambda: False  # type: ignore[assignment]
  try:
    costs = jax.jit(jax.grad(loss)).lower(params).cost_analysis()
  finally:
    native.is_built = is_built
  assert costs is not None
  return costs['flops']
