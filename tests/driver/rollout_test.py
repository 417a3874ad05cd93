import functools

import jax
import numpy as np
import pytest

from environments import core
from spiral_jax import agents
from spiral_jax import types
from spiral_jax.driver import rollout as rollout_lib
from spiral_jax.driver import serialization
from tests.agents import toys

B, LENGTH, SHAPE = 3, 4, (4, 4, 1)
SPEC = {'cell': core.Part(16, grid_shape=(4, 4)), 'shade': core.Part(5)}


class Acting:
  """A policy that samples, remembers how often it acted, and is watched."""

  def __init__(self):
    self.calls = []

  def initial_state(self):
    none = np.full(B, types.NO_COMMAND, np.int32)
    steps = np.zeros((B, 1), np.float32)
    return types.AgentState((steps, steps), {name: none for name in SPEC})

  def __call__(self, params, state, observation, key):
    self.calls.append((params, state, observation, np.array(key)))
    rng = np.random.default_rng(np.asarray(key))
    action = {
        name: rng.integers(part.num_values, size=B).astype(np.int32)
        for name, part in SPEC.items()
    }
    output = types.StepOutput(
        action,
        log_prob=rng.normal(size=B).astype(np.float32),
        value=observation.canvas.mean((1, 2, 3)).astype(np.float32),
    )
    steps = state.core[0] + 1
    return output, types.AgentState((steps, steps), action)


class Targets:

  def __init__(self):
    self.count = 0

  def __call__(self):
    self.count += 1
    return np.full((B, *SHAPE), self.count, np.uint8)

  def get_state(self):
    return {'count': self.count}

  def set_state(self, state):
    self.count = int(state['count'])


def make(policy=None, **kwargs):
  policy = policy or Acting()
  environment = toys.environment(B, SPEC, SHAPE, LENGTH)
  return rollout_lib.Rollout(
      environment, policy, policy.initial_state(), **kwargs
  )


def assert_same(one, other):
  for x, y in zip(one, other):
    if isinstance(x, dict):
      assert_same(x.values(), y.values())
    elif isinstance(x, tuple):
      assert_same(x, y)
    else:
      np.testing.assert_array_equal(x, y)


def test_shapes_and_types():
  trajectory = make(noise_size=2, targets=Targets())({}, 17)
  assert trajectory.canvas.shape == (LENGTH + 1, B, *SHAPE)
  assert trajectory.canvas.dtype == np.uint8
  assert list(trajectory.action) == list(SPEC)
  for value in trajectory.action.values():
    assert value.shape == (LENGTH, B) and value.dtype == np.int32
  assert trajectory.log_prob.shape == trajectory.value.shape == (LENGTH, B)
  assert trajectory.noise.shape == (B, 2)
  assert trajectory.noise.dtype == np.float32
  assert trajectory.target.shape == (B, *SHAPE)
  assert trajectory.bootstrap is None  # Nothing comes after an episode.
  assert trajectory.params_version == 17
  assert trajectory.params_version.dtype == np.int32


def test_a_canvas_is_what_its_command_was_decided_on():
  policy = Acting()
  trajectory = make(policy)({}, 0)
  np.testing.assert_array_equal(trajectory.canvas[0], 255)
  for t, (_, state, observation, _) in enumerate(policy.calls):
    np.testing.assert_array_equal(observation.canvas, trajectory.canvas[t])
    np.testing.assert_array_equal(state.core[0], np.full((B, 1), t))
    if t:  # The state carries the command before.
      for name in SPEC:
        np.testing.assert_array_equal(
            state.previous[name], trajectory.action[name][t - 1]
        )
  np.testing.assert_allclose(
      trajectory.value, trajectory.canvas[:-1].mean((2, 3, 4)), rtol=1e-5
  )


def test_a_canvas_is_what_its_commands_draw():
  trajectory = make()({}, 0)
  environment = toys.environment(B, SPEC, SHAPE, LENGTH)
  canvases = [environment.reset().observation['canvas']]
  for t in range(LENGTH):
    command = {name: value[t] for name, value in trajectory.action.items()}
    canvases.append(environment.step(command).observation['canvas'])
  np.testing.assert_array_equal(trajectory.canvas, np.stack(canvases))
  assert len(np.unique(canvases[-1])) > 1


