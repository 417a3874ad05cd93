"""Makes the small data sets that come with the package from the official ones.

  python experiments/tools/make_embedded.py --data_dir=~/data

The folder has MNIST's gz files in `mnist`, Omniglot's zips in `omniglot` and
`portraits64.zip` in `faces`. The same zlib makes the same bytes again.
"""

from collections.abc import Sequence
import gzip
import pathlib
import zipfile

from absl import flags
import numpy as np

from spiral_jax import datasets
from spiral_jax.datasets import idx
from spiral_jax.datasets import mnist
from spiral_jax.datasets import omniglot
from spiral_jax.training import cli

_DATA_DIR = flags.DEFINE_string(
    'data_dir', None, 'folder of the official files', required=True
)
_OUT_DIR = flags.DEFINE_string(
    'out_dir',
    str(pathlib.Path(datasets.__file__).parent / 'embedded'),
    'folder of the small data sets, one folder each',
)
_NAMES = flags.DEFINE_list(
    'names', 'mnist,omniglot,portraits', 'data sets to make'
)

_DIGITS = {'train': 10_000, 'test': 1_000}
_DRAWINGS = {'train': 10, 'test': 5}  # Of each character.
_PORTRAITS = 700


def main(argv: Sequence[str]) -> None:
  """Makes the data sets that the flags name."""
  del argv
  data_dir = pathlib.Path(_DATA_DIR.value).expanduser()
  out_dir = pathlib.Path(_OUT_DIR.value).expanduser()
  make = {'mnist': _mnist, 'omniglot': _omniglot, 'portraits': _portraits}
  for name in _NAMES.value:
    if name not in make:
      raise ValueError(f'--names has {name!r}; choose from {", ".join(make)}')
    (out_dir / name).mkdir(parents=True, exist_ok=True)
    make[name](data_dir, out_dir / name)


def _mnist(data_dir: pathlib.Path, out_dir: pathlib.Path) -> None:
  """Writes the first digits of each split, in MNIST's own format."""
  for split, count in _DIGITS.items():
    digits = mnist.load(split, data_dir=str(data_dir), size=28)
    # The loader inverts; the file keeps the original polarity.
    images = 255 - digits.images[:count, :, :, 0]
    labels = np.asarray(digits.labels)[:count].astype(np.uint8)
    for name, array in (('images.idx3', images), ('labels.idx1', labels)):
      # No time stamp and no name in the archive: same data, same bytes.
      content = idx.header(array) + array.tobytes()
      _write(
          out_dir / f'{split}-{name}-ubyte.gz',
          gzip.compress(content, 9, mtime=0),
      )


def _omniglot(data_dir: pathlib.Path, out_dir: pathlib.Path) -> None:
  """Writes the first drawings of each character of each set."""
  for split, count in _DRAWINGS.items():
    drawings = omniglot.load(split, data_dir=str(data_dir), size=omniglot.SIZE)
    ink, labels = drawings.images[..., 0] < 128, np.asarray(drawings.labels)
    # The place of each drawing among those of its character.
    _, first, inverse = np.unique(
        labels, return_index=True, return_inverse=True
    )
    chosen = np.arange(len(labels)) - first[inverse] < count
    packed = omniglot.pack(ink[chosen], labels[chosen])
    for name, content in packed.items():
      _write(out_dir / f'{split}-{name}', content)


def _portraits(data_dir: pathlib.Path, out_dir: pathlib.Path) -> None:
  """Copies the portraits, which are small as they are."""
  source = data_dir / 'faces' / 'portraits64.zip'
  with zipfile.ZipFile(source) as archive:
    count = sum(name.endswith('.jpg') for name in archive.namelist())
    if archive.testzip() is not None or count != _PORTRAITS:
      raise ValueError(
          f'{source} has {count} portraits, or damaged ones; '
          f'give the archive of {_PORTRAITS}'
      )
  _write(out_dir / 'portraits64.zip', source.read_bytes())


def _write(path: pathlib.Path, content: bytes) -> None:
  path.write_bytes(content)
  print(f'{path}: {path.stat().st_size} bytes')


if __name__ == '__main__':
  cli.run(main)
