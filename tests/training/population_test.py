"""A population: rounds, exploit and explore, slices, what is best; no Ray."""

import dataclasses
import errno
import functools
import json
import math
import pathlib

import jax
import numpy as np
from PIL import Image
import pytest

from spiral_jax import training
from spiral_jax.driver import checkpoints
from spiral_jax.driver import finite
from spiral_jax.training import population
from spiral_jax.training import population_history
from spiral_jax.training import population_slice
from tests import tiny

SEARCH = population.Search(
    members=4, learning_rates=(1e-4, 1e-2), entropy_costs=(0.01, 1.0)
)


def line(member, slice_, parent=None, score=0.0, **fields):
  defaults = dict(
      frames=24 * slice_, seconds=1.0, learning_rate=1e-3, entropy_cost=0.1
  )
  parent = member if parent is None else parent
  return population_slice.Slice(
      member, slice_, parent, score=score, **{**defaults, **fields}
  )


def scored(slice_, *scores, **fields):
  """Returns a line for each member that has a score."""
  return [
      line(member, slice_, score=score, **fields)
      for member, score in enumerate(scores)
      if score is not None
  ]


# Member 2 is replaced by 0 after the first slice, 0 by 2 after the second.
HISTORY = [
    *scored(1, 3.0, 2.0, 1.0),
    line(0, 2, score=4.0),
    line(1, 2, score=9.0),
    line(2, 2, 0, score=5.0),
    line(0, 3, 2, score=7.0),
    line(1, 3, score=6.0),
    line(2, 3, score=-math.inf),
]


# Best, ancestry, plot.


def test_the_best_is_that_of_the_last_slice():
  assert population_history.best(HISTORY) == HISTORY[6]
  # Time ran out when two of three had ended it.
  assert population_history.best(HISTORY[:8]) == HISTORY[4]
  with pytest.raises(ValueError, match='--perturb_minutes'):
    population_history.best([])


def test_ancestry_follows_parents():
  path = population_history.ancestry(HISTORY, HISTORY[6])
  assert [(p.slice, p.member) for p in path] == [(1, 0), (2, 2), (3, 0)]
  # Member 1 took no part in a round.
  late = line(1, 5)
  assert population_history.ancestry([*HISTORY, late], late)[-2:] == [
      HISTORY[7],
      late,
  ]


def test_the_plot_draws_every_member(tmp_path):
  population_history.plot(HISTORY, HISTORY[6], tmp_path / 'plot.png')
  with Image.open(tmp_path / 'plot.png') as image:
    assert len(image.convert('RGB').getcolors(1 << 20)) > 10


# Exploit and explore.


def test_the_first_member_begins_as_configured():
  experiment = tiny.experiment('unused')
  first = population.first_round(experiment, SEARCH)
  assert first[0].learning_rate == experiment.learner.learning_rate
  assert first[0].entropy_cost == experiment.learner.entropy_cost
  assert [(s.member, s.slice, s.parent) for s in first] == [
      (m, 1, m) for m in range(4)
  ]
  assert first == population.first_round(experiment, SEARCH)
  assert first != population.first_round(experiment.replace(seed=1), SEARCH)


def test_first_values_are_log_uniform():
  experiment = tiny.experiment('unused')
  search = dataclasses.replace(SEARCH, members=2001)
  first = population.first_round(experiment, search)[1:]
  for values, (low, high) in (
      ([s.learning_rate for s in first], SEARCH.learning_rates),
      ([s.entropy_cost for s in first], SEARCH.entropy_costs),
  ):
    share = np.log(np.array(values) / low) / np.log(high / low)
    assert 0 <= share.min() < 0.01 < 0.99 < share.max() <= 1
    np.testing.assert_allclose(
        np.quantile(share, [0.25, 0.5, 0.75]), [0.25, 0.5, 0.75], atol=0.05
    )


