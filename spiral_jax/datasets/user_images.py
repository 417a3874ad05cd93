"""A person's images as an agent sees them: its size, dark ink on white paper.

Axes: N images, H height, W width, C channels.  Images are uint8.
"""

from collections.abc import Mapping
import os
import pathlib

import numpy as np
from PIL import Image

from spiral_jax.datasets import drawings
from spiral_jax.datasets import folder as folder_lib
from spiral_jax.datasets import pictures

CHOICES = ('auto', 'yes', 'no')
KINDS = ('drawing', 'colored drawing', 'photograph')

# Height or width, whichever is less, at which ink is looked for: hairlines of a
# large scan still show.
_WORK = 1024  # Pixels.
# Least width of strokes, in pixels of the canvas; Omniglot's have 2 of 64.
_STROKE = 1.5
# Ink that is lighter than this may lie on nothing, or on black paper.
_MIDDLE = 128


def read(
    images: pathlib.Path | Mapping[str, pathlib.Path],
    *,
    size: int,
    channels: int,
    invert: str = 'auto',
    contrast: str = 'auto',
    fit: str = 'crop',
) -> tuple[list[str], np.ndarray]:
  """Returns the names of images, and the images as an agent sees them.

  Of several images, those that cannot be read are left out, with a warning.

  Args:
    images: path of an image, or of a folder of them; or what `find` returns.
    size: height and width of the agent's canvas, in pixels.
    channels: channels of the agent's canvas, 1 or 3.
    invert: 'yes' and 'no' make black of white or not; 'auto' does if the canvas
      is gray and the image a drawing in light ink on a darker board, or on
      nothing (transparent).
    contrast: 'yes' and 'no' make paper white, also where light falls on it
      unevenly, and ink black and at least 1.5 pixels wide, or not; 'auto' does
      if the canvas is gray and the image a drawing in lines.
    fit: 'crop' keeps the middle of an image that is not square, 'pad' adds
      paper.

  Returns:
    Names without endings, each another, and `[N, H, W, C]`.

  Raises:
    FileNotFoundError: if there is no image.
    ValueError: if no image can be read.
  """
  if isinstance(images, pathlib.Path):
    images = find(images)
  names = {path: name for name, path in images.items()}
  found = list(
      folder_lib.read_all(
          list(images.values()),
          lambda path: _read(path, size, channels, invert, contrast, fit),
      )
  )
  return [names[path] for path, _ in found], np.stack([x for _, x in found])


def read_whole(path: pathlib.Path) -> np.ndarray:
  """Returns a picture as it is, uint8 `[H, W, 3]`, on white paper.

  Larger ones are shrunk by a whole number, until the shorter side has less than
  2048 pixels.

  Args:
    path: path of the image.

  Raises:
    FileNotFoundError: if there is no image.
    ValueError: if it cannot be read.
  """
  _check_is_file(path)
  return _open(path, 255, 'whole')


def read_ink(path: pathlib.Path, size: int) -> np.ndarray:
  """Returns a drawing in black ink on white paper, uint8 `[H, W]`.

  Args:
    path: path of a drawing in lines, dark on light paper or light on dark.
    size: longer side to which it will be shrunk, pixels; lines become so wide
      that they are 1.5 pixels then.

  Raises:
    FileNotFoundError, ValueError: as `read_whole`.
  """
  _check_is_file(path)
  look, image = _look(path, 'whole')
  gray = np.asarray(Image.fromarray(image).convert('L'))[..., np.newaxis]
  stroke = max(_STROKE * max(gray.shape) / size, 1.0)
  return drawings.in_ink(gray, stroke, is_light=look.is_light)[..., 0]


def kinds(
    images: pathlib.Path | Mapping[str, pathlib.Path],
) -> dict[str, str]:
  """Returns a guess for each image, one of `KINDS`, by name.

  A drawing is one in lines. Images that cannot be read are left out, with a
  warning.

  Args:
    images: path of an image, or of a folder of them; or what `find` returns.

  Raises:
    FileNotFoundError, ValueError: as `read` does.
  """
  if isinstance(images, pathlib.Path):
    images = find(images)
  names = {path: name for name, path in images.items()}
  return {
      names[path]: kind
      for path, kind in folder_lib.read_all(list(images.values()), _kind)
  }


