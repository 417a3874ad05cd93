"""Scenes made in memory: their pictures, and the objects that make these."""

import dataclasses

import numpy as np
import pytest

from environments import scene
from environments.scene import dataset

SETTINGS = scene.SceneSettings(
    canvas_size=16, grid_size=8, sizes=(0.2,), shades=2, episode_length=3
)
DATA = scene.SceneData(train_scenes=150, held_out=40, max_objects=2)

needs_gl = pytest.mark.usefixtures('needs_gl')


def make(split, seed=0, **kwargs):
  data = dataclasses.replace(DATA, **kwargs)
  return dataset.make_images(SETTINGS, data, split, seed)


@needs_gl
def test_no_held_out_picture_is_among_those_to_train_on():
  train, test = make('train'), make('test')
  assert train.images.shape == (150, 16, 16, 3)
  assert test.images.shape == (40, 16, 16, 3)
  assert train.images.dtype == np.uint8 and train.labels is None
  pictures = [{x.tobytes() for x in made.images} for made in (train, test)]
  assert len(pictures[0]) > 100 and not pictures[0] & pictures[1]


@needs_gl
@pytest.mark.parametrize('split', ['train', 'test'])
def test_the_objects_make_the_pictures(split):
  made = make(split)
  objects = scene.Objects(**made.programs)
  renderer = scene.SceneRenderer(SETTINGS, len(made.images))
  np.testing.assert_array_equal(renderer.render(objects), made.images)
  assert set(objects.present.sum(1)) == {1, 2}


@needs_gl
def test_a_seed_gives_the_same_scenes():
  one, other, again = (make('train', seed).images for seed in (0, 1, 0))
  assert np.any(one != other)
  np.testing.assert_array_equal(one, again)


@needs_gl
def test_splits_draw_what_is_made_in_memory():
  splits = dataset.Splits(SETTINGS, 150, 40, 2, seed=0)
  train = list(splits.draw_train())
  assert max(map(len, train)) < 150  # Not all at once.
  np.testing.assert_array_equal(np.concatenate(train), make('train').images)
  test = np.concatenate(list(splits.draw(splits.test())))
  np.testing.assert_array_equal(test, make('test').images)


@needs_gl
def test_too_few_different_scenes_are_refused():
  settings = dataclasses.replace(SETTINGS, grid_size=2)
  data = scene.SceneData(train_scenes=500, held_out=40, max_objects=1)
  with pytest.raises(ValueError, match='of 80 other scenes.*held_out is 40'):
    dataset.make_images(settings, data, 'test', 0)


@pytest.mark.parametrize(
    'name, value', [('train_scenes', 0), ('held_out', 0), ('max_objects', 21)]
)
def test_values_out_of_range_are_named(name, value):
  with pytest.raises(ValueError, match=f'{name} is {value}, must be'):
    scene.SceneData(**{name: value})
