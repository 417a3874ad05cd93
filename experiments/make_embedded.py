"""Makes the small datasets that come with the package from the official ones.

  python experiments/make_embedded.py --data_dir=<folder with MNIST's gz files>

Run again with the same zlib, it makes the same bytes.
"""

import gzip
import pathlib
import struct

from absl import app
from absl import flags
import numpy as np

from spiral_jax.datasets import mnist

_DATA_DIR = flags.DEFINE_string(
    'data_dir', None, "Folder with MNIST's official gz files.", required=True)
_OUT = flags.DEFINE_string(
    'out', str(pathlib.Path(mnist.__file__).parent / 'embedded' / 'mnist'),
    'Folder to write to.')

_COUNTS = {'train': 10_000, 'test': 1_000}


def main(argv: list[str]) -> None:
  """Writes the first digits of each split, in MNIST's own format."""
  del argv
  out = pathlib.Path(_OUT.value)
  out.mkdir(parents=True, exist_ok=True)
  for split, count in _COUNTS.items():
    digits = mnist.load(split, data_dir=_DATA_DIR.value, size=28)
    # The loader inverts; the file keeps the original polarity.
    images = 255 - digits.images[:count, :, :, 0]
    labels = np.asarray(digits.labels)[:count].astype(np.uint8)
    _write(out / f'{split}-images.idx3-ubyte.gz', images)
    _write(out / f'{split}-labels.idx1-ubyte.gz', labels)


def _write(path: pathlib.Path, array: np.ndarray) -> None:
  """Writes an array of bytes as a packed idx file."""
  header = struct.pack(f'>4B{array.ndim}I', 0, 0, 8, array.ndim, *array.shape)
  # No time stamp and no name in the archive: same data, same bytes.
  path.write_bytes(gzip.compress(header + array.tobytes(), 9, mtime=0))
  print(f'{path}: {path.stat().st_size} bytes')


if __name__ == '__main__':
  app.run(main)
