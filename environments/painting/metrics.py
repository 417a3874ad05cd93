"""Stroke metrics: how many strokes are visible, and how much ink is wasted.

Computed from the canvases alone, so they hold for any renderer. Axes: T
commands, B episodes, H height, W width, C channels.

The ink of a stroke is the change that it made: the absolute change of each
pixel, as a share of the range from black to white, averaged over channels and
summed over pixels. Black ink on black paper is not ink in this sense: such
strokes are invisible.

Ink is *wasted* where later strokes undo it. A stroke takes a value from a to b
through all levels in between; the levels that no later canvas crosses back are
the part that lasts. When red is painted over with blue, half of the red ink is
wasted: that in the blue channel, while green stays dark. Under an eraser all
ink is wasted, while the eraser's own change lasts. Dark ink on dark ink wastes
nothing.

Ink is *overdrawn* where a later stroke changes the same pixel again, in any
direction. Wasted ink is always overdrawn. A single ink that only darkens never
wastes any; there, overdrawn ink is the informative metric.
"""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

PAINT = 1  # Value of part 'flag' that paints.


class StrokeUse(NamedTuple):
  """Metrics of each episode, `[B]`."""

  strokes: np.ndarray  # int64, number of painting commands.
  visible: np.ndarray  # int64, number of strokes that changed the canvas.
  ink: np.ndarray  # float64, in pixels taken from white to black.
  wasted: np.ndarray  # float64, part of `ink` that was undone.
  overdrawn: np.ndarray  # float64, part of `ink` that was changed again.


class StrokeSummary(NamedTuple):
  """Metrics over many episodes; shares are of totals, NaN if these are 0."""

  strokes: float  # Mean number per episode.
  visible_share: float  # Share of strokes.
  ink: float  # Mean per episode, in pixels taken from white to black.
  wasted_share: float  # Share of ink.
  overdrawn_share: float  # Share of ink.


def stroke_use(
    canvases: np.ndarray,
    actions: Mapping[str, np.ndarray],
    *,
    min_change: int = 1,
) -> StrokeUse:
  """Returns the metrics of each of B whole episodes.

  A change by a command that does not paint is not counted as ink, but can undo
  ink. (In the painting environment only strokes change the canvas.)

  Args:
    canvases: uint8 `[T+1, B, H, W, C]`, the first before the first command.
    actions: integers `[T, B]` for each part; only 'flag' is used (1 paints).
    min_change: change in some pixel, of 255 levels, from which a stroke counts
      as visible.

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
  """Returns the metrics of all episodes together."""
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
  """Converts changes `[B, H, W, C]`, in levels, to pixels of ink `[B]`."""
  return change.sum((1, 2, 3), dtype=np.int64) / (255 * change.shape[-1])


def _share(part: float, whole: float) -> float:
  return float(part) / whole if whole else float('nan')
