"""A person's images as an agent sees them: its size, dark ink on white paper.

Axes: N images, H height, W width, C channels.  Images are uint8.
"""

import pathlib

import numpy as np

from environments import painting
from spiral_jax.datasets import folder as folder_lib

CHOICES = ('auto', 'yes', 'no')

# White ink on black: the border of the image is dark, and so is most of it.
_DARK_BORDER, _DARK_IMAGE = 64, 110
# A drawing in lines: most of it is as light as its border, give or take, and
# the darkest pixels (a share; one may be dirt) are darker by more than noise.
_EVEN, _DARKEST, _NOISE = 24, 0.005, 16


def read(
  path: pathlib.Path,
  settings: painting.PaintingSettings,
  *,
  invert: str = 'auto',
  contrast: str = 'auto',
  fit: str = 'crop',
) -> tuple[list[str], np.ndarray]:
  """Returns the names of images, and the images as an agent sees them.

  Args:
    path: of an image, or of a folder of them.
    settings: of the agent's canvas.
    invert: 'yes' and 'no' make black of white or not; 'auto' does if the canvas
      is grey and the image is light ink on black, or on nothing (transparent).
    contrast: 'yes' and 'no' make paper white and the darkest ink black or not;
      'auto' does if the canvas is grey and the image a drawing in lines, which
      may be on grey paper, or so thin that little is left of them.
    fit: 'crop' keeps the middle of an image that is not square, 'pad' adds
      paper.

  Returns:
    Names without endings, each another, and `[N, H, W, C]`.

  Raises:
    FileNotFoundError: if there is no image.
    ValueError: if an image cannot be read.
  """
  if path.is_dir():
    paths = folder_lib.find(path)
    names = [p.relative_to(path).as_posix().replace('/', '_') for p in paths]
    stems = [pathlib.PurePath(name).stem for name in names]
    # Two files may differ in their endings alone.
    names = [s if stems.count(s) == 1 else n for n, s in zip(names, stems)]
    if not paths:
      raise FileNotFoundError(
        f'{path} has no images; put .png or .jpg files there, or name another '
        'folder or file by --image'
      )
  elif path.is_file():
    paths, names = [path], [path.stem]
  else:
    raise FileNotFoundError(
      f'{path} does not exist; name an image or a folder of images by --image'
    )
  images = [_read(p, settings, invert, contrast, fit) for p in paths]
  return names, np.stack(images)


def _read(
  path: pathlib.Path,
  settings: painting.PaintingSettings,
  invert: str,
  contrast: str,
  fit: str,
) -> np.ndarray:
  """Returns one image, `[H, W, C]`."""

  def read_on(paper: int, fit: str) -> np.ndarray:
    return folder_lib.read(
      path,
      size=settings.canvas_size,
      channels=settings.channels,
      fit=fit,
      paper=paper,
    )

  is_light = invert == 'yes'
  if invert == 'auto' and settings.channels == 1:
    # Without the paper that is added, whose shade is to be found out.
    middle = read_on(255, 'crop')
    if middle.min() > 128:  # Below light ink there may be nothing.
      middle = read_on(0, 'crop')
    is_light = _is_white_on_black(middle)
  image = 255 - read_on(0, fit) if is_light else read_on(255, fit)
  if contrast == 'yes' or (
    contrast == 'auto' and settings.channels == 1 and _is_in_lines(image)
  ):
    return _stretched(image)
  return image


def _is_white_on_black(image: np.ndarray) -> bool:
  """Whether a grey image `[H, W, 1]` is light on a dark ground."""
  return bool(
    _border(image) < _DARK_BORDER
    and image.mean() < _DARK_IMAGE
    and image.max() > 128
  )


def _is_in_lines(image: np.ndarray) -> bool:
  """Whether a grey image `[H, W, 1]` is mostly paper with some ink on it."""
  paper = _border(image)
  return bool(
    np.mean(np.abs(image - paper) < _EVEN) > 0.5
    and paper - np.quantile(image, _DARKEST) > _NOISE
  )


def _stretched(image: np.ndarray) -> np.ndarray:
  """Returns an image whose paper is white and whose ink is black."""
  paper, ink = _border(image), np.quantile(image, _DARKEST)
  if paper <= ink:
    return image
  shades = (image - ink) / (paper - ink)
  return np.rint(255 * shades.clip(0, 1)).astype(np.uint8)


def _border(image: np.ndarray) -> float:
  """Returns the median shade along the border of an image `[H, W, C]`."""
  sides = (image[0], image[-1], image[:, 0], image[:, -1])
  return float(np.median(np.concatenate(sides, axis=None)))
