"""A population as a person runs it: through Ray, on one machine."""

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
    '--members=2',
    '--perturb_frames=48',
    '--frames=144',
    '--member_cpus=1',
    '--learning_rates=1e-3,1e-2',
    '--entropy_costs=1e-3,1e-1',
)


def wait_for(condition, process, seconds=500):
  deadline = time.monotonic() + seconds
  while not condition():
    assert (
        process.poll() is None and time.monotonic() < deadline
    ), process.communicate()
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
  process = tiny.script('pbt.py', *tiny.flags(folder), *ARGUMENTS, *arguments)
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
