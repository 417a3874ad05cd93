"""Tests of folder.py and of datasets.load."""

import io
import pathlib
import struct
import zlib

import numpy as np
from PIL import Image
import pytest

from spiral_jax import datasets
from spiral_jax.datasets import folder
from spiral_jax.datasets import pictures


def _read(path: pathlib.Path, channels: int = 3, size: int = 4, **kwargs):
  return folder.read(path, size=size, channels=channels, **kwargs)


def _plain(value, size=(8, 8), mode='L') -> Image.Image:
  return Image.new(mode, size, value)


@pytest.mark.parametrize(
    'mode,value,expected',
    (
        ('L', 100, (100, 100, 100)),
        ('1', 1, (255, 255, 255)),
        ('RGB', (10, 20, 30), (10, 20, 30)),
        ('LA', (0, 255), (0, 0, 0)),
        ('LA', (0, 0), (255, 255, 255)),
        ('RGBA', (255, 0, 0, 255), (255, 0, 0)),
        ('RGBA', (255, 0, 0, 0), (255, 255, 255)),
        ('RGBA', (255, 0, 0, 51), (255, 204, 204)),
    ),
)
def test_png_modes(tmp_path, mode, value, expected):
  path = tmp_path / 'a.png'
  _plain(value, mode=mode).save(path)
  image = _read(path)
  assert image.dtype == np.uint8
  np.testing.assert_array_equal(image, np.broadcast_to(expected, (4, 4, 3)))


@pytest.mark.parametrize('white', [1.0, 255.0])
def test_floats(tmp_path, white):
  shades = white * np.array([[0, 0.5], [np.nan, 1]], np.float32)
  path = tmp_path / 'floats.tiff'
  Image.fromarray(shades).save(path)
  image = folder.read(path, size=2, channels=1)[..., 0]
  np.testing.assert_array_equal(image, [[0, 128], [0, 255]])


def test_sixteen_bits(tmp_path):
  path = tmp_path / 'a.png'
  values = np.array([[0, 257 * 100], [65535, 257 * 7]], np.uint16)
  Image.fromarray(values).save(path)
  np.testing.assert_array_equal(_read(path, 1, 2)[..., 0], [[0, 100], [255, 7]])


def test_sixteen_bits_with_a_transparent_value(tmp_path):
  header = struct.pack('>2I5B', 2, 1, 16, 0, 0, 0, 0)
  rows = zlib.compress(b'\0' + struct.pack('>2H', 0, 257 * 50))
  content = b'\x89PNG\r\n\x1a\n'
  for kind, data in (
      (b'IHDR', header),
      (b'tRNS', struct.pack('>H', 0)),
      (b'IDAT', rows),
      (b'IEND', b''),
  ):
    content += struct.pack('>I', len(data)) + kind + data
    content += struct.pack('>I', zlib.crc32(kind + data))
  path = tmp_path / 'a.png'
  path.write_bytes(content)
  gray = np.asarray(pictures._on_paper(Image.open(path), 255))[..., 0]
  np.testing.assert_array_equal(gray, [[255, 50]])


def test_palette_with_a_transparent_entry(tmp_path):
  path = tmp_path / 'a.png'
  image = Image.new('P', (2, 1))
  image.putpalette([0, 0, 0, 10, 20, 30])
  image.putdata([0, 1])
  image.save(path, transparency=0)
  flat = np.asarray(pictures._on_paper(Image.open(path), 255))
  np.testing.assert_array_equal(flat, [[[255, 255, 255], [10, 20, 30]]])


def test_cmyk_jpeg(tmp_path):
  path = tmp_path / 'a.JPG'
  _plain((0, 255, 255, 0), mode='CMYK').save(path, 'JPEG', quality=100)
  np.testing.assert_allclose(
      _read(path), np.broadcast_to([255, 0, 0], (4, 4, 3)), atol=4
  )


