"""Tests of mnist.py and idx.py on small trees, and on the official files."""

import gzip
import hashlib
import os
import pathlib
import struct

import numpy as np
import pytest

from spiral_jax import files
from spiral_jax.datasets import archives
from spiral_jax.datasets import mnist
from spiral_jax.datasets import trees

_NAMES = tuple(mnist._OFFICIAL)


def _idx(array: np.ndarray) -> bytes:
  header = struct.pack(f'>4B{array.ndim}I', 0, 0, 8, array.ndim, *array.shape)
  return header + array.tobytes()


def _contents() -> dict[str, bytes]:
  """Returns three digits a split as packed files by name."""
  rng = np.random.default_rng(0)
  contents = {}
  for name in _NAMES:
    shape = (3, 28, 28) if 'images' in name else (3,)
    array = rng.integers(0, 10, shape).astype(np.uint8)
    contents[name] = gzip.compress(_idx(array), mtime=0)
  return contents


@pytest.fixture(name='official')
def fixture_official(monkeypatch) -> dict[str, bytes]:
  """Makes small archives the official ones."""
  contents = _contents()
  for name, content in contents.items():
    monkeypatch.setitem(
        mnist._OFFICIAL,
        name,
        archives.Official(hashlib.md5(content).hexdigest(), len(content)),
    )
  return contents


def _write(folder: pathlib.Path, contents: dict[str, bytes]) -> None:
  folder.mkdir(parents=True, exist_ok=True)
  for name, content in contents.items():
    (folder / name).write_bytes(content)


def _one_line(error: pytest.ExceptionInfo, *parts: str) -> None:
  """Checks that a message is one line that contains `parts`."""
  message = str(error.value)
  assert '\n' not in message
  for part in parts:
    assert part in message


def test_ink_is_dark_and_paper_white():
  ink = np.zeros((1, 28, 28), np.uint8)
  ink[0, 7:21, 14:] = 255
  digits = mnist._dataset(ink, np.array([3], np.uint8), 56, 'test')
  expected = np.full((56, 56), 255)
  expected[14:42, 28:] = 0
  # Interpolation blurs the border of the ink alone.
  inner = np.ones((56, 56), bool)
  for border in (14, 42):
    inner[border - 3 : border + 3] = False
  inner[:, 25:31] = False
  np.testing.assert_array_equal(
      digits.images[0, :, :, 0][inner], expected[inner]
  )


def test_keeps_pixels_at_the_original_size():
  image = np.arange(28 * 28).reshape(1, 28, 28).astype(np.uint8)
  digits = mnist._dataset(image, np.array([3], np.uint8), 28, 'test')
  np.testing.assert_array_equal(digits.images[..., 0], 255 - image)


def test_scales_the_whole_picture():
  digits28 = mnist.embedded('test', size=28).images[:50, :, :, 0] / 255
  digits64 = mnist.embedded('test', size=64).images[:50, :, :, 0] / 255
  ink28, ink64 = (1 - d.mean((1, 2)) for d in (digits28, digits64))
  # The share of ink stays, so nothing was padded or cropped; bicubic
  # overshoot is clipped at white and black, which costs a percent or two.
  np.testing.assert_allclose(ink64, ink28, rtol=0.04)


@pytest.mark.parametrize('size', (32, 64))
@pytest.mark.parametrize('split,count', (('train', 10_000), ('test', 1_000)))
def test_embedded(split, count, size):
  digits = mnist.embedded(split, size=size)
  assert digits.images.shape == (count, size, size, 1)
  assert digits.images.dtype == np.uint8
  assert digits.labels.shape == (count,)
  assert digits.labels.dtype == np.int32
  assert set(digits.labels) == set(range(10))
  # Corners are paper; a seventh of a digit's picture is ink, give or take.
  assert np.mean(digits.images[:, 0, 0] == 255) > 0.999
  assert 0.83 < digits.images.mean() / 255 < 0.9


def test_embedded_is_the_default(official):
  del official
  np.testing.assert_array_equal(
      mnist.load('test').images, mnist.embedded('test').images
  )


@pytest.mark.parametrize('subfolder', ('.', 'MNIST/raw', 'mnist'))
@pytest.mark.parametrize('packed', (True, False))
def test_reads_folders(tmp_path, official, subfolder, packed):
  contents = (
      official
      if packed
      else {
          name[:-3]: gzip.decompress(content)
          for name, content in official.items()
      }
  )
  _write(tmp_path / subfolder, contents)
  for split, prefix in (('train', 'train'), ('test', 't10k')):
    images = gzip.decompress(official[f'{prefix}-images-idx3-ubyte.gz'])[16:]
    labels = gzip.decompress(official[f'{prefix}-labels-idx1-ubyte.gz'])[8:]
    digits = mnist.load(split, data_dir=str(tmp_path), size=28)
    np.testing.assert_array_equal(
        digits.images.ravel(), 255 - np.frombuffer(images, np.uint8)
    )
    np.testing.assert_array_equal(
        digits.labels, np.frombuffer(labels, np.uint8)
    )


