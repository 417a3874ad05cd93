import numpy as np
import pytest

from environments import parts
from environments import scene
from environments.scene import prior
from environments.scene import settings as settings_lib

SETTINGS = scene.SceneSettings(episode_length=4)


def sample(count=3000, *, max_objects=2, settings=SETTINGS, seed=0):
  data = scene.SceneData(max_objects=max_objects)
  rng = np.random.default_rng(seed)
  return prior.sample_programs(settings, data, rng, count)


@pytest.mark.parametrize('max_objects, most', [(2, 2), (5, 4)])
def test_numbers_of_objects_are_uniform(max_objects, most):
  kind = sample(max_objects=max_objects)['kind']
  assert set(np.unique(kind)) == {settings_lib.ADD, settings_lib.SKIP}
  counts = (kind == settings_lib.ADD).sum(0)
  shares = np.bincount(counts) / len(counts)
  np.testing.assert_allclose(
      shares, np.full(most + 1, 1 / (most + 1)), atol=0.05
  )


def test_objects_arrive_by_location_and_first_of_all():
  program = sample(max_objects=4)
  is_added = program['kind'] == settings_lib.ADD
  assert (is_added[1:] <= is_added[:-1]).all()  # No object after a skip.
  both = is_added[1:] & is_added[:-1]
  steps = np.diff(program['location'], axis=0)
  assert (steps[both] >= 0).all()


def test_all_else_is_uniform():
  program = sample()
  is_added = program['kind'] == settings_lib.ADD
  for name in ('object', 'size', 'red', 'green', 'blue'):
    num_values = SETTINGS.action_spec()[name].num_values
    values = program[name][is_added]
    shares = np.bincount(values, minlength=num_values) / len(values)
    np.testing.assert_allclose(shares, 1 / num_values, atol=0.05)
  location = program['location'][is_added]
  assert len(np.unique(location)) == SETTINGS.grid_size**2


def test_programs_are_commands_of_their_environment():
  program = sample(10)
  for t in range(SETTINGS.episode_length):
    command = {name: values[t] for name, values in program.items()}
    parts.check_command(SETTINGS.action_spec(), command, (10,))
