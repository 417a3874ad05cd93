"""Tests of omniglot.py on small trees, and on the official files."""

import hashlib
import io
import pathlib
import zipfile

import numpy as np
from PIL import Image
import pytest

from spiral_jax import datasets
from spiral_jax.datasets import archives
from spiral_jax.datasets import omniglot

# As the official archives lay them out, out of order on purpose.
_LAYOUT = (
    'Greek/character02/0395_01.png',
    'Greek/character01/0394_02.png',
    'Greek/character01/0394_01.png',
    'Braille/character01/0120_01.png',
)


def _drawing(name: str) -> np.ndarray:
  """Returns ink, bool `[105, 105]`, another for each name."""
  seed = int.from_bytes(hashlib.md5(name.encode()).digest()[:4], 'big')
  rng = np.random.default_rng(seed)
  return rng.random((15, 15)).repeat(7, 0).repeat(7, 1) < 0.2


def _png(ink: np.ndarray) -> bytes:
  stream = io.BytesIO()
  Image.fromarray(~ink).save(stream, 'PNG')
  return stream.getvalue()


def _files(split: str) -> dict[str, bytes]:
  name = omniglot._SETS[split].folder
  return {f'{name}/{path}': _png(_drawing(path)) for path in _LAYOUT}


def _zip(files: dict[str, bytes]) -> bytes:
  stream = io.BytesIO()
  with zipfile.ZipFile(stream, 'w') as archive:
    for name, content in files.items():
      archive.writestr(name, content)
  return stream.getvalue()


def _unpack(folder: pathlib.Path, files: dict[str, bytes]) -> None:
  for name, content in files.items():
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


@pytest.fixture(name='official')
def _official(monkeypatch) -> dict[str, bytes]:
  """Makes small archives the official ones; returns them by name."""
  contents = {}
  for split, entry in list(omniglot._SETS.items()):
    content = _zip(_files(split))
    names = sorted(_LAYOUT)
    digest = omniglot._digest(names, np.stack([_drawing(n) for n in names]))
    official = archives.Official(hashlib.md5(content).hexdigest(), len(content))
    monkeypatch.setitem(
        omniglot._SETS, split, entry._replace(archive=official, pictures=digest)
    )
    contents[f'{entry.folder}.zip'] = content
  return contents


def _write(folder: pathlib.Path, contents: dict[str, bytes]) -> None:
  folder.mkdir(parents=True, exist_ok=True)
  for name, content in contents.items():
    (folder / name).write_bytes(content)


def _one_line(error: pytest.ExceptionInfo, *parts: str) -> None:
  message = str(error.value)
  assert '\n' not in message
  for part in parts:
    assert part in message


def _assert_small(drawings: datasets.ImageDataset) -> None:
  """Checks drawings of `_LAYOUT`, at their original size."""
  assert drawings.images.dtype == np.uint8
  assert drawings.images.shape == (4, 105, 105, 1)
  assert drawings.labels.dtype == np.int32
  # Braille, then two of the first Greek character, then the second.
  np.testing.assert_array_equal(drawings.labels, [0, 1, 1, 2])
  for image, name in zip(drawings.images, sorted(_LAYOUT)):
    np.testing.assert_array_equal(image[..., 0], 255 * ~_drawing(name))


@pytest.mark.parametrize('split', omniglot.SPLITS)
@pytest.mark.parametrize('subfolder', ['.', 'python', 'omniglot-py'])
@pytest.mark.parametrize('packed', [True, False])
def test_reads_archives_and_folders(
    tmp_path, official, packed, subfolder, split
):
  if packed:
    _write(tmp_path / subfolder, official)
  else:
    _unpack(tmp_path / subfolder, _files(split))
  _assert_small(omniglot.load(split, data_dir=str(tmp_path), size=105))


@pytest.mark.parametrize(
    'place',
    ['images_background/{}', 'omniglot-master/python/{}', 'archive/{}'],
)
def test_folders_as_other_programs_unpack_them(tmp_path, place):
  for name, content in _files('train').items():
    _unpack(tmp_path, {place.format(name): content})
    # What is there twice counts once.
    _unpack(tmp_path, {place.format(f'images_background/{name}'): b'junk'})
  _assert_small(omniglot.load('train', data_dir=str(tmp_path), size=105))


def test_an_archive_with_backslashes(tmp_path, official):
  files = {k.replace('/', '\\'): v for k, v in _files('train').items()}
  _write(tmp_path, official | {'images_background.zip': _zip(files)})
  _assert_small(omniglot.load('train', data_dir=str(tmp_path), size=105))