def next_round(history, last_round, members, seed=0, **kwargs):
  search = dataclasses.replace(SEARCH, members=members)
  return population.next_round(history, last_round, search, seed, **kwargs)


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
  history = scored(1, *scores)
  last = [line(member, 1) for member in range(len(scores))]
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
  history = scored(1, 1.0, 2.0)
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
  history = [*scored(1, 1.0, 2.0), *scored(2, 1.0, 2.0)]
  one, two = history[:2], history[2:]
  first = next_round(one, one, 2)
  assert next_round(one, one, 2) == first
  # The order in which slices end says nothing.
  assert next_round(one[::-1], one, 2) == first
  assert next_round(history, two, 2)[0][3:5] != first[0][3:5]
  assert next_round(one, one, 2, seed=1)[0][3:5] != first[0][3:5]


def test_members_are_done_at_their_frames():
  history = [line(0, 1, score=9.0, frames=100), *scored(1, None, 1.0, 2.0)]
  last = [s._replace(score=-math.inf, frames=0) for s in history]
  following = next_round(history, last, 3, max_frames=100)
  # The best, which is done, is no parent.
  assert [(s.member, s.parent) for s in following] == [(1, 2), (2, 2)]
  assert not next_round(history, last, 3, max_frames=24)
  # With more frames it takes part again, from where it was.
  following = [line(1, 2, 2), line(2, 2, score=1.0)]
  history += following
  third = next_round(history, following, 3, max_frames=200)
  assert [(s.member, s.parent) for s in third] == [(0, 0), (1, 2), (2, 2)]


def test_one_that_failed_does_not_hold_up_the_end():
  history = scored(1, None, 1.0)
  last = [line(0, 1), line(1, 1)]
  assert not next_round(history, last, 2, max_frames=24)


# Slices.


def test_a_score_is_that_of_the_second_half(tmp_path):
  path = tmp_path / 'metrics.jsonl'
  records = [
      {'policy/frames': frames, 'policy/score': score}
      for frames, score in ((90, 50.0), (110, 9.0), (160, 2.0), (200, 4.0))
  ]
  path.write_text('\n'.join(map(json.dumps, [*records, {'step': 1}])))
  score = functools.partial(
      population_slice._score, path, has_discriminator=False
  )
  assert score(100, 200) == 3.0
  assert score(200, 210) == 4.0  # Too short for a record.


def test_a_score_is_less_that_of_real_images(tmp_path):
  path = tmp_path / 'metrics.jsonl'
  distance = 'discriminator/discriminator_distance'
  lines = [
      {distance: 9.0},  # Before the first half ends.
      {'policy/frames': 160, 'policy/score': 50.0},
      {distance: 2.0},
      {distance: 4.0},
  ]
  path.write_text('\n'.join(map(json.dumps, lines)))
  score = functools.partial(
      population_slice._score, path, has_discriminator=True
  )
  assert score(100, 200) == -3.0
  # One that diverges has nothing to hand on.
  with path.open('a') as file:
    file.write('\n' + json.dumps({distance: None}))
  assert score(100, 200) == score(200, 210) == -math.inf
  path.write_text('')
  assert score(100, 200) == -math.inf


def test_overhead_is_part_of_a_slice():
  assert population_slice._training_seconds(120, 0) == 120
  assert population_slice._training_seconds(120, 6) == 114
  # One that trains for a moment only would teach nothing.
  assert population_slice._training_seconds(120, 90) == 60


def params(folder):
  state = checkpoints.load(folder / 'checkpoints').state
  return state['policy']['learner']['params']


