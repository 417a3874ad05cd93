"""Tracing of pictures by vtracer, which drawings are compared with."""

import os
import pathlib
import tempfile
from xml.etree import ElementTree

import numpy as np
from PIL import Image
from PIL import ImageChops
from PIL import ImageDraw

from environments import optional

_TRIES = 12  # Of the detail at which there are as many paths as allowed.


def trace(image: np.ndarray, most: int) -> np.ndarray:
  """Returns what vtracer makes of an image with at most some paths.

  It is as detailed as their number allows.

  Args:
    image: uint8 `[H, W, 3]`.
    most: largest number of paths.

  Raises:
    ImportError: if vtracer or svgpathtools is missing.
  """
  vtracer = optional.load('vtracer', 'vtracer', 'this comparison')
  with tempfile.TemporaryDirectory() as folder:
    source, result = os.path.join(folder, 'in.png'), os.path.join(
        folder, 'out.svg'
    )
    Image.fromarray(image).save(source)
    color = np.rint(image.mean((0, 1))).astype(np.uint8)
    best = np.broadcast_to(color, image.shape)
    low, high = 0.0, 1.0  # Coarseness.
    for _ in range(_TRIES):
      coarseness = (low + high) / 2
      vtracer.convert_image_to_svg_py(
          source,
          result,
          colormode='color',
          hierarchical='stacked',
          mode='spline',
          filter_speckle=max(1, round(128 * coarseness**2)),
          color_precision=6,
          layer_difference=max(1, round(128 * coarseness)),
      )
      text = pathlib.Path(result).read_text(encoding='utf-8')
      if text.count('<path') <= most:
        best, high = _rasterized(text, image.shape), coarseness
      else:
        low = coarseness
  return best


def _rasterized(svg: str, shape: tuple[int, ...]) -> np.ndarray:
  """Returns the areas of an SVG of plain paths, uint8 `[H, W, 3]`."""
  parse = optional.load('svgpathtools', 'svgpathtools', 'this comparison')
  finer = 2
  large = shape[1] * finer, shape[0] * finer
  page = Image.new('RGB', large, 'white')
  for element in ElementTree.fromstring(svg).iter():
    if not element.tag.endswith('path'):
      continue
    shift = element.get('transform', 'translate(0,0)')[10:-1].split(',')
    offset = np.array([float(x) for x in shift])
    # Parts inside of others are holes.
    area = Image.new('1', large, 0)
    for part in parse.parse_path(element.get('d')).continuous_subpaths():
      points = [
          segment.point(t) for segment in part for t in np.linspace(0, 1, 8)
      ]
      flat = [tuple(finer * (offset + [p.real, p.imag])) for p in points]
      if len(flat) > 2:
        inside = Image.new('1', large, 0)
        ImageDraw.Draw(inside).polygon(flat, fill=1)
        area = ImageChops.logical_xor(area, inside)
    page.paste(element.get('fill') or 'black', mask=area)
  size = shape[1], shape[0]
  return np.asarray(page.resize(size, Image.Resampling.BOX))
