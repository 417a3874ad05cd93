"""Tests of the environments over any renderer, with one of NumPy alone."""

import itertools
import pickle

from absl.testing import absltest
import dm_env
from dm_env import specs
from dm_env import test_utils
import numpy as np
import pytest

from environments import contract
from environments import core


class DotRenderer:
  """Inks one cell a command: all that a black box of one's own needs."""

  def __init__(self, count, size=4):
    self.count = count
    self._size = size
    self._canvas = np.zeros((count, size, size, 1), np.uint8)

  def action_spec(self):
    size = self._size
    return {
        'flag': core.Part(2, name='flag'),
        'cell': core.Part(
            size**2,
            grid_shape=(size, size),
            active_if=('flag', (1,)),
            name='cell',
        ),
    }

  def canvas_spec(self):
    return specs.BoundedArray((self._size, self._size, 1), np.uint8, 0, 255)

  def reset(self):
    self._canvas[:] = 0
    return self._canvas.copy()

  def step(self, command):
    y, x = np.divmod(command['cell'], self._size)
    self._canvas[np.arange(self.count), y, x, 0] += (
        51 * command['flag']
    ).astype(np.uint8)
    return self._canvas.copy()


class RenderEnvironmentContractTest(
    test_utils.EnvironmentTestMixin, absltest.TestCase
):

  def make_object_under_test(self):
    return core.RenderEnvironment(DotRenderer(1), episode_length=7)


def test_render_environment_shows_the_canvas_in_unit_range():
  environment = core.RenderEnvironment(DotRenderer(1), episode_length=2)
  first = environment.step({'flag': 1, 'cell': 5})
  assert first.first() and not first.observation['canvas'].any()
  second = environment.step({'flag': 1, 'cell': 6})
  canvas = second.observation['canvas']
  assert canvas.dtype == np.float32 and canvas.shape == (4, 4, 1)
  assert canvas[1, 2, 0] == np.float32(0.2) and canvas.sum() == canvas[1, 2, 0]
  assert second.mid() and second.reward == 0.0 and second.discount == 1.0
  third = environment.step({'flag': np.int64(1), 'cell': np.array(6)})
  assert third.observation['canvas'][1, 2, 0] == np.float32(0.4)
  assert third.last() and third.reward == 0.0 and third.discount == 0.0
  assert environment.step({'flag': 1, 'cell': 6}).first()


def test_batched_environment_draws_each_canvas_its_own_command():
  environment = core.BatchedEnvironment(DotRenderer(3), 2, dtype=np.uint8)
  assert environment.count == 3
  assert environment.observation_spec()['canvas'].shape == (3, 4, 4, 1)
  assert environment.observation_spec()['canvas'].dtype == np.uint8
  assert environment.reset().step_type == dm_env.StepType.FIRST
  command = {'flag': np.array([1, 0, 1]), 'cell': np.array([0, 1, 15])}
  step = environment.step(command)
  environment.observation_spec()['canvas'].validate(step.observation['canvas'])
  assert step.mid()
  np.testing.assert_array_equal(step.reward, np.zeros(3, np.float32))
  np.testing.assert_array_equal(step.discount, np.ones(3, np.float32))
  np.testing.assert_array_equal(
      step.observation['canvas'].reshape(3, 16).argmax(1), [0, 0, 15]
  )
  np.testing.assert_array_equal(
      step.observation['canvas'].reshape(3, 16).sum(1), [51, 0, 51]
  )
  last = environment.step(command)
  assert last.last() and not last.discount.any()
  assert environment.step(command).first()


@pytest.mark.parametrize(
    'action, words',
    [
        ({'flag': 2, 'cell': 0}, ["'flag'", 'is 2', '0 to 1']),
        ({'flag': 0, 'cell': -1}, ["'cell'", 'is -1', '0 to 15']),
        ({'flag': 0}, ["lacks part 'cell'", '15']),
        ({'flag': 0, 'cell': 0, 'x': 0}, ["'x'", 'flag, cell']),
        ({'flag': 0, 'cell': 1.0}, ["'cell'", 'float64', '0 to 15']),
        ({'flag': 0, 'cell': True}, ["'cell'", 'bool']),
        ({'flag': 0, 'cell': [1]}, ["'cell'", '(1,)', '()']),
    ],
)
def test_bad_action_names_part_value_and_range(action, words):
  environment = core.RenderEnvironment(DotRenderer(1), episode_length=7)
  environment.reset()
  with pytest.raises(ValueError) as error:
    environment.step(action)
  for word in words:
    assert word in str(error.value)


