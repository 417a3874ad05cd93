"""What strokes did to the canvas: which showed, and how much ink was wasted.

Measured on the canvases alone, so for any renderer. Axes: T commands, B
episodes, H height, W width, C channels.

The ink of a stroke is the change that it made: the sum over pixels of how far
each went, as a share of the way from black to white, averaged over channels.
(Black ink on black paper is no ink in this sense: such strokes do not show.)

Ink is *wasted* where later strokes undid it. A stroke takes a value from a to
b through all levels between; the part that lasts is the levels that no later
canvas crosses back. So when red is painted over with blue, half of the red's
ink is wasted (in the channel blue; green stays dark and is not); all ink is
under an eraser, while the eraser's own change lasts; and where dark ink is
laid on dark ink nothing is wasted.

Ink is *overdrawn* where a later stroke changed the same pixel again in any
direction. What is wasted is overdrawn; with a single ink, which only darkens,
nothing is wasted and this is the figure to look at.
"""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

PAINT = 1  # The value of part 'flag' that paints.


class StrokeUse(NamedTuple):
  """Figures by episode, `[B]`."""

  strokes: np.ndarray  # int64, painting commands.
  visible: np.ndarray  # int64, those that changed the canvas.
  ink: np.ndarray  # float64, pixels taken from white to black.
  wasted: np.ndarray  # float64, the part of `ink` that was undone.
  overdrawn: np.ndarray  # float64, the part of `ink` that was changed again.


class StrokeSummary(NamedTuple):
  """The same over many episodes; shares are of totals, NaN of nothing."""

  strokes: float  # An episode.
  visible_share: float  # Of strokes.
  ink: float  # An episode, pixels taken from white to black.
  wasted_share: float  # Of ink.
  overdrawn_share: float  # Of ink.


def stroke_use(
    canvases: np.ndarray,
    actions: Mapping[str, np.ndarray],
    *,
    min_change: int = 1,
) -> StrokeUse:
  """Returns what the strokes of whole episodes did.

  What commands that do not paint change (none do in the painting environment)
  is no ink, but it can undo ink.

  Args:
    canvases: uint8 `[T+1, B, H, W, C]`, the first before the first command.
    actions: by part, integers `[T, B]`; of these 'flag' is used: 1 paints.
    min_change: how many of 255 levels some pixel must change for a stroke to
      be visible.

  Raises:
    ValueError: if a shape or type is wrong, or there is no 'flag'.
  """
  canvases = np.asarray(canvases)
  if canvases.dtype != np.uint8 or canvases.ndim != 5:
    raise ValueError(
        f'canvases are {canvases.dtype} {canvases.shape}: give '
        'uint8 [T+1, B, H, W, C]'
    )
  if 'flag' not in actions:
    raise ValueError(
        f"actions have no part 'flag' but {', '.join(actions)}: "
        'strokes can be told for painting only'
    )
  paints = np.asarray(actions['flag']) == PAINT
  if paints.shape != (len(canvases) - 1, canvases.shape[1]):
    raise ValueError(
        f"part 'flag' has shape {paints.shape}, canvases have "
        f'{canvases.shape}: give [T, B] and [T+1, B, H, W, C]'
    )
  visible = np.zeros(canvases.shape[1], np.int64)
  ink, lasting, overdrawn = np.zeros((3, canvases.shape[1]))
  # Signed, since differences are taken.
  darkest = brightest = canvases[-1].astype(np.int16)
  is_changed_later = np.zeros(canvases.shape[1:-1], bool)
  for t in reversed(range(len(paints))):
    before = canvases[t].astype(np.int16)
    after = canvases[t + 1].astype(np.int16)
    # Extremes of all canvases from `after` on.
    darkest = np.minimum(darkest, after)
    brightest = np.maximum(brightest, after)
    change = np.abs(after - before)
    lasts = np.maximum(
        np.where(after < before, before - brightest, darkest - before), 0
    )
    visible += paints[t] & (change.max((1, 2, 3)) >= min_change)
    ink += paints[t] * _total(change)
    lasting += paints[t] * _total(lasts)
    overdrawn += paints[t] * _total(change * is_changed_later[..., None])
    is_changed_later |= change.any(-1)
  return StrokeUse(paints.sum(0), visible, ink, ink - lasting, overdrawn)


def summarize(use: StrokeUse) -> StrokeSummary:
  """Returns the figures of all episodes together."""
  ink = float(use.ink.sum())
  strokes = int(use.strokes.sum())
  return StrokeSummary(
      strokes=float(use.strokes.mean()),
      visible_share=_share(use.visible.sum(), strokes),
      ink=float(use.ink.mean()),
      wasted_share=_share(use.wasted.sum(), ink),
      overdrawn_share=_share(use.overdrawn.sum(), ink),
  )


def _total(change: np.ndarray) -> np.ndarray:
  """Returns levels `[B, H, W, C]` as pixels from white to black, `[B]`."""
  return change.sum((1, 2, 3), dtype=np.int64) / (255 * change.shape[-1])


def _share(part: float, whole: float) -> float:
  return float(part) / whole if whole else float('nan')
