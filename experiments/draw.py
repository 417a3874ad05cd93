"""Draws images with a trained agent and writes programs that one can keep.

For example, of one image, or of all images in a folder, with weights that come
with the package or those of a run:

  python experiments/draw.py --image=sketch.png
  python experiments/draw.py --image=photo.jpg --weights=portraits
  python experiments/draw.py --image=sketches/ --checkpoint=runs/omniglot_cpu

Without either, drawings in lines are drawn by the agent of characters, other
images by that of portraits.
The agent draws each image several times and the best is kept. Into the folder
--out (for a folder of images: into a folder of each image's name below it) go
program.json; picture_<size>.png and, in another brush, other_<size>.png;
trace.png, with strokes colored by when they come; drawing.gif, drawing.mp4
and drawing.html, which show how it is drawn; drawing.svg, and lines.svg for
plotters; and target.png, what the agent saw.
"""

from collections.abc import Callable, Sequence
import pathlib
from typing import NamedTuple

from absl import flags
import numpy as np
import rich.console
import rich.progress
import rich.table

from environments import painting
from spiral_jax import evaluation
from spiral_jax import files
from spiral_jax import training
from spiral_jax.datasets import folder as folder_lib
from spiral_jax.datasets import user_images
from spiral_jax.training import cli
from spiral_jax.training import plots

_IMAGE = flags.DEFINE_string(
    'image', None, 'an image, or a folder of images', required=True
)
_WEIGHTS = flags.DEFINE_string(
    'weights',
    '',
    'that come with the package, whose agent draws; empty, those that fit '
    'the images',
)
_CHECKPOINT = flags.DEFINE_string(
    'checkpoint', '', 'folder of the run whose agent draws instead'
)
_STEP = flags.DEFINE_integer(
    'step', None, 'of --checkpoint; the latest if none'
)
_OUT = flags.DEFINE_string('out', 'out', 'folder to write to')
_SAMPLES = flags.DEFINE_integer(
    'samples',
    64,
    'drawings of each image, of which one is kept',
    lower_bound=1,
)
_BY = flags.DEFINE_enum(
    'by',
    'l2',
    ['l2', 'score'],
    'what is best: the distance from the image, or the discriminator',
)
_INVERT = flags.DEFINE_enum(
    'invert',
    'auto',
    user_images.CHOICES,
    'make black of white; auto, of images that are light ink on black or on '
    'nothing, if the agent paints in gray',
)
_CONTRAST = flags.DEFINE_enum(
    'contrast',
    'auto',
    user_images.CHOICES,
    'make paper white and ink black; auto, of drawings in lines, if the '
    'agent paints in gray',
)
_FIT = flags.DEFINE_enum(
    'fit',
    'crop',
    list(folder_lib.FITS),
    'how an image becomes square: by its middle, or by more paper',
)
_SIZES = flags.DEFINE_list('sizes', '64,256,1024', 'of pictures, pixels')
_OTHER_BRUSH = flags.DEFINE_string(
    'other_brush', 'classic/dry_brush', 'brush of the other pictures'
)
_MILLIMETERS = flags.DEFINE_float(
    'millimeters', 100.0, 'height and width of lines.svg, for plotters'
)
_SEED = flags.DEFINE_integer('seed', 0, 'of what is sampled', lower_bound=0)

_COLUMNS = 12  # Of the overview of a folder.
_FILM_SIZE = 512  # Pixels of films, the page and the trace.
# Weights for drawings in lines, and for all other images.
_LINES, _COLORS = 'characters', 'portraits'


class Drawing(NamedTuple):
  """The best of several episodes, by what they were compared by."""

  program: painting.Program
  error: float  # l2 a pixel, of the best.
  mean_error: float  # Of all samples.


