"""What is left of a run that is stopped, diverges or is started twice."""

import dataclasses
import os
import pathlib
import re
import shlex
import signal
import subprocess
import sys

from absl import flags
import numpy as np
import pytest

from spiral_jax import agents
from spiral_jax import training
from spiral_jax.driver import checkpoints
from spiral_jax.driver import finite
from spiral_jax.driver import signals
from spiral_jax.training import run_dir as run_dir_lib
from spiral_jax.training import run_lock
from tests import tiny

ENDING = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]


@pytest.mark.parametrize(
    'signum, lockstep', [(signal.SIGTERM, True), (signal.SIGHUP, False)]
)
def test_signals_save_and_say_how_to_resume(
    tmp_path, capsys, usual_handlers, signum, lockstep
):
  run_dir = tmp_path / '[old] runs' / ':car:'
  refused = []

  def stop(update):
    if update.step != 2:
      return
    for resume in (False, True):  # One folder, started twice.
      with pytest.raises(ValueError) as error:
        training.train(tiny.experiment(run_dir, run=dict(resume=resume)))
      refused.append(str(error.value))
    signal.raise_signal(signum)

  run = dict(frames=0, lockstep=lockstep)
  with pytest.raises(signals.Interrupted) as error:
    training.train(tiny.experiment(run_dir, run=run), on_update=stop)
  assert error.value.signum == signum
  assert signal.getsignal(signum) == signal.SIG_DFL
  assert len(refused) == 2
  for message in refused:
    assert f'{run_dir} is in use' in message
    assert f'process {os.getpid()} ' in message
  output = capsys.readouterr().out
  frames = checkpoints.load(run_dir / 'checkpoints').state['policy']['frames']
  assert frames == 48 if lockstep else frames >= 48
  assert f'stopped at frame {frames}; the checkpoint is in {run_dir}/' in output
  assert 'resume with: training.train(experiment.replace(' in output
  if lockstep:
    resumed = dict(frames=72, resume=True)
    training.train(tiny.experiment(run_dir, run=resumed))
    assert f'from frame {frames} of {run_dir}' in capsys.readouterr().out
    loaded = checkpoints.load(run_dir / 'checkpoints')
    assert loaded.state['policy']['frames'] == 72


def test_a_run_that_diverges_stops_and_keeps_what_was_good(tmp_path):
  run_dir = tmp_path / 'a first [run]'
  experiment = tiny.experiment(run_dir, run=dict(checkpoint_rounds=1))
  training.train(experiment)
  before = checkpoints.steps(run_dir / 'checkpoints')
  with pytest.raises(finite.NotFiniteError) as error:
    training.train(
        dataclasses.replace(
            experiment.replace(resume=True, frames=0),
            learner=agents.LearnerConfig(learning_rate=1e38),
        ),
        may_change=['learner.learning_rate'],
    )
  message = str(error.value)
  assert message.startswith('policy/') and '\n' not in message
  assert re.search(r' is (nan|inf|-inf) in update \d, at frame ', message)
  assert error.value.frames == 24 * error.value.update > 72
  after = checkpoints.steps(run_dir / 'checkpoints')
  assert max(before) <= max(after) < error.value.update
  assert (
      f'last good checkpoint is {run_dir}/checkpoints/{max(after)};' in message
  )
  assert f"--init_from='{run_dir}'" in message and '--learning_rate' in message
  for step in after:
    state = checkpoints.load(run_dir / 'checkpoints', step).state
    assert finite.first_not_finite(state) is None


# One program at a time.


