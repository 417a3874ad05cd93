"""Trains an agent to draw MNIST digits, then evaluates it.

For example:

  python experiments/mnist.py --flagfile=experiments/flags/mnist_cpu.flags
"""

import cli
import evaluate
import process
import training


def main() -> None:
  """Trains as the flags say, then evaluates."""
  process.prepare()
  evaluate.evaluate(training.train(training.read_flags('mnist')))


if __name__ == '__main__':
  training.define_flags()
  cli.run(main)
