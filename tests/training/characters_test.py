"""Runs of characters: the script, held-out alphabets, digits never seen."""

import dataclasses
import json
import re
import shutil
import zipfile

import numpy as np
from PIL import Image
import pytest

from spiral_jax import datasets
from spiral_jax import training
from spiral_jax.training import plots
from spiral_jax.training import run_dir as run_dir_lib
from tests import tiny

# Alphabets to learn from and others that are held out, with their drawings.
TREE = {
    'images_background': {'Greek': 9, 'Braille': 5},
    'images_evaluation': {'Tengwar': 7},
}


def write_drawings(folder, tree=None):
  """Writes drawings in the official layout, bars; shorter ones are held out."""
  for name, alphabets in (tree or TREE).items():
    end = 60 if name == 'images_evaluation' else 80
    for alphabet, count in alphabets.items():
      path = folder / name / alphabet / 'character01'
      path.mkdir(parents=True)
      for i in range(count):
        ink = np.zeros((105, 105), bool)
        ink[10 + 9 * i : 20 + 9 * i, 20:end] = True
        Image.fromarray(~ink).save(path / f'0001_{i + 1:02d}.png')
  return folder


def characters(run_dir, data_dir='', **kwargs):
  """Returns a tiny run of characters."""
  return tiny.experiment(
      run_dir, run=dict(data_dir=str(data_dir)), **kwargs
  ).replace(dataset='omniglot')


@pytest.fixture(name='run_dir', scope='module')
def _run_dir(tmp_path_factory):
  """Returns a run that saw three batches of few characters."""
  folder = tmp_path_factory.mktemp('omniglot')
  data_dir = write_drawings(folder / 'data')
  return training.train(
      characters(
          folder / 'run', data_dir, conditional=True, learner=dict(reward='l2')
      )
  )


@pytest.mark.slow
def test_trains_and_evaluates(tmp_path):
  data_dir = write_drawings(tmp_path / 'data')
  run_dir = tmp_path / 'run'
  code, output, errors = tiny.run_program(
      'omniglot.py', *tiny.flags(run_dir), f'--data_dir={data_dir}'
  )
  assert code == 0, errors
  assert errors == '' and 'strokes' in output
  figures = json.loads((run_dir / 'evaluation.json').read_text())
  assert (figures['frames'], figures['test_images']) == (72, 7)
  assert 'share_of_blank' not in figures
  for name in ('samples', 'real', 'untrained agent', 'blank page'):
    assert {'num_images', 'frechet'} <= figures[name].keys()
    assert figures[name]['frechet'] > 0
    assert 'digits' not in figures[name]
  config = json.loads((run_dir / 'config.json').read_text())
  assert config['dataset'] == 'omniglot'


def test_only_the_background_set_is_learned_from(tmp_path, monkeypatch):
  seen = []
  draw = datasets.ImageStream.__call__

  def watch(self):
    seen.append(draw(self))
    return seen[-1]

  monkeypatch.setattr(datasets.ImageStream, '__call__', watch)
  data_dir = write_drawings(tmp_path / 'data')
  training.train(characters(tmp_path / 'run', data_dir, conditional=True))
  train, test = (
      {
          x.tobytes()
          for x in datasets.load(
              'omniglot', split, data_dir=str(data_dir), size=16
          ).images
      }
      for split in ('train', 'test')
  )
  shown = {x.tobytes() for batch in seen for x in batch}
  assert len(train) == 9 and shown == train
  assert not test <= train


def test_held_out_alphabets_are_measured(run_dir):
  figures = training.evaluate(run_dir)
  targets = datasets.load(
      'omniglot', 'test', data_dir=str(run_dir.parent / 'data'), size=16
  ).images
  assert figures['blank_error'] == pytest.approx(
      np.mean((1 - targets / 255) ** 2), abs=1e-5
  )
  assert figures['constant_error'] < figures['blank_error']
  assert {'share_of_blank', 'untrained agent'} <= figures.keys()
  # No one can read characters that were never seen.
  assert 'read_as_target' not in figures
  assert (run_dir / 'result.png').exists()


