"""Tests of objects.py."""

import itertools

import hypothesis
from hypothesis import strategies as st
import numpy as np
import pytest

from environments.scene import metrics

GRID = (16, 16)
PARTS = ('object', 'location', 'size', 'red', 'green', 'blue')


def thing(row, column, object_=0, size=0, rgb=(0, 0, 0)):
  return (object_, row * 16 + column, size, *rgb)


def scenes(*lists, places=4):
  """Returns scenes of things; what is not present holds other values."""
  arrays = {part: np.full((len(lists), places), 77) for part in PARTS}
  arrays['present'] = np.zeros((len(lists), places), bool)
  for b, things in enumerate(lists):
    for m, values in enumerate(things):
      arrays['present'][b, m] = True
      for part, value in zip(PARTS, values):
        arrays[part][b, m] = value
  return arrays


def evaluate(predicted, true, **places):
  """Returns the figures of one scene."""
  return metrics.evaluate_objects(
      scenes(predicted, **places), scenes(true), grid_shape=GRID
  )


def test_a_perfect_scene_in_any_order():
  things = [thing(1, 2, 3, 2, (1, 2, 3)), thing(9, 9), thing(0, 15, 1)]
  for predicted in itertools.permutations(things):
    figures = evaluate(predicted, things, places=20)
    assert figures == metrics.ObjectAccuracy(
        scenes=1,
        right_count=1,
        count_error=0,
        exact=1,
        recall=1,
        precision=1,
        matched=3,
        kind=1,
        location=1,
        near=1,
        size=1,
        color=1,
        shade=1,
    )


def test_each_part_has_its_own_figure():
  true = [thing(5, 5, 1, 1, (1, 1, 1))]
  for change, wrong in (
      (dict(object_=2), {'kind': 0}),
      (dict(size=0), {'size': 0}),
      (dict(rgb=(1, 2, 1)), {'color': 0, 'shade': 2 / 3}),
      (dict(rgb=(0, 2, 3)), {'color': 0, 'shade': 0}),
  ):
    parts = dict(object_=1, size=1, rgb=(1, 1, 1)) | change
    figures = evaluate([thing(5, 5, **parts)], true)._asdict()
    expected = evaluate(true, true)._asdict() | {'exact': 0} | wrong
    assert figures == pytest.approx(expected)


@pytest.mark.parametrize(
    'place, near',
    [
        ((5, 6), 1),
        ((4, 4), 1),
        ((6, 5), 1),
        ((5, 7), 0),
        ((3, 5), 0),
        ((4, 7), 0),
    ],
)
def test_within_one_cell(place, near):
  figures = evaluate([thing(*place)], [thing(5, 5)])
  assert (figures.location, figures.near) == (0, near)
  assert (figures.recall, figures.precision) == (near, near)


def test_the_next_row_is_not_the_next_column():
  # Locations 15 and 16 are next to each other as numbers alone.
  assert evaluate([thing(0, 15)], [thing(1, 0)]).near == 0


def test_matching_is_of_the_least_sum():
  # The nearest pair first would leave a pair far apart.
  true = [thing(0, 4, 0), thing(0, 7, 1)]
  predicted = [thing(0, 6, 0), thing(0, 12, 1)]
  figures = evaluate(predicted, true)
  # (6-4) + (12-7) = 7 as (7-6) + (12-4) = 9.
  assert figures.kind == 1


def test_at_one_place_the_parts_decide():
  true = [thing(3, 3, 0), thing(3, 3, 1, 2)]
  figures = evaluate([thing(3, 3, 1, 2), thing(3, 3, 0)], true)
  assert figures.exact == 1


def test_numbers_differ():
  true = [thing(1, 1), thing(8, 8), thing(14, 2)]
  figures = evaluate([thing(8, 8), thing(2, 2)], true)
  assert (figures.right_count, figures.count_error, figures.exact) == (0, 1, 0)
  assert (figures.matched, figures.location, figures.near) == (2, 0.5, 1)
  assert figures.recall == pytest.approx(2 / 3)
  assert figures.precision == 1
  swapped = evaluate(true, [thing(8, 8), thing(2, 2)])
  assert swapped.recall == 1 and swapped.precision == pytest.approx(2 / 3)
  assert swapped[6:] == figures[6:]