def test_reads_dotted_names(tmp_path, official):
  _write(
      tmp_path,
      {
          name[:-3].replace('-idx', '.idx'): gzip.decompress(content)
          for name, content in official.items()
      },
  )
  assert len(mnist.load('train', data_dir=str(tmp_path)).images) == 3


@pytest.mark.parametrize('place', ['{0}/{0}', '{0}/{1}', 'archive/{0}/{1}'])
def test_files_unpacked_into_folders_of_their_names(tmp_path, official, place):
  for name, content in official.items():
    name = name.removesuffix('.gz')
    path = tmp_path / place.format(name, name.replace('-idx', '.idx'))
    path.parent.mkdir(parents=True)
    path.write_bytes(gzip.decompress(content))
  assert len(mnist.load('train', data_dir=str(tmp_path)).images) == 3


def test_files_that_a_browser_unpacked_under_their_old_names(
    tmp_path, official
):
  _write(
      tmp_path,
      {name: gzip.decompress(content) for name, content in official.items()},
  )
  assert len(mnist.load('test', data_dir=str(tmp_path)).images) == 3
  # And some that are packed, but not by name.
  path = tmp_path / 'images'
  path.write_bytes(official['t10k-images-idx3-ubyte.gz'])
  assert mnist.idx.read(path, 3).shape == (3, 28, 28)


@pytest.mark.parametrize('shape', [(0, 28, 28), (3, 0, 28), (3, 28, 0)])
def test_files_without_pixels(tmp_path, shape):
  for name, array in (
      ('t10k-images-idx3-ubyte', np.ones(shape)),
      ('t10k-labels-idx1-ubyte', np.ones(shape[0])),
  ):
    (tmp_path / name).write_bytes(_idx(array.astype(np.uint8)))
  with pytest.raises(ValueError) as error:
    mnist.load('test', data_dir=str(tmp_path))
  _one_line(error, str(tmp_path), 'empty', ' x '.join(map(str, shape)))


def test_an_archive_that_unpacks_to_more_than_memory(tmp_path, monkeypatch):
  monkeypatch.setattr(trees, 'MOST', 1000)
  path = tmp_path / 'images.gz'
  path.write_bytes(gzip.compress(_idx(np.ones((3, 28, 28), np.uint8))))
  with pytest.raises(ValueError) as error:
    mnist.idx.read(path, 3)
  _one_line(error, str(path), 'more than 1000 bytes')


def test_wrong_checksum(tmp_path, official):
  name = 'train-labels-idx1-ubyte.gz'
  altered = bytearray(official[name])
  altered[-1] ^= 1
  _write(tmp_path, official | {name: bytes(altered)})
  with pytest.raises(ValueError) as error:
    mnist.load('train', data_dir=str(tmp_path))
  _one_line(
      error,
      str(tmp_path / name),
      'altered',
      mnist._OFFICIAL[name].md5,
      hashlib.md5(altered).hexdigest(),
      'fetch it again',
  )
  assert len(mnist.load('test', data_dir=str(tmp_path)).images) == 3


def test_truncated_archive(tmp_path, official):
  name = 't10k-images-idx3-ubyte.gz'
  _write(tmp_path, official | {name: official[name][:-100]})
  with pytest.raises(ValueError) as error:
    mnist.load('test', data_dir=str(tmp_path))
  _one_line(
      error,
      str(tmp_path / name),
      'truncated',
      'fetch it again',
      str(len(official[name])),
      str(len(official[name]) - 100),
  )


@pytest.mark.parametrize('length', (0, 3, 10, 16, 1000))
@pytest.mark.parametrize('packed', (True, False))
def test_truncated_idx(tmp_path, length, packed):
  content = _idx(np.ones((3, 28, 28), np.uint8))[:length]
  path = tmp_path / ('images.gz' if packed else 'images')
  path.write_bytes(gzip.compress(content) if packed else content)
  with pytest.raises(ValueError) as error:
    mnist.idx.read(path, 3)
  _one_line(error, str(path), 'truncated', str(length), 'fetch it again')


@pytest.mark.parametrize('length', (0, 5, 30))
def test_truncated_gzip_without_checksum(tmp_path, length):
  path = tmp_path / 'images.gz'
  content = gzip.compress(_idx(np.ones((3, 28, 28), np.uint8)))
  path.write_bytes(content[:length])
  with pytest.raises(ValueError) as error:
    mnist.idx.read(path, 3)
  _one_line(error, str(path), 'truncated', 'fetch it again')


