"""Rounds: their end, what they keep, resuming, and what fails; no Ray."""

import dataclasses

import pytest

from spiral_jax.training.population import history as history_lib
from spiral_jax.training.population import rounds as rounds_lib
from spiral_jax.training.population import search as search_lib
from tests import tiny
from tests.training.population import toys


def test_rounds_end_at_the_frames_and_leave_the_best(tmp_path, capsys):
  slices = toys.Slices()
  best_dir = toys.rounds(tmp_path, slices)
  assert slices.trained == [(s, m) for s in (1, 2, 3, 4) for m in range(4)]
  history = history_lib.load(tmp_path / 'history.jsonl')
  assert [(h.slice, h.member) for h in history] == slices.trained
  best = history_lib.best(history)
  assert best.score == max(h.score for h in history[-4:])
  assert best_dir == tmp_path / 'best'
  text = (best_dir / 'config.json').read_text()
  assert text == f'of {best.member}/4'
  assert (tmp_path / 'population.png').exists()
  assert f'best: member {best.member}' in capsys.readouterr().out
  for member in range(4):
    kept = (tmp_path / 'members' / str(member)).iterdir()
    assert {path.name for path in kept} == {'2', '3', '4'}
  # With the same end, nothing is left to do; with more frames, there is.
  for frames, more in ((192, []), (240, [(5, m) for m in range(4)])):
    slices = toys.Slices()
    toys.rounds(tmp_path, slices, resume=True, frames=frames)
    assert slices.trained == more


def test_one_that_is_stopped_resumes_in_the_middle_of_a_round(tmp_path):
  whole, resumed = tmp_path / 'whole', tmp_path / 'resumed'
  toys.rounds(whole, toys.Slices())
  with pytest.raises(KeyboardInterrupt):
    toys.rounds(resumed, toys.Slices(stops=(1, 0)))
  assert not (resumed / 'best').exists()
  with pytest.raises(KeyboardInterrupt):
    toys.rounds(resumed, toys.Slices(stops=(3, 2)), resume=True)
  assert (resumed / 'best' / 'config.json').read_text().endswith('/2')
  # What a slice that was killed has left.
  (resumed / 'members' / '2' / '3.0a1b' / 'run').mkdir(parents=True)
  slices = toys.Slices()
  toys.rounds(resumed, slices, resume=True)
  assert slices.trained == [(3, 2), (3, 3), *[(4, m) for m in range(4)]]
  history = [
      history_lib.load(path / 'history.jsonl') for path in (whole, resumed)
  ]
  assert history[0] == history[1]
  assert not list(resumed.glob('members/*/*.*'))


def test_one_that_fails_is_left_out_of_a_round(tmp_path, capsys):
  toys.rounds(tmp_path, toys.Slices(fails=[(1, 0), (4, 2)]))
  assert 'slice 1, member 0 failed' in capsys.readouterr().out
  history = history_lib.load(tmp_path / 'history.jsonl')
  by_place = {(h.slice, h.member): h for h in history}
  assert len(history) == 14
  # It starts from another, and what failed at the end is tried again.
  assert by_place[2, 0].parent != 0 and by_place[2, 0].frames == 96
  slices = toys.Slices()
  toys.rounds(tmp_path, slices, resume=True)
  assert slices.trained == [(4, 2)]


def test_a_history_whose_last_line_is_not_whole_is_resumed(tmp_path):
  toys.rounds(tmp_path, toys.Slices(), frames=96)
  path = tmp_path / 'history.jsonl'
  whole = path.read_text()
  path.write_text(whole[:-20])  # Killed, or on a full disk, within a line.
  slices = toys.Slices()
  toys.rounds(tmp_path, slices, resume=True, frames=96)
  assert slices.trained == [(2, 3)]
  assert path.read_text() == whole


def test_if_all_fail_the_first_cause_is_told(tmp_path):
  fails = [(1, member) for member in range(4)]
  with pytest.raises(ValueError, match='all members failed.*no disk'):
    toys.rounds(tmp_path, toys.Slices(fails))
  toys.rounds(tmp_path, toys.Slices(fails[1:]), resume=True)


class Clock:
  """Stands for a run's clock; slices advance it."""

  seconds = 0.0

  def start(self):
    pass

  def get_state(self):
    return {'seconds': self.seconds}

  def set_state(self, state):
    Clock.seconds = state['seconds']


@pytest.fixture
def clock(monkeypatch):
  monkeypatch.setattr(Clock, 'seconds', 0.0)
  monkeypatch.setattr(rounds_lib.run_dir_lib, 'Clock', Clock)

  class TimedSlices(toys.Slices):

    def __call__(self, function, calls, is_over):
      for member, result in super().__call__(function, calls, is_over):
        # A little more than was planned, or a minute.
        Clock.seconds += 60.0 if calls[member][-1] else 1.05 * calls[member][-2]
        yield member, result

  return TimedSlices


def test_time_ends_a_population_in_the_middle_of_a_round(clock, tmp_path):
  slices = clock()
  toys.rounds(tmp_path, slices, minutes=6.0)
  done = [*[(1, m) for m in range(4)], (2, 0), (2, 1)]
  assert slices.trained == done
  # Few have ended the second round: the first is what there is.
  assert (tmp_path / 'best' / 'config.json').read_text().endswith('/1')
  slices = clock()
  toys.rounds(tmp_path, slices, resume=True, minutes=6.0)
  assert slices.trained == []
  toys.rounds(tmp_path, slices, resume=True, minutes=9.0)
  assert slices.trained == [(2, 2), (2, 3), (3, 0)]


def test_slices_are_planned_to_end_with_the_time(clock, tmp_path):
  slices = clock()
  search = dataclasses.replace(toys.SEARCH, perturb_minutes=1.4)
  experiment = tiny.experiment(tmp_path, run=dict(frames=0, minutes=12.0))
  rounds_lib.train_rounds(experiment, search, slices, turns=4)
  # Each has three minutes: two slices of about 1.4.
  assert slices.trained == [(s, m) for s in (1, 2) for m in range(4)]
  member, planned, before, seconds, frames = slices.arguments[0]
  assert (seconds, frames, before) == (90.0, 0, None)
  # What the first round took more is taken from the second.
  assert slices.arguments[4][-2] == pytest.approx((720 - 1.05 * 360) / 4)
  assert planned == search_lib.first_round(experiment, search)[0]
  # A decay by clock lasts as long as a member trains.
  assert member.run.decay_minutes == 3.0
  # Nothing is left to do, until there is more time.
  slices = clock()
  for minutes in (12.0, 18.0):
    assert slices.trained == []
    experiment = experiment.replace(resume=True, minutes=minutes)
    rounds_lib.train_rounds(experiment, search, slices, turns=4)
  assert slices.trained == [(3, m) for m in range(4)]
  left = 18 * 60 - 1.05 * 4 * (90.0 + (720 - 1.05 * 360) / 4)
  assert slices.arguments[0][-2] == pytest.approx(left / 4)
