"""Pictures of every kind: profiles, odd metadata, orientation, size."""

import io
import struct
import zlib

import numpy as np
from PIL import Image
from PIL import ImageCms
import pytest

from spiral_jax.datasets import pictures

ORIENTATION = 0x0112
UPSIDE_DOWN = 3


def encoded(image, kind='PNG', **options):
  stream = io.BytesIO()
  image.save(stream, kind, **options)
  return stream.getvalue()


def decoded(content, **options):
  return np.asarray(pictures.decode(content, 'place', **options))


def halves(top=255, bottom=0, size=16):
  """Returns a picture, `[size, size]`, of two shades."""
  image = np.full((size, size, 3), bottom, np.uint8)
  image[: size // 2] = top
  return Image.fromarray(image)


def chunk(kind, data, checksum=None):
  """Returns a chunk of a PNG file."""
  checksum = zlib.crc32(kind + data) if checksum is None else checksum
  return (
      struct.pack('>I', len(data)) + kind + data + struct.pack('>I', checksum)
  )


def with_chunk(content, new):
  """Returns a PNG file with one more chunk after its header."""
  end_of_header = 8 + 12 + 13
  return content[:end_of_header] + new + content[end_of_header:]


def profile(space, tags):
  """Returns an ICC profile of version 2, for a display.

  Args:
    space: b'RGB ' or b'GRAY'.
    tags: content of each tag, by its name.
  """
  table, data = struct.pack('>I', len(tags)), b''
  for name, content in tags.items():
    at = 128 + 4 + 12 * len(tags) + len(data)
    table += struct.pack('>4sII', name, at, len(content))
    data += content + bytes(-len(content) % 4)
  header = struct.pack('>I', 128 + len(table) + len(data)) + bytes(4)
  header += b'\2\x20\0\0mntr' + space + b'XYZ ' + bytes(12) + b'acsp'
  header += bytes(28) + struct.pack('>3i', 63190, 65536, 54061)
  return header + bytes(128 - len(header)) + table + data


def point(x, y, z):
  values = (round(65536 * value) for value in (x, y, z))
  return b'XYZ \0\0\0\0' + struct.pack('>3i', *values)


LINEAR = b'curv' + bytes(8)
WHITE = point(0.9642, 1, 0.8249)
# The primaries of sRGB, and linear light.
RED = point(0.4361, 0.2225, 0.0139)
GREEN = point(0.3851, 0.7169, 0.0971)
BLUE = point(0.1431, 0.0606, 0.7139)


def rgb_profile(red, green, blue, **more):
  tags = {b'wtpt': WHITE, b'rXYZ': red, b'gXYZ': green, b'bXYZ': blue}
  tags |= {name: LINEAR for name in (b'rTRC', b'gTRC', b'bTRC')}
  return profile(b'RGB ', tags | {k.encode(): v for k, v in more.items()})


# sRGB of a shade of 64 in linear light.
LIGHTER = round(255 * (1.055 * (64 / 255) ** (1 / 2.4) - 0.055))


@pytest.mark.parametrize('kind', ['PNG', 'JPEG', 'WEBP', 'TIFF', 'AVIF'])
def test_colors_are_those_of_the_profile(kind):
  icc = rgb_profile(BLUE, GREEN, RED)  # Red is called blue.
  image = Image.new('RGB', (16, 16), (0, 0, 255))
  quality = {'quality': 100} if kind in ('JPEG', 'AVIF', 'WEBP') else {}
  content = encoded(image, kind, icc_profile=icc, **quality)
  np.testing.assert_allclose(decoded(content)[4:12, 4:12, 0], 255, atol=6)
  np.testing.assert_allclose(decoded(content)[4:12, 4:12, 1:], 0, atol=12)


def test_profiles_of_gray_of_transparent_and_of_palette_pictures():
  gray = profile(b'GRAY', {b'wtpt': WHITE, b'kTRC': LINEAR})
  color = rgb_profile(RED, GREEN, BLUE)
  for mode, icc in (('L', gray), ('L', color), ('LA', gray), ('RGB', color)):
    shade = (64, 255) if mode == 'LA' else 64 if mode == 'L' else (64, 64, 64)
    content = encoded(Image.new(mode, (2, 2), shade), icc_profile=icc)
    np.testing.assert_allclose(decoded(content), LIGHTER, atol=2)
  image = Image.new('RGBA', (2, 1), (64, 64, 64, 255))
  image.putpixel((1, 0), (64, 64, 64, 0))
  content = encoded(image, icc_profile=color)
  np.testing.assert_allclose(decoded(content)[0, 0], LIGHTER, atol=2)
  np.testing.assert_array_equal(decoded(content)[0, 1], 255)
  palette = Image.new('RGB', (2, 2), (64, 64, 64)).quantize(4)
  content = encoded(palette, icc_profile=color)
  np.testing.assert_allclose(decoded(content), LIGHTER, atol=2)


@pytest.mark.parametrize(
    'icc',
    [b'junk', b'', rgb_profile(RED, GREEN, BLUE)[:200], profile(b'CMYK', {})],
)
def test_profiles_that_do_not_fit_are_ignored(icc):
  content = encoded(Image.new('RGB', (2, 2), (64, 10, 200)), icc_profile=icc)
  np.testing.assert_array_equal(decoded(content)[0, 0], (64, 10, 200))


def test_cie_lab():
  color = Image.new('RGB', (2, 2), (200, 100, 40))
  to_lab = ImageCms.buildTransform(
      ImageCms.createProfile('sRGB'),
      ImageCms.createProfile('LAB'),
      'RGB',
      'LAB',
  )
  lab = ImageCms.applyTransform(color, to_lab)
  content = encoded(lab, 'TIFF')
  np.testing.assert_allclose(decoded(content)[0, 0], (200, 100, 40), atol=3)


@pytest.mark.parametrize(
    'gamma, shade', [(1.0, LIGHTER), (1 / 2.2, 64), (0.0, 64)]
)
def test_gamma_of_a_png(gamma, shade):
  new = chunk(b'gAMA', struct.pack('>I', round(100_000 * gamma)))
  content = encoded(Image.new('L', (2, 2), 64))
  assert decoded(with_chunk(content, new))[0, 0, 0] == shade
  # What says sRGB is sRGB.
  new += chunk(b'sRGB', b'\0')
  assert decoded(with_chunk(content, new))[0, 0, 0] == 64


# Metadata.


def tiff_tags(*entries):
  """Returns an EXIF block of tags, kinds, counts and values of four bytes."""
  block = b'Exif\0\0II*\0' + struct.pack('<IH', 8, len(entries))
  for tag, kind, count, value in entries:
    block += struct.pack('<HHI', tag, kind, count) + value
  return block + bytes(4)


TURNED = (ORIENTATION, 3, 1, struct.pack('<HH', UPSIDE_DOWN, 0))


@pytest.mark.parametrize(
    'tag',
    [
        (0x011A, 2, 4, b'abc\0'),  # Text where a number belongs.
        (0x0132, 3, 1, b'\1\0\0\0'),  # A number where text belongs.
        (0x8769, 2, 2, b'x\0\0\0'),
        (0x010F, 12, 1, bytes(4)),
        (0x9286, 99, 1, bytes(4)),
    ],
)
def test_odd_tags_cost_neither_pixels_nor_orientation(tag):
  content = encoded(halves(), 'JPEG', exif=tiff_tags(TURNED, tag), quality=95)
  image = decoded(content)
  assert image[:6].max() < 20 and image[10:].min() > 235


@pytest.mark.parametrize('value', [b'3\0\0\0', struct.pack('<HH', 9, 0)])
def test_an_orientation_that_makes_no_sense_is_upright(value):
  kind = 2 if value[:1] == b'3' else 3
  exif = tiff_tags((ORIENTATION, kind, 2 if kind == 2 else 1, value))
  image = decoded(encoded(halves(), 'JPEG', exif=exif, quality=95))
  assert image[:6].min() > 235


@pytest.mark.parametrize('kind', ['PNG', 'WEBP', 'TIFF', 'AVIF'])
def test_every_kind_is_turned_upright(kind):
  exif = Image.Exif()
  exif[ORIENTATION] = UPSIDE_DOWN
  image = decoded(encoded(halves(), kind, exif=exif))
  assert image[:6].max() < 30 and image[10:].min() > 225


@pytest.mark.parametrize(
    'new',
    [
        chunk(b'zTXt', b'Comment\0\0' + zlib.compress(bytes(1 << 21))),
        chunk(b'iTXt', b'junk'),
        chunk(b'tEXt', b'Comment\0text', checksum=0),
        chunk(b'iCCP', b'name\0\0' + zlib.compress(bytes(1 << 21))),
        chunk(b'iCCP', b'name\0\7junk'),
        chunk(b'pHYs', b'x'),
        chunk(b'eXIf', b'junk'),
    ],
)
def test_odd_chunks_of_a_png_cost_no_pixels(new):
  content = with_chunk(encoded(halves()), new)
  np.testing.assert_array_equal(decoded(content), np.asarray(halves()))


def test_a_large_profile_and_the_camera_count_beside_too_much_text():
  large = rgb_profile(RED, GREEN, BLUE, junk=bytes(1 << 21))
  exif = Image.Exif()
  exif[ORIENTATION] = UPSIDE_DOWN
  content = encoded(halves(64, 0), exif=exif)
  content = with_chunk(
      content, chunk(b'iCCP', b'name\0\0' + zlib.compress(large))
  )
  image = decoded(content)
  np.testing.assert_allclose(image[-1], LIGHTER, atol=2)
  np.testing.assert_array_equal(image[0], 0)


def test_segments_of_a_jpeg_cost_no_pixels():
  content = encoded(halves(), 'JPEG', quality=95)
  junk = b''.join(
      b'\xff' + marker + struct.pack('>H', 2 + len(data)) + data
      for marker, data in (
          (b'\xe1', b'http://ns.adobe.com/xap/1.0/\0<junk'),
          (b'\xe2', b'MPF\0MM\0*\0\0\0\x08\0\1junkjunk'),
          (b'\xed', b'Photoshop 3.0\x008BIM\4\4'),
          (b'\xfe', bytes(range(256))),
      )
  )
  np.testing.assert_array_equal(
      decoded(content[:2] + junk + content[2:]), decoded(content)
  )


@pytest.mark.parametrize('content', [b'', b'junk', b'%!PS-Adobe-3.0 EPSF-3.0'])
def test_what_is_no_picture_is_refused(content):
  with pytest.raises(ValueError, match='place.*no known kind of picture'):
    decoded(content)


def test_a_bomb_is_refused_in_one_line(monkeypatch):
  monkeypatch.setattr(Image, 'MAX_IMAGE_PIXELS', 10)
  with pytest.raises(ValueError, match='more than 0 megapixels') as error:
    decoded(encoded(halves()))
  assert '\n' not in str(error.value)


def test_lines_of_pixels_are_refused():
  for size in ((1, 1001), (1001, 1)):
    words = f'{size[0]} x {size[1]} pixels.* 1000 times the other; crop it'
    with pytest.raises(ValueError, match=words):
      decoded(encoded(Image.new('RGB', size)))
  assert decoded(encoded(Image.new('RGB', (1, 1000)))).shape == (1000, 1, 3)


# Vast pictures.


@pytest.mark.parametrize('mode', ['1', 'L', 'P', 'RGB', 'RGBA', 'I;16', 'F'])
def test_a_vast_picture_is_shrunk_in_bands(monkeypatch, mode):
  rng = np.random.default_rng(0)
  pixels = rng.integers(0, 2, (41, 59, 4)).astype(np.uint8) * 255
  if mode == 'I;16':
    picture = Image.fromarray(pixels[..., 0].astype(np.uint16) * 257)
  elif mode == 'F':
    picture = Image.fromarray(pixels[..., 0].astype(np.float32) / 255)
  else:
    picture = Image.fromarray(pixels).convert(mode)
  content = encoded(picture, 'TIFF' if mode == 'F' else 'PNG')
  whole = decoded(content, at_least=10)
  assert whole.shape == (41, 59, 3)
  monkeypatch.setattr(pictures, '_VAST', 1000)
  monkeypatch.setattr(pictures, '_BAND', 500)
  expected = np.asarray(Image.fromarray(whole).reduce(4))
  np.testing.assert_array_equal(decoded(content, at_least=10), expected)


def test_a_vast_jpeg_is_shrunk_and_turned(monkeypatch):
  monkeypatch.setattr(pictures, '_VAST', 1000)
  exif = tiff_tags(TURNED)
  content = encoded(halves(size=160), 'JPEG', exif=exif)
  image = decoded(content, at_least=20)
  assert image.shape == (20, 20, 3)
  assert image[:9].max() < 20 and image[11:].min() > 235
