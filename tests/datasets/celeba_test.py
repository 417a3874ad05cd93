"""Tests of celeba.py on small trees of the official layout; of portraits.py."""

import hashlib
import io
import pathlib
import shutil
import zipfile

import numpy as np
from PIL import Image
import pytest

from spiral_jax import datasets
from spiral_jax.datasets import archives
from spiral_jax.datasets import celeba
from spiral_jax.datasets import portraits

_COUNTS = {'train': 4, 'valid': 2, 'test': 3}


def _face(index: int) -> np.ndarray:
  """Returns an image `[218, 178, 3]`: a shade within, another around."""
  image = np.full((218, 178, 3), 255, np.uint8)
  image[29:189, 9:169] = (20 * index, 100, 200 - 10 * index)
  return image


def _jpeg(image: np.ndarray) -> bytes:
  stream = io.BytesIO()
  Image.fromarray(image).save(stream, 'JPEG', quality=98, subsampling=0)
  return stream.getvalue()


def _contents() -> tuple[dict[str, bytes], bytes]:
  """Returns the images by name, and the partition file, with CRLF."""
  splits = np.repeat([0, 1, 2], list(_COUNTS.values()))
  names = [f'{i + 1:06d}.jpg' for i in range(len(splits))]
  images = {name: _jpeg(_face(i)) for i, name in enumerate(names)}
  lines = [f'{name} {split}\r\n' for name, split in zip(names, splits)]
  return images, ''.join(lines).encode()


def _zip(images: dict[str, bytes]) -> bytes:
  stream = io.BytesIO()
  with zipfile.ZipFile(stream, 'w') as archive:
    for name, content in images.items():
      archive.writestr(f'img_align_celeba/{name}', content)
  return stream.getvalue()


@pytest.fixture(name='make_tree', autouse=True)
def _make_tree(tmp_path, monkeypatch):
  """A function that writes a tree; its archive counts as the official one."""
  monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path / 'cache'))

  def make_tree(packed, images_at='.', partition_at='.', images=None):
    folder = tmp_path / 'data'
    originals, partition = _contents()
    images = originals if images is None else images
    for part in (images_at, partition_at):
      (folder / part).mkdir(parents=True, exist_ok=True)
    (folder / partition_at / 'list_eval_partition.txt').write_bytes(partition)
    if packed:
      content = _zip(images)
      monkeypatch.setattr(
          celeba,
          '_OFFICIAL',
          archives.Official(hashlib.md5(content).hexdigest(), len(content)),
      )
      (folder / images_at / 'img_align_celeba.zip').write_bytes(content)
    else:
      (folder / images_at / 'img_align_celeba').mkdir()
      for name, content in images.items():
        (folder / images_at / 'img_align_celeba' / name).write_bytes(content)
    return folder

  return make_tree


def _cached(tmp_path: pathlib.Path) -> list[pathlib.Path]:
  return sorted((tmp_path / 'cache').rglob('*.npy'))


@pytest.mark.parametrize(
    'images_at, partition_at',
    [('.', '.'), ('Img', 'Eval'), ('celeba', 'celeba')],
)
@pytest.mark.parametrize('packed', [True, False])
def test_splits_are_those_of_the_partition_and_faces_their_middles(
    make_tree, packed, images_at, partition_at
):
  folder = make_tree(packed, images_at, partition_at)
  index = 0
  for split, count in _COUNTS.items():
    faces = celeba.load(split, data_dir=str(folder), size=16)
    assert faces.labels is None
    assert faces.images.shape == (count, 16, 16, 3)
    assert faces.images.dtype == np.uint8
    for image in faces.images:
      # Nothing of the border is left.
      np.testing.assert_allclose(
          image, np.broadcast_to(_face(index)[100, 80], image.shape), atol=6
      )
      index += 1


@pytest.mark.parametrize(
    'encoding', ['utf-8', 'utf-8-sig', 'utf-16-le', 'utf-16']
)
@pytest.mark.parametrize('quote', ['', '"'])
def test_the_layout_of_kaggle(make_tree, encoding, quote):
  folder = make_tree(False)
  inner = folder / 'img_align_celeba'
  inner.rename(folder / 'inner')
  inner.mkdir()
  (folder / 'inner').rename(inner / 'img_align_celeba')
  (folder / 'list_eval_partition.txt').unlink()
  rows = ['image_id,partition']
  rows += [
      f'{quote}{line.replace(" ", f"{quote},{quote}")}{quote}'
      for line in _contents()[1].decode().splitlines()
  ]
  text = ('\ufeff' * (encoding == 'utf-16-le')) + '\r\n'.join(rows)
  (folder / 'list_eval_partition.csv').write_bytes(text.encode(encoding))
  for split, count in _COUNTS.items():
    faces = celeba.load(split, data_dir=str(folder), size=8)
    assert faces.images.shape == (count, 8, 8, 3)
  np.testing.assert_allclose(
      faces.images[-1], np.broadcast_to(_face(8)[100, 80], (8, 8, 3)), atol=6
  )


