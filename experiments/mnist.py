"""Trains an agent to draw MNIST digits, then evaluates it.

For example:

  python experiments/mnist.py --flagfile=experiments/flags/mnist_cpu.flags
"""

import cli
import evaluate
import process
import run_setup
import training


def main() -> None:
  """Trains as the flags say, then evaluates."""
  process.prepare()
  evaluate.evaluate(training.train(run_setup.read_flags('mnist')))


if __name__ == '__main__':
  run_setup.define_flags()
  cli.run(main)
