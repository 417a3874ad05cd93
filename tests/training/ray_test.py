"""Training with actors in Ray's processes."""

import json
import pathlib
import signal
import time

import pytest

from spiral_jax.driver import checkpoints
from tests import tiny

pytest.importorskip('ray', reason='needs Ray: the extra [distributed]')


@pytest.mark.slow
def test_actors_in_processes_train_and_threads_continue(tmp_path):
  """With a renderer of a package of its own, by the released programs."""
  code, _, errors = tiny.run_program(
      'train.py',
      *tiny.own_flags(tmp_path),
      '--nolockstep',
      '--launcher=ray',
      '--num_actors=2',
      '--frames=144',
  )
  assert code == 0, errors
  state = checkpoints.load(tmp_path / 'checkpoints').state
  assert state['policy']['frames'] == 144
  assert state['discriminator']['version'] > 0
  # What they played is kept with them.
  played = [state[f'actor {i}']['rollout']['episodes'] for i in (0, 1)]
  assert sum(played) >= 6
  lines = (tmp_path / 'metrics.jsonl').read_text().splitlines()
  records = [json.loads(line) for line in lines]
  counts = [r for r in records if 'actors/alive' in r]
  # The slower one may still be starting when the last frame is learned from.
  assert 1 <= max(r['actors/alive'] for r in counts) <= 2
  assert max(r['actors/died'] for r in counts) == 0
  lags = [r['policy/lag'] for r in records if 'policy/lag' in r]
  assert len(lags) == 6 and min(lags) >= 0
  # Another one begins.
  code, _, errors = tiny.run_program(
      'train.py',
      f'--run_dir={tmp_path}',
      '--resume',
      '--launcher=threads',
      '--num_actors=3',
      '--frames=168',
  )
  assert code == 0, errors
  records = [json.loads(line) for line in (tmp_path / 'metrics.jsonl').open()]
  state = checkpoints.load(tmp_path / 'checkpoints').state
  more = [state[f'actor {i}']['rollout']['episodes'] for i in range(3)]
  assert sum(more) > sum(played)
  assert more[0] >= played[0] and more[1] >= played[1]
  frames = [r['policy/frames'] for r in records if 'policy/frames' in r]
  assert frames == list(range(24, 169, 24))


def is_player(folder):
  """Returns whether the process still is one of Ray's processes of actors."""
  try:
    return (folder / 'cmdline').read_bytes().startswith(b'ray::_Player')
  except OSError:
    return False


def players_of(process):
  """Returns folders of /proc of Ray's processes of actors below a process."""
  parents, players = {}, []
  for folder in pathlib.Path('/proc').glob('[0-9]*'):
    try:
      status = (folder / 'status').read_text()
    except OSError:  # It has ended.
      continue
    if is_player(folder):
      players.append(folder)
    parents[folder.name] = status.split('PPid:')[1].split()[0]

  def is_below(name):
    while name in parents and name != str(process.pid):
      name = parents[name]
    return name == str(process.pid)

  return [folder for folder in players if is_below(folder.name)]


@pytest.mark.slow
def test_killed_learners_leave_nothing_behind_and_continue(tmp_path):
  arguments = [
      *tiny.flags(tmp_path),
      '--nolockstep',
      '--launcher=ray',
      '--num_actors=2',
      '--checkpoint_minutes=.02',
  ]
  process = tiny.start_program('mnist.py', *arguments, '--frames=1000000')
  folder = tmp_path / 'checkpoints'
  while not any(p.name.isdigit() for p in folder.glob('*')):
    if process.poll() is not None:
      pytest.fail(f'no checkpoint: {process.communicate()}')
    time.sleep(0.05)
  players = players_of(process)
  assert len(players) == 2
  process.send_signal(signal.SIGKILL)
  process.communicate()
  saved = checkpoints.load(folder).state['policy']['frames']
  while any(map(is_player, players)):
    time.sleep(0.2)
  frames = saved + 240
  code, _, errors = tiny.run_program(
      'mnist.py', *arguments, f'--frames={frames}', '--resume'
  )
  assert code == 0, errors
  assert checkpoints.load(folder).state['policy']['frames'] == frames


def test_without_a_head_there_is_one_line(tmp_path):
  code, output, errors = tiny.run_program(
      'mnist.py',
      *tiny.flags(tmp_path / 'run'),
      '--nolockstep',
      '--launcher=ray',
      '--ray_address=127.0.0.1:1',
  )
  assert code == 1 and output == ''
  assert len(errors.splitlines()) == 1, errors
  assert 'address=127.0.0.1:1' in errors and 'ray start' in errors
  assert not (tmp_path / 'run').exists()
