"""Draws images as programs of a paint program, strokes that one can keep.

For example, of a photograph, a drawing in lines, or all images in a folder:

  python experiments/draw.py --image=photo.jpg --strokes=500 --seconds=60
  python experiments/draw.py --image=sketch.png --out_dir=out/sketch
  python experiments/draw.py --image=photo.jpg --palette=8 --brush=classic/bulk
  python experiments/draw.py --image=photo.jpg --styles=all

Pictures are painted by search: strokes are tried, and what helps is kept, until
the time is over; Ctrl-C ends the search earlier, and what is there is written.
Drawings in lines become lines of a pen, one a stroke, and so do files of
strokes (.svg, .inkml, Omniglot's .txt). With --weights or --run_dir, a trained
agent draws as it has learned to, several times, and the best is kept:

  python experiments/draw.py --image=photo.jpg --weights=portraits
  python experiments/draw.py --image=sketches/ --run_dir=runs/omniglot_cpu

--out_dir, a new folder, then holds (for a folder of images, in a folder of each
image's name):

  program.json             the commands
  picture_<size>.png       the drawing
  other_<size>.png         the same in another brush
  trace.png                strokes colored by their order
  drawing.gif, .mp4, .html animations of the drawing
  drawing.svg, lines.svg   strokes as they were painted, and for plotters
  target.png               the image that was drawn, at most as large

A folder of images has result.png, a picture of all, and several styles have
styles.png, with a folder for each.
"""

from collections.abc import Callable, Mapping, Sequence
import contextlib
import functools
import pathlib
import time
from typing import Any

from absl import flags
import numpy as np

from environments import painting
from experiments.drawing import by_agent
from experiments.drawing import by_lines
from experiments.drawing import by_strokes
from experiments.drawing import output
from experiments.drawing import results
from experiments.drawing import styles
from spiral_jax import console as console_lib
from spiral_jax import search
from spiral_jax import training
from spiral_jax.datasets import folder as folder_lib
from spiral_jax.datasets import ink_files
from spiral_jax.datasets import user_images
from spiral_jax.driver import signals
from spiral_jax.training import cli
from spiral_jax.training import out_dir as out_dir_lib
from spiral_jax.training import plots

