"""Runs of scenes: the script, what is refused, and what is measured."""

import json

import numpy as np
from PIL import Image
import pytest

from environments import painting
from environments import scene
from spiral_jax import training
from spiral_jax.driver import checkpoints
from tests import tiny

pytestmark = pytest.mark.usefixtures('scene_table')


@pytest.mark.slow
def test_trains_evaluates_and_evaluates_again(tmp_path):
  code, output, errors = tiny.run_program(
      'mujoco_scenes.py', *tiny.scene_flags(tmp_path)
  )
  assert code == 0, errors
  assert errors == ''
  assert 'greedy: objects: right count' in output
  figures = json.loads((tmp_path / 'evaluation.json').read_text())
  assert (figures['frames'], figures['test_images']) == (72, 8)
  state = checkpoints.load(tmp_path / 'checkpoints').state
  assert state['discriminator']['version'] > 0
  config = json.loads((tmp_path / 'config.json').read_text())
  assert config['task'] == 'environments.scene'
  assert config['environment']['sizes'] == [0.2]
  assert config['data'] == tiny.SCENE_DATA


def test_scenes_are_measured(scene_run, capsys):
  figures = training.evaluate(scene_run)
  settings = scene.SceneSettings(**tiny.SCENES)
  experiment = training.Experiment.from_json(
      checkpoints.load_config(scene_run / 'checkpoints')
  )
  targets = experiment.load_images('test').images
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
  experiment = tiny.scene_experiment(tmp_path)
  true = scene.Objects(**experiment.load_images('test').programs)
  summarize, settings = scene.TASK.summarize_programs, experiment.environment
  figures = summarize(settings, true, true)
  for group in figures.values():
    assert group['exact'] == group['right_count'] == group['color'] == 1
  assert figures['objects']['scenes'] == 20
  first, wrong = (
      scene.Objects(*(values[:10].copy() for values in true)) for _ in range(2)
  )
  wrong.location[0, 0] += 1  # The first object of the first scene.
  figures = summarize(settings, wrong, first)
  assert figures['objects']['scenes'] == 10
  assert figures['objects']['exact'] == pytest.approx(0.9)


def test_figures_of_some_scenes_are_those_of_their_own_objects(tmp_path):
  experiment = tiny.scene_experiment(tmp_path)
  test = experiment.load_images('test')
  some = test.spread(7)
  chosen = np.linspace(0, 19, 7).astype(int)
  np.testing.assert_array_equal(some.images, test.images[chosen])
  for name, values in test.programs.items():
    np.testing.assert_array_equal(some.programs[name], values[chosen])


def test_an_empty_platform_is_the_blank_page(tmp_path):
  # Were it white, no result would be blank.
  training.train(
      tiny.scene_experiment(
          tmp_path, learner=dict(reward='l2', blank_page_cost=1.0)
      )
  )
  blanks = [
      json.loads(line).get('policy/blank_pages')
      for line in (tmp_path / 'metrics.jsonl').open()
  ]
  assert any(share for share in blanks if share is not None)


def test_a_run_without_targets_is_measured(tmp_path):
  figures = training.evaluate(
      training.train(tiny.scene_experiment(tmp_path, conditional=False)),
      count=8,
  )
  assert 0 <= figures['objects']['objects'] <= 3
  assert 'greedy' not in figures


def test_an_experiment_of_scenes_survives_a_checkpoint(tmp_path):
  experiment = tiny.scene_experiment(tmp_path, costs=dict(object=0.1))
  saved = json.loads(json.dumps(experiment.to_json()))
  assert training.Experiment.from_json(saved) == experiment
  with pytest.raises(ValueError, match='does not paint'):
    painting.check_is_painting(experiment.environment)
  del saved['environment']
  with pytest.raises(ValueError, match='configuration is not one'):
    training.Experiment.from_json(saved)


def test_costs_are_those_of_the_task(tmp_path):
  with pytest.raises(ValueError, match="costs has 'stroke_start'.*: object"):
    tiny.scene_experiment(tmp_path, costs=dict(stroke_start=0.1))
  with pytest.raises(ValueError, match="costs has 'object'.*: stroke_start"):
    tiny.experiment(tmp_path, costs=dict(object=0.1))
  with pytest.raises(ValueError, match=r"costs\['stroke_start'\] is -1"):
    tiny.experiment(tmp_path, costs=dict(stroke_start=-1.0))


def test_a_typo_gives_one_line(tmp_path, monkeypatch):
  monkeypatch.chdir(tmp_path)
  code, output, errors = tiny.run_program(
      'mujoco_scenes.py', '--run_dir=x', '--max_objects=21'
  )
  assert code == 1 and output == ''
  assert errors.splitlines() == [
      'error: --max_objects is 21, must be an int, from 1 to 20'
  ]
