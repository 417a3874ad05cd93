"""Damaged pictures and data sets, fed to the library that reads them.

`images` and `archives` each make one input and use it as a user would: see
`fuzz.py`, which runs them.
"""

import gzip
import hashlib
import io
import json
import pathlib
import struct
import zipfile
import zlib

import numpy as np
from PIL import Image

from spiral_jax.datasets import celeba
from spiral_jax.datasets import folder as folder_lib
from spiral_jax.datasets import idx
from spiral_jax.datasets import mnist
from spiral_jax.datasets import omniglot
from spiral_jax.datasets import scenes
from spiral_jax.datasets import user_images

# What all kinds damage bytes by.


def damaged(
    rng: np.random.Generator, content: bytes, *, share_sound: float = 0.1
) -> bytes:
  """Returns content with flipped, lost, doubled, moved or random bytes.

  Args:
    rng: source of randomness.
    content: sound content.
    share_sound: probability that it stays sound.
  """
  if rng.random() < share_sound or not content:
    return content
  data = bytearray(content)
  for _ in range(rng.choice([1, 1, 1, 2, 4, 16])):
    if not data:
      break
    # Half of the faults are where headers are.
    end = min(64, len(data)) if rng.random() < 0.5 else len(data)
    at, length = int(rng.integers(end)), int(rng.geometric(0.05))
    action = rng.integers(6)
    if action == 0:
      data[at] ^= 1 << int(rng.integers(8))
    elif action == 1:
      data[at] = int(rng.choice([0, 1, 2, 10, 44, 127, 128, 255]))
    elif action == 2:
      del data[at : at + length]
    elif action == 3:
      data[at:at] = data[at : at + length]
    elif action == 4:
      data[at : at + length] = rng.bytes(length)
    else:
      huge = rng.choice([0xFF, 0x7F, 0x00])
      data[at : at + 4] = bytes([huge, 0xFF, 0xFF, 0xFF])
  if rng.random() < 0.15:
    del data[int(rng.integers(len(data) + 1)) :]
  return bytes(data)


# Pictures.

_MODES = ('1', 'L', 'LA', 'P', 'RGB', 'RGBA', 'CMYK', 'I;16', 'F')
_ENDINGS = {
    'PNG': '.png',
    'JPEG': '.jpg',
    'WEBP': '.webp',
    'AVIF': '.avif',
    'GIF': '.gif',
    'BMP': '.bmp',
    'TIFF': '.tiff',
    'PPM': '.ppm',
    'JPEG2000': '.jp2',
}


def images(rng: np.random.Generator, folder: pathlib.Path) -> None:
  """Makes and reads a damaged picture with odd metadata."""
  kind = str(rng.choice(list(_ENDINGS)))
  other = str(rng.choice(list(_ENDINGS)))
  ending = _ENDINGS[kind if rng.random() < 0.9 else other]
  path = folder / f'a{ending}'
  path.write_bytes(damaged(rng, _picture(rng, kind), share_sound=0.4))
  size, channels = int(rng.integers(1, 40)), int(rng.choice([1, 3]))
  fit = str(rng.choice(folder_lib.FITS))
  if rng.random() < 0.5:
    image = folder_lib.read(path, size=size, channels=channels, fit=fit)
  else:
    _, (image,) = user_images.read(
        path,
        size=size,
        channels=channels,
        fit=fit,
        invert=str(rng.choice(user_images.CHOICES)),
        contrast=str(rng.choice(user_images.CHOICES)),
    )
  assert image.shape == (size, size, channels) and image.dtype == np.uint8


def _picture(rng: np.random.Generator, kind: str) -> bytes:
  """Returns a small picture file of a kind, rarely of a vast picture."""
  height, width = (int(n) for n in rng.integers(1, 48, 2))
  if kind == 'PNG' and rng.random() < 0.02:
    return _vast_png(rng)
  pixels = rng.integers(0, 256, (height, width, 4)).astype(np.uint8)
  picture = Image.fromarray(pixels, 'RGBA')
  mode = str(rng.choice(_MODES))
  if mode == 'I;16':
    picture = Image.fromarray(pixels[..., 0].astype(np.uint16) * 257)
  elif mode != 'RGBA':
    picture = picture.convert('RGB').convert(mode)
  options: dict[str, object] = {}
  if rng.random() < 0.5:
    options['exif'] = damaged(rng, _exif(rng))
  if rng.random() < 0.3:
    options['icc_profile'] = damaged(rng, _profile())
  if kind == 'TIFF':
    options['compression'] = str(rng.choice(['raw', 'tiff_lzw', 'jpeg']))
  stream = io.BytesIO()
  for tried in (options, {}):
    for converted in (picture, picture.convert('RGB')):
      stream = io.BytesIO()
      try:
        converted.save(stream, kind, **tried)
        return stream.getvalue()
      except Exception:  # Not all kinds hold all modes and metadata.
        continue
  return stream.getvalue()