def test_a_mark_before_the_official_list(make_tree):
  folder = make_tree(True)
  path = folder / 'list_eval_partition.txt'
  path.write_bytes(b'\xef\xbb\xbf' + path.read_bytes())
  assert len(celeba.load('train', data_dir=str(folder)).images) == 4


def test_images_as_png_and_names_that_are_not_utf_8(make_tree):
  images = {
      f'\udce9{name[:-4]}.png': content
      for name, content in _contents()[0].items()
  }
  folder = make_tree(False, images=images)
  inner = folder / 'img_align_celeba'
  inner.rename(folder / 'img_align_celeba_png')
  path = folder / 'list_eval_partition.txt'
  path.write_bytes(path.read_bytes().replace(b'0000', b'\xe90000'))
  assert len(celeba.load('valid', data_dir=str(folder)).images) == 2


def test_the_middle_is_160_pixels(make_tree):
  image = _face(0)
  image[29:109] = 0  # The upper half of what is kept.
  folder = make_tree(
      False, images={name: _jpeg(image) for name in _contents()[0]}
  )
  half, *_ = celeba.load('test', data_dir=str(folder), size=160).images
  np.testing.assert_allclose(half[:77], 0, atol=8)
  assert (half[83:, 10:150, 1] > 80).all()


def test_decoded_once_and_mapped(make_tree, tmp_path, monkeypatch):
  folder = make_tree(True)
  first = celeba.load('train', data_dir=str(folder), size=16)
  assert (
      isinstance(first.images, np.memmap)
      and not first.images.flags['WRITEABLE']
  )
  (kept,) = _cached(tmp_path)
  monkeypatch.setattr(celeba, '_face', None)  # Would fail if called.
  again = celeba.load('train', data_dir=str(folder), size=16)
  np.testing.assert_array_equal(again.images, first.images)
  assert _cached(tmp_path) == [kept]
  batch = next(datasets.Batches(again, 8)).images
  assert batch.shape == (8, 16, 16, 3) and not isinstance(batch, np.memmap)


@pytest.mark.parametrize('left', [0, 20, 1000])
def test_a_damaged_cache_is_made_again(make_tree, tmp_path, left):
  folder = make_tree(True)
  first = np.array(celeba.load('train', data_dir=str(folder), size=16).images)
  (kept,) = _cached(tmp_path)
  kept.write_bytes(kept.read_bytes()[:left])
  again = celeba.load('train', data_dir=str(folder), size=16)
  np.testing.assert_array_equal(again.images, first)


def test_sizes_channels_and_sources_are_kept_apart(make_tree, tmp_path):
  folder = make_tree(True)
  color = celeba.load('test', data_dir=str(folder), size=16)
  gray = celeba.load('test', data_dir=str(folder), size=16, channels=1)
  assert gray.images.shape == (3, 16, 16, 1)
  luma = color.images @ np.array([0.299, 0.587, 0.114])
  np.testing.assert_allclose(gray.images[..., 0], luma, atol=1.5)
  celeba.load('test', data_dir=str(folder), size=8)
  assert len(_cached(tmp_path)) == 3
  (folder / 'img_align_celeba.zip').unlink()
  celeba.load('test', data_dir=str(make_tree(False)), size=16)
  assert len(_cached(tmp_path)) == 4


def _one_line(error, *parts):
  assert '\n' not in str(error.value)
  for part in parts:
    assert part in str(error.value)


@pytest.mark.parametrize(
    'change, kind',
    [
        (lambda content: content[:-10], 'truncated'),
        (lambda content: content[:-1] + b'!', 'altered'),
    ],
)
def test_wrong_checksum(make_tree, tmp_path, change, kind):
  folder = make_tree(True)
  path = folder / 'img_align_celeba.zip'
  path.write_bytes(change(path.read_bytes()))
  with pytest.raises(ValueError) as error:
    celeba.load('train', data_dir=str(folder))
  _one_line(error, str(path), kind, celeba._OFFICIAL.md5, 'fetch it again')
  assert not list((tmp_path / 'cache').rglob('*.*'))


