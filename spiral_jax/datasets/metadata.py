"""Removal of metadata from picture files, so that it cannot cost their pixels.

Pillow refuses a whole picture for odd metadata: more than 1 MB of text, a large
color profile, a wrong checksum of a comment. Pixels do not depend on these.
"""

from collections.abc import Iterator
import struct
from typing import NamedTuple
import zlib

_PNG = b'\x89PNG\r\n\x1a\n'
# What pixels depend on: header, palette, data, end, transparency and gamma.
_PNG_PIXELS = (
    b'IHDR',
    b'PLTE',
    b'IDAT',
    b'IEND',
    b'tRNS',
    b'gAMA',
    b'sRGB',
)
_MOST_OF_A_PROFILE = 1 << 26  # Bytes; scanners have profiles of a few 2**20.
_JPEG = b'\xff\xd8'
_SCAN, _COMMENT = 0xDA, 0xFE
_JFIF, _EXIF, _PROFILE, _ADOBE, _LAST_APP = 0xE0, 0xE1, 0xE2, 0xEE, 0xEF


class Bare(NamedTuple):
  """A picture file without most of its metadata."""

  content: bytes
  profile: bytes | None = None  # ICC profile that `content` is without.


def bare(content: bytes) -> Iterator[Bare]:
  """Yields copies of a PNG or JPEG file with less and less metadata.

  Args:
    content: content of a file; nothing is yielded for other kinds.
  """
  if content.startswith(_PNG):
    chunks = list(_png_chunks(content))
    profile = _png_profile(chunks)
    for kept in (_PNG_PIXELS + (b'eXIf',), _PNG_PIXELS):
      parts = [chunk for kind, chunk, _ in chunks if kind in kept]
      yield Bare(_PNG + b''.join(parts), profile)
  elif content.startswith(_JPEG):
    yield Bare(_jpeg_without(content, keep_camera=True))
    yield Bare(_jpeg_without(content, keep_camera=False))


def _png_chunks(content: bytes) -> Iterator[tuple[bytes, bytes, bytes]]:
  """Yields the kind, all bytes and the data of each sound chunk."""
  start = len(_PNG)
  while start + 12 <= len(content):
    (length,) = struct.unpack_from('>I', content, start)
    stop = start + 12 + length
    kind, data = content[start + 4 : start + 8], content[start + 8 : stop - 4]
    is_critical = kind[:1].isupper()
    if (
        is_critical
        or struct.pack('>I', zlib.crc32(kind + data))
        == content[stop - 4 : stop]
    ):
      yield kind, content[start:stop], data
    start = stop


def _png_profile(chunks: list[tuple[bytes, bytes, bytes]]) -> bytes | None:
  """Returns the ICC profile of a PNG file of any size; None without one."""
  for kind, _, data in chunks:
    if kind == b'iCCP':
      # A name, a zero, a byte for the compression method, the profile.
      packed = data.partition(b'\0')[2][1:]
      try:
        return zlib.decompressobj().decompress(packed, _MOST_OF_A_PROFILE)
      except zlib.error:
        return None
  return None


def _jpeg_without(content: bytes, *, keep_camera: bool) -> bytes:
  """Returns a JPEG file without comments and applications' segments.

  Args:
    content: content of the file.
    keep_camera: whether orientation (EXIF) and color profile are kept.
  """
  kept = [_JFIF, _ADOBE] + keep_camera * [_EXIF, _PROFILE]
  result, start = [_JPEG], len(_JPEG)
  while start + 4 <= len(content) and content[start] == 0xFF:
    marker = content[start + 1]
    if marker == _SCAN:
      break
    (length,) = struct.unpack_from('>H', content, start + 2)
    segment = content[start : start + 2 + length]
    is_metadata = marker == _COMMENT or _JFIF <= marker <= _LAST_APP
    # The same markers also hold XMP and pictures of other views.
    is_camera = (
        marker == _JFIF
        or marker == _ADOBE
        or (segment[4:].startswith((b'Exif\0\0', b'ICC_PROFILE\0')))
    )
    if not is_metadata or (marker in kept and is_camera):
      result.append(segment)
    start += 2 + length
  return b''.join(result) + content[start:]