def draw(
    restored: training.TrainedAgent,
    targets: np.ndarray,
    *,
    samples: int,
    by: str = 'l2',
    seed: int = 0,
) -> list[Drawing]:
  """Returns the best of several drawings of each image.

  Args:
    restored: a conditional agent.
    targets: uint8 `[N, H, W, C]`, of the size and channels of its canvas.
    samples: drawings of each image.
    by: 'l2', the distance from the target, or 'score', the discriminator's.
    seed: of sampled commands.

  Raises:
    ValueError: if the agent takes no targets, or has no discriminator to ask.
  """
  settings = restored.setup.painting
  restored_lib.check_conditional(restored)
  score = training.make_score(restored) if by == 'score' else None
  if by == 'score' and score is None:
    raise ValueError('there is no discriminator with this agent; use --by=l2')
  count = len(targets) * samples
  # All samples of an image in a row, so that a batch may hold several images.
  tasks = np.arange(count) // samples
  errors = np.empty(count)
  merits = np.empty(count)
  best: dict[int, tuple[float, painting.Program]] = {}
  start = 0
  repeated = np.repeat(targets, samples, axis=0)
  for trajectory in training.episodes(restored, count, repeated, seed=seed):
    canvas, target = trajectory.canvas[-1], np.asarray(trajectory.target)
    shown = tasks[start : start + len(canvas)]
    now = slice(start, start + len(shown))
    start += len(shown)
    error = evaluation.reconstruction_error(canvas, target)
    merit_of = -error if score is None else score(canvas, target)
    errors[now], merits[now] = error[: len(shown)], merit_of[: len(shown)]
    for index, image in enumerate(shown):
      merit = float(merits[now][index])
      if image not in best or merit > best[image][0]:
        commands = {k: v[:, index] for k, v in trajectory.action.items()}
        best[image] = merit, painting.Program(settings, commands)
  chosen = merits.reshape(-1, samples).argmax(1)
  by_image = errors.reshape(-1, samples)
  return [
      Drawing(best[i][1], float(by_image[i, chosen[i]]), float(row.mean()))
      for i, row in enumerate(by_image)
  ]


def write(
    program: painting.Program,
    target: np.ndarray,
    out: pathlib.Path,
    *,
    sizes: Sequence[int],
    other_brush: str,
    millimeters: float,
    title: str,
) -> None:
  """Writes all files of a drawing; each is there whole or not.

  Args:
    program: the drawing.
    target: what it is of, uint8 `[H, W, C]`.
    out: the folder.
    sizes: of the pictures, pixels.
    other_brush: name of the brush of the other pictures.
    millimeters: height and width of the lines for a plotter.
    title: of the page.

  Raises:
    ImportError, OSError, ValueError: as `painting.Program` does.
  """
  # All that may be refused comes first, and then leaves nothing behind.
  lines = program.to_svg(center_lines=True, millimeters=millimeters)
  images = {
      f'other_{size}.png': program.render(size, other_brush) for size in sizes
  }
  images |= {f'picture_{size}.png': program.render(size) for size in sizes}
  images |= {'trace.png': program.trace(_FILM_SIZE), 'target.png': target}
  _write(out / 'program.json', program.to_json().encode())
  for name, image in images.items():
    plots.save(image, out / name)
  makers: dict[str, Callable[[], str | bytes]] = {
      'drawing.svg': program.to_svg,
      'lines.svg': lambda: lines,
      'drawing.html': lambda: program.to_html(_FILM_SIZE, title=title),
      'drawing.gif': lambda: program.to_gif(_FILM_SIZE),
      # Last: it alone needs a library that may be missing.
      'drawing.mp4': lambda: program.to_mp4(_FILM_SIZE),
  }
  for name, make in makers.items():
    content = make()
    _write(
        out / name, content.encode() if isinstance(content, str) else content
    )


def _write(path: pathlib.Path, content: bytes) -> None:
  files.write_atomically(path, lambda stream: stream.write(content))