_IMAGE = flags.DEFINE_string(
    'image',
    None,
    'an image, a folder of images, or a file of strokes',
    required=True,
)
_OUT_DIR = flags.DEFINE_string('out_dir', 'out', 'folder of the drawings')
_METHOD = flags.DEFINE_enum(
    'method',
    'auto',
    ['auto', 'strokes', 'lines', 'agent'],
    'way to draw: by searching for strokes, by tracing lines, or by an agent; '
    'auto takes the agent that is named, or else lines for drawings in lines '
    'and strokes for all other images',
)
_STROKES = flags.DEFINE_integer(
    'strokes', 100, 'largest number of strokes of a painting', lower_bound=1
)
_SECONDS = flags.DEFINE_float(
    'seconds',
    30.0,
    'time for each painting, its files included; at least half of it is for '
    'the search',
    lower_bound=0.1,
)
_SCORE = flags.DEFINE_enum(
    'score',
    'l2',
    list(search.SCORES),
    'error that paintings minimize: the mean squared one, that of differences '
    'of neighboring pixels, or that of both at three scales',
)
_BRUSH = flags.DEFINE_string(
    'brush', 'classic/pen', 'brush of paintings and of lines'
)
_BRUSH_SIZES = flags.DEFINE_list(
    'brush_sizes',
    '',
    'radii that strokes of a painting choose from, where the longer side of '
    'the picture is 64 long; empty means fourteen, from 16 to 0.18',
)
_PAPER = flags.DEFINE_string(
    'paper',
    'auto',
    'color of the paper of a painting, as #ffe4c0 or white; auto takes the '
    'mean of the image',
)
_PALETTE = flags.DEFINE_integer(
    'palette',
    0,
    'number of colors of a painting, chosen to fit the image; 0 means all',
    lower_bound=0,
)
_STYLES = flags.DEFINE_list(
    'styles',
    '',
    'styles in which a picture is painted one after the other, with a sheet of '
    f'all of them: all, or some of {", ".join(styles.STYLES)}',
)
_RUN_DIR = flags.DEFINE_string(
    'run_dir', '', 'folder of the run of a conditional agent'
)
_WEIGHTS = flags.DEFINE_string(
    'weights',
    '',
    'name of weights that come with the package, or a folder of saved ones, '
    'instead of a run; with --method=agent, empty means weights that fit each '
    'image, by a guess',
)
_STEP = flags.DEFINE_integer(
    'step', None, 'step of the checkpoint; by default the latest'
)
_SAMPLES = flags.DEFINE_integer(
    'samples',
    64,
    'number of drawings of each image by an agent, the best of which is kept',
    lower_bound=1,
)
_BY = flags.DEFINE_enum(
    'by',
    'l2',
    ['l2', 'score'],
    "criterion of an agent's best drawing: its distance from the image, or the "
    'score of the discriminator',
)
_INVERT = flags.DEFINE_enum(
    'invert',
    'auto',
    user_images.CHOICES,
    'makes black of white for an agent; auto does so for light ink on a darker '
    'board or on transparent paper, if the agent paints in gray',
)
_CONTRAST = flags.DEFINE_enum(
    'contrast',
    'auto',
    user_images.CHOICES,
    'makes paper white for an agent, also in uneven light, and ink black and '
    'wide enough to be seen; auto does so for line drawings, if the agent '
    'paints in gray',
)
_FIT = flags.DEFINE_enum(
    'fit',
    'crop',
    list(folder_lib.FITS),
    'way to make an image square for an agent: crop keeps its middle, pad adds '
    'paper',
)
_SIZES = flags.DEFINE_list(
    'sizes', '64,256,1024', 'longer sides of the pictures, in pixels'
)
_OTHER_BRUSH = flags.DEFINE_string(
    'other_brush', 'classic/dry_brush', 'brush of the other pictures'
)
_MILLIMETERS = flags.DEFINE_float(
    'millimeters', 100.0, 'longer side of drawing.svg and lines.svg'
)
_SEED = flags.DEFINE_integer(
    'seed',
    0,
    'seed of sampled commands and of searches',
    lower_bound=0,
    upper_bound=(1 << 32) - 1,
)

_OVERVIEW = 'result.png'  # Of a folder.
_SHEET = 'styles.png'  # Of several styles.
_PREVIEW = 'preview.png'


def main(argv: Sequence[str]) -> None:
  """Draws as the flags say."""
  del argv
  # Nearly all that was computed so far is imports; one waits for them as well.
  begun = time.monotonic() - time.process_time()
  console = console_lib.Console()
  path = pathlib.Path(_IMAGE.value).expanduser()
  out_dir = pathlib.Path(_OUT_DIR.value).expanduser()
  sizes = [_number(text, int, 'sizes', '64,256,1024') for text in _SIZES.value]
  chosen = styles.named(_STYLES.value)
  if _WEIGHTS.value and _RUN_DIR.value:
    raise ValueError(
        f'--weights={_WEIGHTS.value} and --run_dir={_RUN_DIR.value} both name '
        'an agent; leave one out'
    )
  _radii()
  out_dir_lib.check_new(out_dir)
  _check_flags(path, bool(chosen))
  method = _METHOD.value
  if method == 'auto' and (_WEIGHTS.value or _RUN_DIR.value):
    method = 'agent'
  elif _is_of_strokes(path):
    method = 'lines'
  if chosen:
    jobs = _style_jobs(console, path, sizes, chosen)
  elif method == 'agent':
    jobs = _agent_jobs(console, path, sizes)
  else:
    jobs = _search_jobs(console, path, sizes, method)
  folders = dict.fromkeys(jobs, out_dir)
  overview = ''
  if chosen or path.is_dir():
    overview = _SHEET if chosen else _OVERVIEW
    names = out_dir_lib.folder_names(list(jobs), taken=[overview])
    folders = {job: out_dir / name for job, name in zip(jobs, names)}
  # Agents draw all images at once.
  drawings = _run(console, jobs, folders, sizes, method != 'agent', begun)
  where = f'{out_dir}; open drawing.html in a browser'
  if overview:
    picture = (
        styles.sheet(user_images.read_whole(path), drawings)
        if chosen
        else output.overview(list(drawings.values()))
    )
    plots.save(picture, out_dir / overview)
    where = (
        f'{out_dir}, a folder each, whose drawing.html is for a browser; all '
        f'of them in {overview}'
    )
  console.print(f'drawings in {out_dir_lib.printable(where)}', markup=False)


