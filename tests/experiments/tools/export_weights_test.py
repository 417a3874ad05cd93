"""Weights from a run into a package's folder, and agents from there."""

import io
import json
import pathlib
import zipfile

import jax
import numpy as np
import pytest

import draw
from environments import painting
import evaluate
import export_weights
import restored as restored_lib
import run_setup
from spiral_jax import agents
from spiral_jax import weights
from spiral_jax.driver import checkpoints
from spiral_jax.driver import serialization
from tests.experiments import tiny

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
  setup = tiny.setup(
      folder, conditional=True, run=dict(data_dir=str(tmp_path / 'home'))
  )
  agent = run_setup.make_agent(setup)
  params = agent.init(jax.random.PRNGKey(0))
  checkpoints.Checkpoints(
      folder / 'checkpoints', run_setup.to_json(setup)
  ).save(1, {'policy': {'learner': {'params': serialization.to_plain(params)}}})
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
      run_dir, 'mine', failures=FAILURES, flag_file=flag_file, folder=folder
  )


def _rounded(restored):
  """Returns the parameters of a run as far as float16 tells them."""
  return jax.tree.map(
      lambda weights: weights.astype('float16').astype('float32'),
      restored.params,
  )


def test_a_loaded_agent_acts_as_the_run_does(exported, run_dir):
  loaded = agents.load('mine')
  environment = painting.make_batch(2, dtype=np.uint8, **loaded.environment)
  canvas = environment.reset().observation['canvas']
  target = np.random.default_rng(0).integers(0, 256, canvas.shape)
  observation = agents.Observation(canvas, target.astype(np.uint8))
  restored = restored_lib.load(run_dir)
  assert loaded.agent.parts == restored.agent.parts
  for greedy in (False, True):
    one, two = (
        agent.step(
            params,
            agent.initial_state(2),
            observation,
            jax.random.PRNGKey(3),
            greedy=greedy,
        )
        for agent, params in (loaded[:2], (restored.agent, _rounded(restored)))
    )
    jax.tree.map(np.testing.assert_array_equal, one, two)
    environment.step({k: np.asarray(v) for k, v in one[0].action.items()})
  assert loaded.config == restored.setup.agent
  assert loaded.figures['error'] == 0.0123
  assert loaded.card == (exported / 'CARD.md').read_text()


def test_draw_takes_weights_as_it_takes_a_checkpoint(exported, run_dir):
  del exported
  targets = np.random.default_rng(0).integers(0, 256, (2, 16, 16, 1))
  targets = targets.astype(np.uint8)
  loaded = restored_lib.load_weights('mine')
  restored = restored_lib.load(run_dir)
  restored = restored._replace(params=_rounded(restored))
  assert draw.draw(loaded, targets, samples=3, seed=1) == draw.draw(
      restored, targets, samples=3, seed=1
  )
  with pytest.raises(ValueError, match='no discriminator.*--by=l2'):
    draw.draw(loaded, targets, samples=1, by='score')


def test_weights_are_evaluated_as_runs_are(exported, tmp_path):
  del exported
  loaded = restored_lib.load_weights('mine')
  out = tmp_path / 'out'
  figures = evaluate.evaluate_restored(loaded, out, dataset='omniglot', count=4)
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
      export_weights.evaluate,
      'evaluate',
      lambda path, step: {**FIGURES, 'error': step / 4},
  )
  export_weights.export(
      run_dir, 'mine', failures=FAILURES, flag_file=flag_file, folder=folder
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
        run_dir, 'mine', failures=FAILURES, flag_file=flag_file, folder=folder
    )
  assert not list(folder.iterdir())


def test_what_does_not_fit_is_refused(exported, run_dir, flag_file, folder):
  def export(name='other', path=flag_file):
    export_weights.export(
        run_dir, name, failures=FAILURES, flag_file=path, folder=folder
    )

  with pytest.raises(ValueError, match='mine is there already.*delete it'):
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


def test_an_unknown_name_lists_those_there_are(exported, folder):
  (folder / '.partial').mkdir()
  (folder / '.partial' / 'config.json').write_text('{}')
  with pytest.raises(ValueError, match="'x' .*; there are: mine$"):
    agents.load('x')
  with pytest.raises(ValueError, match='there are: mine$'):
    agents.load('../weights/mine')
  exported.rename(folder / 'other')
  assert weights.names() == ['other']


def test_without_any_weights_it_says_so(folder):
  assert not folder.exists()
  with pytest.raises(ValueError, match='there are: none$'):
    agents.load('digits')


def _cut(path):
  path.write_bytes(path.read_bytes()[:-40])


def _flip(path):
  data = bytearray(path.read_bytes())
  with zipfile.ZipFile(path) as archive:
    entry = max(archive.infolist(), key=lambda info: info.file_size)
  data[entry.header_offset + 200] ^= 0xFF
  path.write_bytes(data)


def _rewrite(path, change):
  with np.load(path) as file:
    arrays = dict(file)
  np.savez(path, **change(arrays))


def _pickled(path):
  _rewrite(path, lambda a: {**a, min(a): np.array([{}], dtype=object)})


def _transposed(path):
  _rewrite(path, lambda a: {name: v.T for name, v in a.items()})


def _one_less(path):
  _rewrite(path, lambda a: {name: a[name] for name in sorted(a)[1:]})


def _one_more(path):
  _rewrite(path, lambda a: {**a, 'params/x': np.zeros(3, np.float32)})


@pytest.mark.parametrize(
    'damage', [_cut, _flip, _pickled, _transposed, _one_less, _one_more]
)
def test_damaged_weights_are_one_clear_error(exported, damage):
  damage(exported / 'weights.npz')
  with pytest.raises(ValueError, match='weights in .*mine are damaged'):
    agents.load('mine')


@pytest.mark.parametrize(
    'text',
    [
        '',
        '[]',
        '{"format": 1}',
        '{"format": 2}',
    ],
)
def test_a_damaged_configuration_is_one_clear_error(exported, text):
  (exported / 'config.json').write_text(text)
  with pytest.raises(ValueError, match='weights in .*mine are damaged'):
    agents.load('mine')


@pytest.mark.parametrize('value', [1e5, -1e5, np.nan])
def test_weights_that_float16_cannot_hold_are_refused(value):
  params = {'params': {'value': {'bias': np.array([0.5, value], np.float32)}}}
  with pytest.raises(ValueError, match=f'value/bias holds {value}.*earlier'):
    weights.to_arrays(params)


def test_a_missing_file_is_one_clear_error(exported):
  (exported / 'CARD.md').unlink()
  with pytest.raises(ValueError, match='weights in .*mine are damaged'):
    agents.load('mine')


@pytest.mark.slow
def test_as_a_script(run_dir, flag_file, tmp_path):
  process = tiny.script(
      'export_weights.py',
      f'--run_dir={run_dir}',
      '--name=mine',
      f'--failures={FAILURES}',
      f'--flag_file={flag_file}',
      f'--folder={tmp_path / "weights"}',
  )
  output, errors = process.communicate(timeout=300)
  assert process.returncode == 0, errors
  assert 'MB in' in output and errors == ''
  assert zipfile.is_zipfile(
      io.BytesIO((tmp_path / 'weights/mine/weights.npz').read_bytes())
  )


def test_the_name_of_a_data_set_is_that_of_the_agent_that_redraws_it():
  omniglot, characters = agents.load('omniglot'), agents.load('characters')
  assert omniglot.card == characters.card
  assert omniglot.setup['dataset'] == 'omniglot'
