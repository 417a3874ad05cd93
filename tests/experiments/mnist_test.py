"""The scripts as a person runs them."""

import json
import re
import signal
import time

from absl import flags
import jax
from PIL import Image
import pytest

import run_setup
from tests.experiments import tiny

FLAG_FILES = sorted((tiny.ROOT / 'experiments' / 'flags').glob('*.flags'))


def finish(process):
  output, errors = process.communicate(timeout=300)
  return process.returncode, output, errors


@pytest.mark.slow
@pytest.mark.parametrize('conditional', [False, True])
def test_trains_evaluates_and_evaluates_again(tmp_path, conditional):
  extra = ['--conditional', '--noise_size=0'] if conditional else []
  code, output, errors = finish(
      tiny.script('mnist.py', *tiny.flags(tmp_path), *extra, '--log_every=2')
  )
  assert code == 0, errors
  assert errors == ''
  figures = json.loads((tmp_path / 'evaluation.json').read_text())
  assert (figures['frames'], figures['test_images']) == (72, 1000)
  if conditional:
    assert 0.0 < figures['share_of_blank'] < 20.0
    assert figures['targets_read'] > 0.9
  else:
    assert figures['real']['confident'] > 0.9
    assert 0.0 <= figures['samples']['confident'] <= 1.0
  for name in ('result', 'strokes', 'progress', 'curves', 'samples'):
    with Image.open(tmp_path / f'{name}.png') as image:
      image.load()
  if conditional:
    return  # Evaluating again takes a while.
  (tmp_path / 'evaluation.json').unlink()
  code, output, errors = finish(
      tiny.script('evaluate.py', f'--run_dir={tmp_path}', '--count=20')
  )
  assert code == 0, errors
  assert 'frames' in output
  again = json.loads((tmp_path / 'evaluation.json').read_text())
  assert again['frames'] == 72


@pytest.mark.slow
def test_ctrl_c_saves_and_says_how_to_go_on(tmp_path):
  arguments = [*tiny.flags(tmp_path), '--frames=0', '--lockstep=false']
  process = tiny.script('mnist.py', *arguments)
  metrics = tmp_path / 'metrics.jsonl'
  deadline = time.monotonic() + 200
  while not (metrics.exists() and 'policy/frames' in metrics.read_text()):
    assert process.poll() is None and time.monotonic() < deadline
    time.sleep(0.1)
  process.send_signal(signal.SIGINT)
  code, output, errors = finish(process)
  assert code == 130
  assert 'Traceback' not in errors
  command = output.split('go on with: ')[1].strip()
  assert command.endswith('--resume') and f'--run_dir={tmp_path}' in command
  frames = output.split('stopped at frame ')[1].split(';')[0]
  frames = int(frames.replace(',', ''))
  process = tiny.script(
      'mnist.py', *arguments, f'--frames={frames + 24}', '--resume'
  )
  code, output, errors = finish(process)
  assert code == 0, errors
  assert f'going on from frame {frames:,}' in output


@pytest.mark.parametrize(
    'arguments, words',
    [
        (['--no_such_flag=1'], ['no_such_flag']),
        (['resume'], ["'resume' is not a flag", '--']),
        (['--run_dir=x', '--batch_size=0'], ['--batch_size is 0', '1 or more']),
        (
            ['--run_dir=x', '--torso=convolution'],
            ["--torso is 'convolution'", 'conv'],
        ),
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
    ],
)
def test_a_typo_gives_one_line(tmp_path, arguments, words):
  code, output, errors = finish(
      tiny.script('mnist.py', *arguments, cwd=tmp_path)
  )
  assert code != 0
  assert output == ''
  assert len(errors.splitlines()) == 1, errors
  for word in words:
    assert word in errors
  assert not list(tmp_path.iterdir())


def test_evaluating_what_is_no_run_gives_one_line(tmp_path):
  code, _, errors = finish(
      tiny.script('evaluate.py', f'--run_dir={tmp_path / "none"}')
  )
  assert code != 0
  assert len(errors.splitlines()) == 1 and 'none' in errors


@pytest.mark.parametrize(
    'arguments', [[], ['--run_dir=runs/mnist', '--weights=digits']]
)
def test_evaluating_is_of_a_run_or_of_weights(arguments):
  code, _, errors = finish(tiny.script('evaluate.py', *arguments))
  assert code != 0
  assert len(errors.splitlines()) == 1
  assert 'one of the two' in errors and '--weights=digits' in errors


@pytest.mark.parametrize('path', FLAG_FILES, ids=lambda path: path.stem)
def test_flag_files_fit_together(path, monkeypatch):
  monkeypatch.chdir(tiny.ROOT)  # Flag files name each other from there.
  values = flags.FlagValues()
  is_scene = path.stem.startswith('mujoco_scenes')
  script = re.match('omniglot|celeba|', path.stem)[0] or 'mnist'
  names = ('scenes', 'scene') if is_scene else (script, 'painting')
  run_setup.define_flags(names[1], values)
  values(['script', f'--flagfile={path}'])
  setup = run_setup.read_flags(*names, values)
  run_setup.check_fit(setup)
  assert setup.run.run_dir.startswith('runs/')
  assert setup.run.minutes or setup.run.frames  # It ends.
  agent = run_setup.make_agent(setup)
  params = jax.eval_shape(agent.init, jax.random.PRNGKey(0))
  size = sum(leaf.size for leaf in jax.tree.leaves(params))
  assert 1e5 < size < 1e7
