"""Runs of scenes: the script, what is refused, and what is measured."""

import json

import numpy as np
from PIL import Image
import pytest

from environments import scene
import evaluate
import renderers
import run_setup
from spiral_jax.driver import checkpoints
from tests.experiments import tiny
import training

pytestmark = pytest.mark.usefixtures('scene_table')


@pytest.mark.slow
def test_trains_evaluates_and_evaluates_again(tmp_path):
  process = tiny.script('mujoco_scenes.py', *tiny.scene_flags(tmp_path))
  output, errors = process.communicate(timeout=600)
  assert process.returncode == 0, errors
  assert errors == ''
  assert 'greedy: objects: right count' in output
  figures = json.loads((tmp_path / 'evaluation.json').read_text())
  assert (figures['frames'], figures['test_images']) == (72, 20)
  state = checkpoints.load(tmp_path / 'checkpoints').state
  assert state['discriminator']['version'] > 0
  config = json.loads((tmp_path / 'config.json').read_text())
  assert config['scene']['sizes'] == [0.2]
  assert config['data'] == tiny.SCENE_DATA
  assert 'painting' not in config


def test_scenes_are_measured(scene_run, capsys):
  figures = evaluate.evaluate(scene_run)
  settings = scene.SceneSettings(**tiny.SCENES)
  setup = run_setup.from_json(
      checkpoints.load(scene_run / 'checkpoints').config
  )
  targets = run_setup.load_dataset(setup, 'test').images
  # The empty platform is no white page.
  empty = scene.SceneRenderer(settings).reset()
  difference = (empty.astype(float) - targets) / 255
  assert figures['blank_error'] == pytest.approx(
      np.mean(difference**2), abs=1e-5
  )
  for group in (figures, figures['greedy']):
    assert group['share_of_blank'] == pytest.approx(
        group['error'] / group['blank_error'], rel=0.01
    )
    assert group['objects']['scenes'] == 20
    few = group['objects, scenes of 1 or 2']
    assert 0 < few['scenes'] < 20
  assert 'strokes' not in figures
  assert 'objects, scenes of 1 or 2: right count' in capsys.readouterr().out
  for name in ('result', 'result_greedy', 'strokes', 'progress', 'curves'):
    with Image.open(scene_run / f'{name}.png') as image:
      image.load()


def test_perfect_programs_have_perfect_figures(tmp_path):
  setup = tiny.scene_setup(tmp_path)
  kind = run_setup.renderer_of(setup)
  true = renderers.true_objects(setup)
  figures = kind.figures(setup, true)
  for group in figures.values():
    assert group['exact'] == group['right_count'] == group['color'] == 1
  assert figures['objects']['scenes'] == 20
  few = scene.Objects(*(values[:10].copy() for values in true))
  few.location[0, 0] += 1  # The first object of the first scene.
  figures = kind.figures(setup, few)
  assert figures['objects']['scenes'] == 10
  assert figures['objects']['exact'] == pytest.approx(0.9)


def test_an_empty_platform_is_the_blank_page(tmp_path):
  # Were it white, no result would be blank.
  training.train(
      tiny.scene_setup(tmp_path, learner=dict(reward='l2', blank_page_cost=1.0))
  )
  blanks = [
      json.loads(line).get('policy/blank_pages')
      for line in (tmp_path / 'metrics.jsonl').open()
  ]
  assert any(share for share in blanks if share is not None)


def test_a_run_without_targets_is_measured(tmp_path):
  figures = evaluate.evaluate(
      training.train(tiny.scene_setup(tmp_path, conditional=False)), count=16
  )
  assert 0 <= figures['objects']['objects'] <= 3
  assert 'greedy' not in figures


def test_a_setup_of_scenes_survives_a_checkpoint(tmp_path):
  setup = tiny.scene_setup(tmp_path)
  saved = json.loads(json.dumps(run_setup.to_json(setup)))
  assert run_setup.from_json(saved) == setup
  with pytest.raises(ValueError, match='no run that paints'):
    _ = setup.painting
  del saved['scene']
  with pytest.raises(ValueError, match='configuration is not one'):
    run_setup.from_json(saved)


def test_costs_of_strokes_are_refused(tmp_path):
  setup = tiny.scene_setup(
      tmp_path, learner=dict(reward='l2', stroke_start_cost=0.1)
  )
  with pytest.raises(ValueError, match='--stroke_start_cost=0.1 is for stroke'):
    training.train(setup)


def test_costs_of_objects_are_refused_where_there_are_none(tmp_path):
  setup = tiny.setup(tmp_path, learner=dict(object_cost=0.1))
  with pytest.raises(ValueError, match='--object_cost=0.1 is for objects'):
    training.train(setup)


def test_a_typo_gives_one_line(tmp_path):
  process = tiny.script(
      'mujoco_scenes.py', '--run_dir=x', '--max_objects=21', cwd=tmp_path
  )
  output, errors = process.communicate(timeout=300)
  assert process.returncode != 0 and output == ''
  assert errors.splitlines() == [
      'error: --max_objects is 21, must be from 1 to 20'
  ]
