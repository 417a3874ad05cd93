"""Draws images with a trained agent and writes programs that one can keep.

For example, of one image, or of all images in a folder, with weights that come
with the package or those of a run:

  python experiments/draw.py --image=sketch.png --out_dir=out/sketch
  python experiments/draw.py --image=photo.jpg --weights=portraits
  python experiments/draw.py --image=sketches/ --run_dir=runs/omniglot_cpu

By default, line drawings are drawn by the agent of characters, and other images
by that of portraits, which paints in color. Which of them an image is, is
guessed and printed; --weights decides for all. The agent draws each image
several times, and the best drawing is kept. --out_dir, a new folder, then holds
(for a folder of images, in a folder of each image's name):

  program.json             the commands
  picture_<size>.png       the drawing
  other_<size>.png         the same in another brush
  trace.png                strokes colored by their order
  drawing.gif, .mp4, .html animations of the drawing
  drawing.svg, lines.svg   outlines, and center lines for plotters
  target.png               the image as the agent saw it
"""

from collections.abc import Callable, Mapping, Sequence
import pathlib
from typing import NamedTuple

from absl import flags
import numpy as np
import rich.console
import rich.progress
import rich.table
import rich.text

from environments import painting
from spiral_jax import console as console_lib
from spiral_jax import evaluation
from spiral_jax import files
from spiral_jax import training
from spiral_jax.datasets import folder as folder_lib
from spiral_jax.datasets import user_images
from spiral_jax.training import cli
from spiral_jax.training import out_dir as out_dir_lib
from spiral_jax.training import plots

_IMAGE = flags.DEFINE_string(
    'image', None, 'an image, or a folder of images', required=True
)
_RUN_DIR = flags.DEFINE_string(
    'run_dir', '', 'folder of the run of a conditional agent'
)
_WEIGHTS = flags.DEFINE_string(
    'weights',
    '',
    'name of weights that come with the package, or a folder of saved ones, '
    'instead of a run; empty means weights that fit each image, by a guess',
)
_STEP = flags.DEFINE_integer(
    'step', None, 'step of the checkpoint; by default the latest'
)
_OUT_DIR = flags.DEFINE_string('out_dir', 'out', 'folder of the drawings')
_SAMPLES = flags.DEFINE_integer(
    'samples',
    64,
    'number of drawings of each image, the best of which is kept',
    lower_bound=1,
)
_BY = flags.DEFINE_enum(
    'by',
    'l2',
    ['l2', 'score'],
    'criterion of the best drawing: its distance from the image, or the score '
    'of the discriminator',
)
_INVERT = flags.DEFINE_enum(
    'invert',
    'auto',
    user_images.CHOICES,
    'makes black of white; auto does so for light ink on a darker board or on '
    'transparent paper, if the agent paints in gray',
)
_CONTRAST = flags.DEFINE_enum(
    'contrast',
    'auto',
    user_images.CHOICES,
    'makes paper white, also in uneven light, and ink black and wide enough to '
    'be seen; auto does so for line drawings, if the agent paints in gray',
)
_FIT = flags.DEFINE_enum(
    'fit',
    'crop',
    list(folder_lib.FITS),
    'way to make an image square: crop keeps its middle, pad adds paper',
)
_SIZES = flags.DEFINE_list(
    'sizes', '64,256,1024', 'heights and widths of the pictures, in pixels'
)
_OTHER_BRUSH = flags.DEFINE_string(
    'other_brush', 'classic/dry_brush', 'brush of the other pictures'
)
_MILLIMETERS = flags.DEFINE_float(
    'millimeters', 100.0, 'height and width of lines.svg, for plotters'
)
_SEED = flags.DEFINE_integer(
    'seed', 0, 'seed of sampled commands', lower_bound=0
)

_OVERVIEW = 'result.png'  # Of a folder.
_COLUMNS = 12  # Of the overview.
_WORST = 5  # Drawings that a warning names.
_FILM_SIZE = 512  # Pixels of films, the page and the trace.
# Weights for each of `user_images.KINDS`.
_WEIGHTS_OF = {
    'drawing': 'characters',
    'colored drawing': 'portraits',
    'photograph': 'portraits',
}


class Drawing(NamedTuple):
  """The best of several drawings of an image."""

  program: painting.Program
  error: float  # Mean squared error of the best.
  mean_error: float  # Mean over all drawings of the image.
  blank_error: float  # Error of a blank page.
  constant_error: float  # Error of the best page of a single color.


