"""Drawing images with a trained agent, figures 6 and 7, on runs of seconds."""

import io
import json
import re
import types

import jax
import numpy as np
from PIL import Image
import pytest

import draw
from environments import optional
from environments import painting
import figure6
import figure7
import restored as restored_lib
import run_setup
from spiral_jax import agents
from spiral_jax import evaluation
from spiral_jax.driver import checkpoints
from spiral_jax.driver import serialization
import target_images
from tests.experiments import tiny

SETTINGS = painting.PaintingSettings(canvas_size=16)
FILES = {
    'program.json',
    'target.png',
    'trace.png',
    'drawing.svg',
    'lines.svg',
    'drawing.html',
    'drawing.gif',
    'drawing.mp4',
    'picture_16.png',
    'picture_40.png',
    'other_16.png',
    'other_40.png',
}


@pytest.fixture(name='run_dir', scope='module')
def _run_dir(tmp_path_factory):
  """Returns a run of a conditional agent and a discriminator, untrained."""
  folder = tmp_path_factory.mktemp('run')
  setup = tiny.setup(folder, conditional=True)
  agent = run_setup.make_agent(setup)
  discriminator = agents.make_discriminator(
      run_setup.canvas_shape(setup), True, setup.discriminator
  )
  checkpoints.Checkpoints(
      folder / 'checkpoints', run_setup.to_json(setup)
  ).save(
      1,
      {
          name: {'learner': {'params': serialization.to_plain(init(key))}}
          for name, init, key in (
              ('policy', agent.init, jax.random.PRNGKey(0)),
              ('discriminator', discriminator.init, jax.random.PRNGKey(1)),
          )
      },
  )
  return folder


@pytest.fixture(name='restored')
def _restored(run_dir):
  return restored_lib.load(run_dir)


@pytest.fixture(name='targets')
def _targets():
  rng = np.random.default_rng(0)
  return rng.integers(0, 256, (3, 16, 16, 1)).astype(np.uint8)


@pytest.fixture(name='program')
def _program():
  return painting.Program(
      SETTINGS,
      {
          'flag': [0, 1, 1],
          'end': [70, 800, 500],
          'control': [0, 90, 700],
          'size': [0, 1, 2],
          'pressure': [9, 9, 4],
      },
  )


def script(name, *arguments, **kwargs):
  process = tiny.script(name, *arguments, **kwargs)
  output, errors = process.communicate(timeout=300)
  return process.returncode, output, errors


# The best of several.


def test_the_best_of_all_samples_is_kept(restored, targets):
  samples = 5
  drawings = draw.draw(restored, targets, samples=samples, seed=3)
  (trajectory,) = restored_lib.episodes(
      restored, 15, np.repeat(targets, samples, axis=0), seed=3
  )
  errors = evaluation.reconstruction_error(
      trajectory.canvas[-1], trajectory.target
  ).reshape(3, samples)
  assert (np.ptp(errors, axis=1) > 0).all()
  for i, drawing in enumerate(drawings):
    assert drawing.error == errors[i].min()
    assert drawing.mean_error == pytest.approx(errors[i].mean())
    best = i * samples + errors[i].argmin()
    np.testing.assert_array_equal(
        drawing.program.render(), trajectory.canvas[-1, best]
    )


def test_by_score_the_discriminator_chooses(restored, targets):
  samples = 5
  drawings = draw.draw(restored, targets, samples=samples, by='score')
  (trajectory,) = restored_lib.episodes(
      restored, 15, np.repeat(targets, samples, axis=0), seed=0
  )
  score = restored_lib.make_score(restored)
  scores = score(trajectory.canvas[-1], trajectory.target).reshape(3, samples)
  assert (np.ptp(scores, axis=1) > 0).all()
  for i, drawing in enumerate(drawings):
    best = i * samples + scores[i].argmax()
    np.testing.assert_array_equal(
        drawing.program.render(), trajectory.canvas[-1, best]
    )


