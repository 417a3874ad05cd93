"""The programs as a person runs them."""

import json
import re
import signal
import time

from absl import flags
from PIL import Image
import pytest

from spiral_jax import training
from spiral_jax.training import consistency
from spiral_jax.training import flags as flags_lib
from tests import tiny

FLAG_FILES = sorted((tiny.ROOT / 'experiments' / 'flags').glob('*.flags'))


@pytest.mark.slow
@pytest.mark.parametrize('conditional', [False, True])
def test_trains_evaluates_and_evaluates_again(tmp_path, conditional):
  extra = ['--conditional', '--noise_size=0'] if conditional else []
  code, _, errors = tiny.run_program(
      'mnist.py',
      *[*tiny.flags(tmp_path), *extra, '--log_every=2'],
      evaluated=200,
  )
  assert code == 0, errors
  assert errors == ''
  figures = json.loads((tmp_path / 'evaluation.json').read_text())
  assert figures['frames'] == 72
  # Samples are held against all real images; some of these are redrawn.
  assert figures['test_images'] == (200 if conditional else 1000)
  if conditional:
    assert 0.0 < figures['share_of_blank'] < 20.0
    assert figures['targets_read'] > 0.95
    assert 0.0 < figures['untrained agent']['share_of_blank'] < 20.0
  else:
    assert figures['real']['digits'] > 0.95
    assert figures['samples']['digits'] < 0.1
    assert figures['blank page']['digits'] == 0.0
    distances = [
        figures[name]['frechet']
        for name in ('real', 'untrained agent', 'blank page')
    ]
    assert distances[0] < 0.2 * min(distances[1:])
  for name in ('result', 'strokes', 'progress', 'curves', 'samples'):
    with Image.open(tmp_path / f'{name}.png') as image:
      image.load()
  if conditional:
    return  # Evaluating again takes a while.
  (tmp_path / 'evaluation.json').unlink()
  code, output, errors = tiny.run_program(
      'evaluate.py', f'--run_dir={tmp_path}', '--count=8', '--temperature=.5'
  )
  assert code == 0, errors
  assert 'frames' in output
  again = json.loads((tmp_path / 'evaluation.json').read_text())
  assert again['frames'] == 72 and again['temperature'] == 0.5


@pytest.mark.slow
def test_ctrl_c_saves_and_resume_alone_continues(tmp_path):
  arguments = [*tiny.flags(tmp_path), '--frames=0', '--lockstep=false']
  process = tiny.start_program('mnist.py', *arguments)
  metrics = tmp_path / 'metrics.jsonl'
  while not (metrics.exists() and 'policy/frames' in metrics.read_text()):
    assert process.poll() is None
    time.sleep(0.1)
  process.send_signal(signal.SIGINT)
  output, errors = process.communicate()
  assert process.returncode == 130
  assert 'Traceback' not in errors
  command = output.split('resume with: ')[1].strip()
  assert command.endswith('--resume') and f'--run_dir={tmp_path}' in command
  frames = output.split('stopped at frame ')[1].split(';')[0]
  frames = int(frames.replace(',', ''))
  code, output, errors = tiny.run_program(
      'mnist.py', '--resume', f'--run_dir={tmp_path}', f'--frames={frames + 24}'
  )
  assert code == 0, errors
  assert f'resuming from frame {frames:,}' in output


@pytest.mark.parametrize(
    'arguments, words',
    [
        (['--no_such_flag=1'], ['no_such_flag']),
        (['resume'], ["'resume' is not a flag", '--']),
        (['--run_dir=x', '--batch_size=0'], ['--batch_size is 0', 'from 1 on']),
        (['--run_dir=x', '--torso=convolution'], ['torso', 'conv|patches']),
        (
            ['--run_dir=x', '--discriminator_beta1=2'],
            ['--discriminator_beta1 is 2.0', 'below 1'],
        ),
        (['--run_dir=x', '--brush=classic/pn'], ['classic/pn', 'classic/pen']),
        (
            ['--run_dir=x', '--ray_address=192.0.2.1:6379'],
            ['--ray_address=192.0.2.1:6379', '--launcher=ray'],
        ),
        (['--flagfile=/no/such.flags'], ['/no/such.flags']),
        (['--run_dir=x', '--task=environments.paint'], ['environments.paint']),
        (['--run_dir=x', '--task=json'], ['json', 'TASK = ']),
        (['--run_dir=x', '--resume'], ['x holds no checkpoint']),
        (['--run_dir=x', '--init_from=digts'], ["'digts'", 'digits']),
    ],
)
def test_a_typo_gives_one_line(tmp_path, monkeypatch, arguments, words):
  monkeypatch.chdir(tmp_path)
  code, output, errors = tiny.run_program(
      'mnist.py', '--noise_size=3', *arguments
  )
  assert code == 1
  assert output == ''
  assert len(errors.splitlines()) == 1, errors
  for word in words:
    assert word in errors
  assert not list(tmp_path.iterdir())


def test_evaluating_what_is_no_run_gives_one_line(tmp_path):
  code, _, errors = tiny.run_program(
      'evaluate.py', f'--run_dir={tmp_path / "none"}'
  )
  assert code == 1
  assert len(errors.splitlines()) == 1 and 'none' in errors


@pytest.mark.parametrize(
    'arguments', [[], ['--run_dir=runs/mnist', '--weights=digits']]
)
def test_evaluating_is_of_a_run_or_of_weights(arguments):
  code, _, errors = tiny.run_program('evaluate.py', *arguments)
  assert code == 1
  assert len(errors.splitlines()) == 1
  assert 'one of the two' in errors and '--weights=digits' in errors


def test_help_has_five_groups_and_texts_that_stand_alone():
  code, output, _ = tiny.run_program('mnist.py', '--help')
  assert code == 0
  headings = re.findall(r'^(\w+):$', output, re.MULTILINE)
  assert headings == list(flags_lib.GROUPS)
  assert '--torso=<conv|patches|fine>: ' in output
  assert '--stroke_start_cost: cost of starting' in output
  texts = re.findall(r'^  --[^:]*: (.*)', output, re.MULTILINE)
  assert len(texts) > 70
  for text in texts:
    assert not re.match(r'(of|likewise|as|what|how|whether)\b', text), text


@pytest.mark.parametrize('path', FLAG_FILES, ids=lambda path: path.stem)
def test_flag_files_fit_together_from_any_directory(
    path, tmp_path, monkeypatch
):
  monkeypatch.chdir(tmp_path)
  is_scene = path.stem.startswith('mujoco_scenes')
  program = re.match('omniglot|celeba|', path.stem)[0] or 'mnist'
  task, dataset = (
      ('environments.scene', 'scenes')
      if is_scene
      else ('environments.painting', program)
  )
  argv = ['program', f'--flagfile={path}']
  values = flags.FlagValues()
  found = training.define_flags(task, dataset, argv=argv, flag_values=values)
  values(flags_lib.expand_flag_files(argv))
  assert found.value.dataset == dataset
  consistency.check(found.value)