@pytest.mark.slow
def test_a_member_starts_from_another(tmp_path):
  experiment = tiny.experiment(tmp_path, run=dict(frames=0))
  planned = population_slice.Slice(0, 1, 0, 1e-3, 0.1)
  first = population_slice.train_slice(experiment, planned, None, 0.0, 48)
  assert first[:5] == planned[:5]
  assert first.frames == 48 and first.overhead > 0
  folder = tmp_path / 'members' / '0' / '1'
  before = params(folder)
  planned = population_slice.Slice(1, 2, 0, 0.5, 0.2)
  experiment = experiment.replace(frames=60)
  second = population_slice.train_slice(experiment, planned, first, 0.0, 48)
  # Ends at --frames, which are reached before the slice's.
  assert second.frames == 72 and second.seconds > first.seconds
  assert np.isfinite(second.score)
  end = tmp_path / 'members' / '1' / '2'
  texts = (end / 'metrics.jsonl').read_text().splitlines()
  frames = [json.loads(text).get('policy/frames') for text in texts]
  assert [f for f in frames if f] == [24, 48, 72]
  # It moved from where the other was, by a large learning rate.
  jax.tree.map(np.testing.assert_array_equal, before, params(folder))
  moved = jax.tree.map(lambda a, b: np.abs(a - b).max(), before, params(end))
  assert max(jax.tree.leaves(moved)) > 0.1
  # A folder has one checkpoint, and nothing lies next to it.
  assert [p.name for p in (end / 'checkpoints').iterdir()] == ['3']
  assert [p.name for p in end.parent.iterdir()] == ['2']
  trained = training.restore(end)
  assert trained.experiment.learner.learning_rate == 0.5
  assert trained.experiment.learner.entropy_cost == 0.2
  # No member learns from what another one is evaluated on.
  assert trained.experiment.run.seed == 1
  assert trained.experiment.run.data_seed == 0


# Rounds, of slices that only say that they were trained.


class Slices:
  """Trains slices in this process; some fail, or end everything."""

  def __init__(self, fails=(), stops=None):
    self.fails = set(fails)  # (slice, member).
    self.stops = stops
    self.trained = []
    self.arguments = []

  def __call__(self, function, calls, is_over):
    assert function is population_slice.train_slice
    for member, (experiment, planned, before, *length) in calls.items():
      if is_over():
        return
      if (planned.slice, member) == self.stops:
        raise KeyboardInterrupt
      if (planned.slice, member) in self.fails:
        yield member, OSError('no disk')
        continue
      run_dir = pathlib.Path(experiment.run.run_dir)
      if before is not None:
        assert folder(run_dir, before.slice, before.member).is_dir()
      write_run(folder(run_dir, planned.slice, member))
      self.trained.append((planned.slice, member))
      self.arguments.append((experiment, planned, before, *length))
      frames = (before.frames if before else 0) + 48
      yield member, planned._replace(
          score=-planned.learning_rate, frames=frames, seconds=float(frames)
      )


def folder(run_dir, slice_, member):
  return run_dir / 'members' / str(member) / str(slice_)


def write_run(path):
  (path / 'checkpoints' / '3').mkdir(parents=True, exist_ok=True)
  for name in ('metrics.jsonl', 'config.json', 'checkpoints/3/state'):
    (path / name).write_text(f'of {path.parent.name}/{path.name}')


def rounds(run_dir, slices, search=SEARCH, **run):
  search = dataclasses.replace(search, perturb_frames=48)
  experiment = tiny.experiment(run_dir, run={'frames': 192, **run})
  return population.train_rounds(experiment, search, slices)


def test_rounds_end_at_the_frames_and_leave_the_best(tmp_path, capsys):
  slices = Slices()
  best_dir = rounds(tmp_path, slices)
  assert slices.trained == [(s, m) for s in (1, 2, 3, 4) for m in range(4)]
  history = population_history.load(tmp_path / 'history.jsonl')
  assert [(h.slice, h.member) for h in history] == slices.trained
  best = population_history.best(history)
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
    slices = Slices()
    rounds(tmp_path, slices, resume=True, frames=frames)
    assert slices.trained == more


def test_one_that_is_stopped_resumes_in_the_middle_of_a_round(tmp_path):
  whole, resumed = tmp_path / 'whole', tmp_path / 'resumed'
  rounds(whole, Slices())
  with pytest.raises(KeyboardInterrupt):
    rounds(resumed, Slices(stops=(1, 0)))
  assert not (resumed / 'best').exists()
  with pytest.raises(KeyboardInterrupt):
    rounds(resumed, Slices(stops=(3, 2)), resume=True)
  assert (resumed / 'best' / 'config.json').read_text().endswith('/2')
  # What a slice that was killed has left.
  (resumed / 'members' / '2' / '3.0a1b' / 'run').mkdir(parents=True)
  slices = Slices()
  rounds(resumed, slices, resume=True)
  assert slices.trained == [(3, 2), (3, 3), *[(4, m) for m in range(4)]]
  history = [
      population_history.load(path / 'history.jsonl')
      for path in (whole, resumed)
  ]
  assert history[0] == history[1]
  assert not list(resumed.glob('members/*/*.*'))


