"""A person's images as an agent sees them: its size, dark ink on white paper.

Axes: N images, H height, W width, C channels.  Images are uint8.
"""

import pathlib

import numpy as np

from spiral_jax.datasets import folder as folder_lib

CHOICES = ('auto', 'yes', 'no')

# White ink on black: the border of the image is dark, and so is most of it.
_DARK_BORDER, _DARK_IMAGE = 64, 110
# A drawing in lines: at least this share of its pixels is paper, the color of
# its border, give or take. Digits and characters have .65 to .98, portraits
# before an even ground up to .47.
_PAPER, _EVEN = 0.56, 24
# Its darkest pixels (a share; one may be dirt) are darker by more than noise.
_DARKEST, _NOISE = 0.005, 16
_GLANCE = 64  # Pixels that show whether an image is a drawing.


def read(
    path: pathlib.Path,
    *,
    size: int,
    channels: int,
    invert: str = 'auto',
    contrast: str = 'auto',
    fit: str = 'crop',
) -> tuple[list[str], np.ndarray]:
  """Returns the names of images, and the images as an agent sees them.

  Args:
    path: path of an image, or of a folder of them.
    size: height and width of the agent's canvas, in pixels.
    channels: channels of the agent's canvas, 1 or 3.
    invert: 'yes' and 'no' make black of white or not; 'auto' does if the canvas
      is gray and the image is light ink on black, or on nothing (transparent).
    contrast: 'yes' and 'no' make paper white and the darkest ink black or not;
      'auto' does if the canvas is gray and the image a drawing in lines, which
      may be on gray paper, or so thin that little is left of them.
    fit: 'crop' keeps the middle of an image that is not square, 'pad' adds
      paper.

  Returns:
    Names without endings, each another, and `[N, H, W, C]`.

  Raises:
    FileNotFoundError: if there is no image.
    ValueError: if an image cannot be read.
  """
  paths = _find(path)
  images = [_read(p, size, channels, invert, contrast, fit) for p in paths]
  return _names(path, paths), np.stack(images)


def are_drawings(path: pathlib.Path) -> bool:
  """Returns whether most images are drawings in lines, not photographs.

  Args:
    path: path of an image, or of a folder of them.

  Raises:
    FileNotFoundError, ValueError: as `read` does.
  """
  images = [folder_lib.read(p, size=_GLANCE, channels=3) for p in _find(path)]
  return bool(np.mean([_share_of_paper(image) for image in images]) > _PAPER)


def _find(path: pathlib.Path) -> list[pathlib.Path]:
  """Returns an image, or those of a folder."""
  if path.is_file():
    return [path]
  if not path.is_dir():
    raise FileNotFoundError(
        f'{path} does not exist; name an image or a folder of images by --image'
    )
  paths = folder_lib.find(path)
  if not paths:
    raise FileNotFoundError(
        f'{path} has no images; put .png or .jpg files there, or name another '
        'folder or file by --image'
    )
  return paths


def _names(path: pathlib.Path, paths: list[pathlib.Path]) -> list[str]:
  """Returns a name for each image of a folder, or for the one that it is."""
  if path.is_file():
    return [path.stem]
  files = [p.relative_to(path).as_posix().replace('/', '_') for p in paths]
  stems = [pathlib.PurePath(name).stem for name in files]
  names: list[str] = []
  for file, stem in zip(files, stems):
    # Two files may differ in their endings alone, or in a folder.
    name = stem if stems.count(stem) == 1 else file
    while name in names:
      name += '_'
    names.append(name)
  return names


def _read(
    path: pathlib.Path,
    size: int,
    channels: int,
    invert: str,
    contrast: str,
    fit: str,
) -> np.ndarray:
  """Returns one image, `[H, W, C]`."""

  def read_on(paper: int, fit: str, channels: int = channels) -> np.ndarray:
    return folder_lib.read(
        path,
        size=size,
        channels=channels,
        fit=fit,
        paper=paper,
    )

  is_light = invert == 'yes'
  if invert == 'auto' and channels == 1:
    # Without the paper that is added, whose shade is to be found out.
    middle = read_on(255, 'crop')
    if middle.min() > 128:  # Below light ink there may be nothing.
      middle = read_on(0, 'crop')
    is_light = _is_white_on_black(middle)
  paper = 0 if is_light else 255
  image = read_on(paper, fit)
  if is_light:
    image = 255 - image
  if contrast == 'auto':
    is_stretched = (
        channels == 1
        and _has_ink(image)
        and _share_of_paper(read_on(paper, fit, channels=3)) > _PAPER
    )
  else:
    is_stretched = contrast == 'yes'
  return _stretched(image) if is_stretched else image


def _is_white_on_black(image: np.ndarray) -> bool:
  """Returns True for a gray image `[H, W, 1]` that is light on dark."""
  return bool(
      _border(image) < _DARK_BORDER
      and image.mean() < _DARK_IMAGE
      and image.max() > 128
  )


def _share_of_paper(image: np.ndarray) -> float:
  """Returns the share of `[H, W, 3]` that has the color of its border."""
  sides = np.concatenate([image[0], image[-1], image[:, 0], image[:, -1]])
  distance = np.abs(image - np.median(sides, axis=0)).max(-1)
  return float(np.mean(distance < _EVEN))


def _has_ink(image: np.ndarray) -> bool:
  """Returns True if a gray image `[H, W, 1]` has ink darker than its border."""
  return bool(_border(image) - np.quantile(image, _DARKEST) > _NOISE)


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
