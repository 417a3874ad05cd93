"""What a population may spend."""

import functools

import pytest

import budget as budget_lib


def test_rounds_of_slices_end_with_the_time():
  plan = functools.partial(budget_lib.plan, turns=4, slice_minutes=2.0)
  new = [0, 0, 0, 0]
  assert plan(40.0, done=new) == (5, 2.0)
  assert plan(36.4, done=new) == (5, pytest.approx(1.82))
  # Not shorter than half: that round ends late.
  assert plan(0.4, done=new) == (1, 1.0)
  # Fewer turns, as several train at once.
  assert budget_lib.plan(40.0, 2, 2.0, new) == (10, 2.0)
  # Gone on with: after three rounds, in the fourth, with longer slices.
  assert plan(16.0, done=[3, 3, 3, 3]) == (5, 2.0)
  assert plan(12.0, done=[4, 4, 3, 3]) == (5, 2.0)
  assert budget_lib.plan(16.0, 4, 5.0, [3, 3, 3, 3]) == (4, 4.0)
  # Nothing is left but the end of a round, or not even that.
  assert plan(-0.1, done=[5, 5, 5, 4]) == (5, 1.0)
  assert plan(-0.1, done=[5, 5, 5, 5]) == (5, 2.0)


def test_members_end_at_their_frames_or_slices(tmp_path):
  budget = budget_lib.Budget(tmp_path / 'budget.json')
  budget.start(60.0, grace=10.0, frames=0, slices=3)
  assert not budget.has_ended(10**9, 2) and budget.has_ended(0, 3)
  budget.start(60.0, grace=0.0, frames=100, slices=0)
  assert not budget.has_ended(99, 10**9) and budget.has_ended(100, 1)


def test_time_is_kept_over_resumptions(tmp_path):
  for seconds, is_over in ((59.0, False), (10.0, False), (2.0, True)):
    budget = budget_lib.Budget(tmp_path / 'budget.json')
    budget.start(60.0, grace=10.0, frames=0, slices=3)
    budget.spend(seconds)
    assert budget.is_over() is is_over
  assert budget.minutes == pytest.approx(71 / 60)
