"""Drawings and their errors, next to those of pages without a drawing."""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from environments import painting
from spiral_jax import evaluation

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
    whose = f'{name}: its l2 is' if len(drawings) > 1 else 'its l2 is'
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