def _vast_png(rng: np.random.Generator) -> bytes:
  """Returns a small file of up to 200 megapixels of one shade."""
  width, height = (int(n) for n in rng.integers(1000, 14_000, 2))
  deflate = zlib.compressobj(9)
  row = bytes(1 + (width + 7) // 8)
  rows = b''.join(deflate.compress(row) for _ in range(height))
  parts = [b'\x89PNG\r\n\x1a\n']
  for name, data in (
      (b'IHDR', struct.pack('>2I5B', width, height, 1, 0, 0, 0, 0)),
      (b'zTXt', b'Comment\0\0' + zlib.compress(bytes(1 << 21))),
      (b'IDAT', rows + deflate.flush()),
      (b'IEND', b''),
  ):
    parts.append(struct.pack('>I', len(data)) + name + data)
    parts.append(struct.pack('>I', zlib.crc32(name + data)))
  return b''.join(parts)


def _exif(rng: np.random.Generator) -> bytes:
  exif = Image.Exif()
  exif[0x0112] = int(rng.integers(0, 10))
  exif[0x010F], exif[0x011A] = 'maker', 72.0
  exif.get_ifd(0x8825)[2] = (1.0, 2.0, 3.0)
  exif.get_ifd(0x8769)[0x9286] = b'comment'
  return exif.tobytes()


def _profile() -> bytes:
  from PIL import ImageCms

  return ImageCms.ImageCmsProfile(ImageCms.createProfile('sRGB')).tobytes()


# Files of data sets.


def archives(rng: np.random.Generator, folder: pathlib.Path) -> None:
  """Makes and reads damaged files of one of the data sets."""
  make = (_digits, _characters, _faces, _scenes)[rng.integers(4)]
  make(rng, folder)


def _digits(rng: np.random.Generator, folder: pathlib.Path) -> None:
  count = int(rng.integers(0, 4))
  least = int(rng.random() < 0.9)
  for name, shape in (
      ('t10k-images-idx3-ubyte', (count, *rng.integers(least, 30, 2))),
      ('t10k-labels-idx1-ubyte', (count,)),
  ):
    array = rng.integers(0, 256, shape).astype(np.uint8)
    content = idx.header(array) + array.tobytes()
    content = damaged(rng, content, share_sound=0.7)
    if rng.random() < 0.3:
      content = gzip.compress(content, mtime=0)
      content = damaged(rng, content, share_sound=0.7)
    name = name.replace('-idx', '.idx') if rng.random() < 0.2 else name
    (folder / name).write_bytes(content)
  digits = mnist.load('test', data_dir=str(folder), size=8)
  assert digits.labels is not None
  assert len(digits.images) == len(digits.labels) > 0


def _characters(rng: np.random.Generator, folder: pathlib.Path) -> None:
  stream = io.BytesIO()
  Image.fromarray(rng.random((105, 105)) < 0.9).save(stream, 'PNG')
  drawing = stream.getvalue()
  packed = io.BytesIO()
  nested = 'images_background/' if rng.random() < 0.3 else ''
  with zipfile.ZipFile(packed, 'w') as archive:
    for i in range(int(rng.integers(0, 4))):
      alphabet = str(rng.choice(['Greek', 'Café', 'a\\b', '\udce9', '../x']))
      name = f'{nested}images_background/{alphabet}/character01/{i:04}_01.png'
      content = damaged(rng, drawing, share_sound=0.7)
      if rng.random() < 0.5:
        archive.writestr(name.encode(errors='replace').decode(), content)
      else:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
  if rng.random() < 0.4:
    (folder / 'images_background.zip').write_bytes(
        damaged(rng, packed.getvalue(), share_sound=0.5)
    )
  drawings = omniglot.load('train', data_dir=str(folder), size=8)
  assert drawings.labels is not None
  assert len(drawings.images) == len(drawings.labels) > 0


def _faces(rng: np.random.Generator, folder: pathlib.Path) -> None:
  stream = io.BytesIO()
  Image.new('RGB', (178, 218), (90, 80, 70)).save(stream, 'JPEG')
  names = [f'{i:06}.jpg' for i in range(int(rng.integers(0, 4)))]
  inner = folder / 'img_align_celeba'
  inner /= 'img_align_celeba' if rng.random() < 0.5 else ''
  inner.mkdir(parents=True)
  for name in names:
    content = damaged(rng, stream.getvalue(), share_sound=0.9)
    (inner / name).write_bytes(content)
  is_table = rng.random() < 0.5
  lines = is_table * ['image_id,partition']
  lines += [f'{n}{", "[not is_table]}{rng.integers(3)}' for n in names]
  mark = rng.choice(['utf-8', 'utf-8-sig', 'utf-16', 'latin-1'])
  text = str(rng.choice(['\n', '\r\n'])).join(lines)
  name = f'list_eval_partition.{"csv" if is_table else "txt"}'
  (folder / name).write_bytes(damaged(rng, text.encode(mark), share_sound=0.5))
  faces = celeba.load('train', data_dir=str(folder), size=8)
  assert len(faces.images) > 0


def _scenes(rng: np.random.Generator, folder: pathlib.Path) -> None:
  count = int(rng.integers(0, 3))
  arrays = {
      'about': np.array(
          damaged(
              rng,
              json.dumps({'version': 1, 'settings': {}}).encode(),
              share_sound=0.7,
          ).decode(errors='replace')
      ),
      'images': np.zeros((count, 8, 8, 3), np.uint8),
      'present': np.ones((count, 2), bool),
  }
  arrays |= {part: np.zeros((count, 2), np.uint16) for part in scenes.PARTS}
  stream = io.BytesIO()
  np.savez(stream, allow_pickle=False, **arrays)
  content = damaged(rng, stream.getvalue(), share_sound=0.3)
  path = folder / 'train.npz'
  path.write_bytes(content)
  line = f'{hashlib.sha256(content).hexdigest()}  train.npz\n'.encode()
  path.with_name('train.npz.sha256').write_bytes(
      damaged(rng, line, share_sound=0.9)
  )
  assert len(scenes.load('train', data_dir=str(folder)).images) > 0
