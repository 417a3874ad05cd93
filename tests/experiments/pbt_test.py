"""A population as a person runs it: through Ray, on one machine."""

import functools
import json
import signal
import time

import pytest

import population
import restored
import run_folder
from tests.experiments import tiny

pytest.importorskip('ray', reason='needs Ray: the extra [distributed]')

ARGUMENTS = (
  '--members=2', '--perturb_frames=48', '--frames=144', '--member_cpus=1',
  '--learning_rates=1e-3,1e-2', '--entropy_costs=1e-3,1e-1',
)


def wait_for(condition, process, seconds=500):
  deadline = time.monotonic() + seconds
  while not condition():
    assert process.poll() is None and time.monotonic() < deadline, (
      process.communicate()
    )
    time.sleep(0.2)


@pytest.mark.slow
def test_a_population_killed_and_resumed_is_complete(tmp_path):
  arguments = [*tiny.flags(tmp_path), *ARGUMENTS]
  process = tiny.script('pbt.py', *arguments)
  history = tmp_path / 'history.jsonl'
  wait_for(lambda: len(population.load(history)) >= 3, process)
  process.send_signal(signal.SIGKILL)
  process.communicate()
  process = tiny.script('pbt.py', *arguments, '--resume')
  output, errors = process.communicate(timeout=500)
  assert process.returncode == 0, errors
  lines = population.load(history)
  places = {(line.slice, line.member) for line in lines}
  assert places == {(s, m) for s in (1, 2, 3) for m in (0, 1)}
  assert all(line.frames == 48 * line.slice for line in lines)
  # The lower half takes over from the upper one, with other settings.
  for slice_ in (2, 3):
    before, now = (
      sorted(line for line in lines if line.slice == number)
      for number in (slice_ - 1, slice_)
    )
    winner = max(before, key=lambda line: line.score).member
    assert [line.parent for line in now] == [winner, winner]
    loser = now[1 - winner]
    assert loser.learning_rate != before[winner].learning_rate
    assert now[winner].learning_rate == before[winner].learning_rate
  best = population.best(lines)
  agent = restored.load(tmp_path / 'best')
  assert agent.setup.learner.learning_rate == best.learning_rate
  assert agent.checkpoint.state['policy']['frames'] == 144
  assert run_folder.has_checkpoint(tmp_path / 'best')
  assert (tmp_path / 'population.png').exists()
  assert f'best: member {best.member}' in output
  # With more frames, those that had ended go on; once more, none does.
  for _ in range(2):
    process = tiny.script('pbt.py', *arguments, '--frames=192', '--resume')
    output, errors = process.communicate(timeout=500)
    assert process.returncode == 0, errors
    lines = population.load(history)
    places = [(line.slice, line.member) for line in lines]
    assert sorted(places) == [(s, m) for s in (1, 2, 3, 4) for m in (0, 1)]
    assert 'best: member' in output
  config = json.loads((tmp_path / 'best' / 'config.json').read_text())
  best = population.best(lines)
  assert best.frames == 192
  assert config['learner']['entropy_cost'] == best.entropy_cost


def test_rounds_of_slices_end_with_the_time():
  tuning = pytest.importorskip('tuning')
  search = tuning.Search(members=4, ranges={}, minutes=2.0)
  plan = functools.partial(tuning._plan, turns=4, search=search)
  new = [0, 0, 0, 0]
  assert plan(40.0, done=new) == (5, 2.0)
  assert plan(36.4, done=new) == (5, pytest.approx(1.82))
  # Not shorter than half: that round ends late.
  assert plan(0.4, done=new) == (1, 1.0)
  # Fewer turns, as several train at once.
  assert tuning._plan(40.0, 2, search, new) == (10, 2.0)
  # Gone on with: after three rounds, in the fourth, with longer slices.
  assert plan(16.0, done=[3, 3, 3, 3]) == (5, 2.0)
  assert plan(12.0, done=[4, 4, 3, 3]) == (5, 2.0)
  longer = search._replace(minutes=5.0)
  assert tuning._plan(16.0, 4, longer, [3, 3, 3, 3]) == (4, 4.0)
  # Nothing is left but the end of a round.
  assert plan(-0.1, done=[5, 5, 5, 4]) == (5, 1.0)
  assert plan(-0.1, done=[5, 5, 5, 5]) == (5, 2.0)
  # No limit, or slices of frames.
  assert plan(0.0, done=new) == (0, 2.0)
  assert tuning._plan(10.0, 4, search._replace(frames=48), new)[0] == 0


