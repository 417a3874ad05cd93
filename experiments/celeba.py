"""Trains SPIRAL on CelebA (Ganin et al., 2018, section 4.5).

For example, on two CPU cores:

  python experiments/celeba.py --flagfile=experiments/flags/celeba_cpu.flags

--data_dir names a folder with img_align_celeba.zip, or with that archive
unpacked, and with list_eval_partition.txt; faces are decoded once, into the
user's cache. Without it, portraits that come with the package are painted.
"""

from collections.abc import Sequence

from spiral_jax import training
from spiral_jax.training import cli

_EXPERIMENT = training.define_flags('environments.painting', dataset='celeba')


def main(argv: Sequence[str]) -> None:
  """Trains and evaluates as the flags say."""
  del argv
  run_dir = training.train(_EXPERIMENT.value)
  training.evaluate(run_dir)


if __name__ == '__main__':
  cli.run(main)
