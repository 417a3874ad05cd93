"""A population as a person runs it: through Ray, on one machine."""

import importlib.util
import json
import signal
import time

import pytest

from spiral_jax import training
from spiral_jax.training import population_history
from tests import tiny

pytest.importorskip('ray', reason='needs Ray: the extra [distributed]')

ARGUMENTS = (
    '--members=2',
    '--perturb_frames=24',
    '--frames=72',
    '--member_cpus=1',
    '--learning_rates=1e-3,1e-2',
    '--entropy_costs=1e-3,1e-1',
)
RECTANGLES = 'tests.own_renderer.rectangles'


def stop(history, arguments, count, signal_):
  """Starts a population and stops it once it has ended `count` slices.

  Returns:
    Standard output, standard error and exit code.
  """
  process = tiny.start_program('pbt.py', *arguments)
  try:
    while len(population_history.load(history)) < count:
      assert process.poll() is None, process.communicate()
      time.sleep(0.2)
    process.send_signal(signal_)
    return *process.communicate(), process.returncode
  finally:
    process.kill()


@pytest.fixture(scope='module')
def run_dir(tmp_path_factory):
  """Returns the folder of a population that was killed and resumed."""
  folder = tmp_path_factory.mktemp('pbt') / 'run'
  arguments = [*tiny.flags(folder), *ARGUMENTS]
  history = folder / 'history.jsonl'
  stop(history, arguments, 3, signal.SIGKILL)
  result = tiny.run_program('pbt.py', *arguments, '--resume')
  assert result.code == 0, result.stderr
  best = population_history.best(population_history.load(history))
  assert f'best: member {best.member}' in result.stdout
  return folder


@pytest.mark.slow
def test_a_population_killed_and_resumed_is_complete(run_dir):
  lines = sorted(population_history.load(run_dir / 'history.jsonl'))
  by_place = {(line.slice, line.member): line for line in lines}
  assert set(by_place) == {(s, m) for s in (1, 2, 3) for m in (0, 1)}
  assert len(lines) == 6
  assert all(line.frames == 24 * line.slice for line in lines)
  # The lower half starts from the upper one, with other settings.
  for number in (2, 3):
    before, now = (
        [by_place[slice_, member] for member in (0, 1)]
        for slice_ in (number - 1, number)
    )
    winner = max(before, key=lambda line: line.score).member
    assert [line.parent for line in now] == [winner, winner]
    loser = now[1 - winner]
    assert loser.learning_rate != before[winner].learning_rate
    assert now[winner].learning_rate == before[winner].learning_rate
  best = population_history.best(lines)
  trained = training.restore(run_dir / 'best')
  assert trained.experiment.learner.learning_rate == best.learning_rate
  assert trained.state['policy']['frames'] == 72
  assert (run_dir / 'population.png').exists()


@pytest.mark.slow
def test_the_best_is_a_run(run_dir):
  result = tiny.run_program(
      'evaluate.py', f'--run_dir={run_dir}/best', '--count=10'
  )
  assert result.code == 0, result.stderr
  figures = json.loads((run_dir / 'best' / 'evaluation.json').read_text())
  assert figures['frames'] == 72


@pytest.mark.slow
def test_ctrl_c_stops_and_says_how_to_resume(tmp_path):
  arguments = [*tiny.flags(tmp_path), *ARGUMENTS]
  output, errors, code = stop(
      tmp_path / 'history.jsonl', arguments, 1, signal.SIGINT
  )
  assert code == 130, errors
  assert 'stopped; resume with: ' in output and '--resume' in output
  assert (tmp_path / 'best' / 'config.json').exists()


@pytest.mark.slow
def test_a_task_in_a_package_of_its_own(tmp_path):
  if importlib.util.find_spec(RECTANGLES) is None:
    pytest.skip(f'needs {RECTANGLES}')
  flags = [f for f in tiny.flags(tmp_path) if not f.startswith('--grid_size')]
  result = tiny.run_program(
      'pbt.py',
      *[*flags, f'--task={RECTANGLES}', '--dataset=mnist'],
      *[*ARGUMENTS, '--frames=24'],
  )
  assert result.code == 0, result.stderr
  assert len(population_history.load(tmp_path / 'history.jsonl')) == 2
  trained = training.restore(tmp_path / 'best')
  assert trained.experiment.find_task().name == RECTANGLES


@pytest.mark.parametrize(
    'arguments, words',
    [
        (['--entropy_costs=2,1'], ['--entropy_costs=2,1', 'lower one']),
        (['--entropy_costs=1'], ['--entropy_costs=1', 'two numbers']),
        (['--entropy_costs=a,b'], ['--entropy_costs=a,b', 'numbers']),
        (['--frames=0'], ['--minutes', '--frames']),
        (['--resume'], ['no population', '--resume']),
        (['--member_cpus=4096'], ['4096 CPUs', '--member_cpus']),
    ],
)
def test_what_is_wrong_gives_one_line(tmp_path, arguments, words):
  folder = tmp_path / 'run'
  result = tiny.run_program(
      'pbt.py', *tiny.flags(folder), *ARGUMENTS, *arguments
  )
  assert result.code == 1
  assert len(result.stderr.splitlines()) == 1, result.stderr
  for word in words:
    assert word in result.stderr
  assert not folder.exists()
