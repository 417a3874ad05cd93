"""Exploit and explore."""

import dataclasses
import math

import numpy as np
import pytest

from spiral_jax.training import population
from spiral_jax.training.population import search as search_lib
from tests import tiny
from tests.training.population import toys


def test_the_first_member_begins_as_configured():
  experiment = tiny.experiment('unused')
  first = search_lib.first_round(experiment, toys.SEARCH)
  assert first[0].learning_rate == experiment.learner.learning_rate
  assert first[0].entropy_cost == experiment.learner.entropy_cost
  assert [(s.member, s.slice, s.parent) for s in first] == [
      (m, 1, m) for m in range(4)
  ]
  assert first == search_lib.first_round(experiment, toys.SEARCH)
  assert first != search_lib.first_round(
      experiment.replace(seed=1), toys.SEARCH
  )


def test_first_values_are_log_uniform():
  experiment = tiny.experiment('unused')
  search = dataclasses.replace(toys.SEARCH, members=2001)
  first = search_lib.first_round(experiment, search)[1:]
  for values, (low, high) in (
      ([s.learning_rate for s in first], toys.SEARCH.learning_rates),
      ([s.entropy_cost for s in first], toys.SEARCH.entropy_costs),
  ):
    share = np.log(np.array(values) / low) / np.log(high / low)
    assert 0 <= share.min() < 0.01 < 0.99 < share.max() <= 1
    np.testing.assert_allclose(
        np.quantile(share, [0.25, 0.5, 0.75]), [0.25, 0.5, 0.75], atol=0.05
    )


def next_round(history, last_round, members, seed=0, **kwargs):
  search = dataclasses.replace(toys.SEARCH, members=members)
  return search_lib.next_round(history, last_round, search, seed, **kwargs)


@pytest.mark.parametrize(
    'scores, losers, winners',
    [
        ((1.0, 2.0), {0}, {1}),
        ((3.0, 1.0, 2.0), {1}, {0}),
        ((3.0, 1.0, 2.0, 4.0), {1}, {3}),
        ((3.0, 1.0, 2.0, 4.0, 0.0), {1, 4}, {0, 3}),
        (range(12), {0, 1, 2}, {9, 10, 11}),
        ((1.0, -math.inf, 2.0, 3.0), {1}, {3}),
        # None that diverged wins.
        ((-math.inf, 5.0, *[-math.inf] * 6), {0, 2}, {1}),
        ((-math.inf, -math.inf), set(), set()),
        # One that failed is not compared, and starts from another.
        ((None, 1.0, 2.0, 3.0), {0, 1}, {3}),
        ((None, 1.0), {0}, {1}),
        ((None, -math.inf), set(), set()),
    ],
)
def test_the_lowest_quarter_starts_from_the_highest(scores, losers, winners):
  history = toys.scored(1, *scores)
  last = [toys.line(member, 1) for member in range(len(scores))]
  found = set()
  for seed in range(30):
    following = next_round(history, last, len(scores), seed)
    assert [s.member for s in following] == list(range(len(scores)))
    assert all(s.slice == 2 for s in following)
    copies = [s for s in following if s.parent != s.member]
    assert {s.member for s in copies} == losers
    found |= {s.parent for s in copies}
    for slice_ in following:
      if slice_ not in copies:
        assert slice_[3:5] == last[slice_.member][3:5]
  assert found == winners


def test_exploring_perturbs_or_draws_anew():
  history = toys.scored(1, 1.0, 2.0)
  rates = []
  for seed in range(2000):
    loser, winner = next_round(history, history, 2, seed)
    assert winner[3:5] == history[1][3:5]
    rates.append((loser.learning_rate / 1e-3, loser.entropy_cost / 0.1))
  factor = np.array(rates)
  lower, higher = np.isclose(factor, 0.8), np.isclose(factor, 1.2)
  np.testing.assert_allclose(lower.mean(0), 0.375, atol=0.04)
  np.testing.assert_allclose(higher.mean(0), 0.375, atol=0.04)
  anew = factor[~(lower | higher).any(1)]
  assert anew.min() >= 0.1 and anew.max() <= 10.0
  # Each value by itself.
  assert ((lower | higher)[:, 0] != (lower | higher)[:, 1]).mean() > 0.3


def test_draws_depend_on_seed_and_round_only():
  history = [*toys.scored(1, 1.0, 2.0), *toys.scored(2, 1.0, 2.0)]
  one, two = history[:2], history[2:]
  first = next_round(one, one, 2)
  assert next_round(one, one, 2) == first
  # The order in which slices end says nothing.
  assert next_round(one[::-1], one, 2) == first
  assert next_round(history, two, 2)[0][3:5] != first[0][3:5]
  assert next_round(one, one, 2, seed=1)[0][3:5] != first[0][3:5]


def test_members_are_done_at_their_frames():
  history = [
      toys.line(0, 1, score=9.0, frames=100),
      *toys.scored(1, None, 1.0, 2.0),
  ]
  last = [s._replace(score=-math.inf, frames=0) for s in history]
  following = next_round(history, last, 3, max_frames=100)
  # The best, which is done, is no parent.
  assert [(s.member, s.parent) for s in following] == [(1, 2), (2, 2)]
  assert not next_round(history, last, 3, max_frames=24)
  # With more frames it takes part again, from where it was.
  following = [toys.line(1, 2, 2), toys.line(2, 2, score=1.0)]
  history += following
  third = next_round(history, following, 3, max_frames=200)
  assert [(s.member, s.parent) for s in third] == [(0, 0), (1, 2), (2, 2)]


def test_one_that_failed_does_not_hold_up_the_end():
  history = toys.scored(1, None, 1.0)
  last = [toys.line(0, 1), toys.line(1, 1)]
  assert not next_round(history, last, 2, max_frames=24)


@pytest.mark.parametrize(
    'fields, words',
    [
        (dict(members=1), 'members is 1'),
        (dict(entropy_costs=(2.0, 1.0)), 'entropy_costs=2.0,1.0 .*lower one'),
        (dict(learning_rates=(0.0, 1.0)), 'learning_rates=0.0,1.0 .*above 0'),
        (dict(learning_rates=(1.0, math.nan)), 'learning_rates'),
        (dict(perturb_minutes=0.0), '--perturb_minutes or --perturb_frames'),
        (dict(perturb_frames=-1), 'perturb_frames is -1'),
        (dict(member_cpus=-1), 'member_cpus is -1'),
    ],
)
def test_an_invalid_search_is_refused(fields, words):
  with pytest.raises(ValueError, match=words):
    population.Search(**fields)
