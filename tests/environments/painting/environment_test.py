"""The painting environments, held to dm_env's contract."""

from absl.testing import absltest
from dm_env import test_utils
import numpy as np

from environments import painting


class _ContractTest(test_utils.EnvironmentTestMixin):
  settings = {}

  def make_object_under_test(self):
    return painting.make(episode_length=5, **self.settings)

  def make_action_sequence(self):
    rng = np.random.default_rng(0)
    spec = self.make_object_under_test().action_spec()
    for _ in range(13):
      yield {
          name: np.array(rng.integers(0, part.num_values), np.int32)
          for name, part in spec.items()
      }


class GrayContractTest(_ContractTest, absltest.TestCase):
  pass


class ColorContractTest(_ContractTest, absltest.TestCase):
  settings = {'color': True, 'brush': 'classic/dry_brush'}


def test_make_as_documented():
  environment = painting.make(
      canvas_size=64,
      grid_size=32,
      brush='classic/pen',
      brush_sizes=(1, 2, 3),
      color=False,
      pressure=True,
      episode_length=20,
  )
  assert environment.observation_spec() == painting.make().observation_spec()
  spec = environment.observation_spec()['canvas']
  assert spec.shape == (64, 64, 1) and spec.dtype == np.float32
  step = environment.reset()
  assert (step.observation['canvas'] == 1).all()
  for _ in range(20):
    step = environment.step(
        {'flag': 1, 'end': 1000, 'control': 40, 'size': 2, 'pressure': 9}
    )
  assert step.last() and step.observation['canvas'].min() == 0
  environment.close()


def test_color_has_three_channels():
  environment = painting.make(color=True)
  assert environment.reset().observation['canvas'].shape == (64, 64, 3)


def test_make_batch_equals_make():
  rng = np.random.default_rng(0)
  batch = painting.make_batch(3, num_threads=2, color=True, episode_length=4)
  single = painting.make(color=True, episode_length=4)
  spec = batch.action_spec()
  actions = [
      {name: rng.integers(0, part.num_values, 3) for name, part in spec.items()}
      for _ in range(4)
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
  floats = painting.make_batch(2)
  ints = painting.make_batch(2, dtype=np.uint8)
  action = {
      k: np.full(2, p.num_values - 1) for k, p in floats.action_spec().items()
  }
  for environment in (floats, ints):
    environment.reset()
  seen = floats.step(action).observation['canvas']
  exact = ints.step(action).observation['canvas']
  assert seen.dtype == np.float32 and exact.dtype == np.uint8
  assert exact.min() < 255
  np.testing.assert_array_equal(seen, exact / np.float32(255))


def test_the_task_is_what_make_batch_makes():
  task = painting.TASK
  settings = task.settings(canvas_size=32, grid_size=8, episode_length=3)
  ours = task.make_batch(settings, 2)
  theirs = painting.make_batch(
      2, dtype=np.uint8, canvas_size=32, grid_size=8, episode_length=3
  )
  assert ours.action_spec() == theirs.action_spec() == settings.action_spec()
  rng = np.random.default_rng(0)
  canvases, commands = [ours.reset().observation['canvas']], []
  theirs.reset()
  for _ in range(3):
    command = {
        name: rng.integers(0, part.num_values, 2)
        for name, part in settings.action_spec().items()
    }
    one, two = ours.step(command), theirs.step(command)
    np.testing.assert_array_equal(
        one.observation['canvas'], two.observation['canvas']
    )
    canvases.append(one.observation['canvas'])
    commands.append(command)
  assert one.last()
  action = {k: np.stack([c[k] for c in commands]) for k in commands[0]}
  programs = task.read_programs(np.stack(canvases), action)
  figures = task.summarize_programs(settings, programs, None)
  assert set(figures) == {'strokes'}
  cost = task.costs['stroke_start']
  assert cost.only_starts and cost.part == 'flag' and cost.value == 1
