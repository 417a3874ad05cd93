"""Files of drawings."""

from collections.abc import Callable, Sequence
import pathlib

import numpy as np

from environments import painting
from experiments.drawing import by_strokes
from experiments.drawing import results
from spiral_jax import files
from spiral_jax.training import out_dir as out_dir_lib
from spiral_jax.training import plots

_COLUMNS = 12  # Of the overview.
_FILM_SIZE = 512  # Pixels of films, the page and the trace.
_OVERVIEW_SIZE = 64  # Pixels of a picture of the overview.
_MANY_MOVES = 100  # More of them hide the strokes.


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
    sizes: longer sides of the pictures, in pixels.
    other_brush: brush of the other pictures.
    millimeters: longer side of drawing.svg and lines.svg.
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
  has_few_moves = (program.commands['flag'] == 0).sum() <= _MANY_MOVES
  images |= {
      'trace.png': program.trace(_FILM_SIZE, moves=bool(has_few_moves)),
      'target.png': _reduced(target, max(sizes)),
  }
  _write(out_dir / 'program.json', program.to_json().encode())
  for name, image in images.items():
    plots.save(image, out_dir / name)
  makers: dict[str, Callable[[], str | bytes]] = {
      'drawing.svg': lambda: program.to_svg(millimeters=millimeters),
      'lines.svg': lambda: lines,
      'drawing.html': lambda: _page(program, out_dir_lib.printable(title)),
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


def _reduced(image: np.ndarray, size: int) -> np.ndarray:
  """Returns an image `[H, W, C]`, made smaller if a side exceeds `size`."""
  scale = min(1.0, size / max(image.shape[:2]))
  height, width = (max(1, round(scale * n)) for n in image.shape[:2])
  return by_strokes.resized(image, (height, width))


def _write(path: pathlib.Path, content: bytes) -> None:
  files.write_atomically(path, lambda stream: stream.write(content))


def _page(program: painting.Program, title: str) -> str:
  """Returns the page of a program.

  Brushes that erase need a picture a command: these are smaller, if there are
  many commands.
  """
  try:
    return program.to_html(_FILM_SIZE, title=title)
  except ValueError:
    return program.to_html(title=title)


def check(
    settings: painting.PaintingSettings,
    sizes: Sequence[int],
    other_brush: str,
    millimeters: float,
) -> None:
  """Raises the errors that `write` would, before any work.

  Args:
    settings: settings of the programs that will be written.
    sizes: longer sides of the pictures, in pixels.
    other_brush: brush of the other pictures.
    millimeters: longer side of drawing.svg and lines.svg.

  Raises:
    ImportError, OSError, ValueError: as `painting.Program` does.
  """
  command = {name: np.zeros(1, int) for name in settings.action_spec()}
  program = painting.Program(settings, command)
  program.to_svg(center_lines=True, millimeters=millimeters)
  program.render()
  for size in sizes:
    program.render(size, other_brush)


def overview(drawings: Sequence[results.Drawing]) -> np.ndarray:
  """Returns drawings in rows, each row below its targets.

  Pictures that are not square lie on white paper.
  """
  canvas = stacked([d.program.render(_OVERVIEW_SIZE) for d in drawings])
  target = stacked(
      [
          by_strokes.resized(d.target, d.program.shape(_OVERVIEW_SIZE))
          for d in drawings
      ]
  )
  columns = min(_COLUMNS, len(canvas))
  # The last row is filled up with paper.
  padding = ((0, -len(canvas) % columns), (0, 0), (0, 0), (0, 0))
  canvas = np.pad(canvas, padding, constant_values=255)
  target = np.pad(target, padding, constant_values=255)
  return plots.grid(
      canvas, target, rows=len(canvas) // columns, columns=columns
  )


def stacked(images: Sequence[np.ndarray]) -> np.ndarray:
  """Returns images `[N, H, W, C]`, on white paper; in color if any of them is.

  Args:
    images: uint8 `[h, w, c]` each.
  """
  height, width, channels = np.max([image.shape for image in images], axis=0)
  pages = np.full((len(images), height, width, channels), 255, np.uint8)
  for page, image in zip(pages, images):
    page[: image.shape[0], : image.shape[1]] = image
  return pages
