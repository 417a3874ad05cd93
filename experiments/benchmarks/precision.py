"""Measures what features in bfloat16 cost in accuracy.

Compares an agent whose weights come with the package with itself, computed in
bfloat16 (`AgentConfig.compute_dtype`): the errors of what it draws by its
likeliest choices, its log-probabilities of the same commands, and the
direction of the gradient by its parameters.

  python experiments/benchmarks/precision.py --weights=digits
"""

from collections.abc import Sequence
import dataclasses
import functools
from typing import Any, NamedTuple

from absl import flags
import jax
import numpy as np
import optax

from spiral_jax import agents
from spiral_jax import evaluation
from spiral_jax import training
from spiral_jax.training import cli

_WEIGHTS = flags.DEFINE_string('weights', 'digits', 'that come with us')
_COUNT = flags.DEFINE_integer('count', 500, 'held-out images', lower_bound=1)


class Precision(NamedTuple):
  """What an agent does in one precision."""

  error: float  # Mean squared, of what it draws.
  log_prob: np.ndarray  # Of given commands, [T, B].
  gradient: Any  # Of their sum by the parameters.


def main(argv: Sequence[str]) -> None:
  """Prints the figures."""
  del argv
  restored = restored_lib.load_weights(_WEIGHTS.value)
  restored_lib.check_conditional(restored)
  targets = run_setup.load_dataset(restored.setup, 'test')
  targets = targets.spread(_COUNT.value)
  drawn = next(training.episodes(restored, _COUNT.value, targets.images))
  full, half = (
      measure(_computed_in(restored, dtype), targets.images, drawn)
      for dtype in ('float32', 'bfloat16')
  )
  difference = half.log_prob - full.log_prob
  along = optax.tree.vdot(half.gradient, full.gradient)
  cosine = along / (
      optax.tree.norm(half.gradient) * optax.tree.norm(full.gradient)
  )
  print(f'{_WEIGHTS.value}, {_COUNT.value} held-out images')
  print(f'error of drawings, float32      {full.error:.5f}')
  print(f'error of drawings, bfloat16     {half.error:.5f}')
  print(f'log-prob of a command, rms      {full.log_prob.std():.4f} nats')
  print(f'its change by bfloat16, rms     {difference.std():.4f} nats')
  print(f'cosine of the gradients         {float(cosine):.4f}')


def _computed_in(
    restored: training.TrainedAgent, dtype: str
) -> training.TrainedAgent:
  setup = restored.setup
  setup = setup._replace(
      agent=dataclasses.replace(setup.agent, compute_dtype=dtype)
  )
  return restored._replace(setup=setup, agent=run_setup.make_agent(setup))


def measure(
    restored: training.TrainedAgent,
    targets: np.ndarray,
    drawn: agents.Trajectory,
) -> Precision:
  """Returns what the agent makes of targets `[N, H, W, C]` and commands."""
  canvases = [
      trajectory.canvas[-1]
      for trajectory in training.episodes(
          restored, len(targets), targets, greedy=True
      )
  ]
  canvas = np.concatenate(canvases)[: len(targets)]

  @jax.jit
  @functools.partial(jax.grad, has_aux=True)
  def differentiate(params: Any, drawn: agents.Trajectory) -> Any:
    log_prob = restored.agent.unroll(params, drawn).log_prob
    return log_prob.sum(), log_prob

  gradient, log_prob = differentiate(restored.params, drawn)
  return Precision(
      float(evaluation.reconstruction_error(canvas, targets).mean()),
      np.asarray(log_prob),
      gradient,
  )


if __name__ == '__main__':
  cli.run(main)
