"""Examples of the README and of docs/ run; what they show and name is there."""

import pathlib
import re
import sys
import types

import numpy as np
from PIL import Image
import pytest

from environments import core
from spiral_jax import evaluation
from spiral_jax import training

ROOT = pathlib.Path(__file__).resolve().parents[1]
PAGES = {
    path.relative_to(ROOT).as_posix(): path.read_text()
    for path in (ROOT / 'README.md', *sorted((ROOT / 'docs').rglob('*.md')))
}
BLOCKS = [
    block
    for text in PAGES.values()
    for block in re.findall(r'```python\n(.*?)```', text, re.DOTALL)
]
# In the examples that train, what makes them take minutes.
SHORT = {
    'minutes=10': 'frames=48, batch_size=8, lockstep=True, picture_seconds=0',
    'minutes=20': 'frames=72',
    "torso='patches'": (
        "torso='patches', location_head='spatial', channels=4, core_size=16,"
        'torso_blocks=0, head_blocks=0, hidden_size=16'
    ),
    'episode_length=8, grid_size=16': (
        'episode_length=3, grid_size=8, canvas_size=16'
    ),
}


def find(marker):
  (block,) = [block for block in BLOCKS if marker in block]
  return block


def run(marker, short=False):
  """Runs the example that contains `marker`; returns its names."""
  block = find(marker)
  for old, new in SHORT.items() if short else ():
    block = block.replace(old, new)
  names = {'__name__': 'example'}
  exec(compile(block, 'example', 'exec'), names)
  return names


def test_the_example_of_weights_draws_what_it_is_shown():
  names = run('redraw(')
  canvas, digits = names['canvas'], names['digits']
  assert canvas.shape == digits.shape == (16, 64, 64, 1)
  error = evaluation.reconstruction_error
  assert error(canvas, digits).mean() < error(canvas, digits[::-1]).mean()


@pytest.mark.slow
def test_the_example_of_training_trains_and_evaluates(
    tmp_path, monkeypatch, capsys
):
  monkeypatch.chdir(tmp_path)
  monkeypatch.setitem(training.evaluate.__kwdefaults__, 'count', 20)
  names = run("run_dir='runs/mine'", short=True)
  assert names['figures']['frames'] == 48
  assert 0 < names['figures']['share_of_blank'] < 10
  assert '1\n' in capsys.readouterr().out
  assert (tmp_path / 'runs/mine/result.png').exists()


@pytest.mark.slow
def test_the_example_of_resuming_trains_further(tmp_path, monkeypatch):
  monkeypatch.setattr(training, 'evaluate', lambda run_dir: {})
  block = find("run_dir='runs/noise'")
  # The default discriminator does not fit such small canvases.
  block = block.replace('runs/noise', f'{tmp_path}/noise').replace(
      'agent=agents.AgentConfig(',
      'discriminator=agents.DiscriminatorConfig(channels=(4, 4), patch_size=2),'
      'agent=agents.AgentConfig(',
  )
  monkeypatch.setitem(SHORT, 'noise_size=10', 'noise_size=3')
  monkeypatch.setattr(sys.modules[__name__], 'BLOCKS', [block])
  names = run('longer', short=True)
  assert names['longer'].run.frames == 72 and names['longer'].run.resume
  restored = training.restore(names['run_dir'])
  assert int(restored.state['policy']['frames']) == 72


@pytest.mark.slow
def test_the_example_of_search_finds_better_programs(monkeypatch):
  monkeypatch.setitem(SHORT, 'seconds=1.0', 'rounds=3')
  names = run('search.best_of(', short=True)
  start, found = names['start'], names['found']
  assert (found.scores >= start.scores).all()
  assert found.scores.mean() > start.scores.mean()


def test_the_renderer_of_the_readme_is_one(monkeypatch):
  module = types.ModuleType('squares')
  monkeypatch.setitem(sys.modules, 'squares', module)
  exec(compile(find('class Squares'), 'squares.py', 'exec'), module.__dict__)
  task = training.find_task('squares')
  assert task.name == 'squares'
  environment = task.make_batch(task.settings(), 2)
  blank = environment.reset().observation['canvas']
  corner, side = np.array([0, 63]), np.array([1, 0])
  canvas = environment.step({'corner': corner, 'side': side}).observation[
      'canvas'
  ]
  assert (blank == 255).all() and blank.shape == (2, 16, 16, 1)
  assert (canvas != 255).sum((1, 2, 3)).tolist() == [16, 4]
  assert (canvas[0, :4, :4] == 80).all() and (canvas[1, 14:, 14:] == 80).all()


def test_the_examples_of_own_renderer_are_a_task():
  settings = run('class Settings:\n  """')['Settings']()
  assert list(settings.action_spec()) == ['draw', 'corner', 'side']
  task = run("name='my_package.rectangles'")['TASK']
  assert isinstance(task, core.Task)
  batch = task.make_batch(task.settings(), 3)
  assert batch.reset().observation['canvas'].shape == (3, 16, 16, 1)


