"""Reader of the idx format of the MNIST files (yann.lecun.com/exdb/mnist).

A file has two zero bytes, a type byte (8: unsigned bytes), the number of
dimensions, each dimension as a big-endian 32-bit integer, then the items.
"""

import gzip
import io
import math
import pathlib
import struct
import zlib

import numpy as np

from spiral_jax.datasets import trees

_GZIP = b'\x1f\x8b'  # First bytes of gzip files.
_UNSIGNED_BYTE = 8


def read(path: pathlib.Path, dimensions: int) -> np.ndarray:
  """Returns the array in an idx file of unsigned bytes.

  Args:
    path: path of the file, gzipped or not.
    dimensions: required number of axes: 3 for images, 1 for labels.

  Returns:
    uint8 array of `dimensions` axes.

  Raises:
    ValueError: if the file is truncated, too long, empty, or of another kind.
  """
  content = _content(path)
  header = 4 + 4 * dimensions
  kind = bytes([0, 0, _UNSIGNED_BYTE, dimensions])
  if content[:4] != kind[: len(content)]:
    raise ValueError(
        f'{path} starts with bytes {content[:4].hex(" ")}, not {kind.hex(" ")} '
        f'(unsigned bytes, {dimensions} dimensions): it is not the MNIST file '
        'of its name; put the original there'
    )
  if len(content) < header:
    raise ValueError(_wrong_length(path, len(content), header))
  shape = struct.unpack(f'>{dimensions}I', content[4:header])
  if len(content) != header + math.prod(shape):
    raise ValueError(
        _wrong_length(path, len(content), header + math.prod(shape))
    )
  if not math.prod(shape):
    raise ValueError(
        f'{path} is empty: its header promises '
        f'{" x ".join(map(str, shape))} bytes; put the original there'
    )
  return np.frombuffer(content, np.uint8, offset=header).reshape(shape)


def header(array: np.ndarray) -> bytes:
  """Returns the header of an idx file for an array of unsigned bytes."""
  return struct.pack(
      f'>4B{array.ndim}I', 0, 0, _UNSIGNED_BYTE, array.ndim, *array.shape
  )


def _content(path: pathlib.Path) -> bytes:
  """Returns the bytes of a file, decompressed."""
  content = trees.read(path)
  # Some browsers unpack files and leave their names; some people rename them.
  is_packed = content.startswith(_GZIP) or (
      path.suffix == '.gz' and not content.startswith(b'\0\0')
  )
  if not is_packed:
    return content
  try:
    with gzip.GzipFile(fileobj=io.BytesIO(content)) as stream:
      unpacked = stream.read(trees.MOST + 1)
  except (EOFError, zlib.error, gzip.BadGzipFile) as error:
    raise ValueError(
        f'{path} is truncated or no gzip file ({error}; {len(content)} bytes): '
        'delete it and fetch it again'
    ) from error
  if len(unpacked) > trees.MOST:
    raise ValueError(
        f'{path} unpacks to more than {trees.MOST} bytes: it is not the MNIST '
        'file of its name; put the original there'
    )
  return unpacked


def _wrong_length(path: pathlib.Path, actual: int, expected: int) -> str:
  fault = 'truncated' if actual < expected else 'too long'
  return (
      f'{path} is {fault}: {actual} bytes where its header promises '
      f'{expected}; delete it and fetch it again'
  )