def draw(
    trained: training.TrainedAgent,
    targets: np.ndarray,
    *,
    samples: int,
    by: str = 'l2',
    seed: int = 0,
) -> list[Drawing]:
  """Returns the best of several drawings of each image.

  Args:
    trained: a conditional agent.
    targets: uint8 `[N, H, W, C]`, of the size and channels of its canvas.
    samples: number of drawings of each image.
    by: criterion of the best drawing: 'l2' for its distance from the target,
      'score' for the score of the discriminator.
    seed: seed of sampled commands.

  Raises:
    ValueError: if the agent does not paint, takes no targets, or comes without
      the discriminator that is asked for.
  """
  settings = painting.check_is_painting(trained.experiment.environment)
  training.check_conditional(trained)
  score = training.make_score(trained) if by == 'score' else None
  if by == 'score' and score is None:
    raise ValueError('there is no discriminator with this agent; use --by=l2')
  count = len(targets) * samples
  # All samples of an image in a row, so that a batch may hold several images.
  image_of = np.arange(count) // samples
  errors = np.empty(count)
  merits = np.empty(count)
  best: dict[int, tuple[float, painting.Program]] = {}
  start = 0
  blank = np.empty(0)
  repeated = np.repeat(targets, samples, axis=0)
  for trajectory in training.episodes(trained, count, repeated, seed=seed):
    canvas, target = trajectory.canvas[-1], np.asarray(trajectory.target)
    blank = trajectory.canvas[0, 0]
    shown = image_of[start : start + len(canvas)]
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
  blank_error = evaluation.reconstruction_error(
      np.broadcast_to(blank, targets.shape), targets
  )
  color = targets.mean((1, 2), keepdims=True) / 255
  constant_error = evaluation.reconstruction_error(
      np.broadcast_to(color, targets.shape), targets
  )
  return [
      Drawing(
          best[i][1],
          float(by_image[i, chosen[i]]),
          float(row.mean()),
          float(blank_error[i]),
          float(constant_error[i]),
      )
      for i, row in enumerate(by_image)
  ]


def write(
    program: painting.Program,
    target: np.ndarray,
    out_dir: pathlib.Path,
    *,
    sizes: Sequence[int],
    other_brush: str,
    millimeters: float,
    title: str,
) -> None:
  """Writes all files of a drawing, each of them atomically.

  Args:
    program: the drawing.
    target: the image that was drawn, uint8 `[H, W, C]`.
    out_dir: folder to write to.
    sizes: heights and widths of the pictures, in pixels.
    other_brush: brush of the other pictures.
    millimeters: height and width of lines.svg.
    title: title of the page.

  Raises:
    ImportError, OSError, ValueError: as `painting.Program` does.
  """
  # Whatever may raise an error comes first, so that nothing is left behind.
  lines = program.to_svg(center_lines=True, millimeters=millimeters)
  images = {
      f'other_{size}.png': program.render(size, other_brush) for size in sizes
  }
  images |= {f'picture_{size}.png': program.render(size) for size in sizes}
  images |= {'trace.png': program.trace(_FILM_SIZE), 'target.png': target}
  _write(out_dir / 'program.json', program.to_json().encode())
  for name, image in images.items():
    plots.save(image, out_dir / name)
  makers: dict[str, Callable[[], str | bytes]] = {
      'drawing.svg': program.to_svg,
      'lines.svg': lambda: lines,
      'drawing.html': lambda: program.to_html(
          _FILM_SIZE, title=out_dir_lib.printable(title)
      ),
      'drawing.gif': lambda: program.to_gif(_FILM_SIZE),
      # Last: it alone needs a library that may be missing.
      'drawing.mp4': lambda: program.to_mp4(_FILM_SIZE),
  }
  for name, make in makers.items():
    content = make()
    _write(
        out_dir / name,
        content.encode() if isinstance(content, str) else content,
    )


def _write(path: pathlib.Path, content: bytes) -> None:
  files.write_atomically(path, lambda stream: stream.write(content))


def main(argv: Sequence[str]) -> None:
  """Draws as the flags say."""
  del argv
  console = console_lib.Console()
  sizes = [_size(text) for text in _SIZES.value]
  path = pathlib.Path(_IMAGE.value).expanduser()
  out_dir = pathlib.Path(_OUT_DIR.value).expanduser()
  weights = _WEIGHTS.value
  if weights and _RUN_DIR.value:
    raise ValueError(
        f'--weights={weights} and --run_dir={_RUN_DIR.value} both name an '
        'agent; leave one out'
    )
  out_dir_lib.check_new(out_dir)
  source = _RUN_DIR.value or weights
  sources: Mapping[str, pathlib.Path | Mapping[str, pathlib.Path]] = (
      {source: path} if source else _guessed(console, user_images.find(path))
  )
  names: list[str] = []
  targets: list[np.ndarray] = []
  agents: list[tuple[training.TrainedAgent, np.ndarray]] = []
  for source, some in sources.items():
    trained = training.restore(source, _STEP.value)
    settings = painting.check_is_painting(trained.experiment.environment)
    _check(settings, sizes, _OTHER_BRUSH.value, _MILLIMETERS.value)
    names_of_some, target = user_images.read(
        some,
        size=settings.canvas_size,
        channels=settings.channels,
        invert=_INVERT.value,
        contrast=_CONTRAST.value,
        fit=_FIT.value,
    )
    names += names_of_some
    targets += list(target)
    agents.append((trained, target))
  folders = [out_dir]
  if path.is_dir():
    folders = [
        out_dir / name
        for name in out_dir_lib.folder_names(names, taken=[_OVERVIEW])
    ]
  for folder in folders:
    out_dir_lib.prepare(folder)
  drawings: list[Drawing] = []
  for trained, target in agents:
    drawings += draw(
        trained, target, samples=_SAMPLES.value, by=_BY.value, seed=_SEED.value
    )
  for name, folder, target, drawing in rich.progress.track(
      list(zip(names, folders, targets, drawings)),
      'writing',
      console=console,
      transient=True,
      disable=not console.is_terminal,
  ):
    write(
        drawing.program,
        target,
        folder,
        sizes=sizes,
        other_brush=_OTHER_BRUSH.value,
        millimeters=_MILLIMETERS.value,
        title=name,
    )
  _show(console, names, drawings)
  if path.is_dir():
    canvas = [drawing.program.render() for drawing in drawings]
    plots.save(
        _overview(_stacked(canvas), _stacked(targets)), out_dir / _OVERVIEW
    )
    where = (
        f'{out_dir}, a folder each, whose drawing.html is for a browser; all '
        f'of them in {_OVERVIEW}'
    )
  else:
    where = f'{out_dir}; open drawing.html in a browser'
  console.print(f'drawings in {out_dir_lib.printable(where)}', markup=False)