def test_alphabets_whose_names_are_not_utf_8(tmp_path):
  files = {
      name.replace('Greek', 'Gr\udce9ek'): content
      for name, content in _files('train').items()
  }
  _unpack(tmp_path, files)
  _assert_small(omniglot.load('train', data_dir=str(tmp_path), size=105))
  names = ['Gr\udce9ek/character01/0001_01.png']
  assert len(omniglot._digest(names, np.zeros((1, 105, 105), bool))) == 64


def test_background_is_for_training_and_evaluation_is_held_out(
    tmp_path, official
):
  _write(tmp_path, {k: v for k, v in official.items() if 'background' in k})
  _assert_small(omniglot.load('train', data_dir=str(tmp_path), size=105))
  with pytest.raises(FileNotFoundError) as error:
    omniglot.load('test', data_dir=str(tmp_path))
  _one_line(
      error,
      str(tmp_path),
      'images_evaluation.zip',
      'set data_dir',
      'embedded',
      'download=True',
  )


def test_ink_is_dark_on_white_paper_and_scaled():
  ink = np.zeros((1, 105, 105), bool)
  ink[0, :, 35:70] = True
  image = omniglot._on_paper(ink, 21)[0, :, :, 0]
  assert (image[:, 8:13] == 0).all()
  assert (image[:, :6] == 255).all() and (image[:, 15:] == 255).all()


