"""A picture file of any kind as upright pixels in sRGB, on paper."""

import functools
import io
import math
import pathlib
from typing import Any
import warnings

import numpy as np
from PIL import ExifTags
from PIL import Image
from PIL import ImageCms

from spiral_jax.datasets import metadata

# Kinds that are read, by the ending of a file's name. Pillow knows more; some
# run other programs, some have no mark by which they can be recognized.
FORMATS = {
    '.png': 'PNG',
    '.apng': 'PNG',
    '.jpg': 'JPEG',
    '.jpeg': 'JPEG',
    '.jpe': 'JPEG',
    '.jfif': 'JPEG',
    '.jp2': 'JPEG2000',
    '.webp': 'WEBP',
    '.avif': 'AVIF',
    '.gif': 'GIF',
    '.bmp': 'BMP',
    '.dib': 'DIB',
    '.tif': 'TIFF',
    '.tiff': 'TIFF',
    '.pbm': 'PPM',
    '.pgm': 'PPM',
    '.ppm': 'PPM',
    '.pnm': 'PPM',
}
_KINDS = sorted(set(FORMATS.values()))
# Endings of pictures that must be converted first.
UNREADABLE = (
    '.heic',
    '.heif',
    '.jxl',
    '.svg',
    '.pdf',
    '.eps',
    '.psd',
    '.xcf',
    '.kra',
    '.ico',
    '.tga',
    '.raw',
    '.dng',
    '.cr2',
    '.cr3',
    '.nef',
    '.arw',
    '.exr',
    '.hdr',
)

# Larger pictures are shrunk band by band, so that memory stays bounded.
_VAST = 1 << 24  # Pixels.
_BAND = 1 << 22  # Pixels.
# Ratio of sides; scaling down a longer line of pixels takes half a minute.
_LONGEST = 1000
_TRANSPOSE = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_USUAL_GAMMA = 1 / 2.2  # What PNG files have that mean sRGB.


def decode(
    content: bytes, place: str, paper: int = 255, at_least: int | None = None
) -> Image.Image:
  """Returns a picture as RGB, upright, on paper where it is transparent.

  Colors are those of its profile, in sRGB. Of animations and documents, the
  first frame or page is read. Metadata that cannot be understood is ignored.

  Args:
    content: content of a file, of one of the kinds of `FORMATS`.
    place: origin of the content, for the message.
    paper: shade of the paper, 0 to 255.
    at_least: number of pixels that either side must keep; pictures of more than
      2**24 pixels are shrunk by a whole number. None keeps all pixels.

  Raises:
    ValueError: if the content is damaged, truncated or not a picture, or one
      side is more than 1000 times the other.
  """
  try:
    return _decode(metadata.Bare(content), paper, at_least)
  except Exception as error:  # Decoders of damaged files raise anything.
    fault = error
  if not isinstance(fault, Image.DecompressionBombError):
    for bare in metadata.bare(content):
      try:
        return _decode(bare, paper, at_least)
      except Exception:  # The first fault is the one that is reported.
        continue
  raise ValueError(
      f'image {place} cannot be read ({_reason(fault)}; {len(content)} '
      'bytes): replace it or remove it'
  ) from fault


def may_be_transparent(path: pathlib.Path) -> bool:
  """Returns False if a file is a picture that is opaque by its header."""
  try:
    with warnings.catch_warnings():
      warnings.simplefilter('ignore')
      with Image.open(path, formats=_KINDS) as image:
        return image.has_transparency_data
  except Exception:  # `decode` tells what is wrong, if anything is.
    return True


def pixels(picture: Image.Image, channels: int) -> np.ndarray:
  """Returns an RGB picture, or its Rec. 601 luma, uint8 `[H, W, channels]`."""
  if channels == 1:
    return np.asarray(picture.convert('L'))[:, :, None]
  return np.asarray(picture)


def padded(picture: Image.Image, size: int, paper: int) -> Image.Image:
  """Returns a picture, RGB or gray, in the middle of a square of paper.

  Args:
    picture: picture of any size.
    size: height and width of the result, pixels.
    paper: shade of the paper, 0 to 255.
  """
  scale = size / max(picture.size)
  width, height = (max(1, round(scale * s)) for s in picture.size)
  result = Image.new(
      picture.mode, (size, size), (paper,) * len(picture.getbands())
  )
  result.paste(
      picture.resize((width, height), Image.Resampling.LANCZOS),
      (round((size - width) / 2), round((size - height) / 2)),
  )
  return result


def _reason(fault: Exception) -> str:
  """Returns the reason why a picture cannot be read, on one line."""
  if isinstance(fault, Image.UnidentifiedImageError):
    return 'no known kind of picture'
  if isinstance(fault, Image.DecompressionBombError):
    most = 2 * (Image.MAX_IMAGE_PIXELS or 0) // 10**6
    return f'more than {most} megapixels'
  if isinstance(fault, MemoryError):
    return 'it does not fit in memory'
  return ' '.join(str(fault).split())[:200] or type(fault).__name__


