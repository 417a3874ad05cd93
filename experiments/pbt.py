"""Population-based training: searches learning rate and entropy cost.

As in appendix C of Ganin et al. (2018): a population trains; every so often
members with a low score go on from copies of those with a high one (exploit),
with other hyperparameters (explore). Ray Tune schedules it. For example, with
four members that take turns on one machine:

  python experiments/pbt.py --experiment=mnist \
      --flagfile=experiments/flags/mnist_unconditional_cpu.flags \
      --run_dir=runs/pbt --members=4 --minutes=40 --perturb_minutes=2 \
      --learning_rates=1e-4,2e-3 --entropy_costs=0.02,0.3
  python experiments/evaluate.py --run_dir=runs/pbt/best

--minutes are those of the whole population, --frames of each member; all other
flags are those of the experiment. The first member begins as they say.
docs/scaling.md says more. It needs Ray:

  python -m pip install --editable '.[train,distributed]'
"""

import sys

from absl import flags

import cli
import run_setup

# The script -> names of its data set and of its kind of renderer.
_EXPERIMENTS = {
    'mnist': ('mnist', 'painting'),
    'omniglot': ('omniglot', 'painting'),
    'celeba': ('celeba', 'painting'),
    'mujoco_scenes': ('scenes', 'scene'),
}


def main() -> None:
  """Trains a population as the flags say."""
  try:
    import tuning  # Late: --help needs no Ray.
  except ImportError as error:
    raise ImportError(
        f'population-based training needs Ray ({error}); install it by: '
        f"{sys.executable} -m pip install 'ray[tune]'"
    ) from error
  setup = run_setup.read_flags(*_EXPERIMENTS[_experiment()])
  search = tuning.Search(
      members=_MEMBERS.value,
      ranges={
          'learning_rate': _range(_LEARNING_RATES),
          'entropy_cost': _range(_ENTROPY_COSTS),
      },
      minutes=_PERTURB_MINUTES.value,
      frames=_PERTURB_FRAMES.value,
      member_cpus=_MEMBER_CPUS.value,
  )
  best = tuning.train(setup, search)
  print(f'the best member is {best}')


def _experiment() -> str:
  """Returns what --experiment says, before flags are parsed.

  Which other flags there are depends on it.
  """
  values = flags.FlagValues()
  flags.DEFINE_enum(
      'experiment', 'mnist', list(_EXPERIMENTS), '', flag_values=values
  )
  try:
    values(sys.argv, known_only=True)
  except flags.Error:
    return 'mnist'  # The parser of all flags says what is wrong.
  return str(values['experiment'].value)


def _range(holder: flags.FlagHolder) -> tuple[float, float]:
  """Returns the bounds that a flag gives.

  Raises:
    ValueError: if these are no two increasing numbers above 0.
  """
  try:
    low, high = map(float, holder.value)
    if 0 < low < high < float('inf'):
      return low, high
  except ValueError:
    pass
  raise ValueError(
      f'--{holder.name}={",".join(holder.value)} must be two numbers above 0, '
      f'the lower one first, as --{holder.name}=1e-4,1e-2'
  )


if __name__ == '__main__':
  _EXPERIMENT = flags.DEFINE_enum(
      'experiment', 'mnist', list(_EXPERIMENTS), 'what the members train'
  )
  _MEMBERS = flags.DEFINE_integer(
      'members', 12, 'of the population', lower_bound=2
  )
  _PERTURB_MINUTES = flags.DEFINE_float(
      'perturb_minutes',
      2.0,
      'of each member between two comparisons, loading and saving included; '
      'about: rounds end with --minutes',
      lower_bound=0.0,
  )
  _PERTURB_FRAMES = flags.DEFINE_integer(
      'perturb_frames',
      0,
      'commands that each member learns from between two comparisons; 0, as '
      '--perturb_minutes says',
      lower_bound=0,
  )
  # Those of IMPALA (Espeholt et al., 2018), whose learner SPIRAL's is.
  _LEARNING_RATES = flags.DEFINE_list(
      'learning_rates', ['5e-6', '5e-3'], 'range of the first learning rates'
  )
  _ENTROPY_COSTS = flags.DEFINE_list(
      'entropy_costs', ['5e-5', '1e-2'], 'range of the first entropy costs'
  )
  _MEMBER_CPUS = flags.DEFINE_integer(
      'member_cpus',
      0,
      'of each member, which decide how many train at a time; 0, all of a '
      'machine, or with accelerators one',
      lower_bound=0,
  )
  run_setup.define_flags(_EXPERIMENTS[_experiment()][1])
  cli.run(main)