def test_one_that_fails_is_left_out_of_a_round(tmp_path, capsys):
  rounds(tmp_path, Slices(fails=[(1, 0), (4, 2)]))
  assert 'slice 1, member 0 failed' in capsys.readouterr().out
  history = population_history.load(tmp_path / 'history.jsonl')
  by_place = {(h.slice, h.member): h for h in history}
  assert len(history) == 14
  # It starts from another, and what failed at the end is tried again.
  assert by_place[2, 0].parent != 0 and by_place[2, 0].frames == 96
  slices = Slices()
  rounds(tmp_path, slices, resume=True)
  assert slices.trained == [(4, 2)]


def test_a_history_whose_last_line_is_not_whole_is_resumed(tmp_path):
  rounds(tmp_path, Slices(), frames=96)
  path = tmp_path / 'history.jsonl'
  whole = path.read_text()
  path.write_text(whole[:-20])  # Killed, or on a full disk, within a line.
  slices = Slices()
  rounds(tmp_path, slices, resume=True, frames=96)
  assert slices.trained == [(2, 3)]
  assert path.read_text() == whole


def test_a_full_disk_is_waited_for(tmp_path, monkeypatch, caplog):
  failures = [OSError(errno.ENOSPC, 'No space left on device')] * 2
  write = population_history.files.write_atomically

  def write_later(path, content):
    if failures:
      raise failures.pop()
    write(path, content)

  monkeypatch.setattr(population_history, '_RETRY_SECONDS', 0.0)
  monkeypatch.setattr(population_history.files, 'write_atomically', write_later)
  population_history.save([line(0, 1)], tmp_path / 'history.jsonl')
  assert population_history.load(tmp_path / 'history.jsonl') == [line(0, 1)]
  assert len(caplog.records) == 2 and 'history.jsonl' in caplog.text
  failures.append(PermissionError(errno.EACCES, 'no'))
  with pytest.raises(PermissionError):
    population_history.save([], tmp_path / 'history.jsonl')


def test_a_slice_that_diverges_is_not_tried_again(tmp_path, monkeypatch):
  error = finite.NotFiniteError('policy/loss', math.nan, 7, 168)

  def diverge(experiment, **kwargs):
    del experiment, kwargs
    raise error

  monkeypatch.setattr(population_slice.runner, 'train', diverge)
  experiment = tiny.experiment(tmp_path)
  planned = line(0, 1)
  found = population_slice.train_slice(experiment, planned, None, 60.0, 0)
  assert found is error  # As a result: what is raised is tried again.
  assert not folder(tmp_path, 1, 0).exists()


def test_if_all_fail_the_first_cause_is_told(tmp_path):
  fails = [(1, member) for member in range(4)]
  with pytest.raises(ValueError, match='all members failed.*no disk'):
    rounds(tmp_path, Slices(fails))
  rounds(tmp_path, Slices(fails[1:]), resume=True)


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
  monkeypatch.setattr(population.run_dir_lib, 'Clock', Clock)

  class TimedSlices(Slices):

    def __call__(self, function, calls, is_over):
      for member, result in super().__call__(function, calls, is_over):
        # A little more than was planned, or a minute.
        Clock.seconds += 60.0 if calls[member][-1] else 1.05 * calls[member][-2]
        yield member, result

  return TimedSlices