def _check_flags(path: pathlib.Path, has_styles: bool) -> None:
  """Raises ValueError for flags that contradict each other."""
  agent = _WEIGHTS.value or _RUN_DIR.value
  method = _METHOD.value
  if agent and method in ('strokes', 'lines'):
    raise ValueError(
        f'--method={method} needs no agent; leave out --weights and --run_dir'
    )
  is_other = method not in ('auto', 'lines') or agent or has_styles
  if _is_of_strokes(path) and is_other:
    raise ValueError(
        f'{path} is a file of strokes, which are drawn by --method=lines'
    )
  by_strokes.check_palette(_PALETTE.value)
  by_strokes.check_paper(_PAPER.value)
  if not has_styles:
    return
  if path.is_dir() or method not in ('auto', 'strokes') or agent:
    raise ValueError('--styles takes one image, painted by strokes')
  for flag in (_BRUSH, _BRUSH_SIZES, _PAPER, _PALETTE):
    if flags.FLAGS[flag.name].present:
      raise ValueError(
          f'--{flag.name} is what styles choose; leave it or --styles out'
      )


def _is_of_strokes(path: pathlib.Path) -> bool:
  return path.suffix.lower() in ink_files.SUFFIXES and not path.is_dir()


# Makes a drawing. It may write previews to the folder, and ends early once
# there is a signal. Its time runs from a moment of `time.monotonic`.
_Job = Callable[[pathlib.Path, Sequence[object], float], results.Drawing]


def _agent_jobs(
    console: console_lib.Console, path: pathlib.Path, sizes: list[int]
) -> dict[str, _Job]:
  """Returns drawings by agents, all of which are made at once."""
  source = _RUN_DIR.value or _WEIGHTS.value
  sources: Mapping[str, pathlib.Path | Mapping[str, pathlib.Path]] = (
      {source: path}
      if source
      else by_agent.guessed(console, user_images.find(path))
  )
  agents: list[tuple[training.TrainedAgent, list[str], np.ndarray]] = []
  for source, some in sources.items():
    trained = training.restore(source, _STEP.value)
    settings = painting.check_is_painting(trained.experiment.environment)
    output.check(settings, sizes, _OTHER_BRUSH.value, _MILLIMETERS.value)
    names, target = user_images.read(
        some,
        size=settings.canvas_size,
        channels=settings.channels,
        invert=_INVERT.value,
        contrast=_CONTRAST.value,
        fit=_FIT.value,
    )
    agents.append((trained, names, target))

  @functools.cache
  def draw_all() -> dict[str, results.Drawing]:
    drawings: dict[str, results.Drawing] = {}
    for trained, names, target in agents:
      drawn = by_agent.draw(
          trained,
          target,
          samples=_SAMPLES.value,
          by=_BY.value,
          seed=_SEED.value,
      )
      drawings.update(zip(names, drawn))
    return drawings

  def job(name: str) -> _Job:
    return lambda folder, stopped, begun: draw_all()[name]

  return {name: job(name) for _, names, _ in agents for name in names}


def _search_jobs(
    console: console_lib.Console,
    path: pathlib.Path,
    sizes: list[int],
    method: str,
) -> dict[str, _Job]:
  """Returns drawings by strokes or lines."""
  if _is_of_strokes(path):
    ink_files.read(path)  # Says what is wrong with it before there is a folder.
    images = {path.stem: path}
  else:
    images = user_images.find(path)
  methods = dict.fromkeys(images, method)
  if method == 'auto':
    kinds = user_images.kinds(images)
    methods = {
        name: 'lines' if kind == 'drawing' else 'strokes'
        for name, kind in kinds.items()
    }
    for name, kind in kinds.items():
      console.print(
          f'{name} is taken for a {kind}: --method={methods[name]}',
          markup=False,
      )
  settings = painting.fine_settings(brush=_BRUSH.value, brush_sizes=_radii())
  output.check(settings, sizes, _OTHER_BRUSH.value, _MILLIMETERS.value)

  style = dict(
      brush=_BRUSH.value,
      brush_sizes=_radii(),
      paper=_PAPER.value,
      palette=_PALETTE.value,
  )

  def job(name: str) -> _Job:
    if methods[name] == 'lines':
      return lambda folder, stopped, begun: by_lines.draw(
          images[name], brush=_BRUSH.value
      )
    return functools.partial(_paint, console, name, images[name], style)

  return {name: job(name) for name in methods}


