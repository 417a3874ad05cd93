"""The program that makes scenes, as a person runs it."""

import os

import numpy as np
from PIL import Image
import pytest

from environments import scene
from environments.scene import generator
from spiral_jax import datasets
from tests import tiny

SETTINGS = scene.SceneSettings(canvas_size=24, grid_size=6, sizes=(0.1, 0.2))
FLAGS = ('--canvas_size=24', '--grid_size=6', '--sizes=0.1,0.2')


def run(*arguments):
  return tiny.run_program('tools/make_scenes.py', *FLAGS, *arguments)


@pytest.fixture(name='needs_table', scope='module')
def _needs_table():
  """Puts the table into the cache, or skips where MuJoCo cannot draw."""
  try:
    scene.make(canvas_size=24, grid_size=6, sizes=(0.1, 0.2))
  except scene.NoOpenGLError as error:
    pytest.skip(str(error))


@pytest.mark.usefixtures('needs_table')
def test_makes_both_splits_and_a_sheet(tmp_path):
  code, output, errors = run(
      f'--out_dir={tmp_path}', '--train_scenes=150', '--held_out=40', '--seed=3'
  )
  assert code == 0, errors
  assert '150/150' in output and '40/40' in output
  assert f'{tmp_path}/contact_sheet.png' in output
  train, test = (
      datasets.load('scenes', split, data_dir=str(tmp_path), size=24)
      for split in ('train', 'test')
  )
  assert train.images.shape == (150, 24, 24, 3)
  assert test.images.shape == (40, 24, 24, 3)
  for data in (train, test):
    count = len(data.images)
    objects = scene.Objects(**data.programs)
    assert not generator.overlap(SETTINGS, objects).any()
    # The programs make the pictures.
    renderer = scene.SceneRenderer(SETTINGS, count)
    commands = scene.to_commands(objects)
    renderer.reset()
    for t in range(5):
      canvas = renderer.step({k: v[t] for k, v in commands.items()})
    np.testing.assert_array_equal(canvas, data.images)
    assert scene.SceneSettings(**data.settings) == SETTINGS
    assert set(objects.present.sum(1)) == {1, 2, 3, 4, 5}
  pictures = [{x.tobytes() for x in data.images} for data in (train, test)]
  assert len(pictures[0]) > 140 and not pictures[0] & pictures[1]
  with Image.open(tmp_path / 'contact_sheet.png') as image:
    assert image.size == (2 * 12 * 26, 2 * 6 * 26)
    first = np.asarray(image)[:48:2, :48:2]
  np.testing.assert_array_equal(first, train.images[0])


@pytest.mark.usefixtures('needs_table')
def test_a_seed_gives_the_same_files(tmp_path):
  folders = [tmp_path / name for name in ('one', 'two', 'other')]
  for folder, seed in zip(folders, (0, 0, 1)):
    code, _, errors = run(
        f'--out_dir={folder}',
        '--train_scenes=9',
        '--held_out=3',
        f'--seed={seed}',
        '--max_objects=2',
    )
    assert code == 0, errors
  one, two, other = ((f / 'train.npz').read_bytes() for f in folders)
  assert one == two != other


@pytest.mark.usefixtures('needs_table')
def test_too_few_scenes_are_told(tmp_path):
  # There are few scenes of one object here, and all of them become known.
  code, _, errors = run(
      f'--out_dir={tmp_path}',
      '--train_scenes=4000',
      '--held_out=30',
      '--shades=2',
      '--grid_size=2',
      '--max_objects=1',
  )
  assert code != 0
  assert len(errors.splitlines()) == 1, errors
  for word in ('held_out is 30', 'not in the training set'):
    assert word in errors
  assert not (tmp_path / 'test.npz').exists()


@pytest.mark.parametrize(
    'arguments, words',
    [
        (['--span=0.9'], ['--span is 0.9', 'overhang']),
        (['--max_objects=21'], ['max_objects', '20']),
        (['--train_scenes=0'], ['train_scenes']),
    ],
)
def test_a_typo_gives_one_line(tmp_path, arguments, words):
  code, output, errors = run(f'--out_dir={tmp_path}', *arguments)
  assert code != 0 and output == ''
  assert len(errors.splitlines()) == 1, errors
  for word in words:
    assert word in errors
  assert not list(tmp_path.iterdir())


def test_without_opengl_and_without_a_table_one_line_says_what_to_do(tmp_path):
  # A linker that finds nothing: no library of OpenGL is in this place.
  (tmp_path / 'sitecustomize.py').write_text(
      'import ctypes\n'
      'plain = ctypes.CDLL\n'
      'class NoGL(plain):\n'
      '  def __init__(self, name=None, *args, **kwargs):\n'
      '    if name and ("EGL" in str(name) or "OSMesa" in str(name)):\n'
      '      raise OSError(f"{name}: cannot open shared object file")\n'
      '    super().__init__(name, *args, **kwargs)\n'
      'ctypes.CDLL = NoGL\n'
  )
  paths = [str(tmp_path), os.environ.get('PYTHONPATH', '')]
  with pytest.MonkeyPatch.context() as patch:
    patch.setenv('PYTHONPATH', os.pathsep.join(filter(None, paths)))
    patch.setenv('XDG_CACHE_HOME', str(tmp_path / 'empty'))
    process = tiny.start_program(
        'tools/make_scenes.py', *FLAGS, f'--out_dir={tmp_path / "out"}'
    )
    _, errors = process.communicate()
  assert process.returncode != 0
  assert len(errors.splitlines()) == 1, errors
  assert 'sudo apt-get install libegl1' in errors
  assert not (tmp_path / 'out').exists()
