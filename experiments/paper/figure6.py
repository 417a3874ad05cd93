"""Figure 6 of the paper: inputs, reconstructions and traces of strokes.

Each column shows an image of the held-out split; from top to bottom: the input,
its reconstruction on the canvas, the same program painted in more detail, and
the trace of its strokes, colored by their order, averaged over many samples.
For example, of a run, or with weights that come with the package:

  python experiments/paper/figure6.py --run_dir=runs/omniglot_cpu
  python experiments/paper/figure6.py --weights=characters --out_dir=out
"""

from collections.abc import Sequence
import pathlib

from absl import flags
import numpy as np
import rich.progress

from environments import painting
from spiral_jax import agents
from spiral_jax import console as console_lib
from spiral_jax import training
from spiral_jax.training import cli
from spiral_jax.training import plots

_RUN_DIR = flags.DEFINE_string(
    'run_dir', '', 'folder of the run of a conditional agent'
)
_WEIGHTS = flags.DEFINE_string(
    'weights',
    'characters',
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
_COUNT = flags.DEFINE_integer(
    'count', 8, 'number of held-out images', lower_bound=1
)
_SAMPLES = flags.DEFINE_integer(
    'samples',
    100,
    'number of drawings of each image, whose traces are averaged',
    lower_bound=1,
)
_SIZE = flags.DEFINE_integer(
    'size', 256, 'height and width of each panel, in pixels', lower_bound=1
)
_SEED = flags.DEFINE_integer(
    'seed', 0, 'seed of sampled commands', lower_bound=0
)


def figure6(
    trained: training.TrainedAgent,
    targets: np.ndarray,
    *,
    samples: int,
    size: int,
    seed: int = 0,
) -> np.ndarray:
  """Returns the figure.

  Args:
    trained: a conditional agent.
    targets: uint8 `[N, H, W, C]`, a column each.
    samples: number of drawings of each target, the first of which is shown;
      the trace is the mean over all.
    size: height and width of each panel, in pixels.
    seed: seed of sampled commands.

  Returns:
    uint8 `[height, width, 3]`.

  Raises:
    ValueError: if the agent does not paint, takes no targets, or has a larger
      canvas than `size`.
  """
  settings = painting.check_is_painting(trained.experiment.environment)
  training.check_conditional(trained)
  if size < settings.canvas_size:
    raise ValueError(
        f'--size={size} is below the canvas of {settings.canvas_size} pixels; '
        'make it larger'
    )
  count = len(targets)
  first: list[painting.Program] = []
  traces = np.zeros((count, size, size, 3))
  drawn = 0
  total = count * samples
  console = console_lib.Console(stderr=True)
  with rich.progress.Progress(
      console=console, transient=True, disable=not console.is_terminal
  ) as progress:
    task = progress.add_task('drawing', total=total)
    # Image after image, then again from the first.
    for trajectory in training.episodes(trained, total, targets, seed=seed):
      for program in _programs(settings, trajectory)[: total - drawn]:
        if drawn < count:
          first.append(program)
        traces[drawn % count] += program.trace(size, moves=False)
        drawn += 1
        progress.advance(task)
  lines = [
      np.stack([_enlarged(target, size) for target in targets]),
      np.stack([_enlarged(program.render(), size) for program in first]),
      np.stack([_enlarged(program.render(size), size) for program in first]),
      np.rint(traces / samples).astype(np.uint8),
  ]
  return plots.tile(lines)


def _programs(
    settings: painting.PaintingSettings, trajectory: agents.Trajectory
) -> list[painting.Program]:
  """Returns the programs of the B episodes of a trajectory."""
  parts = trajectory.action.items()
  return [
      painting.Program(settings, {name: part[:, b] for name, part in parts})
      for b in range(trajectory.canvas.shape[1])
  ]


def _enlarged(image: np.ndarray, size: int) -> np.ndarray:
  """Returns an image `[h, w, C]` as `[size, size, 3]`; its pixels show."""
  index = np.arange(size) * len(image) // size
  return np.broadcast_to(image[index][:, index], (size, size, 3))


def main(argv: Sequence[str]) -> None:
  """Makes the figure as the flags say."""
  del argv
  trained = training.restore(_RUN_DIR.value or _WEIGHTS.value, _STEP.value)
  targets = trained.experiment.load_images('test').spread(_COUNT.value)
  figure = figure6(
      trained,
      targets.images,
      samples=_SAMPLES.value,
      size=_SIZE.value,
      seed=_SEED.value,
  )
  out_dir = pathlib.Path(_OUT_DIR.value or _RUN_DIR.value or 'out').expanduser()
  path = out_dir / 'figure6.png'
  plots.save(figure, path)
  console_lib.Console().print(f'picture in {path}', soft_wrap=True)


if __name__ == '__main__':
  cli.run(main)
