"""Trains an agent for any renderer, then evaluates it.

For example, for a module of your own that offers a `TASK`:

  python experiments/train.py --task=my_package.rectangles --run_dir=runs/mine \
      --minutes=10 --noise_size=10
"""

from collections.abc import Sequence

from spiral_jax import training
from spiral_jax.training import cli

_EXPERIMENT = training.define_flags('environments.painting')


def main(argv: Sequence[str]) -> None:
  """Trains and evaluates as the flags say."""
  del argv
  run_dir = training.train(_EXPERIMENT.value)
  training.evaluate(run_dir)


if __name__ == '__main__':
  cli.run(main)
