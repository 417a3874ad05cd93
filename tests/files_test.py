"""The user's cache, and files that appear whole; two modules of one text."""

import inspect
import os
import pathlib
import stat

import pytest

from environments import files as of_environments
from spiral_jax import files

# Neither package imports the other, so each has its copy.
MODULES = pytest.mark.parametrize(
    'module', [files, of_environments], ids=['spiral_jax', 'environments']
)


def test_both_packages_have_the_same_text():
  assert inspect.getsource(files) == inspect.getsource(of_environments)


@MODULES
@pytest.mark.parametrize('variable', [None, '', 'not/absolute'])
def test_the_cache_is_in_the_home_folder(module, variable, monkeypatch):
  monkeypatch.setenv('HOME', '/somebody')
  if variable is None:
    monkeypatch.delenv('XDG_CACHE_HOME', raising=False)
  else:
    monkeypatch.setenv('XDG_CACHE_HOME', variable)
  folder = pathlib.Path('/somebody/.cache/spiral_jax')
  assert module.directory() == folder
  assert module.directory('a', 'b') == folder / 'a' / 'b'


@MODULES
def test_the_cache_is_where_the_user_says(module, monkeypatch, tmp_path):
  monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path))
  assert module.directory('a') == tmp_path / 'spiral_jax' / 'a'
  assert not list(tmp_path.iterdir())


@MODULES
def test_a_file_is_written_with_its_folder_and_the_usual_mode(module, tmp_path):
  path = tmp_path / 'new' / 'file'
  mask = os.umask(0o027)
  try:
    module.write_atomically(path, lambda stream: stream.write(b'one'))
  finally:
    os.umask(mask)
  assert path.read_bytes() == b'one'
  assert stat.S_IMODE(path.stat().st_mode) == 0o640
  module.write_atomically(path, lambda stream: stream.write(b'two'))
  assert path.read_bytes() == b'two'
  assert list(path.parent.iterdir()) == [path]


@MODULES
@pytest.mark.parametrize('error', [OSError('full'), KeyboardInterrupt()])
def test_the_old_file_is_there_until_the_new_one_is_whole(
    module, tmp_path, error
):
  path = tmp_path / 'file'
  path.write_bytes(b'old')

  def write(stream):
    stream.write(b'half of')
    stream.flush()
    assert path.read_bytes() == b'old'
    raise error

  with pytest.raises(type(error)):
    module.write_atomically(path, write)
  assert path.read_bytes() == b'old'
  assert list(tmp_path.iterdir()) == [path]
