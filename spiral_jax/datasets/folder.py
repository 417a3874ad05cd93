"""Dataset from a folder of PNG or JPEG pictures of any size and mode."""

import io
import pathlib
import struct
import warnings
import zlib

import numpy as np
from PIL import Image
from PIL import ImageOps

from spiral_jax.datasets import types

SPLITS = ('train', 'test')
FITS = ('crop', 'pad')

_SUFFIXES = ('.png', '.jpg', '.jpeg')
_HELD_OUT_EVERY = 10
# Exceptions that Pillow raises on damaged files.
_DAMAGE = (
    OSError,
    SyntaxError,
    ValueError,
    EOFError,
    IndexError,
    struct.error,
    zlib.error,
    Image.DecompressionBombError,
)


def load(
    split: str,
    *,
    data_dir: str,
    size: int = 64,
    channels: int = 3,
    fit: str = 'crop',
) -> types.ImageDataset:
  """Returns the pictures below a folder, in the order of their names.

  Args:
    split: 'train' or 'test'. If `data_dir` has folders of both names, the
      pictures in the one; otherwise every tenth picture is for testing and the
      others are for training.
    data_dir: folder searched, with its subfolders, for `.png`, `.jpg` and
      `.jpeg` files; hidden files are skipped.
    size: height and width of the result, pixels.
    channels: 1 for gray (Rec. 601 luma), 3 for red, green, blue.
    fit: treatment of pictures that are not square: 'crop' keeps the center,
      'pad' adds white paper on two sides.

  Returns:
    Images uint8 `[n, size, size, channels]`, no labels. Transparent parts show
    white paper, 16-bit channels are rounded to 8 bits, and the EXIF orientation
    is applied.

  Raises:
    FileNotFoundError: if the folder is missing or has no pictures.
    ValueError: if a picture is damaged, or an argument is out of range.
  """
  if split not in SPLITS:
    raise ValueError(
        f"a folder of images has no split '{split}': choose one "
        f'of {", ".join(SPLITS)}'
    )
  if fit not in FITS:
    raise ValueError(f"fit '{fit}' is none of {', '.join(FITS)}")
  if channels not in (1, 3):
    raise ValueError(f'{channels} channels: choose 1 (gray) or 3 (color)')
  if size < 1:
    raise ValueError(
        f'image size {size} is below 1 pixel: choose the size of '
        'the canvas, such as 64'
    )
  paths = _paths(pathlib.Path(data_dir).expanduser(), split)
  images = np.empty((len(paths), size, size, channels), np.uint8)
  for i, path in enumerate(paths):
    images[i] = read(path, size=size, channels=channels, fit=fit)
  return types.ImageDataset(images, None)


def read(
    path: pathlib.Path,
    *,
    size: int,
    channels: int,
    fit: str = 'crop',
    paper: int = 255,
) -> np.ndarray:
  """Returns one picture, uint8 `[size, size, channels]`; see `load`.

  Args:
    path: path of the file.
    size: height and width of the result, pixels.
    channels: 1 for gray, 3 for color, as in `load`.
    fit: 'crop' or 'pad', as in `load`.
    paper: shade of paper below transparent parts and of padding, 0 to 255.

  Raises:
    ValueError: if the file is damaged, truncated or not a picture.
  """
  picture = decode(path.read_bytes(), str(path), paper)
  if fit == 'crop':
    square = ImageOps.fit(picture, (size, size), Image.Resampling.LANCZOS)
  else:
    square = ImageOps.pad(
        picture, (size, size), Image.Resampling.LANCZOS, color=(paper,) * 3
    )
  return pixels(square, channels)


def pixels(picture: Image.Image, channels: int) -> np.ndarray:
  """Returns an RGB picture, or its Rec. 601 luma, uint8 `[H, W, channels]`."""
  if channels == 1:
    return np.asarray(picture.convert('L'))[:, :, None]
  return np.asarray(picture)


def decode(content: bytes, place: str, paper: int = 255) -> Image.Image:
  """Returns a picture as RGB, upright, on paper where it is transparent.

  Args:
    content: content of a file, in any format that Pillow reads.
    place: origin of the content, for the message.
    paper: shade of the paper, 0 to 255.

  Raises:
    ValueError: if the content is damaged, truncated or not a picture.
  """
  try:
    with warnings.catch_warnings():
      # Pillow raises an error at twice the size that it warns of.
      warnings.simplefilter('ignore', Image.DecompressionBombWarning)
      with Image.open(io.BytesIO(content)) as image:
        image.load()
        return _on_paper(ImageOps.exif_transpose(image), paper)
  except _DAMAGE as error:
    reason = ' '.join(str(error).split())
    if isinstance(error, Image.UnidentifiedImageError):
      reason = 'no known kind of picture'
    raise ValueError(
        f'image {place} cannot be read ({reason}; {len(content)} bytes): '
        'replace it or remove it'
    ) from error


def find(folder: pathlib.Path) -> list[pathlib.Path]:
  """Returns the PNG and JPEG files below a folder, sorted, without hidden."""
  return sorted(
      path
      for path in folder.rglob('*')
      if path.suffix.lower() in _SUFFIXES
      and path.is_file()
      and not any(
          part.startswith('.') for part in path.relative_to(folder).parts
      )
  )


def _paths(folder: pathlib.Path, split: str) -> list[pathlib.Path]:
  """Returns the pictures of a split, sorted."""
  if not folder.is_dir():
    raise FileNotFoundError(
        f'data directory {folder} does not exist: set data_dir to a folder '
        f'of images ({", ".join(_SUFFIXES)})'
    )
  if all((folder / name).is_dir() for name in SPLITS):
    paths = find(folder / split)
    where = folder / split
  else:
    held_out = split == 'test'
    paths = [
        path
        for i, path in enumerate(find(folder))
        if (i % _HELD_OUT_EVERY == _HELD_OUT_EVERY - 1) == held_out
    ]
    where = folder
  if not paths:
    raise FileNotFoundError(
        f'{where} has no images for the {split} split: put '
        f'{", ".join(_SUFFIXES)} files there, at least {_HELD_OUT_EVERY} '
        'unless they are in folders train and test'
    )
  return paths


def _on_paper(image: Image.Image, shade: int) -> Image.Image:
  """Returns a picture of any mode as RGB, on paper where it is transparent."""
  if image.mode == 'F':
    # Floats are mostly in [0, 1]; Pillow assumes 0 to 255.
    values = np.nan_to_num(np.asarray(image))
    scale = 255 if values.max() <= 1 else 1
    image = Image.fromarray(
        np.rint(np.clip(scale * values, 0, 255)).astype(np.uint8)
    )
  if image.mode.startswith('I'):
    # Pillow would clip 16-bit values to 8 bits instead of scaling them.
    values = np.asarray(image).astype(np.int64)
    gray = Image.fromarray(
        ((np.clip(values, 0, 65535) * 255 + 32767) // 65535).astype(np.uint8)
    )
    clear = image.info.get('transparency')
    if isinstance(clear, int):
      gray.putalpha(
          Image.fromarray(np.where(values == clear, 0, 255).astype(np.uint8))
      )
    image = gray
  if image.has_transparency_data:
    image = image.convert('RGBA')
    paper = Image.new('RGBA', image.size, (shade, shade, shade, 255))
    return Image.alpha_composite(paper, image).convert('RGB')
  return image.convert('RGB')
