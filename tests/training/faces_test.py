"""Runs of faces in color: the script, the penalty of colors, the figures."""

import json

import numpy as np
from PIL import Image
import pytest

from environments import painting
from spiral_jax import datasets
from spiral_jax import training
from tests import tiny

COLORFUL = [
    '--conditional',
    '--noise_size=0',
    '--color',
    '--brush=classic/dry_brush',
    '--brush_sizes=2,4',
    '--color_cost=2',
    '--color_bins=8',
]


def faces(run_dir, *, data_dir='', **kwargs):
  """Returns a tiny run of faces."""
  return tiny.experiment(
      run_dir, run=dict(data_dir=str(data_dir)), **kwargs
  ).replace(
      dataset='celeba',
      environment=painting.PaintingSettings(
          canvas_size=16,
          grid_size=8,
          episode_length=3,
          color=True,
          brush='classic/dry_brush',
          brush_sizes=(2.0, 4.0),
      ),
  )


def records(run_dir, name):
  found = map(json.loads, (run_dir / 'metrics.jsonl').open())
  return [record[name] for record in found if name in record]


@pytest.mark.slow
def test_trains_and_evaluates(tmp_path):
  code, output, errors = tiny.run_program(
      'celeba.py', *tiny.flags(tmp_path), *COLORFUL
  )
  assert code == 0, errors
  assert errors == '' and 'share of constant' in output
  figures = json.loads((tmp_path / 'evaluation.json').read_text())
  assert (figures['frames'], figures['test_images']) == (72, 8)
  targets = datasets.load('celeba', 'test', size=16).spread(8).images / 255
  means = targets.mean(axis=(1, 2), keepdims=True)
  best_constant = np.mean((targets - means) ** 2)
  assert figures['constant_error'] == pytest.approx(best_constant, abs=1e-5)
  assert figures['share_of_constant'] == pytest.approx(
      figures['error'] / best_constant, rel=1e-3
  )
  assert 0 < figures['color_distance'] < 1
  distances = records(tmp_path, 'policy/color_distance')
  assert len(distances) == 3 and all(0 < x < 1 for x in distances)
  assert records(tmp_path, 'discriminator/discriminator_distance')
  with Image.open(tmp_path / 'result.png') as image:
    assert image.mode == 'RGB'


def test_an_official_folder_and_no_cost_of_colors(tmp_path):
  folder = tmp_path / 'data'
  (folder / 'img_align_celeba').mkdir(parents=True)
  lines = []
  for i in range(9):
    name = f'{i + 1:06d}.jpg'
    Image.new('RGB', (178, 218), (25 * i, 90, 200)).save(
        folder / 'img_align_celeba' / name
    )
    lines.append(f'{name} {i // 5 * 2}\n')  # Five to train, four to test.
  (folder / 'list_eval_partition.txt').write_text(''.join(lines))
  run_dir = training.train(
      faces(
          tmp_path / 'run',
          data_dir=folder,
          conditional=True,
          learner=dict(reward='l2'),
      )
  )
  figures = training.evaluate(run_dir)
  assert figures['test_images'] == 4
  assert figures['constant_error'] < 1e-3 < figures['blank_error']
  # Which is the default.
  assert records(run_dir, 'policy/l2')
  assert not records(run_dir, 'discriminator/discriminator_distance')
  assert not records(run_dir, 'policy/color_distance')


def test_without_targets_no_colors_are_compared(tmp_path):
  with pytest.raises(ValueError, match='--color_cost=2.0 .*--conditional'):
    training.train(faces(tmp_path / 'run', learner=dict(color_cost=2.0)))
  assert not (tmp_path / 'run').exists()


@pytest.mark.parametrize(
    'value, words',
    [
        (
            '--color_bins=1',
            '--color_bins is 1, must be a whole number from 2 to',
        ),
        ('--color_cost=-1', '--color_cost is -1.0, must be 0 or more'),
        ('--data_dir=.', 'has neither img_align_celeba.zip'),
    ],
)
def test_a_typo_gives_one_line(tmp_path, monkeypatch, value, words):
  monkeypatch.chdir(tmp_path)
  code, output, errors = tiny.run_program(
      'celeba.py', *tiny.flags('run'), *COLORFUL, value
  )
  assert code == 1 and output == ''
  assert len(errors.splitlines()) == 1 and words in errors
  assert not list(tmp_path.iterdir())


def test_an_experiment_of_faces_survives_a_checkpoint(tmp_path):
  experiment = faces(
      tmp_path, conditional=True, learner=dict(color_cost=2.0, color_bins=9)
  )
  saved = json.loads(json.dumps(experiment.to_json()))
  assert training.Experiment.from_json(saved) == experiment
  # One that was saved before there was such a cost.
  del saved['learner']['color_cost'], saved['learner']['color_bins']
  assert training.Experiment.from_json(saved).learner.color_cost == 0.0
