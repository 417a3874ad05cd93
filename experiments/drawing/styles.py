"""Styles of paintings: brushes, colors and papers that go together."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from PIL import Image
from PIL import ImageDraw

from experiments.drawing import by_strokes
from experiments.drawing import results

# Arguments of `by_strokes.paint` that differ from its defaults.
STYLES: dict[str, dict[str, Any]] = {
    'pen': dict(brush='classic/pen'),
    'poster': dict(brush='classic/pen', palette=6),
    'gouache': dict(brush='classic/kabura', paper='#f4ead8'),
    'marker': dict(brush='classic/marker_fat', paper='white'),
    'airbrush': dict(brush='classic/ink_blot'),
    'calligraphy': dict(
        brush='classic/calligraphy', paper='#f4ead8', palette=12
    ),
    'dry_brush': dict(brush='classic/dry_brush', paper='#efe6d2'),
    'charcoal': dict(brush='classic/charcoal', paper='#e8e8e8'),
    'ink': dict(brush='classic/pen', paper='white', palette=2),
}
_SIZE = 384  # Longer side of a picture on the sheet, pixels.
_GAP, _CAPTION = 16, 24  # Pixels.
_COLUMNS = 5


def named(names: Sequence[str]) -> dict[str, dict[str, Any]]:
  """Returns styles by name; 'all' means all of them.

  Raises:
    ValueError: if there is no such style.
  """
  wanted = [name for name in names if name]
  if wanted == ['all']:
    return STYLES
  for name in wanted:
    if name not in STYLES:
      raise ValueError(
          f'--styles has {name!r}, must be all, or some of {", ".join(STYLES)}'
      )
  return {name: STYLES[name] for name in wanted}


def sheet(
    image: np.ndarray, drawings: Mapping[str, results.Drawing]
) -> np.ndarray:
  """Returns an image `[H, W, 3]` and its drawings, with their names."""
  first = next(iter(drawings.values()))
  height, width = first.program.shape(_SIZE)
  pictures = {'original': image}
  pictures |= {k: d.program.render(_SIZE) for k, d in drawings.items()}
  columns = min(_COLUMNS, len(pictures))
  rows = -(-len(pictures) // columns)
  page = Image.new(
      'RGB',
      (
          columns * (width + _GAP) + _GAP,
          rows * (height + _CAPTION + _GAP) + _GAP,
      ),
      'white',
  )
  draw = ImageDraw.Draw(page)
  for number, (name, picture) in enumerate(pictures.items()):
    row, column = divmod(number, columns)
    x = _GAP + column * (width + _GAP)
    y = _GAP + row * (height + _CAPTION + _GAP)
    small = by_strokes.resized(picture, (height, width))
    shown = Image.fromarray(np.broadcast_to(small, (height, width, 3)).copy())
    page.paste(shown, (x, y))
    draw.text((x, y + height + 4), name, fill='black')
  return np.asarray(page)