def main(argv: Sequence[str]) -> None:
  """Draws as the flags say."""
  del argv
  console = rich.console.Console(highlight=False)
  sizes = [_size(text) for text in _SIZES.value]
  path = pathlib.Path(_IMAGE.value).expanduser()
  out = pathlib.Path(_OUT.value).expanduser()
  weights = _WEIGHTS.value
  if not (weights or _CHECKPOINT.value):
    weights = _LINES if user_images.are_drawings(path) else _COLORS
    console.print(f'drawn by the agent of --weights={weights}')
  restored = restored_lib.load_either(_CHECKPOINT.value, _STEP.value, weights)
  _check(restored, out, sizes, _OTHER_BRUSH.value, _MILLIMETERS.value)
  names, targets = user_images.read(
      path,
      restored.setup.painting,
      invert=_INVERT.value,
      contrast=_CONTRAST.value,
      fit=_FIT.value,
  )
  drawings = draw(
      restored, targets, samples=_SAMPLES.value, by=_BY.value, seed=_SEED.value
  )
  for name, target, drawing in rich.progress.track(
      list(zip(names, targets, drawings)),
      'writing',
      console=console,
      transient=True,
      disable=not console.is_terminal,
  ):
    write(
        drawing.program,
        target,
        out / name if path.is_dir() else out,
        sizes=sizes,
        other_brush=_OTHER_BRUSH.value,
        millimeters=_MILLIMETERS.value,
        title=name,
    )
  _show(console, names, drawings)
  if path.is_dir():
    canvas = np.stack([drawing.program.render() for drawing in drawings])
    plots.save(_overview(canvas, targets), out / 'result.png')
    console.print(
        f'drawings in {out}, a folder each, whose drawing.html is for a '
        'browser; all of them in result.png'
    )
  else:
    console.print(f'drawings in {out}; open drawing.html in a browser')


def _check(
    restored: training.TrainedAgent,
    out: pathlib.Path,
    sizes: Sequence[int],
    other_brush: str,
    millimeters: float,
) -> None:
  """Raises what `write` would, of a first stroke, before any work."""
  settings = restored.setup.painting
  if out.exists() and not out.is_dir():
    raise ValueError(f'--out={out} is a file; name a folder')
  command = {name: np.zeros(1, int) for name in settings.action_spec()}
  program = painting.Program(settings, command)
  program.to_svg(center_lines=True, millimeters=millimeters)
  for size in sizes:
    program.render(size, other_brush)


def _overview(canvas: np.ndarray, target: np.ndarray) -> np.ndarray:
  """Returns drawings `[N, H, W, C]` in rows, each row below its targets."""
  columns = min(_COLUMNS, len(canvas))
  # The last row is filled up with paper.
  padding = ((0, -len(canvas) % columns), (0, 0), (0, 0), (0, 0))
  canvas = np.pad(canvas, padding, constant_values=255)
  target = np.pad(target, padding, constant_values=255)
  return plots.grid(
      canvas, target, rows=len(canvas) // columns, columns=columns
  )


def _size(text: str) -> int:
  try:
    return int(text)
  except ValueError:
    raise ValueError(
        f'--sizes has {text!r}, must be pixels, as --sizes=64,256,1024'
    ) from None


def _show(
    console: rich.console.Console, names: list[str], drawings: list[Drawing]
) -> None:
  """Prints a table of errors: of the best, and of a sample on average."""
  table = rich.table.Table(
      'image', f'l2, best of {_SAMPLES.value}', 'l2, one sample', 'better by'
  )
  rows = list(zip(names, drawings))
  for name, drawing in rows[:20]:
    table.add_row(name, *_figures(drawing.error, drawing.mean_error))
  if len(rows) > 1:
    table.add_section()
    means = np.mean([drawing[1:] for drawing in drawings], axis=0)
    table.add_row(f'mean of {len(rows)}', *_figures(*means))
  console.print(table)


def _figures(best: float, mean: float) -> tuple[str, str, str]:
  better = f'{1 - best / mean:.0%}' if mean > 0 else '-'
  return f'{best:.4f}', f'{mean:.4f}', better


if __name__ == '__main__':
  cli.run(main)