def test_obeys_the_camera(tmp_path):
  path = tmp_path / 'a.png'
  image = Image.fromarray(np.array([[0, 0], [255, 255]], np.uint8))
  exif = Image.Exif()
  exif[0x0112] = 3  # Upside down.
  image.save(path, exif=exif)
  np.testing.assert_array_equal(_read(path, 1, 2)[..., 0], [[255, 255], [0, 0]])


def test_gray_is_rec_601(tmp_path):
  path = tmp_path / 'a.png'
  _plain((255, 0, 0), mode='RGB').save(path)
  assert np.all(_read(path, 1) == round(0.299 * 255))


def test_crop_keeps_the_middle_and_pad_adds_paper(tmp_path):
  path = tmp_path / 'a.png'
  picture = np.full((8, 16), 60, np.uint8)
  picture[:, 4:12] = 200
  Image.fromarray(picture).save(path)
  np.testing.assert_array_equal(_read(path, 1, 8), 200)
  padded = _read(path, 1, 16, fit='pad')[..., 0]
  np.testing.assert_array_equal(padded[4:12], picture)
  np.testing.assert_array_equal(padded[:4], 255)
  np.testing.assert_array_equal(padded[12:], 255)


@pytest.mark.parametrize('fit', folder.FITS)
@pytest.mark.parametrize('shape', [(1, 900), (900, 1)])
def test_a_strip(tmp_path, fit, shape):
  path = tmp_path / 'a.png'
  Image.fromarray(np.zeros(shape, np.uint8)).save(path)
  image = _read(path, 1, 8, fit=fit)[..., 0]
  # Paper is added around a line of a pixel.
  assert image.mean() == pytest.approx(0 if fit == 'crop' else 255 * 7 / 8)


def test_scales_by_area(tmp_path):
  path = tmp_path / 'a.png'
  # A checkerboard of single pixels is gray from afar, not aliased.
  Image.fromarray(
      (np.indices((64, 64)).sum(0) % 2 * 255).astype(np.uint8)
  ).save(path)
  inner = _read(path, 1, 16)[2:-2, 2:-2]
  np.testing.assert_allclose(inner, 127.5, atol=4)


@pytest.mark.parametrize('kind', ('PNG', 'JPEG'))
@pytest.mark.parametrize('share', (0.0, 0.01, 0.1, 0.5, 0.9))
def test_truncated(tmp_path, kind, share):
  noise = np.random.default_rng(0).integers(0, 256, (32, 32, 3))
  stream = io.BytesIO()
  Image.fromarray(noise.astype(np.uint8)).save(stream, kind)
  content = stream.getvalue()
  path = tmp_path / ('a.png' if kind == 'PNG' else 'a.jpg')
  path.write_bytes(content[: int(share * len(content))])
  with pytest.raises(ValueError) as error:
    folder.load('train', data_dir=str(tmp_path))
  message = str(error.value)
  assert '\n' not in message and str(path) in message and 'remove' in message


def test_hold_out(tmp_path):
  for i in range(20):
    below = tmp_path / ('b' if i % 2 else 'a')
    below.mkdir(exist_ok=True)
    _plain(i).save(below / f'{i:02}.png')
  (tmp_path / 'notes.txt').write_text('not a picture')
  (tmp_path / '.hidden.png').write_text('not a picture')
  values = {
      split: folder.load(split, data_dir=str(tmp_path), size=2)
      .images[:, 0, 0, 0]
      .tolist()
      for split in folder.SPLITS
  }
  # a/00 ... a/18, b/01 ... b/19: the tenth and the twentieth are held out.
  assert values['test'] == [18, 19]
  assert values['train'] == [*range(0, 18, 2), *range(1, 19, 2)]


@pytest.mark.parametrize(
    'ending',
    'webp avif bmp gif tif TIFF jp2 ppm jfif apng jpe'.split(),
)
def test_kinds_of_files_in_a_folder(tmp_path, ending):
  kind = pictures.FORMATS[f'.{ending.lower()}']
  _plain((10, 200, 30), mode='RGB').save(tmp_path / f'a.{ending}', kind)
  images = folder.load('train', data_dir=str(tmp_path), size=2).images
  assert images.shape == (1, 2, 2, 3)
  np.testing.assert_allclose(images[0, 0, 0], (10, 200, 30), atol=12)


