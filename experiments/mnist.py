"""Trains an agent to draw MNIST digits, then evaluates it.

For example:

  python experiments/mnist.py --flagfile=experiments/flags/mnist_cpu.flags
"""

import experiment

if __name__ == '__main__':
  experiment.run('mnist')
