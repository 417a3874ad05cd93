"""Figure 7 of the paper: images and their reconstructions.

Rows of images of the held-out split, each above its reconstructions. For
example, of a run, or with weights that come with the package:

  python experiments/paper/figure7.py --run_dir=runs/celeba_cpu
  python experiments/paper/figure7.py --weights=portraits --out_dir=out
"""

from collections.abc import Sequence
import pathlib

from absl import flags
import numpy as np

from spiral_jax import console as console_lib
from spiral_jax import evaluation
from spiral_jax import training
from spiral_jax.training import cli
from spiral_jax.training import plots

_RUN_DIR = flags.DEFINE_string(
    'run_dir', '', 'folder of the run of a conditional agent'
)
_WEIGHTS = flags.DEFINE_string(
    'weights',
    'portraits',
    'name of weights that come with the package, or a folder of saved ones; '
    'ignored with --run_dir',
)
_STEP = flags.DEFINE_integer(
    'step', None, 'step of the checkpoint; by default the latest'
)
_OUT_DIR = flags.DEFINE_string(
    'out_dir',
    '',
    'folder of the picture; empty means run_dir, or out without a run',
)
_ROWS = flags.DEFINE_integer(
    'rows', 4, 'number of rows of held-out images', lower_bound=1
)
_COLUMNS = flags.DEFINE_integer(
    'columns', 8, 'number of images in a row', lower_bound=1
)
_GREEDY = flags.DEFINE_boolean(
    'greedy', False, 'chooses the likeliest commands instead of sampling'
)
_SEED = flags.DEFINE_integer(
    'seed', 0, 'seed of sampled commands', lower_bound=0
)


def figure7(
    trained: training.TrainedAgent,
    targets: np.ndarray,
    *,
    columns: int,
    seed: int = 0,
    greedy: bool = False,
) -> tuple[np.ndarray, evaluation.ReconstructionQuality]:
  """Returns the figure, and the quality of its reconstructions.

  Args:
    trained: a conditional agent.
    targets: uint8 `[N, H, W, C]`; N is a multiple of `columns`.
    columns: number of images in a row.
    seed: seed of sampled commands.
    greedy: chooses the likeliest value of each part of a command.

  Returns:
    uint8 `[height, width, C]`, and means over the N images.

  Raises:
    ValueError: if the agent takes no targets.
  """
  training.check_conditional(trained)
  trajectories = training.episodes(
      trained, len(targets), targets, seed=seed, greedy=greedy
  )
  canvas = np.concatenate([t.canvas[-1] for t in trajectories])[: len(targets)]
  picture = plots.grid(
      canvas, targets, rows=len(targets) // columns, columns=columns
  )
  return picture, evaluation.evaluate_reconstructions(canvas, targets)


def main(argv: Sequence[str]) -> None:
  """Makes the figure as the flags say."""
  del argv
  trained = training.restore(_RUN_DIR.value or _WEIGHTS.value, _STEP.value)
  targets = trained.experiment.load_images('test').spread(
      _ROWS.value * _COLUMNS.value
  )
  figure, quality = figure7(
      trained,
      targets.images,
      columns=_COLUMNS.value,
      seed=_SEED.value,
      greedy=_GREEDY.value,
  )
  out_dir = pathlib.Path(_OUT_DIR.value or _RUN_DIR.value or 'out').expanduser()
  path = out_dir / 'figure7.png'
  plots.save(figure, path)
  console_lib.Console().print(
      f'l2 {quality.error:.4f} a pixel, {quality.share_of_constant:.0%} of '
      f'that of the best pages of one color; picture in {path}',
      soft_wrap=True,
  )


if __name__ == '__main__':
  cli.run(main)
