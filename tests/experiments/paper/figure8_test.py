"""Figure 8 without the training: which runs it starts, and what it makes."""

import json
import pathlib
import subprocess
import types

from PIL import Image
import pytest

from experiments.paper import figure8

# By --reward and --reward_at; the blind run is worse than all.
ERRORS = {
    ('discriminator', 'end'): 0.04,
    ('discriminator', 'step'): 0.02,
    ('l2', 'end'): 0.05,
    ('l2', 'step'): 0.03,
}


FIGURE = figure8.Figure('mnist', pathlib.Path('base.flags'), 30.0)


def replace_run(monkeypatch, run):
  # Only there: plotting starts programs as well.
  monkeypatch.setattr(figure8, 'subprocess', types.SimpleNamespace(run=run))


@pytest.fixture(name='started')
def _started(monkeypatch):
  """Replaces training; returns the flags of each run, in order."""
  started = []

  def run(command, check):
    assert not check
    assert pathlib.Path(command[1]).is_file()
    flags = dict(
        argument.removeprefix('--').partition('=')[::2]
        for argument in command[2:]
    )
    flags['program'] = pathlib.Path(command[1]).name
    started.append(flags)
    run_dir = pathlib.Path(flags['run_dir'])
    run_dir.mkdir(parents=True, exist_ok=True)
    error = ERRORS[flags['reward'], flags['reward_at']]
    error *= 2 if 'blind' in flags else 1
    with (run_dir / 'metrics.jsonl').open('w') as lines:
      for minute in range(5):
        value = error + 0.1 / (1 + minute)
        record = {'seconds': 60 * minute, 'held_out/l2': value}
        lines.write(json.dumps(record) + '\n')
    figures = dict(
        error=error, blank_error=0.1, share_of_blank=10 * error, frames=1000
    )
    if flags['program'] == 'mnist.py':
      figures['read_as_target'] = 0.8
    else:
      figures['objects'] = {'right_count': 0.7, 'recall': 0.6}
    (run_dir / 'evaluation.json').write_text(json.dumps(figures))
    return subprocess.CompletedProcess(command, 0)

  replace_run(monkeypatch, run)
  return started


def test_four_rewards_and_a_blind_run_with_the_best(tmp_path, started, capsys):
  figure8.figure8(tmp_path, FIGURE)
  assert [(f['reward'], f['reward_at']) for f in started[:4]] == list(ERRORS)
  assert all(f['minutes'] == '30.0' for f in started)
  assert all(f['flagfile'] == 'base.flags' for f in started)
  blind = started[4]
  assert 'blind' in blind
  assert (blind['reward'], blind['reward_at']) == ('discriminator', 'step')
  assert len({f['run_dir'] for f in started}) == 5
  assert '0.0200' in capsys.readouterr().out
  with Image.open(tmp_path / 'figure8.png') as image:
    image.load()
  figure8.figure8(tmp_path, FIGURE)
  assert len(started) == 5  # Nothing is trained twice.


def test_other_experiments_and_fewer_curves(tmp_path, started, capsys):
  figure = FIGURE._replace(
      experiment='mujoco_scenes', reward_at=('step',), blind=False
  )
  figure8.figure8(tmp_path, figure)
  assert [(f['reward'], f['reward_at']) for f in started] == [
      ('discriminator', 'step'),
      ('l2', 'step'),
  ]
  assert all(f['program'] == 'mujoco_scenes.py' for f in started)
  table = capsys.readouterr().out
  assert '70.0%' in table and 'read as target' not in table


def test_a_run_that_was_stopped_is_resumed(tmp_path, started):
  folder = tmp_path / 'l2_at_the_end' / 'checkpoints' / '70'
  folder.mkdir(parents=True)
  (folder / 'state').touch()
  figure8.figure8(tmp_path, FIGURE._replace(minutes=0.0))
  assert [('resume' in flags) for flags in started] == [False] * 2 + [True] + (
      [False] * 2
  )
  assert not any('minutes' in flags for flags in started)


@pytest.mark.parametrize(
    'code, error', [(1, ValueError), (130, KeyboardInterrupt)]
)
def test_a_run_that_fails_ends_all(tmp_path, monkeypatch, code, error):
  replace_run(
      monkeypatch,
      lambda command, check: subprocess.CompletedProcess(command, code),
  )
  with pytest.raises(error):
    figure8.figure8(tmp_path, FIGURE)
