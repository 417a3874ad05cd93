"""Scenes made in memory, and those that files have."""

import dataclasses

import numpy as np
import pytest

from environments import scene
import make_scenes
import scene_data
from tests.experiments import tiny

SETTINGS = scene.SceneSettings(**tiny.SCENES)
DATA = scene_data.SceneData(train_scenes=150, held_out=40, max_objects=2)

pytestmark = pytest.mark.usefixtures('scene_table')


def load(split, settings=SETTINGS, **kwargs):
  return scene_data.load(settings, DATA, split, **kwargs)


def test_no_held_out_picture_is_among_those_to_train_on():
  train, test = load('train'), load('test')
  assert train.images.shape == (150, 16, 16, 3)
  assert test.images.shape == (40, 16, 16, 3)
  pictures = [{x.tobytes() for x in data.images} for data in (train, test)]
  assert len(pictures[0]) > 100 and not pictures[0] & pictures[1]


@pytest.mark.parametrize('split', ['train', 'test'])
def test_the_objects_make_the_pictures(split):
  found = load(split)
  objects = scene.Objects(**found.objects)
  renderer = scene.SceneRenderer(SETTINGS, len(found.images))
  np.testing.assert_array_equal(renderer.render(objects), found.images)
  assert set(objects.present.sum(1)) == {1, 2}


def test_a_seed_gives_the_same_scenes():
  one, other = load('train', seed=0), load('train', seed=1)
  assert np.any(one.images != other.images)
  np.testing.assert_array_equal(load('train', seed=0).images, one.images)


def test_files_hold_what_is_made_in_memory(tmp_path):
  make_scenes.make_scenes(
      SETTINGS, tmp_path, count=150, held_out=40, max_objects=2
  )
  for split in ('train', 'test'):
    made, found = load(split), load(split, data_dir=str(tmp_path))
    np.testing.assert_array_equal(made.images, found.images)
    for part, values in made.objects.items():
      np.testing.assert_array_equal(values, found.objects[part])
  longer = dataclasses.replace(SETTINGS, episode_length=9)
  load('test', longer, data_dir=str(tmp_path))  # Of no importance.
  darker = dataclasses.replace(SETTINGS, shades=3)
  with pytest.raises(ValueError, match='--shades=2, the environment has 3'):
    load('test', darker, data_dir=str(tmp_path))


@pytest.mark.parametrize(
    'name, value', [('train_scenes', 0), ('held_out', 0), ('max_objects', 21)]
)
def test_values_out_of_range_are_named(name, value):
  with pytest.raises(ValueError, match=f'{name} is {value}, must be'):
    scene_data.SceneData(**{name: value})
