"""Trains SPIRAL on Omniglot (Ganin et al., 2018, section 4.4).

It learns from the background set alone and is evaluated on the evaluation set,
whose alphabets it never saw. For example, on two CPU cores:

  python experiments/omniglot.py \
      --flagfile=experiments/flags/omniglot_cpu.flags

--data_dir names a folder with images_background.zip and images_evaluation.zip,
or with these archives unpacked; without it, a subset that comes with the
package is drawn.
"""

from collections.abc import Sequence

from spiral_jax import training
from spiral_jax.training import cli

_EXPERIMENT = training.define_flags('environments.painting', dataset='omniglot')


def main(argv: Sequence[str]) -> None:
  """Trains and evaluates as the flags say."""
  del argv
  run_dir = training.train(_EXPERIMENT.value)
  training.evaluate(run_dir)


if __name__ == '__main__':
  cli.run(main)
