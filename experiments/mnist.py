"""Trains an agent to draw MNIST digits, then evaluates it.

For example:

  python experiments/mnist.py --flagfile=experiments/flags/mnist_cpu.flags
"""

from absl import app

import cli
import evaluate
import training

training.define_flags()


def main(argv: list[str]) -> None:
  """Trains as the flags say."""
  cli.start(argv)
  training.cache_compilations()
  with cli.one_line_errors():
    run_dir = training.train(training.read_flags('mnist'))
    evaluate.evaluate(run_dir)


if __name__ == '__main__':
  app.run(main)
