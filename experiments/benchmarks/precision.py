"""Measures the accuracy that features in bfloat16 cost.

An agent is compared with itself computed in bfloat16
(`AgentConfig.compute_dtype`): by the errors of its drawings of the likeliest
commands, its log-probabilities of the same commands, and the direction of the
gradient.

  python experiments/benchmarks/precision.py --weights=digits
"""

from collections.abc import Sequence
import dataclasses
import functools
from typing import Any, Literal, NamedTuple

from absl import flags
import jax
import numpy as np
import optax

from spiral_jax import agents
from spiral_jax import evaluation
from spiral_jax import training
from spiral_jax.training import cli

_RUN_DIR = flags.DEFINE_string(
    'run_dir', '', 'folder of the run of a conditional agent'
)
_WEIGHTS = flags.DEFINE_string(
    'weights',
    'digits',
    'name of weights that come with the package, or a folder of saved ones; '
    'ignored with --run_dir',
)
_STEP = flags.DEFINE_integer(
    'step', None, 'step of the checkpoint; by default the latest'
)
_COUNT = flags.DEFINE_integer(
    'count', 500, 'number of held-out images', lower_bound=1
)

_DTYPES: tuple[Literal['float32', 'bfloat16'], ...] = ('float32', 'bfloat16')


class Precision(NamedTuple):
  """Outputs of an agent in one precision."""

  error: float  # Mean squared error of its drawings.
  log_prob: np.ndarray  # Of given commands, [T, B].
  gradient: Any  # Of the sum of log_prob by the parameters.


def main(argv: Sequence[str]) -> None:
  """Prints the figures."""
  del argv
  trained = training.restore(_RUN_DIR.value or _WEIGHTS.value, _STEP.value)
  training.check_conditional(trained)
  targets = trained.experiment.load_images('test')
  targets = targets.spread(_COUNT.value)
  drawn = next(training.episodes(trained, _COUNT.value, targets.images))
  full, half = (
      measure(_computed_in(trained, dtype), targets.images, drawn)
      for dtype in _DTYPES
  )
  difference = half.log_prob - full.log_prob
  along = optax.tree.vdot(half.gradient, full.gradient)
  cosine = along / (
      optax.tree.norm(half.gradient) * optax.tree.norm(full.gradient)
  )
  print(f'{_RUN_DIR.value or _WEIGHTS.value}, {_COUNT.value} held-out images')
  print(f'error of drawings, float32      {full.error:.5f}')
  print(f'error of drawings, bfloat16     {half.error:.5f}')
  print(f'log-prob of a command, rms      {full.log_prob.std():.4f} nats')
  print(f'its change by bfloat16, rms     {difference.std():.4f} nats')
  print(f'cosine of the gradients         {float(cosine):.4f}')


def _computed_in(
    trained: training.TrainedAgent, dtype: Literal['float32', 'bfloat16']
) -> training.TrainedAgent:
  config = dataclasses.replace(trained.experiment.agent, compute_dtype=dtype)
  experiment = trained.experiment.replace(agent=config)
  return trained._replace(experiment=experiment, agent=experiment.make_agent())


def measure(
    trained: training.TrainedAgent,
    targets: np.ndarray,
    drawn: agents.Trajectory,
) -> Precision:
  """Returns the outputs for targets `[N, H, W, C]` and for commands."""
  canvases = [
      trajectory.canvas[-1]
      for trajectory in training.episodes(
          trained, len(targets), targets, greedy=True
      )
  ]
  canvas = np.concatenate(canvases)[: len(targets)]

  @jax.jit
  @functools.partial(jax.grad, has_aux=True)
  def differentiate(params: Any, drawn: agents.Trajectory) -> Any:
    log_prob = trained.agent.unroll(params, drawn).log_prob
    return log_prob.sum(), log_prob

  gradient, log_prob = differentiate(trained.params, drawn)
  return Precision(
      float(evaluation.reconstruction_error(canvas, targets).mean()),
      np.asarray(log_prob),
      gradient,
  )


if __name__ == '__main__':
  cli.run(main)