def test_batches_hold_several_images_and_images_several_batches(
    restored, targets, monkeypatch
):
  monkeypatch.setattr(restored_lib, '_BATCH', 4)  # 15 episodes: 4 batches.
  parts = draw.draw(restored, targets, samples=5)
  assert len({drawing.program for drawing in parts}) == 3
  for drawing, target in zip(parts, targets):
    error = evaluation.reconstruction_error(
        drawing.program.render()[np.newaxis], target[np.newaxis]
    )
    assert drawing.error == error[0] <= drawing.mean_error


def test_agents_that_do_not_fit_are_refused(restored, targets):
  setup = restored.setup
  noise = restored._replace(
      setup=setup._replace(agent=agents.AgentConfig(noise_size=3))
  )
  with pytest.raises(ValueError, match='draws from noise.*--conditional'):
    draw.draw(noise, targets, samples=1)
  with pytest.raises(ValueError, match='draws from noise.*--conditional'):
    figure6.figure6(noise, targets, samples=1, size=16)
  with pytest.raises(ValueError, match='draws from noise.*--conditional'):
    figure7.figure7(noise, targets, columns=3)
  state = {
      k: v for k, v in restored.checkpoint.state.items() if k != 'discriminator'
  }
  blind = restored._replace(
      checkpoint=restored.checkpoint._replace(state=state)
  )
  with pytest.raises(ValueError, match='no discriminator.*--by=l2'):
    draw.draw(blind, targets, samples=1, by='score')


def _save(path, array, **kwargs):
  Image.fromarray(array).save(path, **kwargs)
  return path