def test_bad_batch_action_names_part_value_and_range():
  environment = core.BatchedEnvironment(DotRenderer(2), episode_length=7)
  environment.reset()
  with pytest.raises(ValueError, match=r"'cell'.* is 16, .*0 to 15"):
    environment.step({'flag': np.array([0, 1]), 'cell': np.array([3, 16])})
  with pytest.raises(ValueError, match=r"'cell'.*shape \(3,\).*\(2,\)"):
    environment.step({'flag': np.array([0, 1]), 'cell': np.zeros(3, int)})


def test_environments_check_their_arguments():
  with pytest.raises(ValueError, match='2 canvases.*BatchedEnvironment'):
    core.RenderEnvironment(DotRenderer(2), episode_length=7)
  with pytest.raises(ValueError, match='episode_length is 0'):
    core.RenderEnvironment(DotRenderer(1), episode_length=0)
  with pytest.raises(ValueError, match='float64.*float32 or uint8'):
    core.BatchedEnvironment(DotRenderer(1), 7, dtype=np.float64)


def test_part_is_a_discrete_array_with_two_facts():
  part = core.Part(
      6, grid_shape=(2, 3), active_if=('flag', [1]), name='control'
  )
  assert isinstance(part, specs.DiscreteArray)
  assert part.num_values == 6 and part.dtype == np.int32
  assert part.grid_shape == (2, 3) and part.active_if == ('flag', (1,))
  plain = core.Part(6)
  assert plain.grid_shape is None and plain.active_if is None
  assert plain != part and part.replace(active_if=None) != part
  assert part.replace(grid_shape=(3, 2)) != part
  copy = pickle.loads(pickle.dumps(part))
  assert copy == part and copy.name == 'control'
  assert 'grid_shape=(2, 3)' in repr(part)


def test_part_refuses_a_grid_of_another_size():
  with pytest.raises(ValueError, match=r"\(2, 2\) of part 'end'.*4.*5"):
    core.Part(5, grid_shape=(2, 2), name='end')


@pytest.mark.parametrize(
    'given, message',
    [
        (dict(num_values='3'), "num_values of part 'p' is '3'"),
        (dict(num_values=True), 'num_values .* is True'),
        (dict(num_values=0), 'whole number from 1 to'),
        (dict(num_values=10**12), 'num_values .* is 1000000000000'),
        (dict(grid_shape=16), r"grid_shape of part 'p' is 16.*\(16, 16\)"),
        (dict(grid_shape='44'), "grid_shape .* is '44'"),
        (dict(grid_shape=(4.0, 4)), r'grid_shape .* is \(4.0, 4\)'),
        (dict(grid_shape=(-4, -4)), r'grid_shape .* is \(-4, -4\)'),
        (dict(active_if='flag'), "active_if of part 'p' is 'flag'.*earlier"),
        (dict(active_if=('flag', 1)), r"active_if .* is \('flag', 1\)"),
        (dict(active_if=('flag', '1')), r"active_if .* is \('flag', '1'\)"),
        (dict(active_if=('flag', (1.5,))), r'active_if .* \(1.5,\)'),
        (dict(active_if=(1, (1,))), r'active_if .* is \(1, \(1,\)\)'),
    ],
)
def test_what_is_no_fact_of_a_part_is_named(given, message):
  with pytest.raises(ValueError, match=message):
    core.Part(**{'num_values': 16, 'name': 'p', **given})


def test_close_reaches_a_renderer_that_has_it():
  renderer = DotRenderer(1)
  core.RenderEnvironment(renderer, 7).close()
  closed = []
  renderer.close = lambda: closed.append(True)
  core.RenderEnvironment(renderer, 7).close()
  assert closed == [True]


# A renderer that does not keep to what it says is caught, and named.


class BadRenderer(DotRenderer):
  """Returns what a function makes of its canvas."""

  def __init__(self, give, spec=None):
    super().__init__(2)
    self._give, self._spec = give, spec

  def canvas_spec(self):
    return self._spec or super().canvas_spec()

  def reset(self):
    return self._give(self._canvas)

  def step(self, command):
    super().step(command)
    return self._give(self._canvas)


