"""Weights from a run into a package's folder, and agents from there."""

import json
import pathlib
import zipfile

import jax
import numpy as np
import pytest

from environments import painting
from experiments.tools import export_weights
from spiral_jax import agents
from spiral_jax import training
from spiral_jax import weights
from spiral_jax.driver import checkpoints
from spiral_jax.driver import serialization
from tests import tiny

FIGURES = {
    'step': 1,
    'frames': 1234567,
    'minutes': 2.5,
    'test_images': 1000,
    'error': 0.0123,
    'greedy': {'error': 0.01, 'strokes': {'length': [1, 2.5]}},
}
FAILURES = 'Loops of 8 stay open.'


@pytest.fixture(name='run_dir')
def _run_dir(tmp_path):
  """Returns a run of a conditional agent, untrained but evaluated."""
  folder = tmp_path / 'runs' / 'mine'
  experiment = tiny.experiment(
      folder, conditional=True, run=dict(data_dir=str(tmp_path / 'home'))
  ).replace(lessons=training.LessonConfig(teacher=str(tmp_path / 'teacher')))
  params = experiment.make_agent().init(jax.random.key(0))
  checkpoints.Checkpoints(folder / 'checkpoints', experiment.to_json()).save(
      1, {'policy': {'learner': {'params': serialization.to_plain(params)}}}
  )
  (folder / 'evaluation.json').write_text(json.dumps(FIGURES))
  (folder / 'omniglot').mkdir()
  (folder / 'omniglot' / 'evaluation.json').write_text(
      json.dumps({**FIGURES, 'error': 0.0456})
  )
  return folder


@pytest.fixture(name='flag_file')
def _flag_file(tmp_path):
  """Returns the flags of that run, but for two and those of the folder."""
  flags = [
      flag
      for flag in tiny.flags('elsewhere')
      if not flag.startswith(
          ('--noise', '--torso_blocks', '--discriminator_ch')
      )
  ]
  path = tmp_path / 'mine.flags'
  path.write_text('\n'.join(['# A comment.', '--conditional', *flags]))
  return path


@pytest.fixture(name='folder')
def _folder(tmp_path, monkeypatch):
  """Returns the folder of all weights, empty."""
  folder = tmp_path / 'weights'
  monkeypatch.setattr(weights, 'FOLDER', folder)
  return folder


@pytest.fixture(name='exported')
def _exported(run_dir, flag_file, folder):
  return export_weights.export(
      run_dir, 'mine', failures=FAILURES, flag_file=flag_file, out_dir=folder
  )


def _rounded(trained):
  """Returns the parameters of a run as far as float16 tells them."""
  return jax.tree.map(
      lambda weights: weights.astype('float16').astype('float32'),
      trained.params,
  )


def test_a_loaded_agent_acts_as_the_run_does(exported, run_dir):
  loaded = agents.load('mine')
  environment = painting.make_batch(2, dtype=np.uint8, **loaded.environment)
  canvas = environment.reset().observation['canvas']
  target = np.random.default_rng(0).integers(0, 256, canvas.shape)
  observation = agents.Observation(canvas, target.astype(np.uint8))
  trained = training.restore(run_dir)
  assert loaded.agent.parts == trained.agent.parts
  for greedy in (False, True):
    one, two = (
        agent.step(
            params,
            agent.initial_state(2),
            observation,
            jax.random.key(3),
            greedy=greedy,
        )
        for agent, params in (loaded[:2], (trained.agent, _rounded(trained)))
    )
    jax.tree.map(np.testing.assert_array_equal, one, two)
    environment.step({k: np.asarray(v) for k, v in one[0].action.items()})
  assert loaded.config == trained.experiment.agent
  assert loaded.figures['error'] == 0.0123
  assert loaded.card == (exported / 'CARD.md').read_text()


def test_weights_draw_as_the_run_does(exported, run_dir):
  del exported
  targets = np.random.default_rng(0).integers(0, 256, (2, 16, 16, 1))
  targets = targets.astype(np.uint8)
  loaded, trained = training.restore('mine'), training.restore(run_dir)
  one, two = (
      next(training.episodes(agent, 6, targets, seed=1))
      for agent in (loaded, trained._replace(params=_rounded(trained)))
  )
  jax.tree.map(np.testing.assert_array_equal, one, two)
  assert training.make_score(loaded) is None


def test_weights_are_evaluated_as_runs_are(exported, tmp_path):
  del exported
  loaded = training.restore('mine')
  out = tmp_path / 'out'
  figures = training.evaluate_agent(loaded, out, dataset='omniglot', count=4)
  assert figures['test_images'] == 4 and figures['error'] > 0
  assert json.loads((out / 'evaluation.json').read_text()) == figures
  assert {path.name for path in out.glob('*.png')} == {
      'result.png',
      'result_greedy.png',
      'strokes.png',
  }


