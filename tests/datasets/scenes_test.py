"""Tests of scenes.py on small files."""

import hashlib
import json

import numpy as np
import pytest

from spiral_jax import datasets
from spiral_jax.datasets import scenes

SETTINGS = {'grid_size': 16, 'sizes': [0.1, 0.2]}


def _objects(count=7, places=3):
  rng = np.random.default_rng(0)
  present = rng.random((count, places)) < 0.7
  return {'present': present} | {
      part: np.where(present, rng.integers(0, 250, (count, places)), 0)
      for part in scenes.PARTS
  }


def _images(count=7):
  rng = np.random.default_rng(1)
  return rng.integers(0, 256, (count, 8, 8, 3)).astype(np.uint8)


def _save(folder, split='train', **kwargs):
  images = _images()
  scenes.save(
      folder / f'{split}.npz',
      7,
      (images[:3], images[3:5], images[5:]),
      objects=_objects(),
      settings=SETTINGS,
      **kwargs,
  )


def _rewrite(folder, **arrays):
  """Changes members of a file, and its checksum along with it."""
  path = folder / 'train.npz'
  with np.load(path) as data:
    arrays = {name: data[name] for name in data.files} | arrays
  np.savez(path, **{k: v for k, v in arrays.items() if v is not None})
  digest = hashlib.sha256(path.read_bytes()).hexdigest()
  path.with_name('train.npz.sha256').write_text(f'{digest}  train.npz\n')


def _fails(folder, error, *parts, **kwargs):
  with pytest.raises(error) as caught:
    scenes.load('train', data_dir=str(folder), **kwargs)
  message = str(caught.value)
  assert '\n' not in message
  for part in (
      str(folder / 'train.npz'),
      'experiments/tools/make_scenes.py',
      *parts,
  ):
    assert part in message


def test_what_was_saved_is_loaded(tmp_path):
  _save(tmp_path)
  loaded = scenes.load('train', data_dir=str(tmp_path))
  np.testing.assert_array_equal(loaded.images, _images())
  assert loaded.images.dtype == np.uint8
  assert loaded.settings == SETTINGS
  assert set(loaded.programs) == {'present', *scenes.PARTS}
  for name, values in _objects().items():
    np.testing.assert_array_equal(loaded.programs[name], values)
    dtype = bool if name == 'present' else np.int32
    assert loaded.programs[name].dtype == dtype


def test_the_same_scenes_give_the_same_bytes_and_sha256sums_checksum(tmp_path):
  _save(tmp_path, 'train')
  _save(tmp_path, 'test')
  content = (tmp_path / 'train.npz').read_bytes()
  assert content == (tmp_path / 'test.npz').read_bytes()
  assert (tmp_path / 'train.npz.sha256').read_text() == (
      f'{hashlib.sha256(content).hexdigest()}  train.npz\n'
  )
  assert len(list(tmp_path.iterdir())) == 4


def test_images_by_name_are_for_batches(tmp_path):
  _save(tmp_path, 'test')
  data = datasets.load('scenes', 'test', data_dir=str(tmp_path), size=8)
  assert data.labels is None
  batch = next(datasets.Batches(data, 4))
  np.testing.assert_array_equal(batch.images, _images()[batch.indices])
  assert 'scenes' in datasets.NAMES
  with pytest.raises(ValueError, match='in color: choose 3'):
    datasets.load('scenes', 'test', data_dir=str(tmp_path), channels=1)


def test_the_usual_folder_is_in_the_users_cache(tmp_path, monkeypatch):
  monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path))
  folder = tmp_path / 'spiral_jax' / 'scenes'
  assert scenes.directory() == scenes.directory('') == folder
  _save(folder)
  assert len(scenes.load('train').images) == 7


def test_missing_files_are_named(tmp_path):
  _fails(tmp_path, FileNotFoundError, 'missing', '--data_dir')
  _save(tmp_path)
  (tmp_path / 'train.npz.sha256').unlink()
  _fails(tmp_path, FileNotFoundError, 'train.npz.sha256 is missing')
  with pytest.raises(ValueError, match="'valid'.*train, test"):
    scenes.load('valid')


def test_damage_is_found(tmp_path):
  _save(tmp_path)
  path = tmp_path / 'train.npz'
  content = bytearray(path.read_bytes())
  expected = hashlib.sha256(content).hexdigest()
  content[len(content) // 2] ^= 1
  path.write_bytes(content)
  _fails(
      tmp_path,
      ValueError,
      'damaged',
      expected,
      hashlib.sha256(content).hexdigest(),
  )


@pytest.mark.parametrize(
    'change, words',
    [
        ({'about': None}, ['no file of scenes', 'about']),
        ({'red': None}, ['no file of scenes', 'red']),
        ({'about': np.array('{')}, ['no file of scenes']),
        ({'about': np.array('[]')}, ['no file of scenes']),
        ({'images': np.array([{}], object)}, ['no file of scenes', 'pickle']),
        (
            {'about': np.array(json.dumps({'version': 2, 'settings': {}}))},
            ['version 2', 'reads 1'],
        ),
    ],
)
def test_other_files_are_refused(tmp_path, change, words):
  _save(tmp_path)
  _rewrite(tmp_path)
  assert len(scenes.load('train', data_dir=str(tmp_path)).images) == 7
  _rewrite(tmp_path, **change)
  _fails(tmp_path, ValueError, *words)


def test_what_is_no_archive_is_refused(tmp_path):
  path = tmp_path / 'train.npz'
  path.write_bytes(b'no archive')
  digest = hashlib.sha256(b'no archive').hexdigest()
  path.with_name('train.npz.sha256').write_text(digest)
  _fails(tmp_path, ValueError, 'no file of scenes')


def test_another_size_is_refused(tmp_path):
  _save(tmp_path)
  _fails(
      tmp_path, ValueError, '8x8 pixels, not 64x64', '--canvas_size=64', size=64
  )


@pytest.mark.parametrize('count', [6, 8])
def test_as_many_images_as_scenes(tmp_path, count):
  path = tmp_path / 'train.npz'
  with pytest.raises(ValueError, match=f'7 images for {count} scenes'):
    scenes.save(path, count, [_images()], objects=_objects(), settings=SETTINGS)
  assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    'images',
    [
        np.zeros((0, 8, 8, 3), np.uint8),
        np.zeros((7, 8, 8, 3)),
        np.zeros((7, 8), np.uint8),
    ],
)
def test_images_that_are_none(tmp_path, images):
  _save(tmp_path)
  _rewrite(tmp_path, images=images)
  _fails(tmp_path, ValueError, 'is no file of scenes', str(images.shape))


def test_a_checksum_with_a_mark_or_in_capitals(tmp_path):
  _save(tmp_path)
  path = tmp_path / 'train.npz.sha256'
  text = path.read_text()
  for content in (
      text.encode('utf-8-sig'),
      text.encode('utf-16'),
      text.upper().encode(),
  ):
    path.write_bytes(content)
    assert len(scenes.load('train', data_dir=str(tmp_path)).images) == 7
  path.write_bytes(b'')
  _fails(tmp_path, ValueError, 'is damaged')
