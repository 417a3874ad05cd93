"""Execution of proposals: the same canvases with and without copies."""

import numpy as np
import pytest

from environments import painting
from environments import scene
from spiral_jax import search
from tests.search import toys

N, K, T = 3, 4, 5


def make(can_copy, spare=0, **options):
  count = N * (K + T if can_copy else K) + spare
  return toys.make_environment(count, T, can_copy=can_copy, **options)


def changed(programs, spec, seed):
  """Returns changed programs `[T, N, K]` and first changes `[N, K]`."""
  rng = np.random.default_rng(seed)
  start = rng.integers(T + 1, size=(N, K))
  fresh = toys.random_programs(spec, T, N * K, seed)
  is_changed = np.arange(T)[:, None, None] >= start
  return {
      name: np.where(
          is_changed, fresh[name].reshape(T, N, K), values[..., np.newaxis]
      )
      for name, values in programs.items()
  }, start


def flat(programs):
  return {name: values.reshape(T, -1) for name, values in programs.items()}


@pytest.mark.parametrize('can_copy', [True, False])
@pytest.mark.parametrize('spare', [0, 2])
def test_canvases_are_those_of_whole_programs(can_copy, spare):
  environment = make(can_copy, spare)
  spec = environment.action_spec()
  executor = search.make_executor(environment, N, T, K)
  programs = toys.random_programs(spec, T, N)
  np.testing.assert_array_equal(executor.start(programs), toys.run(programs))
  rng = np.random.default_rng(1)
  for seed in range(20):
    proposed, start = changed(programs, spec, seed)
    canvases = executor.run(proposed, start)
    np.testing.assert_array_equal(
        canvases.reshape(N * K, *canvases.shape[2:]), toys.run(flat(proposed))
    )
    chosen = rng.integers(K, size=N)
    is_accepted = rng.random(N) < 0.5
    images = np.arange(N)
    programs = {
        name: np.where(is_accepted, proposed[name][:, images, chosen], values)
        for name, values in programs.items()
    }
    executor.accept(programs, np.where(is_accepted, start[images, chosen], T))


def test_only_what_follows_a_change_is_drawn():
  environment = make(True)
  executor = search.make_executor(environment, N, T, K)
  programs = toys.random_programs(environment.action_spec(), T, N)
  executor.start(programs)
  repeated = {k: np.repeat(v[..., None], K, 2) for k, v in programs.items()}
  environment.renderer.num_drawn = 0
  executor.run(repeated, np.full((N, K), T - 2))
  assert environment.renderer.num_drawn == 2 * N * K
  environment.renderer.num_drawn = 0
  executor.accept(programs, np.full(N, T))
  assert not environment.renderer.num_drawn


def test_a_second_start_forgets_the_first():
  environment = make(True)
  spec = environment.action_spec()
  executor = search.make_executor(environment, N, T, K)
  executor.start(toys.random_programs(spec, T, N, 1))
  programs = toys.random_programs(spec, T, N, 2)
  np.testing.assert_array_equal(executor.start(programs), toys.run(programs))


@pytest.mark.parametrize('can_copy', [True, False])
def test_too_few_canvases_are_refused(can_copy):
  environment = make(can_copy, spare=-1)
  with pytest.raises(ValueError, match=f'take {environment.count + 1}'):
    search.make_executor(environment, N, T, K)


@pytest.mark.parametrize('brush', ['classic/pen', 'classic/ink_blot'])
def test_brushes(brush):
  check(painting.TASK, painting.PaintingSettings(brush=brush))


def test_scenes(needs_gl):
  check(scene.TASK, scene.SceneSettings(episode_length=T))


def check(task, settings):
  """Compares proposals, round after round, with whole programs."""
  environment = task.make_batch(settings, N * (K + T), 2)
  spec = environment.action_spec()
  executor = search.make_executor(environment, N, T, K)
  programs = toys.random_programs(spec, T, N)
  executor.start(programs)
  whole = task.make_batch(settings, N * K)
  for seed in range(3):
    proposed, start = changed(programs, spec, seed)
    canvases = executor.run(proposed, start)
    whole.reset()
    for t in range(T):
      expected = whole.step({k: v[t] for k, v in flat(proposed).items()})
    np.testing.assert_array_equal(
        canvases.reshape(N * K, *canvases.shape[2:]),
        expected.observation['canvas'],
    )
    programs = {name: values[:, :, 0] for name, values in proposed.items()}
    executor.accept(programs, start[:, 0])