def test_pictures_behind_links(tmp_path):
  data, elsewhere = tmp_path / 'data', tmp_path / 'elsewhere'
  for path, value in ((data, 1), (elsewhere, 2)):
    path.mkdir()
    _plain(value).save(path / 'a.png')
  (data / 'b').symlink_to(elsewhere)
  (data / 'c.png').symlink_to(elsewhere / 'a.png')
  (data / 'd').symlink_to(data)
  images = folder.load('train', data_dir=str(data), size=2).images
  assert images[:, 0, 0, 0].tolist() == [1, 2, 2]


def test_what_cannot_be_read_is_left_out_by_name(tmp_path, caplog):
  for i in range(12):
    _plain(i).save(tmp_path / f'{i:02}.png')
  (tmp_path / '03.png').write_bytes(b'junk')
  (tmp_path / '04.png').unlink()
  (tmp_path / '04.png').symlink_to(tmp_path / 'nowhere')
  (tmp_path / 'phone.heic').write_bytes(b'junk')
  train = folder.load('train', data_dir=str(tmp_path), size=2).images
  # The tenth is held out, as if all could be read.
  assert train[:, 0, 0, 0].tolist() == [0, 1, 2, 5, 6, 7, 8, 10, 11]
  words = [record.getMessage() for record in caplog.records]
  assert len(words) == 3 and not any('\n' in line for line in words)
  for line, part in zip(words, ('phone.heic', '03.png', '04.png')):
    assert part in line


def test_own_splits(tmp_path):
  for value, split in ((1, 'train'), (2, 'test')):
    (tmp_path / split).mkdir()
    _plain(value).save(tmp_path / split / 'a.png')
  for value, split in ((1, 'train'), (2, 'test')):
    images = folder.load(split, data_dir=str(tmp_path), size=2).images
    assert images.shape == (1, 2, 2, 3)
    assert np.all(images == value)


def test_missing(tmp_path):
  with pytest.raises(FileNotFoundError, match='nowhere.*set data_dir'):
    folder.load('train', data_dir=str(tmp_path / 'nowhere'))
  with pytest.raises(FileNotFoundError, match='no images for the train'):
    folder.load('train', data_dir=str(tmp_path))


def test_arguments_out_of_range(tmp_path):
  for kwargs, match in (
      ({'split': 'valid'}, "'valid'.*train, test"),
      ({'split': 'train', 'fit': 'squeeze'}, 'squeeze.*crop, pad'),
      ({'split': 'train', 'channels': 2}, '2 channels'),
      ({'split': 'train', 'size': 0}, 'size 0'),
  ):
    with pytest.raises(ValueError, match=match):
      folder.load(data_dir=str(tmp_path), **kwargs)


def test_load_by_name(tmp_path):
  gray = datasets.load('mnist', 'test', size=32)
  color = datasets.load('mnist', 'test', size=32, channels=3)
  assert gray.images.shape == (1000, 32, 32, 1)
  np.testing.assert_array_equal(
      color.images, np.broadcast_to(gray.images, (1000, 32, 32, 3))
  )
  np.testing.assert_array_equal(color.labels, gray.labels)
  _plain(7).save(tmp_path / 'a.png')
  one = datasets.load(
      'folder', 'train', data_dir=str(tmp_path), size=5, channels=1
  )
  np.testing.assert_array_equal(one.images, np.full((1, 5, 5, 1), 7))
  assert one.labels is None


def test_load_names_what_is_close(tmp_path):
  with pytest.raises(ValueError, match="'MNITS' is unknown.*: mnist"):
    datasets.load('MNITS', 'train')
  names = ', '.join(datasets.NAMES)
  with pytest.raises(ValueError, match=f"'xyz' is unknown.*{names}$"):
    datasets.load('xyz', 'train')
  with pytest.raises(ValueError, match='--data_dir'):
    datasets.load('folder', 'train')
  with pytest.raises(ValueError, match='2 channels'):
    datasets.load('mnist', 'train', channels=2)