def _decode(
    bare: metadata.Bare, paper: int, at_least: int | None
) -> Image.Image:
  """Returns a picture as `decode` does; raises whatever Pillow does."""
  with warnings.catch_warnings():
    # Of odd metadata, and of half the size at which Pillow raises an error.
    warnings.simplefilter('ignore')
    with Image.open(io.BytesIO(bare.content), formats=_KINDS) as image:
      if bare.profile is not None:
        image.info['icc_profile'] = bare.profile
      if max(image.size) > _LONGEST * min(image.size):
        raise ValueError(
            f'{image.width} x {image.height} pixels, one side more than '
            f'{_LONGEST} times the other; crop it'
        )
      factor = 1
      if at_least and image.width * image.height > _VAST:
        image.draft(None, (at_least, at_least))  # JPEG files shrink as read.
        factor = max(1, min(image.size) // at_least)
      image.load()
      flat = _flat(image, paper, factor)
      method = _TRANSPOSE.get(_orientation(image))
      return flat if method is None else flat.transpose(method)


def _orientation(image: Image.Image) -> int:
  """Returns the orientation that a camera noted, 1 to 8; 1 is upright."""
  try:
    value = image.getexif().get(ExifTags.Base.Orientation, 1)
    return value if isinstance(value, int) else 1
  except Exception:  # Pillow raises anything for odd metadata.
    return 1


def _flat(image: Image.Image, paper: int, factor: int) -> Image.Image:
  """Returns a picture as RGB on paper, shrunk by a whole number."""
  white = 1.0
  if image.mode == 'F':
    # Floats are mostly in [0, 1]; Pillow assumes 0 to 255.
    white = 255.0 if bool((np.asarray(image) > 1).any()) else 1.0
  if factor == 1:
    return _on_paper(image, paper, white)
  width, height = (math.ceil(side / factor) for side in image.size)
  result = Image.new('RGB', (width, height))
  rows = factor * max(1, _BAND // (image.width * factor))
  for top in range(0, image.height, rows):
    bottom = min(top + rows, image.height)
    band = image.crop((0, top, image.width, bottom))
    result.paste(_on_paper(band, paper, white, factor), (0, top // factor))
  return result


def _on_paper(
    image: Image.Image, shade: int, white: float = 1.0, factor: int = 1
) -> Image.Image:
  """Returns a picture of any mode as RGB, on paper where it is transparent.

  Args:
    image: the picture, or a part of it.
    shade: shade of the paper, 0 to 255.
    white: value of white in a picture of floats.
    factor: number of pixels in each direction that become one.
  """
  info = image.info
  if image.mode == 'F':
    values = np.nan_to_num(np.asarray(image)) * (255 / white)
    image = Image.fromarray(np.rint(values.clip(0, 255)).astype(np.uint8))
  elif image.mode.startswith('I'):
    # Pillow would clip 16-bit values to 8 bits instead of scaling them.
    values = np.asarray(image).astype(np.int64).clip(0, 65535)
    clear = info.get('transparency')
    image = Image.fromarray(((values * 255 + 32767) // 65535).astype(np.uint8))
    if isinstance(clear, int):
      image.putalpha(
          Image.fromarray(np.where(values == clear, 0, 255).astype(np.uint8))
      )
  alpha = None
  if image.has_transparency_data:
    is_gray = image.mode in ('L', 'LA', '1')
    image = image.convert('RGBA')
    alpha = image.getchannel('A')
    image = image.convert('L' if is_gray else 'RGB')
  if image.mode not in ('L', 'RGB', 'CMYK', 'LAB'):
    image = image.convert('L' if image.mode == '1' else 'RGB')
  if alpha is None:
    return _in_srgb(image.reduce(factor) if factor > 1 else image, info)
  paper = Image.new('RGB', image.size, (shade, shade, shade))
  image = Image.composite(_in_srgb(image, info), paper, alpha)
  return image.reduce(factor) if factor > 1 else image


def _in_srgb(image: Image.Image, info: dict[Any, Any]) -> Image.Image:
  """Returns an opaque picture in sRGB, by its profile or gamma if it has one.

  Args:
    image: a picture of mode L, RGB, CMYK or LAB.
    info: what Pillow knows of its file.
  """
  profile, gamma = info.get('icc_profile'), info.get('gamma')
  if image.mode == 'LAB':
    transform = _transform(None, 'LAB')
    assert transform is not None
    return _transformed(image, transform)
  if isinstance(profile, bytes) and profile:
    # Gray pictures may have a profile of colors.
    for mode in dict.fromkeys((image.mode, 'RGB')):
      transform = _transform(profile, mode)
      if transform is not None:
        image = image if image.mode == mode else image.convert(mode)
        return _transformed(image, transform)
  elif (
      isinstance(gamma, float)
      and 'srgb' not in info
      and 0.1 < gamma < 10
      and abs(gamma - _USUAL_GAMMA) > 0.01
      and image.mode in ('L', 'RGB')
  ):
    linear = np.linspace(0, 1, 256) ** (1 / gamma)
    encoded = np.where(
        linear <= 0.0031308,
        12.92 * linear,
        1.055 * linear ** (1 / 2.4) - 0.055,
    )
    table = np.rint(255 * encoded).astype(int).tolist()
    image = image.point(table * len(image.getbands()))
  return image.convert('RGB')


def _transformed(
    image: Image.Image, transform: ImageCms.ImageCmsTransform
) -> Image.Image:
  result = ImageCms.applyTransform(image, transform)
  assert result is not None  # It is None only where it is made in place.
  return result


@functools.lru_cache(maxsize=8)  # The pictures of a folder share a few.
def _transform(
    profile: bytes | None, mode: str
) -> ImageCms.ImageCmsTransform | None:
  """Returns the transform from a profile to sRGB; None if there is none.

  Args:
    profile: an ICC profile; None means CIE L*a*b*.
    mode: mode of the pictures that are transformed.
  """
  try:
    source: Any = (
        ImageCms.createProfile('LAB')
        if profile is None
        else ImageCms.getOpenProfile(io.BytesIO(profile))
    )
    return ImageCms.buildTransform(
        source,
        ImageCms.createProfile('sRGB'),
        mode,
        'RGB',
        ImageCms.Intent.RELATIVE_COLORIMETRIC,
        ImageCms.Flags.BLACKPOINTCOMPENSATION,
    )
  except Exception:  # Damaged, or of another number of channels.
    return None
