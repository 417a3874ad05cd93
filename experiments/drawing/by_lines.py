"""Drawings in lines, drawn again by a pen: one stroke a line."""

import pathlib

import numpy as np
from PIL import Image
from PIL import ImageDraw

from environments import painting
from environments.painting import lines as lines_lib
from experiments.drawing import by_strokes
from experiments.drawing import results
from spiral_jax import evaluation
from spiral_jax.datasets import ink_files
from spiral_jax.datasets import skeleton
from spiral_jax.datasets import user_images

_WORK = 512  # Pixels of the drawing whose lines are looked for.
_DARK = 128  # Shades below are ink.


def draw(path: pathlib.Path, *, brush: str = 'classic/pen') -> results.Drawing:
  """Returns the lines of a drawing as a program.

  Args:
    path: an image of a drawing in lines; or strokes, in a file that
      `ink_files.read` takes.
    brush: name of the brush.

  Raises:
    FileNotFoundError, ValueError: if the file is missing, cannot be read, or
      has no lines.
    ImportError: if a library for this kind of file is missing.
  """
  if path.suffix.lower() in ink_files.SUFFIXES:
    ink = ink_files.read(path)
    program = lines_lib.of_lines(
        ink.strokes, ink.widths, shape=ink.shape, brush=brush, reorders=False
    )
    return _measured(program, _drawn(ink))
  image = user_images.read_ink(path, _WORK)[..., np.newaxis]
  scale = _WORK / max(image.shape[:2])
  shape = tuple(max(1, round(scale * side)) for side in image.shape[:2])
  image = by_strokes.resized(image, (shape[0], shape[1]))
  found = skeleton.center_lines(image[..., 0] < _DARK)
  if not found:
    raise ValueError(
        f'{path} has no lines; give a drawing in ink, or --method=strokes'
    )
  program = lines_lib.of_lines(
      [line.points for line in found],
      [line.width for line in found],
      shape=image.shape[:2],
      brush=brush,
  )
  return _measured(program, image)


def _measured(program: painting.Program, image: np.ndarray) -> results.Drawing:
  size = max(image.shape[:2])
  picture = by_strokes.resized(program.render(size), image.shape[:2])
  (error,) = evaluation.reconstruction_error(
      picture[np.newaxis], image[np.newaxis]
  )
  return results.Drawing(
      program, image, float(error), None, *results.errors_without(image)
  )


def _drawn(ink: ink_files.Ink) -> np.ndarray:
  """Returns strokes as plain lines, uint8 `[H, W, 1]`."""
  finer = 2
  scale = _WORK * finer / max(ink.shape)
  shape = [max(1, round(scale * side / finer)) for side in ink.shape]
  page = Image.new('L', (shape[1] * finer, shape[0] * finer), 'white')
  draw = ImageDraw.Draw(page)
  for stroke, width in zip(ink.strokes, ink.widths):
    points = [(float(x), float(y)) for x, y in scale * stroke]
    radius = scale * width / 2
    draw.line(points, fill=0, width=max(1, round(2 * radius)), joint='curve')
    for x, y in (points[0], points[-1]):
      draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=0)
  small = page.resize((shape[1], shape[0]), Image.Resampling.BOX)
  return np.asarray(small)[..., np.newaxis]