def test_an_episode_is_whole_and_ends_once():
  trajectory = make()({}, 0)
  np.testing.assert_array_equal(
      trajectory.is_last, np.arange(LENGTH)[:, None] == np.full(B, LENGTH - 1)
  )


def test_every_episode_starts_from_the_initial_state():
  policy = Acting()
  rollout = make(policy)
  for episode in range(3):
    trajectory = rollout({}, 0)
    np.testing.assert_array_equal(trajectory.canvas[0], 255)
    for state in (trajectory.initial_state, policy.calls[episode * LENGTH][1]):
      np.testing.assert_array_equal(state.core[0], np.zeros((B, 1)))
      for value in state.previous.values():
        np.testing.assert_array_equal(value, np.full(B, types.NO_COMMAND))


def test_the_parameters_that_are_given_act():
  policy = Acting()
  rollout = make(policy)
  rollout({'w': 1}, 0)
  rollout({'w': 2}, 1)
  assert [call[0]['w'] for call in policy.calls] == [1] * LENGTH + [2] * LENGTH


def test_noise_and_targets_are_those_of_the_episode():
  policy = Acting()
  rollout = make(policy, noise_size=50, targets=Targets())
  trajectories = [rollout({}, 0) for _ in range(3)]
  for index, call in enumerate(policy.calls):
    trajectory = trajectories[index // LENGTH]
    np.testing.assert_array_equal(call[2].noise, trajectory.noise)
    np.testing.assert_array_equal(call[2].target, trajectory.target)
    assert np.all(call[2].target == index // LENGTH + 1)
  noise = np.stack([trajectory.noise for trajectory in trajectories])
  assert len(np.unique(noise)) == noise.size
  assert noise.mean() == pytest.approx(0.0, abs=0.2)
  assert noise.std() == pytest.approx(1.0, abs=0.2)


def test_noise_and_targets_go_to_the_device_once():
  policy = Acting()
  make(policy, noise_size=2, targets=Targets())({}, 0)
  first, *rest = [observation for _, _, observation, _ in policy.calls]
  for given in (first.target, first.noise):
    assert isinstance(given, jax.Array)
  assert all(observation.target is first.target for observation in rest)
  assert all(observation.noise is first.noise for observation in rest)


def test_without_noise_and_targets_there_are_none():
  policy = Acting()
  trajectory = make(policy)({}, 0)
  assert trajectory.noise is trajectory.target is None
  assert policy.calls[0][2].noise is policy.calls[0][2].target is None


def test_no_key_is_used_twice():
  policy = Acting()
  rollout = make(policy)
  for _ in range(3):
    rollout({}, 0)
  keys = np.stack([call[3] for call in policy.calls])
  assert len(np.unique(keys, axis=0)) == 3 * LENGTH


@pytest.mark.parametrize('length', [1, 2, 3, LENGTH, LENGTH + 1])
def test_pieces_are_those_of_the_whole(length):
  kwargs = dict(seed=7, noise_size=2)
  whole = make(targets=Targets(), **kwargs)
  rollout = make(targets=Targets(), unroll_length=length, **kwargs)
  for _ in range(2):  # Episodes.
    expected = whole({}, 0)
    pieces = [rollout({}, 0)]
    while not pieces[-1].is_last.any():
      pieces.append(rollout({}, 0))
    assert [len(piece.log_prob) for piece in pieces[:-1]] == (
        [length] * ((LENGTH - 1) // length)
    )
    canvases = [piece.canvas[:-1] for piece in pieces]
    np.testing.assert_array_equal(
        np.concatenate([*canvases, pieces[-1].canvas[-1:]]), expected.canvas
    )
    for name in ('log_prob', 'value', 'is_last'):
      np.testing.assert_array_equal(
          np.concatenate([getattr(piece, name) for piece in pieces]),
          getattr(expected, name),
      )
    for one, after in zip(pieces, pieces[1:]):
      np.testing.assert_array_equal(one.bootstrap, after.value[0])
      np.testing.assert_array_equal(one.canvas[-1], after.canvas[0])
      for name, values in one.action.items():
        previous = after.initial_state.previous[name]
        np.testing.assert_array_equal(previous, values[-1])
    for piece in pieces:
      np.testing.assert_array_equal(piece.target, expected.target)
      np.testing.assert_array_equal(piece.noise, expected.noise)
    np.testing.assert_array_equal(pieces[-1].bootstrap, np.zeros(B))
    assert_same(pieces[0].initial_state, expected.initial_state)


def test_a_restored_rollout_leaves_a_piece_of_an_episode():
  rollout = make(seed=3, unroll_length=2)
  rollout({}, 0)
  restored = make(seed=3, unroll_length=2)
  restored.set_state(rollout.get_state())
  np.testing.assert_array_equal(restored({}, 1).canvas[0], 255)
  rollout({}, 1)
  np.testing.assert_array_equal(rollout({}, 1).canvas[0], 255)
  assert rollout.get_state() == restored.get_state() == {'episodes': 2}


def test_what_is_drawn_is_a_function_of_the_seed():
  first = [make(seed=5, noise_size=2)({}, 0) for _ in range(2)]
  assert_same(*first)
  other = make(seed=6, noise_size=2)({}, 0)
  assert np.any(other.noise != first[0].noise)
  assert np.any(other.action['cell'] != first[0].action['cell'])


def test_a_restored_rollout_goes_on_as_if_nothing_happened():
  rollout = make(seed=3, noise_size=2, targets=Targets())
  rollout({}, 0)
  saved = serialization.to_plain(rollout.get_state())
  expected = rollout({}, 1)
  restored = make(seed=3, noise_size=2, targets=Targets())
  restored.set_state(saved)
  assert_same(restored({}, 1), expected)
  # Without state, targets are as they are.
  plain = make(targets=lambda: np.zeros((B, *SHAPE), np.uint8))
  plain.set_state(plain.get_state())
  assert plain({}, 0).target is not None


# What was made for another environment is refused before anything is drawn.


@pytest.mark.parametrize(
    'wrap',
    [
        lambda step: step,
        jax.jit,
        lambda step: jax.jit(step, static_argnames='greedy'),
        lambda step: jax.jit(functools.partial(step, greedy=True)),
    ],
)
@pytest.mark.parametrize(
    'spec, words',
    [
        (
            {'cell': core.Part(64, grid_shape=(8, 8)), 'shade': core.Part(5)},
            "'cell' of 64 values on a grid of 8 x 8, and the environment a "
            "part 'cell' of 16 values on a grid of 4 x 4",
        ),
        (
            {'cell': core.Part(16), 'shade': core.Part(5)},
            "'cell' of 16 values, and the environment",
        ),
        ({'cell': SPEC['cell']}, "no part 'shade', and the environment a part"),
        ({**SPEC, 'flag': core.Part(2)}, "the environment no part 'flag'"),
    ],
)
def test_an_agent_of_other_commands_is_refused(spec, words, wrap):
  agent = agents.make_agent(
      spec, SHAPE, agents.AgentConfig(**toys.NETWORK, **toys.PATCHES)
  )
  with pytest.raises(ValueError) as error:
    rollout_lib.Rollout(
        toys.environment(B, SPEC, SHAPE, LENGTH),
        wrap(agent.step),
        agent.initial_state(B),
    )
  assert words in str(error.value)
  assert '`**trained.environment`' in str(error.value)


def test_an_agent_of_these_commands_is_taken():
  spec = {'shade': core.Part(5), 'cell': SPEC['cell']}  # In another order.
  agent = agents.make_agent(
      spec, SHAPE, agents.AgentConfig(**toys.NETWORK, **toys.PATCHES)
  )
  rollout_lib.Rollout(
      toys.environment(B, SPEC, SHAPE, LENGTH),
      jax.jit(agent.step),
      agent.initial_state(B),
  )


def test_a_state_of_another_batch_is_refused():
  policy = Acting()
  with pytest.raises(ValueError, match='of 3 canvases, and .* of 2'):
    rollout_lib.Rollout(
        toys.environment(2, SPEC, SHAPE, LENGTH), policy, policy.initial_state()
    )


def test_floats_beyond_one_are_refused():
  bright = np.full((B, *SHAPE), 255.0, np.float32)
  with pytest.raises(ValueError, match='targets are floats from 255'):
    make(targets=lambda: bright)({}, 0)
  rollout = make()
  reset = rollout._environment.reset
  rollout._environment.reset = lambda: reset()._replace(
      observation={'canvas': bright}
  )
  with pytest.raises(ValueError, match='canvases are floats from 255'):
    rollout({}, 0)
