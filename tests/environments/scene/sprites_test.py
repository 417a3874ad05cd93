"""The table's file in the user's cache, and machines without OpenGL."""

import dataclasses
import os
import pathlib

import numpy as np
import pytest

from environments import scene
from environments.scene import sprites as sprites_lib

SETTINGS = scene.SceneSettings(canvas_size=16, grid_size=2, sizes=(0.2,))


@pytest.fixture(autouse=True)
def empty_cache(tmp_path, monkeypatch):
  monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path))
  sprites_lib.load.cache_clear()
  yield tmp_path
  sprites_lib.load.cache_clear()


@pytest.fixture
def builds(monkeypatch):
  """Counts how often a table is made."""
  made = []
  build = sprites_lib.build

  def counted(*arguments):
    made.append(arguments)
    return build(*arguments)

  monkeypatch.setattr(sprites_lib, 'build', counted)
  return made


def assert_equal(one, other):
  for a, b in zip(one, other):
    np.testing.assert_array_equal(a, b)
    assert a.dtype == b.dtype


def load_as_another_process():
  sprites_lib.load.cache_clear()
  return sprites_lib.load(SETTINGS)


@pytest.mark.usefixtures('needs_gl')
def test_made_once_and_kept(builds, empty_cache):
  first = sprites_lib.load(SETTINGS)
  assert sprites_lib.load(SETTINGS) is first
  path = sprites_lib.cache_path(SETTINGS)
  assert path.is_relative_to(empty_cache / 'spiral_jax')
  assert [p.name for p in path.parent.iterdir()] == [path.name]
  assert_equal(load_as_another_process(), first)
  assert len(builds) == 1
  with pytest.raises(ValueError, match='read-only'):
    first.pixels[:] = 0


@pytest.mark.usefixtures('needs_gl')
def test_table_holds_what_it_says():
  table = sprites_lib.load(SETTINGS)
  num_sprites = sprites_lib.num_sprites(SETTINGS)
  assert num_sprites == 4 * 4
  lengths = np.diff(table.starts)
  assert lengths.shape == (num_sprites + 1,)
  assert (lengths[:-1] > 0).all() and lengths[-1] == 0
  assert (table.nearness > 0).all() and (table.background_nearness > 0).all()
  # Brighter shades are brighter.
  assert (np.diff(table.brightness.astype(int), axis=1) > 0).mean() > 0.9


@pytest.mark.usefixtures('needs_gl')
@pytest.mark.parametrize('fault', ['empty', 'cut', 'flipped', 'other'])
def test_a_damaged_file_is_made_again(fault, builds):
  first = sprites_lib.load(SETTINGS)
  path = sprites_lib.cache_path(SETTINGS)
  whole = path.read_bytes()
  if fault == 'other':
    other = sprites_lib.build(dataclasses.replace(SETTINGS, grid_size=3))
    np.savez(path, **other._asdict())
    builds.clear()
    builds.append('the first one')
  else:
    middle = len(whole) // 2
    flipped = bytes([whole[middle] ^ 1])
    path.write_bytes(
        {
            'empty': b'',
            'cut': whole[:middle],
            'flipped': whole[:middle] + flipped + whole[middle + 1 :],
        }[fault]
    )
  assert_equal(load_as_another_process(), first)
  assert len(builds) == 2
  assert_equal(load_as_another_process(), first)
  assert len(builds) == 2


@pytest.mark.usefixtures('needs_gl')
def test_pickles_are_not_loaded(builds):
  first = sprites_lib.load(SETTINGS)
  arrays = first._asdict() | {'pixels': np.array([Bomb()], object)}
  np.savez(sprites_lib.cache_path(SETTINGS), **arrays)
  assert_equal(load_as_another_process(), first)
  assert len(builds) == 2


class Bomb:

  def __reduce__(self):
    return pytest.fail, ('a pickle was loaded',)


@pytest.mark.usefixtures('needs_gl')
def test_a_cache_that_cannot_be_written_is_no_obstacle(empty_cache, caplog):
  (empty_cache / 'spiral_jax').write_text('a file where the folder would be')
  scene.make(canvas_size=16, grid_size=2, sizes=(0.2,)).reset()
  assert 'could not be kept' in caplog.text


def test_the_name_tells_what_decides_on_the_table():
  path = sprites_lib.cache_path(SETTINGS)
  names = {path}
  for change in (
      {'canvas_size': 17},
      {'grid_size': 3},
      {'span': 0.7},
      {'sizes': (0.1,)},
      {'shades': 5},
      {'sizes': (0.2, 0.1)},
  ):
    names.add(sprites_lib.cache_path(dataclasses.replace(SETTINGS, **change)))
  assert len(names) == 7
  longer = dataclasses.replace(SETTINGS, episode_length=3)
  assert sprites_lib.cache_path(longer) == path


@pytest.mark.usefixtures('no_gl')
def test_without_opengl_one_line_says_what_to_install():
  with pytest.raises(scene.NoOpenGLError) as error:
    scene.make(canvas_size=16, grid_size=2, sizes=(0.2,))
  message = str(error.value)
  assert '\n' not in message
  for part in (
      'libEGL.so.1',
      'libOSMesa',
      'sudo apt-get install libegl1',
      'libgl1-mesa-dri',
  ):
    assert part in message
  assert isinstance(error.value, OSError)  # What scripts print as one line.


@pytest.mark.usefixtures('needs_gl')
def test_without_opengl_a_table_in_the_cache_will_do(request):
  expected = scene.make_batch(2, canvas_size=16, grid_size=2, sizes=(0.2,))
  canvas = expected.reset().observation['canvas']
  request.getfixturevalue('no_gl')
  sprites_lib.load.cache_clear()
  again = scene.make_batch(2, canvas_size=16, grid_size=2, sizes=(0.2,))
  np.testing.assert_array_equal(again.reset().observation['canvas'], canvas)


def test_the_cache_is_at_home_unless_told(monkeypatch):
  home = pathlib.Path.home()
  for value in ('', 'not/absolute'):
    monkeypatch.setitem(os.environ, 'XDG_CACHE_HOME', value)
    path = sprites_lib.cache_path(SETTINGS)
    assert path.is_relative_to(home / '.cache' / 'spiral_jax')