def test_time_ends_a_population_in_the_middle_of_a_round(clock, tmp_path):
  slices = clock()
  rounds(tmp_path, slices, minutes=6.0)
  done = [*[(1, m) for m in range(4)], (2, 0), (2, 1)]
  assert slices.trained == done
  # Few have ended the second round: the first is what there is.
  assert (tmp_path / 'best' / 'config.json').read_text().endswith('/1')
  slices = clock()
  rounds(tmp_path, slices, resume=True, minutes=6.0)
  assert slices.trained == []
  rounds(tmp_path, slices, resume=True, minutes=9.0)
  assert slices.trained == [(2, 2), (2, 3), (3, 0)]


def test_slices_are_planned_to_end_with_the_time(clock, tmp_path):
  slices = clock()
  search = dataclasses.replace(SEARCH, perturb_minutes=1.4)
  experiment = tiny.experiment(tmp_path, run=dict(frames=0, minutes=12.0))
  population.train_rounds(experiment, search, slices, turns=4)
  # Each has three minutes: two slices of about 1.4.
  assert slices.trained == [(s, m) for s in (1, 2) for m in range(4)]
  member, planned, before, seconds, frames = slices.arguments[0]
  assert (seconds, frames, before) == (90.0, 0, None)
  # What the first round took more is taken from the second.
  assert slices.arguments[4][-2] == pytest.approx((720 - 1.05 * 360) / 4)
  assert planned == population.first_round(experiment, search)[0]
  # A decay by clock lasts as long as a member trains.
  assert member.run.decay_minutes == 3.0
  # Nothing is left to do, until there is more time.
  slices = clock()
  for minutes in (12.0, 18.0):
    assert slices.trained == []
    experiment = experiment.replace(resume=True, minutes=minutes)
    population.train_rounds(experiment, search, slices, turns=4)
  assert slices.trained == [(3, m) for m in range(4)]
  left = 18 * 60 - 1.05 * 4 * (90.0 + (720 - 1.05 * 360) / 4)
  assert slices.arguments[0][-2] == pytest.approx(left / 4)


# What is refused.


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


@pytest.mark.parametrize(
    'run, words',
    [
        (dict(frames=0), '--minutes of all of it, or --frames'),
        (dict(resume=True), 'no population to resume'),
        (dict(launcher='ray', lockstep=False), '--launcher=ray'),
        (dict(init_from='nothing'), "no weights named 'nothing'"),
        (dict(batch_size=7, devices=2), '--batch_size=7'),
    ],
)
def test_an_experiment_that_fits_no_population_is_refused(tmp_path, run, words):
  run_dir = tmp_path / 'run'
  with pytest.raises((ValueError, FileNotFoundError), match=words):
    population.train(tiny.experiment(run_dir, run=run), SEARCH)
  assert not run_dir.exists()
  with pytest.raises(ValueError, match='run_dir is empty'):
    population.train(tiny.experiment(''), SEARCH)


def test_a_folder_with_something_else_is_refused(tmp_path):
  write_run(tmp_path / 'run')
  with pytest.raises(ValueError, match='a single run'):
    population.train(tiny.experiment(tmp_path / 'run'), SEARCH)
  rounds(tmp_path / 'population', Slices())
  with pytest.raises(ValueError, match='a population already.*--resume'):
    population.train(tiny.experiment(tmp_path / 'population'), SEARCH)


@pytest.mark.parametrize(
    'fields, words',
    [
        (dict(members=8), 'has --members=4, now it is 8'),
        (
            dict(learning_rates=(1e-4, 0.1)),
            'has --learning_rates=0.0001,0.01, now it is 0.0001,0.1',
        ),
        (dict(entropy_costs=(0.01, 2.0)), 'has --entropy_costs=0.01,1.0'),
    ],
)
def test_another_search_on_resume_is_refused(tmp_path, fields, words):
  rounds(tmp_path, Slices())
  resumed = tiny.experiment(tmp_path, run=dict(resume=True))
  with pytest.raises(ValueError, match=words):
    population.train(resumed, dataclasses.replace(SEARCH, **fields))
  with pytest.raises(ValueError, match='has --seed=0, now it is 1'):
    population.train(resumed.replace(seed=1), SEARCH)