def _ink(size=40):
  """Returns a black square on white, `[size, size]`."""
  image = np.full((size, size), 255, np.uint8)
  image[size // 4 : size // 2, size // 4 : size // 2] = 0
  return image


# The script.


@pytest.mark.slow
def test_an_image_becomes_files_of_every_kind(tmp_path, run_dir):
  pytest.importorskip('av', reason='PyAV is not installed')
  image = _save(tmp_path / 'photo.png', _ink())
  out = tmp_path / 'out'
  code, output, errors = script(
      'draw.py',
      f'--image={image}',
      f'--checkpoint={run_dir}',
      f'--out={out}',
      '--samples=6',
      '--sizes=16,40',
      '--millimeters=150',
  )
  assert code == 0, errors
  assert 'best of 6' in output and str(out) in output.replace('\n', '')
  assert {path.name for path in out.iterdir()} == FILES
  program = painting.Program.from_json((out / 'program.json').read_text())
  assert len(program) == 3 and program.settings.canvas_size == 16

  def read(name):
    with Image.open(out / name) as picture:
      return np.asarray(picture)

  for size in (16, 40):
    np.testing.assert_array_equal(
        read(f'picture_{size}.png'), program.render(size)[..., 0]
    )
    np.testing.assert_array_equal(
        read(f'other_{size}.png'),
        program.render(size, 'classic/dry_brush')[..., 0],
    )
  np.testing.assert_array_equal(read('trace.png'), program.trace(512))
  target = target_images.read(image, program.settings)[1][0]
  np.testing.assert_array_equal(read('target.png'), target[..., 0])
  assert (out / 'drawing.svg').read_text() == program.to_svg()
  assert '150mm' in (out / 'lines.svg').read_text()
  page = (out / 'drawing.html').read_text()
  assert '<title>photo</title>' in page
  data = re.search(r'application/json">(.*?)</script>', page, re.DOTALL)[1]
  assert json.loads(data)['size'] == 512
  with Image.open(out / 'drawing.gif') as film:
    assert film.size == (512, 512)
  mark = float(output.split('│')[2])
  error = evaluation.reconstruction_error(
      program.render()[np.newaxis], target[np.newaxis]
  )
  assert mark == pytest.approx(error[0], abs=1e-4)


def test_a_missing_library_costs_only_what_needs_it(
    tmp_path, program, targets, monkeypatch
):
  real = optional.importlib.import_module

  def without_av(module):
    if module == 'av':
      raise ModuleNotFoundError('No module named av')
    return real(module)

  monkeypatch.setattr(
      optional, 'importlib', types.SimpleNamespace(import_module=without_av)
  )
  with pytest.raises(ImportError, match='pip install av'):
    draw.write(
        program,
        targets[0],
        tmp_path,
        sizes=[16, 40],
        other_brush='classic/pen',
        millimeters=100,
        title='x',
    )
  found = {path.name for path in tmp_path.iterdir()}
  assert found == FILES - {'drawing.mp4'}


@pytest.mark.parametrize(
    'change',
    [
        dict(other_brush='classic/pn'),
        dict(sizes=[0]),
        dict(millimeters=-1.0),
    ],
)
def test_what_is_wrong_is_told_before_anything_is_written(
    tmp_path, program, targets, change
):
  arguments = dict(
      sizes=[16], other_brush='classic/pen', millimeters=100, title='x'
  )
  with pytest.raises(ValueError):
    draw.write(program, targets[0], tmp_path, **{**arguments, **change})
  assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_a_folder_of_images(tmp_path, run_dir):
  pytest.importorskip('av', reason='PyAV is not installed')
  folder, out = tmp_path / 'in', tmp_path / 'out'
  folder.mkdir()
  for i in range(13):
    _save(folder / f'{i:02d}.png', np.roll(_ink(), 2 * i))
  code, output, errors = script(
      'draw.py',
      f'--image={folder}',
      f'--checkpoint={run_dir}',
      f'--out={out}',
      '--samples=2',
      '--sizes=16',
  )
  assert code == 0, errors
  names = [f'{i:02d}' for i in range(13)]
  assert sorted(path.name for path in out.iterdir()) == [*names, 'result.png']
  assert all((out / name / 'drawing.mp4').exists() for name in names)
  assert 'mean of 13' in output
  with Image.open(out / 'result.png') as image:
    assert image.size == (12 * 18, 4 * 18)  # Targets above, in two rows.


@pytest.mark.parametrize(
    'arguments, words',
    [
        (['--image=x.png', '--weights=dgits'], ["no weights named 'dgits'"]),
        (['--image=x.png', '--sizes=big'], ["'big'", 'pixels']),
        (['--image=bad.png', '--checkpoint=RUN'], ['bad.png cannot be read']),
        (['--image=bad.png'], ['bad.png cannot be read']),
        (
            ['--image=bad.png', '--checkpoint=RUN', '--out=bad.png'],
            ['--out=bad.png is a file', 'folder'],
        ),
        (['--image=bad.png', '--checkpoint=RUN', '--sizes=0'], ['0', 'size']),
        (
            ['--image=bad.png', '--checkpoint=RUN', '--other_brush=classic/pn'],
            ['classic/pn'],
        ),
    ],
)
def test_what_the_user_can_mend_is_one_line(
    tmp_path, run_dir, arguments, words
):
  (tmp_path / 'bad.png').write_bytes(b'no picture')
  arguments = [a.replace('RUN', str(run_dir)) for a in arguments]
  code, output, errors = script('draw.py', *arguments, cwd=tmp_path)
  assert code != 0 and output == ''
  assert len(errors.splitlines()) == 1, errors
  for word in words:
    assert word in errors
  assert sorted(p.name for p in tmp_path.iterdir()) == ['bad.png']


def test_a_checkpoint_of_another_action_space_is_one_line(run_dir, monkeypatch):
  saved = checkpoints.load(run_dir / 'checkpoints')
  config = json.loads(json.dumps(saved.config))
  config['painting']['color'] = True
  monkeypatch.setattr(
      checkpoints, 'load', lambda *_: saved._replace(config=config)
  )
  with pytest.raises(ValueError) as error:
    restored_lib.load(run_dir)
  assert '\n' not in str(error.value)
  assert f'{run_dir} is of another action space' in str(error.value)


# Figure 6.


def test_figure_6_has_inputs_drawings_details_and_mean_traces(
    restored, targets
):
  samples, size = 4, 48
  figure = figure6.figure6(
      restored, targets, samples=samples, size=size, seed=1
  )
  assert figure.shape == (4 * (size + 2), 3 * (size + 2), 3)
  panels = figure.reshape(4, size + 2, 3, size + 2, 3).swapaxes(1, 2)
  panels = panels[:, :, :size, :size]
  (trajectory,) = restored_lib.episodes(restored, 12, targets, seed=1)
  programs = [
      painting.Program(
          restored.setup.painting,
          {name: part[:, b] for name, part in trajectory.action.items()},
      )
      for b in range(12)
  ]
  for i, target in enumerate(targets):
    np.testing.assert_array_equal(
        panels[0, i], np.repeat(target.repeat(3, 0).repeat(3, 1), 3, 2)
    )
    canvas = programs[i].render()
    np.testing.assert_array_equal(
        panels[1, i, ::3, ::3], np.repeat(canvas, 3, 2)
    )
    np.testing.assert_array_equal(
        panels[2, i], np.repeat(programs[i].render(size), 3, 2)
    )
    traces = [p.trace(size, moves=False) for p in programs[i::3]]
    np.testing.assert_allclose(panels[3, i], np.mean(traces, 0), atol=0.51)


def test_figure_6_is_not_below_the_canvas(restored, targets):
  with pytest.raises(ValueError, match='--size=8 .*16 pixels'):
    figure6.figure6(restored, targets, samples=1, size=8)


@pytest.mark.slow
def test_figure_6_as_a_script(run_dir):
  code, output, errors = script(
      'figure6.py',
      f'--run_dir={run_dir}',
      '--samples=2',
      '--count=3',
      '--size=32',
  )
  assert code == 0, errors
  assert 'figure6.png' in output and errors == ''
  with Image.open(io.BytesIO((run_dir / 'figure6.png').read_bytes())) as image:
    assert image.size == (3 * 34, 4 * 34)


def test_figure_6_of_weights_that_come_with_the_package(tmp_path):
  code, output, errors = script(
      'figure6.py',
      '--weights=digits',
      '--samples=1',
      '--count=2',
      '--size=64',
      cwd=tmp_path,
  )
  assert code == 0, errors
  assert 'out/figure6.png' in output
  with Image.open(tmp_path / 'out' / 'figure6.png') as image:
    assert image.size == (2 * 66, 4 * 66)


# Figure 7.


@pytest.mark.parametrize('greedy', [False, True])
def test_figure_7_has_reconstructions_below_their_targets(
    restored, greedy, monkeypatch
):
  monkeypatch.setattr(restored_lib, '_BATCH', 4)  # 6 images: 2 batches.
  rng = np.random.default_rng(0)
  targets = rng.integers(0, 256, (6, 16, 16, 1)).astype(np.uint8)
  figure, quality = figure7.figure7(
      restored, targets, columns=3, seed=1, greedy=greedy
  )
  assert figure.shape == (4 * 18, 3 * 18, 1)
  panels = figure.reshape(2, 2, 18, 3, 18, 1).transpose(1, 0, 3, 2, 4, 5)
  above, below = panels[..., :16, :16, :].reshape(2, 6, 16, 16, 1)
  np.testing.assert_array_equal(above, targets)
  drawn = restored_lib.episodes(restored, 6, targets, seed=1, greedy=greedy)
  canvas = np.concatenate([trajectory.canvas[-1] for trajectory in drawn])[:6]
  np.testing.assert_array_equal(below, canvas)
  assert np.ptp(canvas) > 0
  assert quality == evaluation.evaluate_reconstructions(canvas, targets)


@pytest.mark.slow
def test_figure_7_as_a_script(run_dir, tmp_path):
  code, output, errors = script(
      'figure7.py',
      f'--run_dir={run_dir}',
      '--rows=2',
      '--columns=3',
      f'--out_dir={tmp_path}',
  )
  assert code == 0, errors
  assert 'pages of one color' in output and errors == ''
  with Image.open(tmp_path / 'figure7.png') as image:
    assert image.size == (3 * 18, 4 * 18)
