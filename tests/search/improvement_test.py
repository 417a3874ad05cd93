"""Improvement of programs: it finds the best, loses nothing, and repeats."""

import itertools
import time

import jax
import numpy as np
import pytest

from environments import painting
from spiral_jax import search
from tests.search import toys

T = 4


def problem(num_images, seed=0):
  """Returns targets that programs of T squares make, and other programs."""
  spec = toys.make_environment(1).action_spec()
  targets = toys.run(toys.random_programs(spec, T, num_images, seed))
  return targets, toys.random_programs(spec, T, num_images, seed + 100)


def improve(targets, programs, *, count=1000, can_copy=True, seed=0, **options):
  environment = toys.make_environment(count, T, can_copy=can_copy)
  return search.improve(
      environment, programs, targets, key=jax.random.key(seed), **options
  )


def test_programs_are_found():
  targets, programs = problem(40)
  found = improve(targets, programs, rounds=60)
  np.testing.assert_array_equal(found.scores, 0.0)
  np.testing.assert_array_equal(found.canvases, targets)
  np.testing.assert_array_equal(toys.run(found.programs), targets)


def test_what_nobody_sees_goes():
  # One square, painted four times: three commands do nothing in the end.
  programs = {
      'kind': np.ones((T, 5), np.int32),
      'quarter': np.full((T, 5), 2, np.int32),
      'shade': np.full((T, 5), 1, np.int32),
  }
  targets = toys.run(programs, has_kind=True)
  environment = toys.make_environment(200, T, has_kind=True)
  found = search.improve(
      environment, programs, targets, key=jax.random.key(0), rounds=100
  )
  np.testing.assert_array_equal(found.scores, 0.0)
  np.testing.assert_array_equal(found.programs['kind'].sum(axis=0), 1)


@pytest.mark.parametrize('rounds', [0, 1, 5])
def test_no_program_gets_worse_and_what_is_returned_belongs_together(rounds):
  targets, programs = problem(30)
  before = search.negative_l2(toys.run(programs), targets)
  found = improve(targets, programs, rounds=rounds)
  canvases = toys.run(found.programs)
  np.testing.assert_array_equal(found.canvases, canvases)
  np.testing.assert_array_equal(
      found.scores, search.negative_l2(canvases, targets)
  )
  assert (found.scores >= before).all()
  assert (found.scores > before).any() == bool(rounds)
  np.testing.assert_array_equal(found.num_renderings, 1 + 16 * rounds)


def test_copies_and_the_size_of_the_environment_change_nothing():
  targets, programs = problem(6)
  options = dict(rounds=5, num_proposals=3)
  first = improve(targets, programs, count=6 * (3 + T), **options)
  for count, can_copy in ((100, True), (6 * 3, False)):
    other = improve(
        targets, programs, count=count, can_copy=can_copy, **options
    )
    jax.tree.map(np.testing.assert_array_equal, first, other)


def test_the_key_decides():
  targets, programs = problem(6)
  first, again, other = (
      improve(targets, programs, rounds=2, seed=seed) for seed in (0, 0, 1)
  )
  jax.tree.map(np.testing.assert_array_equal, first, again)
  assert any(
      (values != other.programs[name]).any()
      for name, values in first.programs.items()
  )


def test_images_are_taken_in_groups():
  targets, programs = problem(7)
  found = improve(targets, programs, count=3 * (16 + T) + 5, rounds=60)
  np.testing.assert_array_equal(found.canvases, targets)


def test_the_score_is_the_callers():
  targets, programs = problem(10)

  def ink(canvases, targets):
    assert canvases.shape == targets.shape and canvases.dtype == np.uint8
    return -canvases.mean((1, 2, 3))

  found = improve(targets, programs, rounds=60, score=ink)
  assert not found.canvases.any()
  np.testing.assert_array_equal(found.scores, 0.0)


def test_threads_do_not_matter():
  settings = painting.PaintingSettings(episode_length=3, grid_size=16)
  targets = np.full((2, 64, 64, 1), 200, np.uint8)
  results = []
  for num_threads in (1, 3):
    environment = painting.TASK.make_batch(settings, 40, num_threads)
    programs = search.random_programs(
        environment.action_spec(), 3, 2, key=jax.random.key(0)
    )
    results.append(
        search.improve(
            environment, programs, targets, key=jax.random.key(1), rounds=5
        )
    )
  jax.tree.map(np.testing.assert_array_equal, *results)


def test_seconds_are_of_an_image(monkeypatch):
  times = itertools.count()  # In hundredths of a second, one each reading.
  monkeypatch.setattr(time, 'perf_counter', lambda: next(times) / 100)
  targets, programs = problem(4)
  found = improve(
      targets, programs, seconds=0.0975, count=2 * (16 + T), num_proposals=16
  )
  # Two groups of two images: a reading for the end, and 20 for rounds, of which
  # the last ends them.
  assert next(times) == 2 * (1 + 20)
  np.testing.assert_array_equal(found.num_renderings, 1 + 19 * 16)


def test_proposals_are_the_callers():
  targets, programs = problem(4)

  def stay(programs, rng):
    del rng
    count = programs['shade'].shape[1]
    return search.Proposals(dict(programs), np.full(count, T), np.zeros(count))

  found = improve(targets, programs, rounds=3, propose=stay)
  jax.tree.map(np.testing.assert_array_equal, found.programs, programs)


@pytest.mark.parametrize(
    'change, words',
    [
        (dict(seconds=1.0), 'one of the two'),
        (dict(rounds=None), 'one of the two'),
        (dict(count=19), 'takes 20'),
        (dict(num_proposals=0), '1 or more'),
        (dict(programs={'shade': np.zeros((T, 3), int)}), 'parts'),
        (dict(targets=np.zeros((2, 16, 16, 1), np.uint8)), 'one each'),
    ],
)
def test_bad_arguments_are_refused(change, words):
  targets, programs = problem(3)
  arguments = dict(targets=targets, programs=programs, rounds=1) | change
  with pytest.raises(ValueError, match=words):
    improve(**arguments)


def test_programs_of_different_lengths_are_refused():
  targets, programs = problem(3)
  programs['shade'] = programs['shade'][1:]
  with pytest.raises(ValueError, match='for all'):
    improve(targets, programs, rounds=1)


def test_parts_that_nobody_sees_repeat_what_was_before():
  # One square, and three commands that paint the same over it.
  targets, programs = problem(30)
  spec = toys.make_environment(1).action_spec()
  start = improve(targets, programs, rounds=60)
  options = dict(rounds=80, propose=search.make_repeats(spec))
  free = improve(targets, start.programs, part_cost=1e-9, **options)
  np.testing.assert_array_equal(free.scores, start.scores)
  before, after, dear = (
      search.num_changes(spec, found.programs)
      for found in (
          start,
          free,
          improve(targets, start.programs, part_cost=1e3, **options),
      )
  )
  assert (after <= before).all() and after.mean() < before.mean()
  np.testing.assert_array_equal(dear, len(spec))  # All say the same.


def test_a_score_falls_by_no_more_than_parts_cost():
  targets, programs = problem(30)
  spec = toys.make_environment(1).action_spec()
  start = improve(targets, programs, rounds=60)
  cost = 0.01
  found = improve(
      targets,
      start.programs,
      part_cost=cost,
      rounds=40,
      propose=search.make_repeats(spec),
  )
  saved = search.num_changes(spec, start.programs) - search.num_changes(
      spec, found.programs
  )
  assert (found.scores >= start.scores - cost * saved - 1e-9).all()
  np.testing.assert_allclose(
      found.scores, search.negative_l2(toys.run(found.programs), targets)
  )
