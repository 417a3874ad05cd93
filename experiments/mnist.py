"""Trains SPIRAL on MNIST (Ganin et al., 2018, section 4.3), then evaluates it.

For example, on two CPU cores:

  python experiments/mnist.py --flagfile=experiments/flags/mnist_cpu.flags
"""

from collections.abc import Sequence

from spiral_jax import training
from spiral_jax.training import cli

_EXPERIMENT = training.define_flags('environments.painting', dataset='mnist')


def main(argv: Sequence[str]) -> None:
  """Trains and evaluates as the flags say."""
  del argv
  run_dir = training.train(_EXPERIMENT.value)
  training.evaluate(run_dir)


if __name__ == '__main__':
  cli.run(main)