@pytest.mark.parametrize(
  'machines, devices, expected, turns',
  [
    ([{'CPU': 8}], 1, {'cpu': 8}, 4),
    ([{'CPU': 8}, {'CPU': 4}], 1, {'cpu': 4}, 2),
    ([{'memory': 9}, {'CPU': 8}], 1, {'cpu': 8}, 4),
    ([{'CPU': 8, 'GPU': 2}, {'CPU': 4}], 1, {'cpu': 1, 'gpu': 1}, 2),
    # All of a machine's.
    ([{'CPU': 8, 'GPU': 4}], 0, {'cpu': 1, 'gpu': 4}, 4),
    ([{'CPU': 9, 'GPU': 8}], 1, {'cpu': 1, 'gpu': 1}, 1),
  ],
)
def test_members_share_machines(
  monkeypatch, machines, devices, expected, turns
):
  tuning = pytest.importorskip('tuning')
  nodes = [{'Alive': True, 'Resources': machine} for machine in machines]
  nodes.append({'Alive': False, 'Resources': {'CPU': 1}})
  monkeypatch.setattr(tuning.ray, 'nodes', lambda: nodes)
  setup = tiny.setup('unused', run=dict(devices=devices))
  search = tuning.Search(members=4, ranges={})
  resources = tuning._resources(setup, search)
  assert resources == expected
  assert tuning._turns(resources, search) == turns


def test_going_on_with_another_search_is_told(tmp_path):
  tuning = pytest.importorskip('tuning')
  search = tuning.Search(members=4, ranges={'learning_rate': (1e-4, 1e-3)})
  path = tmp_path / 'search.json'
  tuning._keep_search(search._replace(members=3), path, resume=False)
  tuning._keep_search(search, path, resume=False)
  # Slices of other lengths may follow.
  tuning._keep_search(search._replace(frames=9), path, resume=True)
  with pytest.raises(ValueError, match='has --members=4, now it is 8'):
    tuning._keep_search(search._replace(members=8), path, resume=True)
  other = search._replace(ranges={'learning_rate': (1e-4, 1e-2)})
  with pytest.raises(ValueError, match='--learning_rates=0.0001,0.001, now'):
    tuning._keep_search(other, path, resume=True)


def test_a_member_that_fits_no_machine_is_told(monkeypatch):
  tuning = pytest.importorskip('tuning')
  nodes = [{'Alive': True, 'Resources': {'CPU': 2, 'GPU': 4}}]
  monkeypatch.setattr(tuning.ray, 'nodes', lambda: nodes)
  setup = tiny.setup('unused', run=dict(devices=8))
  search = tuning.Search(members=4, ranges={})
  resources = tuning._resources(setup, search)
  with pytest.raises(ValueError, match='1 cpus and 8 gpus.*--devices'):
    tuning._turns(resources, search)


def test_time_ends_a_population_but_not_its_last_slice(tmp_path):
  tuning = pytest.importorskip('tuning')
  budget = tuning._Budget(tmp_path / 'budget.json')
  done = {'frames': 100, 'slice': 2}
  budget.start(60.0, grace=10.0, frames=0, slices=3)
  assert not budget('', done) and budget('', {**done, 'slice': 3})
  assert not budget.stop_all()
  budget.start(60.0, grace=0.0, frames=100, slices=0)
  assert budget('', done) and not budget('', {**done, 'frames': 99})
  for seconds, is_over in ((59.0, False), (69.0, False), (71.0, True)):
    (tmp_path / 'budget.json').write_text(json.dumps({'seconds': seconds}))
    budget.start(60.0, grace=10.0, frames=0, slices=3)
    assert budget.is_over() is is_over


@pytest.mark.parametrize(
  'arguments, words',
  [
    (['--entropy_costs=2,1'], ['--entropy_costs=2,1', 'lower one first']),
    (['--frames=0'], ['--minutes', '--frames']),
    (['--resume'], ['no population', '--resume']),
    (
      ['--perturb_frames=0', '--perturb_minutes=0'],
      ['--perturb_minutes', '--perturb_frames'],
    ),
  ],
)
def test_what_is_wrong_gives_one_line(tmp_path, arguments, words):
  folder = tmp_path / 'run'
  process = tiny.script(
    'pbt.py', *tiny.flags(folder), *ARGUMENTS, *arguments
  )
  _, errors = process.communicate(timeout=300)
  assert process.returncode != 0
  assert len(errors.splitlines()) == 1, errors
  for word in words:
    assert word in errors
  assert not folder.exists()


def test_a_single_run_is_not_taken_for_a_population(tmp_path):
  (tmp_path / 'checkpoints' / '3').mkdir(parents=True)
  process = tiny.script('pbt.py', *tiny.flags(tmp_path), *ARGUMENTS)
  _, errors = process.communicate(timeout=300)
  assert process.returncode != 0
  assert len(errors.splitlines()) == 1 and 'a single run' in errors
