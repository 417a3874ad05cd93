"""Alternatives of episodes: their pictures are those of whole programs."""

import jax
import numpy as np
import pytest

from environments import painting
from environments import scene
from spiral_jax import types
from spiral_jax.training import alternatives
from spiral_jax.training import lessons
from tests.search import toys

B, T, K = 3, 4, 6


def make_painting(count):
  return painting.make_batch(
      count,
      canvas_size=32,
      grid_size=8,
      episode_length=T,
      brush='classic/ink_blot',  # It draws random numbers.
      color=True,
      dtype='uint8',
  )


def make_scene(count):
  return scene.make_batch(count, episode_length=T, dtype='uint8')


def make_squares(count):
  return toys.make_environment(count, T, has_kind=True, can_copy=False)


class Play:
  """A rollout of random programs, and of nothing else."""

  def __init__(self, make_environment):
    self._environment = make_environment(B)
    self._spec = self._environment.action_spec()
    self.episodes = 0

  def __call__(self, params, version):
    rng = np.random.default_rng(self.episodes)
    self.episodes += 1
    action = types.uniform_programs(self._spec, T, B, rng)
    # In another order than the spec has, as from `jax.jit`.
    action = {name: action[name] for name in sorted(action)}
    return types.Trajectory(
        canvas=lessons.render(self._environment, action),
        action=action,
        log_prob=None,
        value=None,
        is_last=None,
        bootstrap=None,
        initial_state=None,
        target=None,
        noise=None,
        params_version=np.int32(version),
    )

  def get_state(self):
    return {'episodes': self.episodes}

  def set_state(self, state):
    self.episodes = state['episodes']


def make(make_environment, **options):
  return alternatives.RolloutWithAlternatives(
      Play(make_environment),
      make_environment,
      **dict(batch=B, length=T, count=K) | options,
  )


@pytest.mark.parametrize(
    'make_environment', [make_painting, make_scene, make_squares]
)
def test_results_are_those_of_programs_with_one_part_changed(make_environment):
  environment = make_environment(B)
  names = list(environment.action_spec())
  play = make(make_environment)
  for version in range(2):
    trajectory = play(None, version)
    found = trajectory.alternatives
    assert found.canvas.shape == (K, *trajectory.canvas.shape[1:])
    tried = {name: found.value[name] >= 0 for name in names}
    assert 0 < np.sum([*tried.values()]) <= K * B
    for k in range(K):
      changed = {
          name: np.where(
              tried[name] & (found.result[name] == k), found.value[name], values
          )
          for name, values in trajectory.action.items()
      }
      expected = lessons.render(environment, changed)[-1]
      np.testing.assert_array_equal(found.canvas[k], expected)
    assert (found.canvas != trajectory.canvas[-1]).any()


def test_parts_may_be_left_as_they_are_and_few_are_all_there_are():
  play = make(make_squares, fixed=('quarter',), count=100)
  found = play(None, 0).alternatives
  assert len(found.canvas) == 2 * T
  assert (found.value['kind'] >= 0).all()
  assert (found.value['quarter'] == -1).all()


def test_alternatives_depend_on_the_seed_and_the_number_of_calls():
  play, other = make(make_squares, seed=1), make(make_squares, seed=1)
  first, second = play(None, 0), play(None, 0)
  state = play.get_state()
  third = play(None, 0)
  other.set_state(state)
  jax.tree.map(np.testing.assert_array_equal, third, other(None, 0))

  def tried(trajectory):
    return np.concatenate([*trajectory.alternatives.value.values()])

  # Of the same programs, by another seed.
  again = make(make_squares, seed=2)(None, 0)
  np.testing.assert_array_equal(again.canvas, first.canvas)
  assert (tried(again) != tried(first)).any()
  # Of the same programs, at another call.
  third = make(make_squares, seed=1)
  third.set_state({'calls': 1, 'rollout': {'episodes': 0}})
  assert (tried(third(None, 0)) != tried(first)).any()
  assert (tried(second) != tried(first)).any()
