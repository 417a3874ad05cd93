"""Experiments as data: saved, restored, checked."""

import json

import jax
import numpy as np
import pytest

from environments import core
from spiral_jax import datasets
from spiral_jax import training
from spiral_jax import weights
from spiral_jax.training import actors
from spiral_jax.training import consistency
from spiral_jax.training import experiment as experiment_lib
from spiral_jax.training import task as task_lib
from tests import tiny
from tests.own_renderer import rectangles


def test_what_earlier_versions_saved_is_read(tmp_path):
  experiment = tiny.experiment(tmp_path, costs=dict(stroke_start=0.2))
  new = json.loads(json.dumps(experiment.to_json()))
  old = json.loads(json.dumps(new))
  del old['task'], old['costs'], old['lessons'], old['run']['init_from']
  old['painting'] = old.pop('environment')
  old['painting']['colour'] = old['painting'].pop('color')
  learner = old['learner']
  for before, after in (
      ('colour_cost', 'color_cost'),
      ('colour_bins', 'color_bins'),
      ('lambda_', 'td_lambda'),
      ('normalise_advantages', 'normalize_advantages'),
      ('normalise_each_time', 'normalize_each_time'),
  ):
    learner[before] = learner.pop(after)
  learner |= dict(stroke_start_cost=0.2, object_cost=0.0)
  for saved in (old, new):
    assert training.Experiment.from_json(saved) == experiment


@pytest.mark.parametrize('name', weights.names())
def test_bundled_weights_are_experiments(name):
  trained = training.restore(name)
  assert trained.step > 0 and not trained.state
  saved = trained.experiment.to_json()
  assert training.Experiment.from_json(saved) == trained.experiment
  (trajectory,) = training.episodes(
      trained,
      2,
      trained.experiment.load_images('test').images[:2]
      if trained.experiment.agent.conditional and name != 'scenes'
      else (
          np.zeros((2, *trained.experiment.canvas_shape), np.uint8)
          if trained.experiment.agent.conditional
          else None
      ),
  )
  assert trajectory.canvas.shape[1:] == (2, *trained.experiment.canvas_shape)


def test_the_images_of_a_task_follow_the_seed_of_the_data(tmp_path):
  experiment = tiny.scene_experiment(tmp_path)
  first = experiment.load_images('train').images
  same = experiment.replace(seed=5, data_seed=0).load_images('train').images
  other = experiment.replace(seed=5).load_images('train').images
  np.testing.assert_array_equal(first, same)
  assert np.any(first != other)


@pytest.mark.parametrize(
    'run, learner, words',
    [
        (
            dict(decay_by_clock=True, minutes=1.0),
            {},
            'decay_by_clock is set.*lockstep',
        ),
        (
            dict(batch_size=1),
            dict(normalize_advantages=True),
            '--normalize_advantages of --batch_size=1',
        ),
        (
            dict(augment=('warp',)),
            dict(reward_weight=0.0, dreams_weight=1.0),
            '--augment=warp changes targets',
        ),
        (dict(augment=('warp',)), {}, 'this run has none; leave it out'),
    ],
)
def test_what_would_do_nothing_is_refused(tmp_path, run, learner, words):
  with pytest.raises(ValueError, match=words):
    consistency.check(tiny.experiment(tmp_path, run=run, learner=learner))


def test_replace_takes_parts_and_fields_of_the_run(tmp_path):
  experiment = tiny.experiment(tmp_path)
  other = experiment.replace(frames=5, dataset='omniglot')
  assert (other.run.frames, other.dataset) == (5, 'omniglot')
  assert experiment.run.frames == 72
  with pytest.raises(TypeError, match='frame_s'):
    experiment.replace(frame_s=5)


def test_an_environment_of_another_task_is_refused():
  with pytest.raises(ValueError, match='settings of class SceneSettings'):
    training.Experiment('environments.scene', environment=rectangles.Settings())


def test_a_task_is_found_by_its_name_or_given():
  found = training.find_task('tests.own_renderer.rectangles')
  assert found is rectangles.TASK is training.find_task(rectangles.TASK)
  for name in ('tests.nowhere', '', '..', 'a/b', 'environments.x y'):
    with pytest.raises(ValueError, match=f"'{name}' is no module"):
      training.find_task(name)
  with pytest.raises(ValueError, match='module tests.tiny offers no task'):
    training.find_task('tests.tiny')


def test_a_task_that_lacks_a_library_says_which(tmp_path, monkeypatch):
  (tmp_path / 'lacking.py').write_text('import no_such_library\n')
  monkeypatch.syspath_prepend(tmp_path)
  with pytest.raises(ModuleNotFoundError, match='no_such_library'):
    task_lib.find_task('lacking')


