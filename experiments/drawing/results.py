"""Drawings and their errors, next to those of pages without a drawing."""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import rich.table
import rich.text

from environments import painting
from environments.painting import lines as lines_lib
from spiral_jax import evaluation
from spiral_jax.training import out_dir as out_dir_lib

_ROWS = 20  # Of the table.
_WORST = 5  # Drawings that a warning names.


class Drawing(NamedTuple):
  """The best drawing of an image that was found, and mean squared errors."""

  program: painting.Program
  target: np.ndarray  # uint8 [H, W, C], the image that was drawn.
  error: float
  mean_error: float | None  # Over all samples of an agent.
  blank_error: float  # Of a blank page.
  constant_error: float  # Of the best page of a single color.


def errors_without(
    target: np.ndarray, paper: np.ndarray | int = 255
) -> tuple[float, float]:
  """Returns the errors of a blank page and of the best page of one color.

  Args:
    target: uint8 `[H, W, C]`.
    paper: color of the blank page, uint8 `[C]`.
  """
  color = target.mean((0, 1)) / 255
  pages = [
      np.broadcast_to(page, target.shape)[np.newaxis]
      for page in (np.asarray(paper, np.uint8), color)
  ]
  blank, constant = (
      float(evaluation.reconstruction_error(page, target[np.newaxis])[0])
      for page in pages
  )
  return blank, constant


def table(
    drawings: Mapping[str, Drawing], samples: int, millimeters: float
) -> rich.table.Table:
  """Returns a table of errors; without agents, of strokes and of the pen's way.

  Args:
    drawings: drawings by the names of their images.
    samples: number of drawings of each image by an agent.
    millimeters: longer side of a plotter's picture.
  """
  by_samples = any(d.mean_error is not None for d in drawings.values())
  found = rich.table.Table(
      'image',
      f'l2, best of {samples}' if by_samples else 'l2',
      *(['l2, one sample'] if by_samples else []),
      'share of a blank page',
      'share of the best color',
      *([] if by_samples else ['strokes', 'way with the pen up']),
  )
  errors = [
      [error for error in drawing[2:] if error is not None]
      for drawing in drawings.values()
  ]
  for (name, drawing), row in list(zip(drawings.items(), errors))[:_ROWS]:
    extra = [] if by_samples else _strokes(drawing.program, millimeters)
    shown = rich.text.Text(out_dir_lib.printable(name))
    found.add_row(shown, *figures(*row), *extra)
  if len(drawings) > 1:
    found.add_section()
    means = np.mean(errors, axis=0).tolist()
    found.add_row(f'mean of {len(drawings)}', *figures(*means))
  return found


def _strokes(program: painting.Program, millimeters: float) -> list[str]:
  """Returns the number of strokes, and what a pen travels without drawing."""
  is_paint = np.pad(program.commands['flag'] == 1, (1, 0))
  # Curves that continue each other are one stroke.
  count = int((is_paint[1:] & ~is_paint[:-1]).sum())
  travel = millimeters * lines_lib.pen_up_travel(program)
  return [f'{count}', f'{travel:.0f} mm']


def figures(*errors: float) -> list[str]:
  """Returns the columns of a table, of the errors of a `Drawing`."""
  *own, blank, constant = errors
  shares = [f'{own[0] / of:.0%}' if of > 0 else '-' for of in (blank, constant)]
  return [*(f'{error:.4f}' for error in own), *shares]


def worse_than_nothing(drawings: Mapping[str, Drawing]) -> str:
  """Returns a sentence on drawings that are worse than none; empty if none is.

  Args:
    drawings: drawings by the names of their images.
  """
  worse = []
  for name, drawing in drawings.items():
    error = drawing.error
    blank, constant = drawing.blank_error, drawing.constant_error
    # The best color is as good as white or better.
    if error < constant or error == 0:
      continue
    nothing, merit = (
        ('a blank page', blank)
        if error >= blank
        else ('a page of one color', constant)
    )
    shown = out_dir_lib.printable(name)
    whose = f'{shown}: its l2 is' if len(drawings) > 1 else 'its l2 is'
    worse.append(f'{whose} {error:.4f}, that of {nothing} {merit:.4f}')
  if not worse:
    return ''
  if len(drawings) == 1:
    head = 'the drawing is no better than nothing'
  else:
    head = (
        f'{len(worse)} of {len(drawings)} drawings are no better than nothing'
    )
  shown = '; '.join(worse[:_WORST])
  rest = f'; {len(worse) - _WORST} more' if len(worse) > _WORST else ''
  return (
      f'{head} ({shown}{rest}); try more --seconds, or of an agent more'
      ' --samples, or another agent'
  )
