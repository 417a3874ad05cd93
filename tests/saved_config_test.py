"""Configurations that earlier versions saved."""

import copy

import pytest

from spiral_jax import saved_config

OLD = {
    'run': {'seed': 3, 'frames': 10},
    'painting': {'canvas_size': 64, 'colour': True},
    'agent': {'conditional': True},
    'learner': {
        'reward': 'l2',
        'lambda_': 0.9,
        'normalise_advantages': True,
        'normalise_each_time': False,
        'colour_cost': 2.0,
        'colour_bins': 16,
        'stroke_start_cost': 0.1,
    },
    'discriminator': {'channels': [4, 8]},
}
NEW = {
    'task': 'environments.painting',
    'run': {'seed': 3, 'frames': 10},
    'environment': {'canvas_size': 64, 'color': True},
    'agent': {'conditional': True},
    'learner': {
        'reward': 'l2',
        'td_lambda': 0.9,
        'normalize_advantages': True,
        'normalize_each_time': False,
        'color_cost': 2.0,
        'color_bins': 16,
    },
    'discriminator': {'channels': [4, 8]},
    'costs': {'stroke_start': 0.1},
}


def test_a_painting_run_of_the_first_version():
  given = copy.deepcopy(OLD)
  assert saved_config.upgrade(given) == NEW
  assert given == OLD  # Not changed.


def test_a_scene_run_of_the_first_version():
  upgraded = saved_config.upgrade(
      {
          'scene': {'grid_size': 16},
          'learner': {'object_cost': 0.3, 'stroke_start_cost': 0.0},
      }
  )
  assert upgraded == {
      'task': 'environments.scene',
      'environment': {'grid_size': 16},
      'learner': {},
      'costs': {'object': 0.3, 'stroke_start': 0.0},
  }


@pytest.mark.parametrize(
    'config', [NEW, {}, {'task': 'own.module', 'dataset': 'mnist'}]
)
def test_what_is_of_this_version_stays_as_it_is(config):
  assert saved_config.upgrade(config) == config
