"""Evaluates an agent on held-out images; writes figures and pictures.

For example, on the official test split:

  python experiments/evaluate.py --run_dir=runs/mnist --data_dir=~/data/mnist

or on pictures of another origin than those it was trained on:

  python experiments/evaluate.py --run_dir=runs/omniglot --dataset=mnist

or with weights that come with the package:

  python experiments/evaluate.py --weights=portraits --out_dir=out

or what a second of search makes of each of an agent's drawings:

  python experiments/evaluate.py --weights=digits --count=50 --search_seconds=1

or what is drawn from noise if likely commands become likelier:

  python experiments/evaluate.py --weights=digits_unconditional --temperature=.8

or what an agent that learned with --on_device draws in either renderer:

  python experiments/evaluate.py --run_dir=runs/mnist --on_device
"""

from collections.abc import Sequence
import pathlib
from typing import Any

from absl import flags

from spiral_jax import datasets
from spiral_jax import training
from spiral_jax.training import cli

_RUN_DIR = flags.DEFINE_string(
    'run_dir', '', 'folder of the run to evaluate; the results go there'
)
_WEIGHTS = flags.DEFINE_string(
    'weights',
    '',
    'name of weights that come with the package, or a folder of saved ones, '
    'instead of a run',
)
_OUT_DIR = flags.DEFINE_string(
    'out_dir', '', 'folder of the results with --weights; empty means out'
)
_DATASET = flags.DEFINE_enum(
    'dataset',
    '',
    ['', *datasets.NAMES],
    'another data set than in training, of pictures the agent never saw',
)
_DATA_DIR = flags.DEFINE_string(
    'data_dir',
    '',
    'folder of the data set; empty, as in training, or with --dataset the data '
    'that comes with the package',
)
_COUNT = flags.DEFINE_integer(
    'count',
    1000,
    'number of samples or reconstructions; 0 means all held-out images',
    lower_bound=0,
)
_STEP = flags.DEFINE_integer(
    'step', None, 'step of the checkpoint; by default the latest'
)
_RECOGNIZER = flags.DEFINE_bool(
    'recognizer',
    False,
    'evaluates the agent that learned to redraw images beside one that draws '
    'from noise; the results go into the folder recognizer of the run',
)
_SEARCH_SECONDS = flags.DEFINE_float(
    'search_seconds',
    0.0,
    'seconds of search for the program of each image, which begins with the '
    'best of 16 samples of the agent; 0 means none',
    lower_bound=0.0,
)
_TEMPERATURE = flags.DEFINE_float(
    'temperature',
    1.0,
    'temperature of sampling: below 1, likely commands become likelier, and '
    'drawings more alike',
)
_ON_DEVICE = flags.DEFINE_bool(
    'on_device',
    False,
    "draws with the task's renderer in JAX, too (a conditional agent by its "
    'likeliest choices), and says how many of the pictures are the same',
)


def main(argv: Sequence[str]) -> None:
  """Evaluates as the flags say."""
  del argv
  options: dict[str, Any] = {
      'dataset': _DATASET.value,
      'data_dir': _DATA_DIR.value,
      'count': _COUNT.value,
      'search_seconds': _SEARCH_SECONDS.value,
      'temperature': _TEMPERATURE.value,
      'on_device': _ON_DEVICE.value,
  }
  if bool(_RUN_DIR.value) == bool(_WEIGHTS.value):
    raise ValueError(
        'name what to evaluate, one of the two: a run, as --run_dir=runs/mnist,'
        ' or weights that come with the package, as --weights=digits'
    )
  if _RUN_DIR.value:
    if _OUT_DIR.value:
      raise ValueError(
          f'--out_dir={_OUT_DIR.value} goes with --weights; the results of a '
          'run are written into its folder'
      )
    training.evaluate(
        _RUN_DIR.value,
        step=_STEP.value,
        recognizer=_RECOGNIZER.value,
        **options,
    )
    return
  if _RECOGNIZER.value:
    raise ValueError('--recognizer is of a run; leave it out with --weights')
  if _STEP.value is not None:
    raise ValueError(
        f'--step={_STEP.value} is of a run; leave it out with --weights'
    )
  out_dir = pathlib.Path(_OUT_DIR.value or 'out').expanduser()
  training.evaluate_agent(
      training.restore(_WEIGHTS.value), out_dir / _DATASET.value, **options
  )


if __name__ == '__main__':
  cli.run(main)