def test_idx_of_another_kind(tmp_path):
  path = tmp_path / 'images'
  path.write_bytes(_idx(np.ones((3, 28, 28), np.uint8)))
  with pytest.raises(ValueError) as error:
    mnist.idx.read(path, 1)
  _one_line(error, str(path), '00 00 08 03', '00 00 08 01')
  path.write_bytes(path.read_bytes() + b'!')
  with pytest.raises(ValueError) as error:
    mnist.idx.read(path, 3)
  _one_line(error, str(path), 'too long')


def test_counts_differ(tmp_path):
  for name, array in (
      ('t10k-images-idx3-ubyte', np.ones((3, 28, 28))),
      ('t10k-labels-idx1-ubyte', np.ones(4)),
  ):
    (tmp_path / name).write_bytes(_idx(array.astype(np.uint8)))
  with pytest.raises(ValueError) as error:
    mnist.load('test', data_dir=str(tmp_path))
  _one_line(error, str(tmp_path), '3 images', '4 labels')


def test_missing_directory_and_file(tmp_path, official):
  missing = tmp_path / 'nowhere'
  with pytest.raises(FileNotFoundError) as error:
    mnist.load('test', data_dir=str(missing))
  _one_line(error, str(missing), 'set data_dir', 'download=True')
  _write(tmp_path, {k: v for k, v in official.items() if 'train' in k})
  with pytest.raises(FileNotFoundError) as error:
    mnist.load('test', data_dir=str(tmp_path))
  _one_line(error, str(tmp_path), 't10k-images-idx3-ubyte.gz', 'set data_dir')
  with pytest.raises(ValueError, match='is a file'):
    mnist.load('test', data_dir=str(tmp_path / _NAMES[0]))


def test_arguments_out_of_range():
  with pytest.raises(ValueError, match="'valid'.*train, test"):
    mnist.load('valid')
  with pytest.raises(ValueError, match='size 0'):
    mnist.load('train', size=0)


def test_download(tmp_path, monkeypatch, official):
  mirror, user_cache = tmp_path / 'mirror', tmp_path / 'cache'
  _write(mirror, official)
  monkeypatch.setenv('XDG_CACHE_HOME', str(user_cache))
  dead = (tmp_path / 'dead').as_uri() + '/'
  monkeypatch.setattr(mnist, 'MIRRORS', (dead, mirror.as_uri() + '/'))
  first = mnist.load('train', download=True)
  assert len(first.images) == 3
  # Only what was needed, under its own name and nothing half-written.
  kept = sorted(p.name for p in (user_cache / 'spiral_jax/mnist').iterdir())
  assert kept == sorted(n for n in official if 'train' in n)
  # A second time without any mirror.
  monkeypatch.setattr(mnist, 'MIRRORS', (dead,))
  again = mnist.load('train', download=True)
  np.testing.assert_array_equal(first.images, again.images)
  with pytest.raises(ConnectionError) as error:
    mnist.load('test', download=True)
  _one_line(error, dead, 't10k-images-idx3-ubyte.gz', 'set data_dir')


def test_download_keeps_nothing_damaged(tmp_path, monkeypatch, official):
  mirror, folder = tmp_path / 'mirror', tmp_path / 'data'
  _write(mirror, {name: content[:-1] for name, content in official.items()})
  monkeypatch.setattr(mnist, 'MIRRORS', (mirror.as_uri() + '/',))
  with pytest.raises(ConnectionError) as error:
    mnist.load('test', data_dir=str(folder), download=True)
  _one_line(error, 'truncated', str(folder))
  assert not folder.exists() or not list(folder.iterdir())


def test_atomic_write_leaves_the_old_file(tmp_path):
  path = tmp_path / 'file'
  path.write_bytes(b'old')

  def fail(stream):
    stream.write(b'new')
    raise RuntimeError

  with pytest.raises(RuntimeError):
    files.write_atomically(path, fail)
  assert [p.name for p in tmp_path.iterdir()] == ['file']
  assert path.read_bytes() == b'old'
  files.write_atomically(path, lambda stream: stream.write(b'new'))
  assert path.read_bytes() == b'new'


_DATA = os.environ.get('SPIRAL_JAX_DATA')


@pytest.mark.skipif(not _DATA, reason='SPIRAL_JAX_DATA is not set')
@pytest.mark.parametrize('split,count', (('train', 60_000), ('test', 10_000)))
def test_official_files(split, count):
  digits = mnist.load(
      split, data_dir=os.path.join(str(_DATA), 'mnist'), size=28
  )
  assert digits.images.shape == (count, 28, 28, 1)
  embedded = mnist.embedded(split, size=28)
  n = len(embedded.labels)
  np.testing.assert_array_equal(digits.images[:n], embedded.images)
  np.testing.assert_array_equal(digits.labels[:n], embedded.labels)
