"""Tests of what is said where libmypaint or a brush is missing."""

import ctypes
import json
import os
import pathlib

import pytest

from environments import painting
from environments.painting import library


def test_unknown_brush_names_folder_and_close_names():
  with pytest.raises(ValueError) as error:
    painting.make(brush='classic/pn')
  message = str(error.value)
  assert message.startswith("brush 'classic/pn' not found in ")
  assert 'brushes; close names:' in message and 'classic/pen' in message


@pytest.mark.parametrize(
    'name', ['../../../etc/passwd', '/etc/hostname', 'a/../../b', '..']
)
def test_names_lead_out_of_no_folder(tmp_path, name):
  (tmp_path / 'in').mkdir()
  (tmp_path / 'b.myb').write_bytes(library.read_brush('classic/pen'))
  for folder in (None, str(tmp_path / 'in')):
    with pytest.raises(ValueError, match='not the name of a brush') as error:
      library.read_brush(name, folder)
    assert repr(name) in str(error.value) and '\n' not in str(error.value)


@pytest.mark.parametrize(
    'name', ['', '.', '\0', 'x' * 300, 'x/' * 3000, '\ud800', 'classic', '[a]']
)
def test_odd_names_are_not_found(name):
  with pytest.raises(ValueError, match='not found') as error:
    library.read_brush(name)
  assert '\n' not in str(error.value) and len(str(error.value)) < 300
  with pytest.raises(FileNotFoundError, match='is not a folder'):
    library.read_brush('classic/pen', f'{name}/none')


def test_only_files_are_read(tmp_path):
  os.mkfifo(tmp_path / 'pipe.myb')  # Would be waited for.
  (tmp_path / 'deep' / 'er' / 'and' / 'deeper').mkdir(parents=True)
  (tmp_path / 'deep' / 'er' / 'and' / 'deeper' / 'a.myb').write_text('')
  with pytest.raises(ValueError, match='close names: pipe$'):
    library.read_brush('pipe', str(tmp_path))


def test_own_folder_of_brushes(tmp_path):
  (tmp_path / 'mine.myb').write_bytes(library.read_brush('classic/pen'))
  painting.make(brush='mine', brushes_path=str(tmp_path)).reset()
  with pytest.raises(ValueError, match='close names: mine$'):
    painting.make(brush='classic/pen', brushes_path=str(tmp_path))


def test_missing_folder_of_brushes(monkeypatch, tmp_path):
  with pytest.raises(FileNotFoundError, match='brushes_path .*/none'):
    painting.make(brushes_path=str(tmp_path / 'none'))
  monkeypatch.setattr(library, '_DATA_FOLDERS', (str(tmp_path),))
  with pytest.raises(FileNotFoundError) as error:
    painting.make()
  assert 'apt-get install libmypaint-1.5-1 mypaint-brushes' in str(error.value)


@pytest.mark.parametrize('backend', ['native', 'ctypes'])
def test_file_that_is_no_brush(backend, tmp_path, request):
  request.getfixturevalue('require_backend')(backend)
  (tmp_path / 'bad.myb').write_text('no brush at all')
  settings = painting.PaintingSettings(brush='bad', brushes_path=str(tmp_path))
  with pytest.raises(ValueError, match=r'does not take the brush.*\.myb'):
    painting.PaintingRenderer(settings, backend=backend).reset()


def test_missing_libmypaint_names_the_command_that_installs_it(monkeypatch):
  def no_library(name):
    raise OSError(f'{name}: cannot open shared object file')

  library.find_libmypaint.cache_clear()
  monkeypatch.setattr(ctypes, 'CDLL', no_library)
  with pytest.raises(ImportError) as error:
    library.find_libmypaint()
  assert 'libmypaint not found' in str(error.value)
  assert 'sudo apt-get install libmypaint-1.5-1' in str(error.value)
  assert 'brew install libmypaint' in str(error.value)


@pytest.mark.parametrize('backend', ['native', 'ctypes'])
def test_renderer_passes_the_missing_library_on(backend, monkeypatch, request):
  request.getfixturevalue('require_backend')(backend)

  def missing():
    raise ImportError('libmypaint not found')

  monkeypatch.setattr(library, 'find_libmypaint', missing)
  painting.renderer_lib.portable._library.cache_clear()
  with pytest.raises(ImportError, match='libmypaint not found'):
    painting.PaintingRenderer(painting.PaintingSettings(), backend=backend)


def test_brushes_are_json_with_settings():
  brush = json.loads(library.read_brush('classic/pen'))
  assert 'radius_logarithmic' in brush['settings']
  assert pathlib.Path(library.find_brushes(), 'classic/pen.myb').is_file()