def _style_jobs(
    console: console_lib.Console,
    path: pathlib.Path,
    sizes: list[int],
    chosen: Mapping[str, Mapping[str, Any]],
) -> dict[str, _Job]:
  """Returns paintings of an image in several styles."""
  user_images.read_whole(path)
  for style in chosen.values():
    settings = painting.fine_settings(brush=style['brush'])
    # What does not differ between styles was checked with the first one.
    output.check(settings, sizes, _OTHER_BRUSH.value, _MILLIMETERS.value)
    sizes = []

  def job(name: str) -> _Job:
    return functools.partial(_paint, console, name, path, chosen[name])

  return {name: job(name) for name in chosen}


def _paint(
    console: console_lib.Console,
    name: str,
    path: pathlib.Path,
    style: Mapping[str, Any],
    folder: pathlib.Path,
    stopped: Sequence[object],
    begun: float,
) -> results.Drawing:
  """Returns a painting, while its preview grows in a folder."""
  image = user_images.read_whole(path)
  seconds = by_strokes.search_seconds(
      _SECONDS.value, _STROKES.value, spent=time.monotonic() - begun
  )
  with by_strokes.Watch(
      console, name, _STROKES.value, folder / _PREVIEW, stopped
  ) as watch:
    return by_strokes.paint(
        image,
        strokes=_STROKES.value,
        seconds=seconds,
        score=_SCORE.value,
        seed=_SEED.value,
        on_progress=watch,
        **style,
    )


def _run(
    console: console_lib.Console,
    jobs: Mapping[str, _Job],
    folders: Mapping[str, pathlib.Path],
    sizes: list[int],
    holds_signals: bool,
    begun: float,
) -> dict[str, results.Drawing]:
  """Makes drawings and writes each; returns them.

  Of several images, one that cannot be drawn is left out with a warning. The
  time of the first runs from `begun`, that of the next from its end.
  """
  drawings: dict[str, results.Drawing] = {}
  with contextlib.ExitStack() as stack:
    stopped: Sequence[object] = []
    if holds_signals:
      stopped = stack.enter_context(signals.held())
    for name, job in jobs.items():
      if stopped:
        break
      out_dir_lib.prepare(folders[name])
      try:
        drawings[name] = job(folders[name], stopped, begun)
      except ValueError as error:
        # Agents draw all images at once, or none.
        if len(jobs) == 1 or not holds_signals:
          raise
        console.print(
            f'{name} is left out: {error}', markup=False, soft_wrap=True
        )
        continue
      output.write(
          drawings[name].program,
          drawings[name].target,
          folders[name],
          sizes=sizes,
          other_brush=_OTHER_BRUSH.value,
          millimeters=_MILLIMETERS.value,
          title=name,
      )
      begun = time.monotonic()
  if stopped:
    console.print('stopped; what was there is written')
  if not drawings:
    raise ValueError('nothing could be drawn; see what is said above')
  console.print(results.table(drawings, _SAMPLES.value, _MILLIMETERS.value))
  if warning := results.worse_than_nothing(drawings):
    console.print(warning, markup=False, soft_wrap=True)
  return drawings


def _radii() -> list[float] | None:
  texts = [text for text in _BRUSH_SIZES.value if text]
  return [_number(t, float, 'brush_sizes', '8,4,2,1') for t in texts] or None


def _number(text: str, kind: type, flag: str, example: str) -> Any:
  try:
    return kind(text)
  except ValueError:
    raise ValueError(
        f'--{flag} has {text!r}, must be pixels, as --{flag}={example}'
    ) from None


if __name__ == '__main__':
  cli.run(main)