def _guessed(
    console: rich.console.Console, images: Mapping[str, pathlib.Path]
) -> dict[str, dict[str, pathlib.Path]]:
  """Returns the images that each of the package's weights fits; prints them."""
  kinds = user_images.kinds(images)
  sources: dict[str, dict[str, pathlib.Path]] = {}
  for kind in user_images.KINDS:
    names = [name for name in images if kinds.get(name) == kind]
    if names:
      weights = _WEIGHTS_OF[kind]
      sources.setdefault(weights, {}).update({n: images[n] for n in names})
      more = f' and {len(names) - 5} more' if len(names) > 5 else ''
      # Names are data: no markup.
      console.print(
          f'taken for a {kind}, drawn by --weights={weights}: '
          f'{", ".join(names[:5])}{more}',
          markup=False,
      )
  console.print('this is a guess; --weights=NAME draws all with these weights')
  return sources


def _check(
    settings: painting.PaintingSettings,
    sizes: Sequence[int],
    other_brush: str,
    millimeters: float,
) -> None:
  """Raises the errors that `write` would, before any work."""
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


def _stacked(images: Sequence[np.ndarray]) -> np.ndarray:
  """Returns images `[N, H, W, C]`; in color if any of them is."""
  channels = max(image.shape[-1] for image in images)
  return np.stack(
      [np.broadcast_to(i, (*i.shape[:2], channels)) for i in images]
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
  """Prints a table of errors, and which drawings are worse than none."""
  table = rich.table.Table(
      'image',
      f'l2, best of {_SAMPLES.value}',
      'l2, one sample',
      'share of a blank page',
      'share of the best color',
  )
  rows = list(zip(map(out_dir_lib.printable, names), drawings))
  for name, drawing in rows[:20]:
    table.add_row(rich.text.Text(name), *_figures(*drawing[1:]))
  if len(rows) > 1:
    table.add_section()
    means = np.mean([drawing[1:] for drawing in drawings], axis=0)
    table.add_row(f'mean of {len(rows)}', *_figures(*means))
  console.print(table)
  if warning := worse_than_nothing(dict(rows)):
    console.print(warning, markup=False, soft_wrap=True)


def _figures(
    best: float, mean: float, blank: float, constant: float
) -> list[str]:
  shares = [f'{best / of:.0%}' if of > 0 else '-' for of in (blank, constant)]
  return [f'{best:.4f}', f'{mean:.4f}', *shares]


def worse_than_nothing(drawings: Mapping[str, Drawing]) -> str:
  """Returns a sentence on drawings that are worse than none; empty if none is.

  Args:
    drawings: drawings by the names of their images.
  """
  worse = []
  for name, (_, error, _, blank, constant) in drawings.items():
    # The best color is as good as white or better.
    if error < constant or error == 0:
      continue
    nothing, merit = (
        ('a blank page', blank)
        if error >= blank
        else ('a page of one color', constant)
    )
    whose = f'{name}: its l2 is' if len(drawings) > 1 else 'its l2 is'
    worse.append(f'{whose} {error:.4f}, that of {nothing} {merit:.4f}')
  if not worse:
    return ''
  if len(drawings) == 1:
    head = 'the drawing is worse than nothing'
  else:
    head = f'{len(worse)} of {len(drawings)} drawings are worse than nothing'
  shown = '; '.join(worse[:_WORST])
  rest = f'; {len(worse) - _WORST} more' if len(worse) > _WORST else ''
  return f'{head} ({shown}{rest}); try more --samples, or another agent'


if __name__ == '__main__':
  cli.run(main)
