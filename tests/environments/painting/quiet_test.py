"""What libmypaint prints, and does not print any more."""

import ctypes
import json
import sys

import numpy as np
import pytest

from environments import painting
from environments.painting import library
from environments.painting import quiet


@pytest.mark.skipif(
    not sys.platform.startswith('linux'), reason='changes memory of ELF files'
)
def test_time_that_runs_backwards_is_not_printed(tmp_path, capfd, backend):
  brush = json.loads(library.read_brush('classic/pen'))
  for name, value in (
      ('slow_tracking', 0.0),
      ('dabs_per_basic_radius', 0.0),
      ('dabs_per_actual_radius', 0.0),
      ('dabs_per_second', 30.0),  # Three dabs a point, give or take an ulp.
  ):
    brush['settings'][name] = {'base_value': value, 'inputs': {}}
  (tmp_path / 'mine.myb').write_text(json.dumps(brush))
  renderer = painting.PaintingRenderer(
      painting.PaintingSettings(
          brush='mine',
          brushes_path=str(tmp_path),
          brush_sizes=(2,),
          pressure=False,
      ),
      backend=backend,
  )
  renderer.reset()
  libc = ctypes.CDLL(None)
  libc.fflush(None)
  for end in (400, 30, 900, 0):
    renderer.step(
        {
            'flag': np.array([1]),
            'control': np.array([end // 2]),
            'end': np.array([end]),
        }
    )
  libc.fflush(None)
  assert capfd.readouterr() == ('', '')


def test_what_others_print_is_printed(capfd):
  library.find_libmypaint()
  libc = ctypes.CDLL(None)
  libc.puts(b'a line of a user')
  libc.fflush(None)
  assert capfd.readouterr().out == 'a line of a user\n'


def test_systems_without_the_means_are_left_alone(monkeypatch):
  found = ctypes.CDLL(library.find_libmypaint())
  monkeypatch.setattr(sys, 'platform', 'darwin')
  assert not quiet.silence(found)


def test_libraries_that_the_linker_does_not_know_are_left_alone(monkeypatch):
  found = ctypes.CDLL(library.find_libmypaint())

  def fail(library, name):
    raise OSError('dlinfo does not know the library')

  monkeypatch.setattr(quiet, '_slots', fail)
  assert not quiet.silence(found)
