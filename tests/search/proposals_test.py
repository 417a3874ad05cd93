"""Proposals: which programs each move reaches, and with which chance."""

import dataclasses

import numpy as np
import pytest

from environments import core
from spiral_jax import search
from spiral_jax.search import proposals as proposals_lib
from tests.search import toys

WAYS = ('step', 'steps', 'fresh', 'command', 'order', 'shift')
SPEC = {
    'kind': core.Part(2),
    'place': core.Part(15, grid_shape=(3, 5), active_if=('kind', (1,))),
    'shade': core.Part(7, active_if=('kind', (1,))),
}
T = 4


def only(way, reach=1):
  none = search.Moves(**dict.fromkeys(WAYS, 0.0), reach=reach)
  return dataclasses.replace(none, **{way: 1.0})


def propose(way, programs, spec=SPEC, seed=0, reach=1):
  proposals = search.make_proposals(spec, only(way, reach))
  return proposals(programs, np.random.default_rng(seed))


def same(count, **command):
  """Returns `count` programs of one command, `[T, count]`."""
  return {k: np.full((T, count), v, np.int32) for k, v in command.items()}


@pytest.mark.parametrize('way', WAYS)
def test_programs_stay_valid_and_equal_before_the_first_change(way):
  programs = toys.random_programs(SPEC, T, 500)
  before = {name: values.copy() for name, values in programs.items()}
  found = propose(way, programs, reach=3)
  is_early = np.arange(T)[:, np.newaxis] < found.start
  is_changed = np.zeros(500, bool)
  for name, part in SPEC.items():
    np.testing.assert_array_equal(programs[name], before[name])
    values = found.programs[name]
    assert values.dtype == np.int32 and values.min() >= 0
    assert values.max() < part.num_values
    assert (values == before[name])[is_early].all()
    is_changed |= (values != before[name]).any(axis=0)
  assert is_changed.mean() > 0.3
  np.testing.assert_array_equal(is_changed, found.start < T)


def test_a_step_goes_to_all_neighbors_equally_often():
  # In the middle of the grid there are 8, in the corner 3 and the way out.
  programs = same(4000, kind=1, place=7, shade=3)
  found = propose('step', programs).programs['place']
  values, counts = np.unique(found[found != 7], return_counts=True)
  np.testing.assert_array_equal(values, [1, 2, 3, 6, 8, 11, 12, 13])
  assert counts.max() < 1.4 * counts.min()
  found = propose('step', same(4000, kind=1, place=0, shade=3))
  assert set(np.unique(found.programs['place'])) == {0, 1, 5, 6}


def test_steps_of_numbers_have_the_reach():
  programs = same(4000, kind=1, place=7, shade=3)
  for reach, expected in ((1, {2, 3, 4}), (3, {0, 1, 2, 3, 4, 5, 6})):
    found = propose('step', programs, reach=reach).programs['shade']
    assert set(np.unique(found)) == expected


def test_a_step_changes_one_part_and_steps_several():
  programs = same(1000, kind=1, place=7, shade=3)
  for way, most in (('step', 1), ('fresh', 1), ('steps', 2)):
    found = propose(way, programs)
    changed = sum(
        (found.programs[name] != programs[name]).sum(axis=0) for name in SPEC
    )
    assert changed.max() == most


def test_parts_without_a_meaning_do_not_move():
  programs = same(1000, kind=0, place=7, shade=3)
  for way in ('step', 'steps', 'fresh'):
    found = propose(way, programs)
    assert (found.programs['place'] == 7).all()
    assert (found.programs['shade'] == 3).all()
    assert way == 'steps' or (found.programs['kind'] == 1).any()


def test_an_order_is_a_permutation_that_moves_one_command():
  programs = {'shade': np.tile(np.arange(T, dtype=np.int32)[:, None], 500)}
  spec = {'shade': core.Part(T)}
  found = propose('order', programs, spec).programs['shade']
  np.testing.assert_array_equal(np.sort(found, axis=0), programs['shade'])
  reached = {tuple(program) for program in found.T}
  expected = set()
  for i in range(T):
    for j in range(T):
      program = list(range(T))
      program.insert(j, program.pop(i))
      expected.add(tuple(program))
  assert reached == expected


def test_a_shift_takes_out_or_puts_in_a_command():
  programs = {'shade': np.tile(np.arange(T, dtype=np.int32)[:, None], 4000)}
  spec = {'shade': core.Part(9)}
  found = propose('shift', programs, spec).programs['shade']
  expected = set()
  for t in range(T):
    for value in range(9):
      program = list(range(T))
      expected.add((*program[:t], *program[t + 1 :], value))
      expected.add((*program[:t], value, *program[t:-1]))
  assert {tuple(program) for program in found.T} == expected


@pytest.mark.parametrize('way', WAYS)
def test_the_log_ratio_is_that_of_both_ways(way):
  # All programs of two commands, and the chances of going from each to each.
  spec = {
      'kind': core.Part(2),
      'shade': core.Part(3, active_if=('kind', (1,))),
  }
  programs = toys.all_programs(spec, 2)
  count, repeats = len(programs['kind'][0]), 4000
  repeated = {k: np.repeat(v, repeats, axis=1) for k, v in programs.items()}
  found = propose(way, repeated, spec, reach=2)
  source = np.repeat(np.arange(count), repeats)
  target = toys.index_of(found.programs, spec)
  chances = np.zeros((count, count))
  np.add.at(chances, (source, target), 1 / repeats)
  ratios = np.zeros((count, count))
  ratios[source, target] = found.log_ratio
  is_frequent = (chances > 0.02) | (chances.T > 0.02)
  np.fill_diagonal(is_frequent, False)
  assert is_frequent.any()
  there, back = chances[is_frequent], chances.T[is_frequent]
  np.testing.assert_allclose(
      np.log(back / there), ratios[is_frequent], atol=0.45
  )
  np.testing.assert_allclose(ratios, -ratios.T, atol=1e-12)


