"""Figure 7 of the paper: images, and what an agent painted of them.

Rows of images of the held-out split, each above its reconstructions. For
example, of a run, or with weights that come with the package:

  python experiments/figure7.py --run_dir=runs/celeba_cpu
  python experiments/figure7.py --weights=portraits --out_dir=out
"""

from collections.abc import Sequence
import pathlib

from absl import flags
import numpy as np
import rich.console

from spiral_jax import evaluation
from spiral_jax import training
from spiral_jax.training import cli
from spiral_jax.training import plots

_RUN_DIR = flags.DEFINE_string(
    'run_dir', '', 'folder of the run of a conditional agent'
)
_STEP = flags.DEFINE_integer('step', None, 'checkpoint; the latest if none')
_WEIGHTS = flags.DEFINE_string(
    'weights',
    'portraits',
    'that come with the package, if there is no run_dir',
)
_OUT_DIR = flags.DEFINE_string(
    'out_dir', '', 'folder of the picture; empty, run_dir, or out without one'
)
_ROWS = flags.DEFINE_integer('rows', 4, 'of targets', lower_bound=1)
_COLUMNS = flags.DEFINE_integer('columns', 8, 'images', lower_bound=1)
_GREEDY = flags.DEFINE_boolean(
    'greedy', False, 'decide for the likeliest commands instead of sampling'
)
_SEED = flags.DEFINE_integer('seed', 0, 'of what is sampled', lower_bound=0)


def figure7(
    restored: training.TrainedAgent,
    targets: np.ndarray,
    *,
    columns: int,
    seed: int = 0,
    greedy: bool = False,
) -> tuple[np.ndarray, evaluation.ReconstructionQuality]:
  """Returns the figure, and how near the reconstructions are.

  Args:
    restored: a conditional agent.
    targets: uint8 `[N, H, W, C]`; N is a multiple of `columns`.
    columns: images in a row.
    seed: of sampled commands.
    greedy: decide for the likeliest value of each part of a command.

  Returns:
    uint8 `[height, width, C]`, and means over the N images.

  Raises:
    ValueError: if the agent takes no targets.
  """
  restored_lib.check_conditional(restored)
  trajectories = training.episodes(
      restored, len(targets), targets, seed=seed, greedy=greedy
  )
  canvas = np.concatenate([t.canvas[-1] for t in trajectories])[: len(targets)]
  picture = plots.grid(
      canvas, targets, rows=len(targets) // columns, columns=columns
  )
  return picture, evaluation.evaluate_reconstructions(canvas, targets)


def main(argv: Sequence[str]) -> None:
  """Makes the figure as the flags say."""
  del argv
  restored = restored_lib.load_either(
      _RUN_DIR.value, _STEP.value, _WEIGHTS.value
  )
  targets = run_setup.load_dataset(restored.setup, 'test').spread(
      _ROWS.value * _COLUMNS.value
  )
  figure, quality = figure7(
      restored,
      targets.images,
      columns=_COLUMNS.value,
      seed=_SEED.value,
      greedy=_GREEDY.value,
  )
  out = pathlib.Path(_OUT_DIR.value or _RUN_DIR.value or 'out').expanduser()
  plots.save(figure, out / 'figure7.png')
  rich.console.Console(highlight=False).print(
      f'l2 {quality.error:.4f} a pixel, {quality.share_of_constant:.0%} of '
      f'that of the best pages of one color; picture in {out / "figure7.png"}',
      soft_wrap=True,
  )


if __name__ == '__main__':
  cli.run(main)
