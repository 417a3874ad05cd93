r"""Population-based training: searches learning rate and entropy cost.

As in appendix C of Ganin et al. (2018): a population trains; every so often
members with a low score are replaced by copies of those with a high one
(exploit), with other hyperparameters (explore). For example, with four members
that take turns on one machine:

  python experiments/pbt.py \
      --flagfile=experiments/flags/mnist_unconditional_reward_cpu.flags \
      --run_dir=runs/pbt --members=4 --minutes=40 --perturb_minutes=2 \
      --learning_rates=1e-4,2e-3 --entropy_costs=0.02,0.3
  python experiments/evaluate.py --run_dir=runs/pbt/best

--minutes are those of the whole population, --frames those of each member; all
other flags are those of a member. The first member begins as they say.
docs/scaling.md says more. It needs Ray:

  python -m pip install --editable '.[train,distributed]'
"""

from collections.abc import Sequence

from spiral_jax import console
from spiral_jax import training
from spiral_jax.training import cli
from spiral_jax.training import flags as flags_lib
from spiral_jax.training import population

_EXPERIMENT = training.define_flags('environments.painting', dataset='mnist')
flags_lib.define(population.Search)


def main(argv: Sequence[str]) -> None:
  """Trains a population as the flags say."""
  del argv
  best_dir = population.train(
      _EXPERIMENT.value, flags_lib.read(population.Search)
  )
  console.say(f'the best member is {best_dir}')


if __name__ == '__main__':
  cli.run(main)