@pytest.mark.parametrize('packed', [True, False])
@pytest.mark.parametrize(
    'content, words',
    [
        (b'', ['cannot be read']),
        (None, ['lacks 000003.jpg', 'list_eval_partition.txt']),
        (_jpeg(_face(0)[:100]), ['178 x 100 pixels', '160']),
        (_jpeg(_face(0))[:500], ['cannot be read', '500 bytes']),
    ],
)
def test_a_damaged_image_is_named_and_nothing_is_left(
    make_tree, tmp_path, packed, content, words
):
  images = _contents()[0]
  images['000003.jpg'] = content
  images = {name: c for name, c in images.items() if c is not None}
  folder = make_tree(packed, images=images)
  with pytest.raises(ValueError) as error:
    celeba.load('train', data_dir=str(folder))
  _one_line(error, str(folder), '000003.jpg', *words)
  assert not list((tmp_path / 'cache').rglob('*.*'))
  assert len(celeba.load('test', data_dir=str(folder)).images) == 3


@pytest.mark.parametrize(
    'lines, words',
    [
        (b'000001.jpg 0\r\n000002.jpg\r\n', ['line 2', "'000002.jpg'"]),
        (b'000001.jpg 3\r\n', ['line 1', '0, 1 or 2']),
        (b'\x89PNG', ['line 1']),
        (b'000001.jpg 1\r\n', ['no images for the train split']),
        (b'image_id,partition\r\n', ['no images for the train split']),
        (b'000001.jpg 1\nimage_id,partition\n', ['line 2', 'image_id']),
        (b'', ['no images for the train split']),
    ],
)
def test_a_damaged_partition_is_told_by_line(make_tree, lines, words):
  folder = make_tree(False)
  (folder / 'list_eval_partition.txt').write_bytes(lines)
  with pytest.raises(ValueError) as error:
    celeba.load('train', data_dir=str(folder))
  _one_line(error, 'list_eval_partition.txt', *words)


def test_missing_files(make_tree, tmp_path):
  folder = make_tree(True)
  (folder / 'list_eval_partition.txt').unlink()
  with pytest.raises(FileNotFoundError) as error:
    celeba.load('train', data_dir=str(folder))
  _one_line(error, str(folder), 'list_eval_partition.txt', 'set data_dir')
  (folder / 'img_align_celeba.zip').unlink()
  with pytest.raises(FileNotFoundError) as error:
    celeba.load('train', data_dir=str(folder))
  _one_line(error, 'img_align_celeba.zip', 'mmlab', 'come with this package')
  with pytest.raises(FileNotFoundError) as error:
    celeba.load('train', data_dir=str(tmp_path / 'nowhere'))
  _one_line(error, 'nowhere', 'set data_dir', 'embedded')
  assert 'download' not in str(error.value)  # There is none.


def test_no_room_on_the_disk(make_tree, tmp_path, monkeypatch):
  folder = make_tree(True)
  usage = shutil.disk_usage(tmp_path)._replace(free=celeba._SPARE)
  monkeypatch.setattr(celeba.shutil, 'disk_usage', lambda path: usage)
  with pytest.raises(OSError) as error:
    celeba.load('train', data_dir=str(folder))
  _one_line(error, 'MiB free', 'XDG_CACHE_HOME')


def test_arguments_out_of_range():
  with pytest.raises(ValueError, match="'all'.*train, valid, test"):
    celeba.load('all')
  with pytest.raises(ValueError, match='2 channels'):
    celeba.load('train', channels=2)
  with pytest.raises(ValueError, match='size 0'):
    celeba.load('train', size=0)


# The portraits that stand in for it.


@pytest.mark.parametrize('split, count', [('train', 630), ('test', 70)])
def test_portraits(split, count):
  faces = datasets.load('celeba', split)
  assert faces.images.shape == (count, 64, 64, 3) and faces.labels is None
  assert faces.images.dtype == np.uint8
  # Pictures, each another: light and shade, and more red than blue in faces.
  assert (faces.images.std((1, 2, 3)) > 20).all()
  assert len({image.tobytes() for image in faces.images}) == count
  middle = faces.images[:, 16:48, 16:48].mean((0, 1, 2))
  assert middle[0] > middle[1] > middle[2]
  np.testing.assert_array_equal(faces.images, portraits.embedded(split).images)


def test_portraits_of_other_sizes_and_in_gray():
  color = portraits.embedded('test').images.astype(float)
  small = portraits.embedded('test', size=16).images
  blocks = color.reshape(70, 16, 4, 16, 4, 3).mean((2, 4))
  assert np.abs(blocks - small).mean() < 4
  gray = datasets.load('celeba', 'test', channels=1).images
  np.testing.assert_allclose(
      gray[..., 0], color @ np.array([0.299, 0.587, 0.114]), atol=1.5
  )


def test_portraits_are_the_original_archive(data_folder):
  original = data_folder / 'faces' / 'portraits64.zip'
  assert original.read_bytes() == portraits._EMBEDDED.read_bytes()