def test_the_example_of_flag_files_reads_one(monkeypatch):
  monkeypatch.chdir(ROOT)
  experiment = run('expand_flag_files')['experiment']
  assert experiment.learner.reward == 'l2'
  assert experiment.environment.grid_size == 16
  assert experiment.run.minutes == 5


def test_the_example_of_watching_stops():
  watch = run('def watch')['watch']
  watch(training.PolicyUpdate(1, 8, None, {}))
  with pytest.raises(training.StopProgram):
    watch(training.PolicyUpdate(1, 1_000_000, None, {}))


@pytest.mark.slow
def test_the_example_of_an_update_learns_one_step(monkeypatch):
  monkeypatch.setattr(
      sys.modules[__name__],
      'SHORT',
      {
          'torso_blocks=2': 'torso_blocks=0, channels=4, core_size=16',
          'head_blocks=1': 'head_blocks=0, hidden_size=16',
      },
  )
  names = run('make_learner(agent', short=True)
  assert names['trajectory'].canvas.shape == (9, 16, 64, 64, 1)
  assert names['trajectory'].canvas.dtype == np.uint8
  assert np.any(names['trajectory'].canvas[-1] < 255)
  assert int(names['state'].frames) == 8 * 16
  assert np.isfinite(names['logs']['loss'])


@pytest.mark.slow
def test_the_example_of_one_function_trains_two_members(monkeypatch):
  monkeypatch.setattr(
      sys.modules[__name__],
      'SHORT',
      {
          'torso_blocks=2': 'torso_blocks=0, channels=4, core_size=16',
          'head_blocks=1': 'head_blocks=0, hidden_size=16',
          "dataset='mnist',": (
              "dataset='mnist', environment=painting.PaintingSettings("
              'canvas_size=16, grid_size=8, episode_length=2),'
          ),
          "load('mnist', 'train')": "load('mnist', 'train', size=16)",
          'import jax\n': 'import jax\nfrom environments import painting\n',
      },
  )
  names = run('training.make_train(', short=True)
  assert names['logs']['l2'].shape == (2,)
  assert (names['states'].policy.frames == 2 * 4).all()


def test_the_example_of_an_optimizer_is_one(monkeypatch):
  given = {}
  monkeypatch.setattr(
      training, 'train', lambda experiment, **options: given.update(options)
  )
  run('train_with_weight_decay')['train_with_weight_decay'](None)
  params = {'w': np.ones(3, np.float32)}
  state = given['optimizer'].init(params)
  updates, _ = given['optimizer'].update(params, state, params)
  assert updates['w'].shape == (3,)


def test_the_example_of_loading_loads():
  names = run('digits.card')
  assert 'digits' in names['names'] and '# digits' in names['digits'].card


def test_the_painting_example_paints():
  canvas = run('dry_brush')['time_step'].observation['canvas']
  assert canvas.shape == (64, 64, 3) and canvas.dtype == np.float32
  assert canvas.min() < 0.9


def test_the_example_of_a_program_makes_what_it_says():
  names = run('painting.Program(')
  assert names['picture'].shape == (512, 512, 1)
  assert names['picture'].dtype == np.uint8 and names['picture'].min() < 128
  assert 'width="150mm"' in names['lines']
  program = names['program']
  assert type(program).from_json(program.to_json()) == program


def test_the_names_of_the_losses_example_exist():
  imports, *calls = find('import policy_gradient').strip().split('\n\n')
  names = {}
  exec(imports, names)
  for module, function in re.findall(r'(\w+)\.(\w+)\(', calls[0]):
    assert callable(getattr(names[module], function))


def test_the_readme_is_short():
  assert PAGES['README.md'].count('\n') <= 200


@pytest.mark.parametrize('page', PAGES)
def test_pictures_are_there(page):
  paths = re.findall(r'!\[[^]]*\]\(([^)]*)\)', PAGES[page])
  assert paths or page != 'README.md'
  for path in paths:
    with Image.open((ROOT / page).parent / path) as image:
      image.load()


@pytest.mark.parametrize('page', [*PAGES, 'BUILD.md', 'experiments/README.md'])
def test_files_that_are_named_are_there(page):
  named = re.findall(
      r'(?<![\w/])(?:experiments|docs|spiral_jax|tests|scripts)/[\w/]+\.\w+',
      (ROOT / page).read_text(),
  )
  for path in named:
    assert (ROOT / path).exists(), path


def test_all_programs_are_listed():
  text = (ROOT / 'experiments/README.md').read_text()
  for path in (ROOT / 'experiments').rglob('*.py'):
    assert path.stem == '__init__' or f'`{path.name}`' in text, path
  for path in (ROOT / 'experiments').rglob('*.ipynb'):
    assert f'`{path.name}`' in text, path