def test_the_same_checkpoint_on_digits_it_never_saw(run_dir):
  training.evaluate(run_dir)
  before = (run_dir / 'evaluation.json').read_bytes()
  figures = training.evaluate(run_dir, dataset='mnist', count=30)
  # Digits that come with the package, not the folder of characters.
  digits = datasets.load('mnist', 'test', size=16)
  assert len(digits.images) == 1000 and figures['test_images'] == 30
  assert figures['blank_error'] == pytest.approx(
      np.mean((1 - digits.spread(30).images / 255) ** 2), abs=1e-5
  )
  assert figures['targets_read'] > 0.9  # Digits can be read.
  folder = run_dir / 'mnist'
  text = (folder / 'evaluation.json').read_text()
  assert json.loads(text) == figures and 'NaN' not in text
  for name in ('result', 'result_greedy', 'strokes', 'progress', 'curves'):
    with Image.open(folder / f'{name}.png') as image:
      image.load()
  assert (run_dir / 'evaluation.json').read_bytes() == before


def test_only_what_was_written_is_announced(run_dir, tmp_path, capsys):
  shutil.copytree(run_dir / 'checkpoints', tmp_path / 'checkpoints')
  (tmp_path / 'curves.png').touch()  # Of an earlier evaluation.
  (tmp_path / 'metrics.jsonl').write_text('{"seconds": 1.0}\n')
  training.evaluate(tmp_path, count=2)
  announced = set(re.findall(r'\w+\.png', capsys.readouterr().out))
  assert announced == {path.name for path in tmp_path.glob('*.png')}
  assert 'curves.png' not in announced and 'result.png' in announced


def test_a_folder_of_other_drawings(run_dir, tmp_path):
  for split, count in (('train', 1), ('test', 3)):
    (tmp_path / split).mkdir()
    for i in range(count):
      Image.new('L', (30, 20), 40 * i).save(tmp_path / split / f'{i}.png')
  figures = training.evaluate(run_dir, dataset='folder', data_dir=str(tmp_path))
  assert figures['test_images'] == 3
  assert figures['blank_error'] == pytest.approx(
      np.mean([(1 - 40 * i / 255) ** 2 for i in range(3)]), abs=1e-3
  )


def _empty(folder):
  return folder


def _other_zip(folder):
  """Puts drawings under the name of the official archive."""
  write_drawings(folder)
  for name in TREE:
    with zipfile.ZipFile(folder / f'{name}.zip', 'w') as archive:
      for path in sorted((folder / name).rglob('*.png')):
        archive.write(path, path.relative_to(folder))
  return folder


def _cut_zip(folder):
  path = _other_zip(folder) / 'images_evaluation.zip'
  path.write_bytes(path.read_bytes()[:-200])
  return folder


@pytest.mark.parametrize(
    'make, words',
    [
        (_empty, ['has neither images_evaluation.zip', 'set data_dir']),
        (
            _other_zip,
            [
                'images_evaluation.zip is',
                'are not the official ones',
                'unpack it',
            ],
        ),
        (_cut_zip, ['images_evaluation.zip is', 'fetch it again']),
    ],
)
def test_data_that_is_no_good_is_one_line(tmp_path, make, words):
  (tmp_path / 'data').mkdir()
  data_dir = make(tmp_path / 'data')
  with pytest.raises((ValueError, FileNotFoundError)) as error:
    training.train(characters(tmp_path / 'run', data_dir))
  for word in words:
    assert word in str(error.value)
  assert '\n' not in str(error.value)
  assert not (tmp_path / 'run').exists()


@pytest.mark.parametrize(
    'change, words',
    [
        (dict(brush_sizes=(1,)), ['--brush_sizes=1 (saved with 1,2,3)']),
        (
            dict(color=True, grid_size=16),
            [
                '--color=True',
                '--grid_size=16',
                'saved with 8',
                'another folder',
            ],
        ),
    ],
)
def test_a_run_does_not_continue_with_other_commands(run_dir, change, words):
  saved = run_dir_lib.load_experiment(run_dir)
  resumed = saved.replace(
      environment=dataclasses.replace(saved.environment, **change), resume=True
  )
  with pytest.raises(ValueError) as error:
    training.train(resumed)
  for word in words:
    assert word in str(error.value)
  assert '\n' not in str(error.value)


def test_what_is_evaluated_and_shown_is_of_all_alphabets():
  order = np.arange(30)
  images = np.broadcast_to(order[:, None, None, None], (30, 2, 2, 1))
  held_out = datasets.ImageDataset(images.astype(np.uint8), order)
  some = held_out.spread(4)
  np.testing.assert_array_equal(some.labels, [0, 9, 19, 29])
  np.testing.assert_array_equal(some.images[:, 0, 0, 0], some.labels)
  np.testing.assert_array_equal(held_out.spread(30).labels, order)
  np.testing.assert_array_equal(some.spread(8).labels[[0, -1]], [0, 29])
  shown = plots.grid(held_out.images, rows=1, columns=4)
  assert shown[0, 0] == 0 and shown[0, -3] == 29
