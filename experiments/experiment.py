"""What the training scripts are: flags, training, an evaluation after it."""

from absl import flags

import cli
import evaluate
import process
import run_setup
import training

# Flags belong to the scripts: their --help lists them.
flags.disclaim_key_flags()


def run(dataset: str, kind: str = 'painting') -> None:
  """Defines a run's flags, trains as they say, evaluates and exits.

  Args:
    dataset: its name in `spiral_jax.datasets`.
    kind: of the environment, a key of `renderers.KINDS`.
  """
  run_setup.define_flags(kind)

  def main() -> None:
    process.prepare()
    evaluate.evaluate(training.train(run_setup.read_flags(dataset, kind)))

  cli.run(main)