@pytest.mark.parametrize('size', [64, 32, 16, 8])
def test_a_stroke_stays_visible_at_any_size(size):
  ink = np.zeros((1, 105, 105), bool)
  ink[0, 30:33, 20:80] = True  # Three pixels, thinner than nearly all.
  image = omniglot._on_paper(ink, size)[0, :, :, 0]
  stroke = image[:, size // 2]
  # About one pixel of solid ink; fading would leave 105 / size thirds of it.
  assert (255 - stroke.astype(float)).sum() / 255 > 0.85
  assert stroke.min() < 110


def test_originals_are_not_thickened():
  ink = np.zeros((1, 105, 105), bool)
  ink[0, 30:33, 20:80] = True
  for size in (64, 105):
    paper = omniglot._on_paper(ink, size)[0]
    share = (255 - paper.astype(float)).mean() / 255
    assert share == pytest.approx(ink.mean(), rel=0.03)


def test_altered_archive(tmp_path, official):
  files = _files('train')
  first = next(iter(files))
  altered = files | {first: _png(~_drawing(first))}
  _write(tmp_path, official | {'images_background.zip': _zip(altered)})
  with pytest.raises(ValueError) as error:
    omniglot.load('train', data_dir=str(tmp_path))
  _one_line(
      error,
      str(tmp_path / 'images_background.zip'),
      'altered',
      'fetch it again',
      'unpack it',
      omniglot._SETS['train'].archive.md5,
  )
  _assert_small(omniglot.load('test', data_dir=str(tmp_path), size=105))


def test_the_same_pictures_in_another_archive_will_do(tmp_path, official):
  stream = io.BytesIO()
  with zipfile.ZipFile(stream, 'w', zipfile.ZIP_DEFLATED) as archive:
    for name, content in sorted(_files('train').items()):
      with Image.open(io.BytesIO(content)) as image:
        again = io.BytesIO()
        image.convert('L').save(again, 'PNG')
      archive.writestr(name, again.getvalue())
      archive.writestr(f'__MACOSX/{name}', b'junk')
  _write(tmp_path, {'images_background.zip': stream.getvalue()})
  assert stream.getvalue() != official['images_background.zip']
  _assert_small(omniglot.load('train', data_dir=str(tmp_path), size=105))


@pytest.mark.parametrize('share', [0.0, 0.5, 0.99])
def test_truncated_archive(tmp_path, official, share):
  whole = official['images_background.zip']
  _write(tmp_path, {'images_background.zip': whole[: int(share * len(whole))]})
  with pytest.raises(ValueError) as error:
    omniglot.load('train', data_dir=str(tmp_path))
  _one_line(
      error,
      str(tmp_path / 'images_background.zip'),
      'truncated',
      str(len(whole)),
      'fetch it again',
  )


@pytest.mark.parametrize(
    'content, words',
    [
        (b'', ['cannot be read', '0 bytes']),
        (b'no picture', ['no known kind of picture']),
        (_png(np.eye(105, dtype=bool))[:150], ['cannot be read', '150 bytes']),
        (_png(np.zeros((105, 104), bool)), ['104 x 105 pixels', '105 x 105']),
    ],
)
def test_a_damaged_drawing_is_named(tmp_path, content, words):
  files = _files('train')
  name = list(files)[1]
  _unpack(tmp_path, files | {name: content})
  with pytest.raises(ValueError) as error:
    omniglot.load('train', data_dir=str(tmp_path))
  _one_line(error, str(tmp_path / name), *words)


def test_a_folder_of_something_else(tmp_path):
  _unpack(tmp_path, {'images_background/a.png': b''})
  with pytest.raises(ValueError) as error:
    omniglot.load('train', data_dir=str(tmp_path))
  _one_line(error, str(tmp_path), 'no drawings', 'character01/0001_01.png')
  with pytest.raises(FileNotFoundError, match='nowhere.*does not exist'):
    omniglot.load('train', data_dir=str(tmp_path / 'nowhere'))


def test_arguments_out_of_range():
  with pytest.raises(ValueError, match="'valid'.*train, test"):
    omniglot.load('valid')
  with pytest.raises(ValueError, match='size 0'):
    omniglot.load('train', size=0)


def test_download(tmp_path, monkeypatch, official):
  mirror, cache = tmp_path / 'mirror', tmp_path / 'cache'
  _write(mirror, official)
  monkeypatch.setenv('XDG_CACHE_HOME', str(cache))
  monkeypatch.setattr(omniglot, 'MIRRORS', (mirror.as_uri() + '/',))
  _assert_small(omniglot.load('train', size=105, download=True))
  kept = [p.name for p in (cache / 'spiral_jax/omniglot').iterdir()]
  assert kept == ['images_background.zip']
  monkeypatch.setattr(omniglot, 'MIRRORS', ((tmp_path / 'x').as_uri() + '/',))
  _assert_small(omniglot.load('train', size=105, download=True))
  with pytest.raises(ConnectionError, match=r'images_evaluation\.zip'):
    omniglot.load('test', download=True)


@pytest.mark.parametrize(
    'split, count, characters, each',
    [('train', 9640, 964, 10), ('test', 3295, 659, 5)],
)
def test_embedded(split, count, characters, each):
  drawings = datasets.load('omniglot', split, size=32)
  assert drawings.images.shape == (count, 32, 32, 1)
  assert drawings.images.dtype == np.uint8
  assert drawings.labels.dtype == np.int32
  np.testing.assert_array_equal(
      np.bincount(drawings.labels), np.full(characters, each)
  )
  # Thin ink on white paper, in every one.
  assert 0.9 < drawings.images.mean() / 255 < 0.93
  assert (drawings.images.min((1, 2, 3)) < 128).all()
  assert (drawings.images.max((1, 2, 3)) == 255).all()


def test_embedded_in_color():
  gray = datasets.load('omniglot', 'test', size=32)
  color = datasets.load('omniglot', 'test', size=32, channels=3)
  np.testing.assert_array_equal(
      color.images, np.broadcast_to(gray.images, (3295, 32, 32, 3))
  )


@pytest.mark.parametrize(
    'split, count, each', [('train', 19_280, 10), ('test', 13_180, 5)]
)
def test_official_files(data_folder, split, count, each):
  drawings = omniglot.load(split, data_dir=str(data_folder), size=105)
  assert drawings.images.shape == (count, 105, 105, 1)
  assert (np.bincount(drawings.labels) == 20).all()
  first = np.arange(count) % 20 < each
  embedded = omniglot.embedded(split, size=105)
  np.testing.assert_array_equal(drawings.images[first], embedded.images)
  np.testing.assert_array_equal(drawings.labels[first], embedded.labels)


def test_official_bytes_of_a_part(data_folder, tmp_path):
  # This archive is byte for byte the official one.
  small = data_folder / 'omniglot' / 'images_background_small1.zip'
  if not small.exists():
    pytest.skip(f'{small} is not there')
  with zipfile.ZipFile(small) as archive:
    archive.extractall(tmp_path)
  (tmp_path / small.stem).rename(tmp_path / 'images_background')
  drawings = omniglot.load('train', data_dir=str(tmp_path), size=64)
  assert drawings.images.shape == (2720, 64, 64, 1)
  assert (np.bincount(drawings.labels) == 20).all()
  assert 0.88 < drawings.images.mean() / 255 < 0.96