def test_weights_are_shares():
  programs = same(4000, kind=1, place=7, shade=3)
  moves = search.Moves(0.0, 0.0, 3.0, 1.0, 0.0, 0.0)
  found = search.make_proposals(SPEC, moves)(programs, np.random.default_rng(0))
  changed = sum(
      (found.programs[name] != programs[name]).sum(axis=0) for name in SPEC
  )
  # Of two parts or more only by `command`: all but (1/2 + 1/15 + 1/7 and less).
  expected = 0.25 * (1 - 0.5 / 105 - 0.5 / 105 - 0.5 * 14 / 105 - 0.5 * 6 / 105)
  assert (changed > 1).mean() == pytest.approx(expected, abs=0.02)


@pytest.mark.parametrize(
    'moves', [dict(step=-1.0), dict.fromkeys(WAYS, 0.0), dict(reach=0)]
)
def test_bad_moves_are_refused(moves):
  with pytest.raises(ValueError, match='weights must be'):
    search.make_proposals(SPEC, search.Moves(**moves))


def test_active_parts():
  commands = {
      'kind': np.array([0, 1]),
      'place': np.zeros(2),
      'shade': np.ones(2),
  }
  np.testing.assert_array_equal(
      proposals_lib.are_active(SPEC, commands), [[1, 1], [0, 1], [0, 1]]
  )


def program(**parts):
  return {
      name: np.array(values)[:, np.newaxis] for name, values in parts.items()
  }


def test_parts_that_have_to_be_told_are_counted():
  # All three of the first; kind; kind, place as before, shade not; nothing.
  told = program(kind=[1, 0, 1, 1], place=[3, 9, 3, 3], shade=[2, 2, 5, 5])
  np.testing.assert_array_equal(search.num_changes(SPEC, told), [3 + 1 + 2 + 0])
  # Parts without a meaning need not be told.
  told = program(kind=[0, 0, 0, 0], place=[3, 9, 3, 3], shade=[2, 2, 5, 5])
  np.testing.assert_array_equal(search.num_changes(SPEC, told), [1])


def test_repeats_take_values_from_before():
  programs = toys.random_programs(SPEC, T, 3000)
  found = search.make_repeats(SPEC)(programs, np.random.default_rng(0))
  before, after = (
      search.num_changes(SPEC, each) for each in (programs, found.programs)
  )
  is_changed = found.start < T
  assert 0.5 < is_changed.mean() < 1.0
  assert np.isneginf(found.log_ratio).all()  # No chain accepts them.
  changed = [found.programs[name] != programs[name] for name in SPEC]
  assert (np.any(changed, axis=0).sum(0) == is_changed).all()  # One command.
  for name, part in SPEC.items():
    for time, index in zip(*np.nonzero(found.programs[name] != programs[name])):
      is_told = np.ones(T, bool)
      if part.active_if is not None:
        is_told = programs['kind'][:, index] == 1
      earlier = programs[name][:time, index][is_told[:time]]
      assert found.programs[name][time, index] == earlier[-1]
  # One part that is repeated may differ from the one after it.
  assert (after[is_changed] < before[is_changed]).mean() > 0.6


@pytest.mark.parametrize('free', [tuple(SPEC), ('place',), ('kind', 'shade')])
def test_single_changes_are_of_different_parts_that_have_a_meaning(free):
  programs = toys.random_programs(SPEC, T, 300)
  count = T * len(free)
  found = search.single_changes(
      SPEC, free, programs, np.random.default_rng(0), count
  )
  assert found.value.shape == (count, 300)
  names, seen = list(SPEC), set()
  active = proposals_lib.are_active(SPEC, programs)
  is_free = np.array([name in free for name in SPEC])[:, None, None]
  for k, m in zip(*np.nonzero(found.value >= 0)):
    part, time = found.part[k, m], found.time[k, m]
    assert names[part] in free and active[part, time, m]
    assert found.value[k, m] < SPEC[names[part]].num_values
    assert found.value[k, m] != programs[names[part]][time, m]
    assert (part, time, m) not in seen
    seen.add((part, time, m))
  # As there are changes enough, each part that may change has one.
  assert len(seen) == (active & is_free).sum()


def test_of_few_single_changes_each_part_has_its_turn():
  spec = SPEC | {
      'place': core.Part(81, grid_shape=(9, 9)),
      'only': core.Part(1),  # It has no other value.
  }
  programs = same(6000, kind=1, place=0, shade=3, only=0)
  rng = np.random.default_rng(0)
  found = search.single_changes(spec, tuple(spec), programs, rng, 1)
  slots = np.bincount((found.part * T + found.time).ravel(), minlength=4 * T)
  assert slots[: 3 * T].min() > 0.8 * 6000 / (3 * T)
  assert not slots[3 * T :].any()
  assert (found.value[found.part == 0] == 0).all()
  places = found.value[found.part == 1]
  assert set(places) == set(range(1, 81))
  y, x = np.divmod(places, 9)
  # In the corner most steps lead out, and any other place is taken.
  is_near = (y <= 2) & (x <= 2)
  assert 0.25 < is_near.mean() < 0.45