def images_task(**fields):
  return core.Task(
      'somewhere', rectangles.Settings, rectangles.Rectangles, **fields
  )


def test_images_come_from_the_task_or_a_data_set():
  def make(settings, data, split, seed):
    assert data is None
    shape = 3, settings.canvas_size, settings.canvas_size, 1
    return np.full(shape, seed + (split == 'test'), np.uint8)

  made = training.Experiment(images_task(make_images=make))
  assert made.load_images('test').images.mean() == 1
  named = made.replace(dataset='mnist')
  assert named.load_images('test').images.shape == (1000, 16, 16, 1)
  with pytest.raises(ValueError, match='makes no images.*--dataset=mnist'):
    training.Experiment(images_task()).load_images('test')


@pytest.mark.parametrize(
    'images',
    [
        np.zeros((3, 16, 16, 3), np.uint8),
        np.zeros((3, 8, 8, 1), np.uint8),
        np.zeros((3, 16, 16, 1), np.float32),
        np.zeros((3, 16, 16), np.uint8),
    ],
)
def test_images_that_are_no_canvases_are_refused(images):
  task = images_task(make_images=lambda *arguments: images)
  with pytest.raises(ValueError, match='they must be alike'):
    training.Experiment(task).load_images('train')


@pytest.mark.parametrize(
    'field, value',
    [
        ('batch_size', 0),
        ('minutes', float('nan')),
        ('frames', -1),
        ('discriminator_updates', 0.0),
        ('seed', -1),
        ('replay_batches', 0),
        ('unfinished_share', 1.5),
        ('checkpoint_rounds', 4),
    ],
)
def test_values_out_of_range_are_named(field, value):
  with pytest.raises(ValueError, match=rf'{field} is {value}, must be '):
    training.RunConfig(**{field: value})


def test_images_of_another_environment_are_refused(monkeypatch):
  experiment = tiny.experiment('unused').replace(data_dir='scans')
  canvases = np.zeros((3, 16, 16, 1), np.uint8)

  def load(settings):
    found = datasets.ImageDataset(canvases, settings=settings)
    monkeypatch.setattr(datasets, 'load', lambda *args, **kwargs: found)
    return experiment.load_images('train')

  assert load(None).images is canvases
  # A length says nothing of an image, and JSON has no tuples.
  settings = {'episode_length': 9, 'grid_size': 8}
  settings['brush_sizes'] = list(experiment.environment.brush_sizes)
  assert load(settings).images is canvases
  with pytest.raises(ValueError, match='in scans have --grid_size=4, the .* 8'):
    load({'grid_size': 4})


@pytest.mark.parametrize(
    'saved', [{}, {'task': 'environments.painting'}, {'task': 7}, []]
)
def test_what_is_no_experiment_is_told(saved):
  with pytest.raises(ValueError, match='not one of a training run'):
    training.Experiment.from_json(saved)
  with pytest.raises(ValueError, match=r'^runs/mine: .*not one of a training'):
    experiment_lib.from_file('runs/mine', saved)


@pytest.mark.parametrize(
    'run, words',
    [
        (dict(decay_by_clock=True), 'minutes is 0'),
        (
            dict(lockstep=True, discriminator_updates=1.5),
            'discriminator_updates is 1.5',
        ),
        (
            dict(lockstep=True, decay_by_clock=True, minutes=1.0),
            'not reproducible',
        ),
        (dict(lockstep=True, launcher='ray'), "launcher is 'ray'"),
        (dict(lockstep=True, num_actors=2), 'num_actors is 2'),
        (dict(checkpoint_rounds=2), 'checkpoint_minutes holds there'),
    ],
)
def test_settings_of_a_run_that_exclude_each_other(run, words):
  with pytest.raises(ValueError, match=words):
    training.RunConfig(**run)


@pytest.mark.parametrize('weight', [0.0, 1.0])
def test_an_actor_of_another_process_plays_as_one_of_this(tmp_path, weight):
  experiment = tiny.experiment(
      tmp_path, conditional=True, learner=dict(corrections_weight=weight)
  )
  agent = experiment.make_agent()
  here = actors.make_rollout(
      experiment,
      1,
      agent,
      jax.jit(agent.step, static_argnames='greedy'),
      experiment.load_images('train'),
  )
  there = actors.make_remote_rollout(experiment, 1)
  params = agent.init(jax.random.key(0))
  jax.tree.map(np.testing.assert_array_equal, here(params, 0), there(params, 0))


def test_an_address_is_of_a_launcher():
  with pytest.raises(ValueError, match='needs --launcher=ray'):
    actors.connect(training.RunConfig(ray_address='10.0.0.1:6379'))