def test_files_hold_no_pickle_and_no_path_of_the_machine(exported, tmp_path):
  assert {path.name for path in exported.iterdir()} == {
      'config.json',
      'weights.npz',
      'CARD.md',
  }
  assert [path.name for path in exported.parent.iterdir()] == ['mine']
  for name in ('config.json', 'CARD.md'):
    assert str(tmp_path) not in (exported / name).read_text()
  with np.load(exported / 'weights.npz', allow_pickle=False) as file:
    assert all(array.dtype == np.float16 for array in file.values())
    assert all('/' in name for name in file)


def test_the_card_says_what_there_is_to_know(exported):
  card = (exported / 'CARD.md').read_text()
  for words in (
      'Redraws given images: 3 commands on a canvas of 16 x 16 pixels, gray',
      '| data | MNIST',
      'CC BY-SA 3.0',
      '| flag file | `mine.flags` `--torso_blocks=0` '
      '`--discriminator_channels=4,4` |',
      '| commands learned from | 1,234,567 |',
      '| minutes of training | 2.5 |',
      '| error | 0.0123 |',
      '| greedy: error | 0.01 |',
      '| greedy: strokes: length | 1 2.5 |',
      '| on omniglot: error | 0.0456 |',
      '\n\n    python experiments/evaluate.py --weights=mine --count=1000\n    '
      'python experiments/evaluate.py --weights=mine --dataset=omniglot '
      '--count=1000\n\n',
      FAILURES,
  ):
    assert words in card, words


def test_figures_of_another_checkpoint_are_not_those_of_this_one(
    run_dir, flag_file, folder, monkeypatch
):
  stale = {**FIGURES, 'step': 0, 'error': 0.5}
  for name in ('evaluation.json', 'omniglot/evaluation.json'):
    (run_dir / name).write_text(json.dumps(stale))
  monkeypatch.setattr(
      training,
      'evaluate',
      lambda path, step: {**FIGURES, 'error': step / 4},
  )
  export_weights.export(
      run_dir, 'mine', failures=FAILURES, flag_file=flag_file, out_dir=folder
  )
  figures = agents.load('mine').figures
  assert figures['error'] == 0.25 and 'on omniglot' not in figures


def test_nothing_is_left_of_an_export_that_failed(
    run_dir, flag_file, folder, monkeypatch
):
  def full(*args, **kwargs):
    raise OSError('no space left on device')

  monkeypatch.setattr(np, 'savez_compressed', full)
  with pytest.raises(OSError, match='no space'):
    export_weights.export(
        run_dir, 'mine', failures=FAILURES, flag_file=flag_file, out_dir=folder
    )
  assert not list(folder.iterdir())


def test_what_does_not_fit_is_refused(exported, run_dir, flag_file, folder):
  def export(name='other', path=flag_file):
    export_weights.export(
        run_dir, name, failures=FAILURES, flag_file=path, out_dir=folder
    )

  with pytest.raises(ValueError, match='mine exists; delete it.*--name'):
    export('mine')
  with pytest.raises(ValueError, match='--name=../x must be letters'):
    export('../x')
  with pytest.raises(FileNotFoundError, match='gone.flags.*--flag_file'):
    export(path=pathlib.Path('gone.flags'))
  flag_file.write_text('--max_objects=2')
  with pytest.raises(ValueError, match='mine.flags is not of this run.*max_ob'):
    export()
  assert [path.name for path in folder.iterdir()] == ['mine']
  assert exported.exists()


def test_measuring_again_changes_the_figures_alone(exported, monkeypatch):
  before = agents.load(exported)
  asked = []

  def evaluate_agent(trained, out_dir, *, dataset, count):
    asked.append((dataset, count))
    return {'step': trained.step, 'test_images': 7, 'error': 0.125}

  monkeypatch.setattr(training, 'evaluate_agent', evaluate_agent)
  figures = export_weights.measure_again(exported)
  after = agents.load(exported)
  assert after.figures == figures and figures['error'] == 0.125
  assert figures['minutes'] == before.figures['minutes']
  assert asked[0] == ('', before.figures['test_images'])
  others = [key for key in before.figures if key.startswith('on ')]
  assert [f'on {dataset}' for dataset, _ in asked[1:]] == others
  assert '| error | 0.125 |' in after.card
  head, _, rest = after.card.partition('| figure | value |')
  assert before.card.startswith(head)
  _, _, end = rest.partition('Measured again')
  assert before.card.endswith(end)


def test_the_program_writes_the_folder(run_dir, flag_file, tmp_path):
  code, output, errors = tiny.run_program(
      'tools/export_weights.py',
      f'--run_dir={run_dir}',
      '--name=mine',
      f'--failures={FAILURES}',
      f'--flag_file={flag_file}',
      f'--out_dir={tmp_path / "weights"}',
  )
  assert code == 0, errors
  assert 'MB in' in output and errors == ''
  assert zipfile.is_zipfile(tmp_path / 'weights/mine/weights.npz')
