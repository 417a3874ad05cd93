"""Pictures painted with few strokes, by search."""

from collections.abc import Callable, Sequence
import pathlib
import re
import time

import jax
import numpy as np
from PIL import Image
import rich.progress

from environments import painting
from experiments.drawing import results
from spiral_jax import console as console_lib
from spiral_jax import evaluation
from spiral_jax import search
from spiral_jax.training import plots
from spiral_jax.training import program_search

_MOST_COLORS = 256  # Of a palette.
_MEASURED = 256  # Pixels of the picture whose error is told.
_PREVIEW_SECONDS = 2.0  # Between two of them.
_WRITING_SECONDS = 0.006  # Of the files of a painting, for each stroke.


def paint(
    image: np.ndarray,
    *,
    strokes: int,
    seconds: float,
    score: str = 'l2',
    brush: str = 'classic/pen',
    brush_sizes: Sequence[float] | None = None,
    paper: str = 'auto',
    palette: int = 0,
    color: bool = True,
    seed: int = 0,
    on_progress: Callable[[search.PaintProgress], bool | None] | None = None,
) -> results.Drawing:
  """Returns the best painting of an image that the time allows.

  Args:
    image: uint8 `[H, W, 3]`.
    strokes: largest number of strokes.
    seconds: time to search.
    score: error to minimize, see `search.paint`.
    brush: name of the brush.
    brush_sizes: radii that strokes choose from, where the picture's longer side
      is 64 long; None means fourteen, from 16 to 0.18.
    paper: color of the paper, as '#ffe4c0', or 'white'; 'auto' takes that of
      the best page of one color.
    palette: number of colors, which are chosen to fit the image; 0 means all.
    color: whether strokes are in color; otherwise they are black.
    seed: seed of the search.
    on_progress: called after each try; returns true to stop.

  Raises:
    ImportError, FileNotFoundError, ValueError: as `painting.SingleStrokes`, or
      if an argument is out of range.
  """
  check_palette(palette)
  check_paper(paper)
  if not color:
    image = np.asarray(Image.fromarray(image).convert('L'))[..., np.newaxis]
  mean = image.reshape(-1, image.shape[2]).mean(axis=0)
  if paper == 'auto':
    paper = '#' + ''.join(f'{round(x):02x}' for x in np.resize(mean, 3))
  settings = painting.fine_settings(
      brush=brush, brush_sizes=brush_sizes, color=color, background=paper
  )
  renderer = painting.SingleStrokes(settings, program_search.num_threads())
  chosen = None
  if palette and color:
    chosen = palette_of(image, palette, len(renderer.shades))
  program = search.paint(
      image,
      renderer,
      strokes=strokes,
      seconds=seconds,
      key=jax.random.key(seed),
      score=score,
      palette=chosen,
      on_progress=on_progress,
  )
  target = resized(image, program.shape(_MEASURED))
  paper_shade = np.rint(255 * renderer.paper).astype(np.uint8)
  blank, constant = results.errors_without(target, paper_shade)
  nothing = renderer.program({}, program.aspect)
  error, without = (
      float(
          evaluation.reconstruction_error(
              p.render(_MEASURED)[np.newaxis], target[np.newaxis]
          )[0]
      )
      for p in (program, nothing)
  )
  # Of brushes that smudge or draw random numbers the search knows too little.
  if score == 'l2' and error > without:
    program, error = nothing, without
  return results.Drawing(program, image, error, None, blank, constant)


def search_seconds(seconds: float, strokes: int, *, spent: float) -> float:
  """Returns what is left for the search, so that all of it takes `seconds`.

  Args:
    seconds: time of a painting with its files.
    strokes: number of strokes, on which the time of writing files depends.
    spent: seconds that are over.

  Returns:
    At least half of `seconds`.
  """
  return max(seconds - spent - _WRITING_SECONDS * strokes, seconds / 2)


def check_palette(count: int) -> None:
  """Raises ValueError for what is no number of colors."""
  if count < 0 or count == 1 or count > _MOST_COLORS:
    raise ValueError(
        f'--palette={count}, must be 2 to {_MOST_COLORS} colors, or 0 for all'
    )


def check_paper(paper: str) -> None:
  """Raises ValueError for what is no color of paper."""
  if paper not in ('auto', 'white') and not re.fullmatch(
      '#[0-9a-fA-F]{6}', paper
  ):
    raise ValueError(
        f'--paper={paper}, must be auto, white or a color as #ffe4c0'
    )


def palette_of(image: np.ndarray, count: int, num_shades: int) -> np.ndarray:
  """Returns colors that fit an image, indices of shades, int32 `[P, 3]`.

  Args:
    image: uint8 `[H, W, 3]`.
    count: number of colors; fewer may remain.
    num_shades: number of values of a channel.
  """
  quantized = Image.fromarray(image).quantize(
      count, method=Image.Quantize.MAXCOVERAGE, kmeans=2
  )
  used = np.unique(np.asarray(quantized))
  colors = np.array(quantized.getpalette()).reshape(-1, 3)[used]
  shades = np.rint(colors / 255 * (num_shades - 1)).astype(np.int32)
  return np.unique(shades, axis=0)


def resized(image: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
  """Returns an image `[H, W, C]` of another height and width."""
  picture = Image.fromarray(image.squeeze(-1) if image.shape[2] == 1 else image)
  small = picture.resize(shape[::-1], Image.Resampling.BOX)
  return np.asarray(small).reshape(*shape, image.shape[2])


class Watch:
  """Shows how a painting grows: a bar, and a preview on disk.

  Use it in a `with` statement; call it as `on_progress`.
  """

  def __init__(
      self,
      console: console_lib.Console,
      name: str,
      strokes: int,
      preview: pathlib.Path,
      stopped: Sequence[object],
  ):
    """Initializes a watch.

    Args:
      console: where the bar is shown, if it is a terminal.
      name: name of the image.
      strokes: largest number of strokes.
      preview: file of the preview, which is removed at the end.
      stopped: signals received so far; any ends the search.
    """
    self._bar = rich.progress.Progress(
        rich.progress.TextColumn('{task.description}', markup=False),
        rich.progress.BarColumn(),
        rich.progress.TaskProgressColumn(),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    )
    self._task = self._bar.add_task(name, total=1.0)
    self._name, self._strokes = name, strokes
    self._preview, self._stopped = preview, stopped
    self._shown = time.monotonic()

  def __enter__(self) -> 'Watch':
    self._bar.start()
    return self

  def __exit__(self, *unused: object) -> None:
    self._bar.stop()
    self._preview.unlink(missing_ok=True)

  def __call__(self, progress: search.PaintProgress) -> bool:
    """Shows progress; returns true if the search is to stop."""
    now = time.monotonic()
    if now - self._shown >= _PREVIEW_SECONDS:
      self._shown = now
      plots.save(progress.picture(), self._preview)
    self._bar.update(
        self._task,
        completed=progress.share_done,
        description=(
            f'{self._name}: {progress.num_strokes} of {self._strokes} strokes,'
            f' l2 {progress.error:.4f}'
        ),
    )
    return bool(self._stopped)