def test_nothing_predicted_or_nothing_there():
  figures = evaluate([], [thing(1, 1)])
  assert (figures.right_count, figures.count_error) == (0, 1)
  assert figures.matched == figures.recall == 0 and np.isnan(figures.precision)
  assert np.isnan(figures[7:]).all()
  both = evaluate([], [])
  assert (both.right_count, both.exact) == (1, 1)
  none = metrics.evaluate_objects(scenes(), scenes(), grid_shape=GRID)
  assert none.scenes == 0 and np.isnan(none.right_count)


def test_pairs_of_all_scenes_count_alike():
  true = scenes([thing(1, 1), thing(9, 9)], [thing(4, 4)], [thing(2, 2)])
  predicted = scenes(
      [thing(1, 1), thing(9, 9)],
      [thing(4, 4, 2)],
      [thing(2, 2), thing(3, 3)],
      places=6,
  )
  figures = metrics.evaluate_objects(predicted, true, grid_shape=GRID)
  assert (figures.scenes, figures.matched) == (3, 4)
  assert figures.right_count == pytest.approx(2 / 3)
  assert figures.count_error == pytest.approx(1 / 3)
  assert figures.exact == pytest.approx(1 / 3)
  assert figures.kind == 3 / 4


@hypothesis.settings(deadline=None, max_examples=200)
@hypothesis.given(
    rows=st.integers(0, 5),
    columns=st.integers(0, 5),
    seed=st.integers(0, 2**32 - 1),
    values=st.sampled_from([2, 5, 1000]),
)
def test_match_against_all_matchings(rows, columns, seed, values):
  # Of few values, so that ties are common.
  cost = np.random.default_rng(seed).integers(-3, values, (rows, columns))
  i, j = metrics.match(cost)
  assert len(i) == len(j) == min(rows, columns)
  assert len(set(i)) == len(i) and len(set(j)) == len(j)
  assert sorted(i) == list(i)
  small = cost if rows <= columns else cost.T
  best = min(
      sum(small[k, p] for k, p in enumerate(chosen))
      for chosen in itertools.permutations(range(small.shape[1]), len(small))
  )
  assert cost[i, j].sum() == best


def test_match_of_many():
  rng = np.random.default_rng(0)
  order = rng.permutation(20)
  cost = rng.uniform(1, 2, (20, 20))
  cost[np.arange(20), order] = 0.01
  rows, columns = metrics.match(cost)
  np.testing.assert_array_equal(rows, np.arange(20))
  np.testing.assert_array_equal(columns, order)


def test_refuses_what_are_no_scenes():
  good = scenes([thing(1, 1)])
  with pytest.raises(ValueError, match="predicted.* no part 'size' but"):
    metrics.evaluate_objects(
        {k: v for k, v in good.items() if k != 'size'}, good, grid_shape=GRID
    )
  with pytest.raises(ValueError, match="'present' of true.*int64"):
    metrics.evaluate_objects(
        good, good | {'present': np.ones((1, 4), int)}, grid_shape=GRID
    )
  with pytest.raises(ValueError, match=r"'red' of predicted.*\(1, 3\)"):
    metrics.evaluate_objects(
        good | {'red': np.ones((1, 3), int)}, good, grid_shape=GRID
    )
  with pytest.raises(ValueError, match="'red' of predicted.*float64"):
    metrics.evaluate_objects(
        good | {'red': np.ones((1, 4))}, good, grid_shape=GRID
    )
  with pytest.raises(ValueError, match='17 to 17.* 4 cells'):
    metrics.evaluate_objects(good, good, grid_shape=(2, 2))
  with pytest.raises(ValueError, match='1 predicted scenes and 2 true'):
    metrics.evaluate_objects(good, scenes([thing(1, 1)], []), grid_shape=GRID)
