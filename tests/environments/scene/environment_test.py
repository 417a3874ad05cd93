"""The scene environments, held to dm_env's contract."""

from absl.testing import absltest
from dm_env import test_utils
import numpy as np
import pytest

from environments import scene

pytestmark = pytest.mark.usefixtures('needs_gl')


class ContractTest(test_utils.EnvironmentTestMixin, absltest.TestCase):

  def make_object_under_test(self):
    return scene.make(episode_length=5)

  def make_action_sequence(self):
    rng = np.random.default_rng(0)
    spec = self.make_object_under_test().action_spec()
    for _ in range(13):
      yield {
          name: np.array(rng.integers(0, part.num_values), np.int32)
          for name, part in spec.items()
      }


def test_make_as_documented():
  environment = scene.make(
      canvas_size=64,
      grid_size=16,
      span=0.72,
      sizes=(0.13, 0.2, 0.28),
      shades=4,
      episode_length=20,
  )
  assert environment.observation_spec() == scene.make().observation_spec()
  spec = environment.observation_spec()['canvas']
  assert spec.shape == (64, 64, 3) and spec.dtype == np.float32
  empty = environment.reset().observation['canvas']
  action = {'kind': 0, 'object': 1, 'location': 136, 'size': 2}
  for _ in range(20):
    step = environment.step({**action, 'red': 3, 'green': 0, 'blue': 1})
  assert step.last()
  canvas = step.observation['canvas']
  changed = (canvas != empty).any(-1)
  # A red box in the middle.
  assert 100 < changed.sum() < 500
  red, green, blue = canvas[changed].mean(0)
  assert red > 0.6 and green < 0.2 and green < blue < 0.5
  environment.close()


def test_make_batch_equals_make():
  rng = np.random.default_rng(0)
  batch = scene.make_batch(3, episode_length=6)
  single = scene.make(episode_length=6)
  actions = [
      {
          name: rng.integers(0, part.num_values, 3)
          for name, part in batch.action_spec().items()
      }
      for _ in range(6)
  ]
  batch.reset()
  canvases = [batch.step(action) for action in actions]
  assert canvases[-1].last()
  for i in range(3):
    single.reset()
    for action, expected in zip(actions, canvases):
      step = single.step({k: int(v[i]) for k, v in action.items()})
      np.testing.assert_array_equal(
          step.observation['canvas'], expected.observation['canvas'][i]
      )


def test_uint8_and_float_batches_agree():
  floats = scene.make_batch(2)
  ints = scene.make_batch(2, dtype=np.uint8)
  action = {k: np.array([0, 1]) for k in floats.action_spec()}
  for environment in (floats, ints):
    environment.reset()
  seen = floats.step(action).observation['canvas']
  exact = ints.step(action).observation['canvas']
  assert seen.dtype == np.float32 and exact.dtype == np.uint8
  assert not np.array_equal(exact[0], exact[1])
  np.testing.assert_array_equal(seen, exact / np.float32(255))


def test_the_task_reads_the_objects_that_were_added():
  task = scene.TASK
  settings = task.settings(grid_size=8, episode_length=2)
  environment = task.make_batch(settings, 2)
  environment.reset()
  cost = task.costs['object']
  assert environment.action_spec()[cost.part].num_values > cost.value
  action = {
      name: np.zeros((2, 2), np.int32) for name in environment.action_spec()
  }
  action[cost.part][:] = [[cost.value, cost.value], [cost.value, 2]]
  action['location'][:] = [[3, 3], [40, 40]]
  canvases = [
      environment.step({k: v[t] for k, v in action.items()}).observation[
          'canvas'
      ]
      for t in range(2)
  ]
  objects = task.read_programs(np.stack(canvases), action)
  added = (action[cost.part] == cost.value).sum(0)
  np.testing.assert_array_equal(objects.present.sum(1), added)
  alone = task.summarize_programs(settings, objects, None)
  assert alone == {'objects': {'objects': added.mean()}}
  right = task.summarize_programs(settings, objects, objects)
  assert right['objects']['exact'] == 1.0