COMMAND = {'flag': np.ones(2, int), 'cell': np.zeros(2, int)}


@pytest.mark.parametrize('dtype', [np.uint8, np.float32])
@pytest.mark.parametrize(
    'give, words',
    [
        (lambda x: x / 255.0, r'returned float64 \[2, 4, 4, 1\]'),
        (lambda x: x.astype(int), r'returned int64 \[2, 4, 4, 1\]'),
        (lambda x: x[:1].copy(), r'uint8 \[1, 4, 4, 1\]'),
        (lambda x: x[..., 0].copy(), r'uint8 \[2, 4, 4\]'),
        (lambda x: np.repeat(x, 3, -1), r'uint8 \[2, 4, 4, 3\]'),
        (lambda x: x.tolist(), 'returned a list'),
        (lambda x: None, 'returned a NoneType'),
    ],
)
def test_canvases_that_are_not_of_the_spec_are_caught(give, words, dtype):
  environment = core.BatchedEnvironment(BadRenderer(give), 3, dtype)
  with pytest.raises(ValueError, match=f'reset of .*BadRenderer.* {words}; '):
    environment.reset()


def test_canvases_are_checked_at_each_step():
  given = iter([np.uint8, np.uint8, np.float32])
  renderer = BadRenderer(lambda x: x.astype(next(given)))
  environment = core.BatchedEnvironment(renderer, 3)
  environment.reset()
  environment.step(COMMAND)
  with pytest.raises(ValueError, match='step of .* float32 .* must be uint8'):
    environment.step(COMMAND)


BUFFERS = itertools.cycle(np.zeros((2, 2, 4, 4, 1), np.uint8))


def double_buffered(canvas):
  """Returns one of two buffers in turn."""
  buffer = next(BUFFERS)
  buffer[:] = canvas
  return buffer


@pytest.mark.parametrize(
    'give', [lambda x: x, lambda x: x[:], lambda x: x[::-1], double_buffered]
)
def test_a_renderer_that_gives_its_buffer_is_caught(give):
  environment = core.BatchedEnvironment(BadRenderer(give), 3, np.uint8)
  kept = [environment.reset()]
  with pytest.raises(ValueError, match='step of .*BadRenderer.*copy'):
    for _ in range(2):
      kept.append(environment.step(COMMAND))


def test_memory_that_nobody_holds_may_be_used_again():
  buffer = np.zeros((2, 4, 4, 1), np.uint8)
  environment = core.BatchedEnvironment(
      BadRenderer(lambda x: buffer[:]), 3, np.uint8
  )
  environment.reset()
  assert environment.step(COMMAND).mid()


@pytest.mark.parametrize(
    'spec, words',
    [
        (specs.BoundedArray((4, 4, 1), np.float32, 0, 1), 'float32'),
        (specs.BoundedArray((4, 4), np.uint8, 0, 255), r'\[4, 4\]'),
    ],
)
def test_a_spec_of_other_canvases_is_refused(spec, words):
  renderer = BadRenderer(lambda x: x.copy(), spec)
  with pytest.raises(ValueError, match=f'BadRenderer is .*{words}.*uint8'):
    core.BatchedEnvironment(renderer, 3)


def test_which_canvases_is_checked():
  np.testing.assert_array_equal(contract.check_which([3, 0], 4), [3, 0])
  assert contract.check_which([], 4).dtype == np.int32
  for which in ([4], [-1], [1, 1], [0.5], 2):
    with pytest.raises(ValueError, match='canvases'):
      contract.check_which(which, 4)


def test_sources_of_copies_are_checked():
  source, target = contract.check_copy([3, 3], [0, 1], 4)
  np.testing.assert_array_equal([source, target], [[3, 3], [0, 1]])
  for source, target, words in (
      ([1, 2], [2, 0], 'must not be sources'),
      ([1], [2, 0], 'as many'),
      ([4, 1], [2, 0], 'from 0 to 3'),
      ([1, 1], [2, 2], 'different'),
  ):
    with pytest.raises(ValueError, match=words):
      contract.check_copy(source, target, 4)
