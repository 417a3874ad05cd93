"""A population as a person runs it: through Ray, on one machine.

Its members learn a task in a package of its own.
"""

import json
import pathlib
import signal
import time
from typing import NamedTuple

import pytest

from spiral_jax import training
from spiral_jax.training.population import history as history_lib
from tests import tiny

pytest.importorskip('ray', reason='needs Ray: the extra [distributed]')

ARGUMENTS = (
    '--members=2',
    '--perturb_frames=24',
    '--frames=48',
    '--member_cpus=1',
    '--learning_rates=1e-3,1e-2',
    '--entropy_costs=1e-3,1e-1',
)


def stop(history, arguments, count, signal_):
  """Starts a population and stops it once it has ended `count` slices.

  Returns:
    Standard output, standard error and exit code.
  """
  process = tiny.start_program('pbt.py', *arguments)
  try:
    while len(history_lib.load(history)) < count:
      assert process.poll() is None, process.communicate()
      time.sleep(0.2)
    process.send_signal(signal_)
    return *process.communicate(), process.returncode
  finally:
    process.kill()


class Stopped(NamedTuple):
  """A population that was stopped, killed and resumed, and what it said."""

  run_dir: pathlib.Path
  at_ctrl_c: tuple[str, str, int]
  had_best: bool
  at_end: tiny.Result


@pytest.fixture(scope='module')
def stopped(tmp_path_factory):
  """Returns the one population of these tests: each slice takes seconds."""
  folder = tmp_path_factory.mktemp('pbt') / 'run'
  arguments = [*tiny.own_flags(folder), *ARGUMENTS]
  history = folder / 'history.jsonl'
  at_ctrl_c = stop(history, arguments, 1, signal.SIGINT)
  had_best = (folder / 'best' / 'config.json').exists()
  stop(history, [*arguments, '--resume'], 3, signal.SIGKILL)
  at_end = tiny.run_program('pbt.py', *arguments, '--resume')
  return Stopped(folder, at_ctrl_c, had_best, at_end)


@pytest.mark.slow
def test_ctrl_c_stops_and_says_how_to_resume(stopped):
  output, errors, code = stopped.at_ctrl_c
  assert code == 130, errors
  assert 'stopped; resume with: ' in output and '--resume' in output
  assert stopped.had_best


@pytest.mark.slow
def test_a_population_killed_and_resumed_is_complete(stopped):
  run_dir = stopped.run_dir
  assert stopped.at_end.code == 0, stopped.at_end.stderr
  lines = sorted(history_lib.load(run_dir / 'history.jsonl'))
  by_place = {(line.slice, line.member): line for line in lines}
  assert set(by_place) == {(s, m) for s in (1, 2) for m in (0, 1)}
  assert len(lines) == 4
  assert all(line.frames == 24 * line.slice for line in lines)
  # The lower half starts from the upper one, with other settings.
  before, now = ([by_place[slice_, m] for m in (0, 1)] for slice_ in (1, 2))
  winner = max(before, key=lambda line: line.score).member
  assert [line.parent for line in now] == [winner, winner]
  assert now[1 - winner].learning_rate != before[winner].learning_rate
  assert now[winner].learning_rate == before[winner].learning_rate
  best = history_lib.best(lines)
  assert f'best: member {best.member}' in stopped.at_end.stdout
  trained = training.restore(run_dir / 'best')
  assert trained.experiment.find_task().name == tiny.OWN_TASK
  assert trained.experiment.learner.learning_rate == best.learning_rate
  assert trained.state['policy']['frames'] == 48
  assert (run_dir / 'population.png').exists()


@pytest.mark.slow
def test_the_best_is_a_run(stopped):
  best = stopped.run_dir / 'best'
  result = tiny.run_program('evaluate.py', f'--run_dir={best}', '--count=8')
  assert result.code == 0, result.stderr
  figures = json.loads((best / 'evaluation.json').read_text())
  assert figures['frames'] == 48


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