def find(path: pathlib.Path) -> dict[str, pathlib.Path]:
  """Returns the paths of images by name: an image, or those of a folder.

  Names are without endings, each another, and can be printed.

  Args:
    path: path of an image, or of a folder of them.

  Raises:
    FileNotFoundError: if there is none.
  """
  if path.is_file():
    return {_printable(path.stem): path}
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
  return dict(zip(_names(path, paths), paths))


def _check_is_file(path: pathlib.Path) -> None:
  if not path.is_file():
    raise FileNotFoundError(
        f'{path} does not exist; name an image or a folder of images by --image'
    )


def _names(folder: pathlib.Path, paths: list[pathlib.Path]) -> list[str]:
  """Returns a name for each image of a folder."""
  files = [
      _printable(p.relative_to(folder).as_posix().replace('/', '_'))
      for p in paths
  ]
  stems = [pathlib.PurePath(name).stem for name in files]
  names: list[str] = []
  for file, stem in zip(files, stems):
    # Two files may differ in their endings alone, or in a folder.
    name = stem if stems.count(stem) == 1 else file
    while name in names:
      name += '_'
    names.append(name)
  return names


def _printable(name: str) -> str:
  """Returns a name that any text file can hold, of bytes that are no UTF-8."""
  return os.fsencode(name).decode('utf-8', errors='replace')


def _kind(path: pathlib.Path) -> str:
  """Returns the guess for one image."""
  look, _ = _look(path, 'crop')
  if not look.is_drawing:
    return 'photograph'
  return 'colored drawing' if look.is_colored else 'drawing'


def _read(
    path: pathlib.Path,
    size: int,
    channels: int,
    invert: str,
    contrast: str,
    fit: str,
) -> np.ndarray:
  """Returns one image, `[H, W, C]`."""
  look, image = _look(path, fit)
  if invert == 'auto':
    is_light = channels == 1 and look.is_light
  else:
    is_light = invert == 'yes'
  if is_light != look.is_light:
    image = _open(path, 0 if is_light else 255, fit)
  if channels == 1:
    image = np.asarray(Image.fromarray(image).convert('L'))[..., np.newaxis]
  if contrast == 'yes' or (
      contrast == 'auto' and channels == 1 and look.is_drawing
  ):
    stroke = _STROKE * min(image.shape[:2]) / size
    image = drawings.in_ink(image, stroke, is_light=is_light)
  elif is_light:
    image = 255 - image
  picture = Image.fromarray(image.squeeze(-1) if channels == 1 else image)
  square = pictures.padded(picture, size, 255)
  return np.asarray(square).reshape(size, size, channels)


def _look(path: pathlib.Path, fit: str) -> tuple[drawings.Look, np.ndarray]:
  """Returns the guesses about an image, and the image, `[H, W, 3]`.

  Below transparent parts of it is paper, black if its ink is light.

  Args:
    path: path of the image.
    fit: 'crop' to look at the middle, a square, alone.
  """
  image = _open(path, 255, fit)
  look = drawings.look(image)
  # Below light ink there may be nothing.
  if image.min() > _MIDDLE and pictures.may_be_transparent(path):
    on_black = _open(path, 0, fit)
    look_on_black = drawings.look(on_black)
    if look_on_black.is_light:
      return look_on_black, on_black
  return look, image


def _open(path: pathlib.Path, paper: int, fit: str) -> np.ndarray:
  """Returns an image, `[H, W, 3]`, shrunk to about `_WORK` pixels.

  Args:
    path: path of the image.
    paper: shade of the paper below transparent parts, 0 to 255.
    fit: 'crop' to keep the middle, a square, alone.
  """
  picture = folder_lib.open_picture(path, paper=paper, at_least=_WORK)
  factor = min(picture.size) // _WORK
  if factor > 1:
    picture = picture.reduce(factor)
  if fit == 'crop':
    side = min(picture.size)
    left, top = (picture.width - side) // 2, (picture.height - side) // 2
    picture = picture.crop((left, top, left + side, top + side))
  return np.asarray(picture)