def test_the_lock_of_a_killed_process_is_gone(tmp_path):
  code = (
      'import pathlib, sys, time\n'
      'from spiral_jax.training import run_lock\n'
      'run_lock.RunLock(pathlib.Path(sys.argv[1])).acquire()\n'
      'lock = run_lock.RunLock(pathlib.Path(sys.argv[1]) / "held")\n'
      'lock.acquire()\n'
      'print("held", flush=True)\n'
      'time.sleep(3600)\n'
  )
  process = subprocess.Popen(
      [sys.executable, '-c', code, str(tmp_path)],
      cwd=tiny.ROOT,
      env={**os.environ, 'PYTHONPATH': str(tiny.ROOT)},
      stdout=subprocess.PIPE,
      text=True,
  )
  assert process.stdout.readline() == 'held\n'
  lock = run_lock.RunLock(tmp_path / 'held')
  with pytest.raises(ValueError, match=f'held is .*process {process.pid} on'):
    lock.acquire()
  process.kill()
  process.communicate()
  lock.acquire()
  lock.acquire()  # Its own.
  other = run_lock.RunLock(tmp_path / 'held')
  with pytest.raises(ValueError, match=f'process {os.getpid()} on'):
    other.acquire()
  lock.close()
  other.acquire()
  other.close()


def test_a_file_system_without_locks_is_a_warning(
    tmp_path, monkeypatch, caplog
):
  def refuse(file):
    raise OSError(38, 'Function not implemented')

  monkeypatch.setattr(run_lock, '_lock', refuse)
  run_lock.RunLock(tmp_path).acquire()
  assert str(tmp_path) in caplog.text and 'cannot be locked' in caplog.text


# The command that resumes.


def resume_command(monkeypatch, program, *arguments):
  """Returns the command for a program that was started by these words."""
  values = flags.FlagValues()
  flags.DEFINE_bool('resume', False, '', flag_values=values)
  values(['program'])
  monkeypatch.setattr(flags, 'FLAGS', values)
  monkeypatch.setattr(sys, 'orig_argv', [*program, *arguments])
  monkeypatch.setattr(sys, 'argv', ['/somewhere/program.py', *arguments])
  return run_dir_lib.resume_command()


@pytest.mark.parametrize(
    'name',
    [
        'runs/plain',
        'runs/[old]',
        'sp ace',
        "quo'te",
        'quo"te$HOME`x`',
        'back\\slash',
        'new\nline',
        'tab\t; rm -r x',
        '*?~#!&|<>',
        'ünï',
        "not utf-8 \udcff'\\",
        'bell\x07\x1b[31m',
    ],
)
def test_the_resume_command_is_read_by_a_shell_as_it_was(monkeypatch, name):
  command = resume_command(
      monkeypatch, ['python', 'program.py'], '--resume', f'--run_dir={name}'
  )
  done = subprocess.run(
      ['bash', '-c', f'printf "%s\\0" {command}'.encode('utf-8', 'strict')],
      capture_output=True,
      check=True,
  )
  words = [os.fsdecode(word) for word in done.stdout.split(b'\0')[:-1]]
  assert words == ['python', 'program.py', f'--run_dir={name}', '--resume']
  if name.isprintable():
    assert shlex.split(command) == words


def test_the_resume_command_keeps_the_options_of_python(monkeypatch):
  program = ['/venv/bin/python', '-X', 'dev', '-m', 'experiments.mnist']
  command = resume_command(monkeypatch, program, '--run_dir=x')
  assert command == ' '.join([*program, '--run_dir=x', '--resume'])
  # Somebody has changed the arguments of the program.
  monkeypatch.setattr(sys, 'argv', ['mnist.py', '--run_dir=y'])
  command = run_dir_lib.resume_command()
  assert command == '/venv/bin/python mnist.py --run_dir=y --resume'


def test_folders_with_junk_hold_no_run(tmp_path):
  assert not run_dir_lib.has_checkpoint(tmp_path)
  (tmp_path / 'checkpoints' / '3').mkdir(parents=True)
  (tmp_path / 'checkpoints' / '4').write_text('')
  assert not run_dir_lib.has_checkpoint(tmp_path)
  kept = checkpoints.Checkpoints(pathlib.Path(tmp_path, 'checkpoints'))
  kept.save(5, {'x': np.ones(1)})
  assert run_dir_lib.has_checkpoint(tmp_path)
