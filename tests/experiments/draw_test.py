"""Drawing images with a trained agent, on a run of seconds."""

import io
import json
import re
import signal
import subprocess
import sys
import time
import types

import numpy as np
from PIL import Image
import pytest
import rich.console

from environments import optional
from environments import painting
from experiments.drawing import by_agent
from experiments.drawing import by_lines
from experiments.drawing import by_strokes
from experiments.drawing import output
from experiments.drawing import results
from experiments.drawing import styles
from spiral_jax import agents
from spiral_jax import datasets
from spiral_jax import evaluation
from spiral_jax import training
from spiral_jax.datasets import user_images
from spiral_jax.driver import checkpoints
from spiral_jax.training import trained_agent
from tests import tiny

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


@pytest.fixture(name='trained')
def _trained(painting_run):
  return training.restore(painting_run)


@pytest.fixture(name='targets')
def _targets():
  rng = np.random.default_rng(0)
  return rng.integers(0, 256, (3, 16, 16, 1)).astype(np.uint8)


def without_targets(trained):
  """Returns the agent as if it drew from noise."""
  return trained._replace(
      experiment=trained.experiment.replace(
          agent=agents.AgentConfig(noise_size=3)
      )
  )


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


# The best of several.


def test_the_best_of_all_samples_is_kept(trained, targets):
  samples = 5
  drawings = by_agent.draw(trained, targets, samples=samples, seed=3)
  (trajectory,) = training.episodes(
      trained, 15, np.repeat(targets, samples, axis=0), seed=3
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


def test_by_score_the_discriminator_chooses(trained, targets):
  samples = 5
  drawings = by_agent.draw(trained, targets, samples=samples, by='score')
  (trajectory,) = training.episodes(
      trained, 15, np.repeat(targets, samples, axis=0), seed=0
  )
  score = training.make_score(trained)
  scores = score(trajectory.canvas[-1], trajectory.target).reshape(3, samples)
  assert (np.ptp(scores, axis=1) > 0).all()
  for i, drawing in enumerate(drawings):
    best = i * samples + scores[i].argmax()
    np.testing.assert_array_equal(
        drawing.program.render(), trajectory.canvas[-1, best]
    )


def test_batches_hold_several_images_and_images_several_batches(
    trained, targets, monkeypatch
):
  monkeypatch.setattr(trained_agent, '_BATCH', 4)  # 15 episodes: 4 batches.
  parts = by_agent.draw(trained, targets, samples=5)
  assert len({drawing.program for drawing in parts}) == 3
  for drawing, target in zip(parts, targets):
    error = evaluation.reconstruction_error(
        drawing.program.render()[np.newaxis], target[np.newaxis]
    )
    assert drawing.error == error[0] <= drawing.mean_error


def test_agents_that_do_not_fit_are_refused(trained, targets):
  with pytest.raises(ValueError, match='draws from noise.*--conditional'):
    by_agent.draw(without_targets(trained), targets, samples=1)
  state = {k: v for k, v in trained.state.items() if k != 'discriminator'}
  alone = trained._replace(state=state)
  with pytest.raises(ValueError, match='no discriminator.*--by=l2'):
    by_agent.draw(alone, targets, samples=1, by='score')
  scenes = trained._replace(experiment=tiny.scene_experiment('unused'))
  with pytest.raises(ValueError, match='does not paint'):
    by_agent.draw(scenes, targets, samples=1)


def _save(path, array, **kwargs):
  Image.fromarray(array).save(path, **kwargs)
  return path


def _ink(size=40):
  """Returns a black square on white, `[size, size]`."""
  image = np.full((size, size), 255, np.uint8)
  image[size // 4 : size // 2, size // 4 : size // 2] = 0
  return image


# Next to no drawing at all.


def test_errors_of_pages_without_a_drawing_stand_next_to_it(trained):
  targets = np.full((2, 16, 16, 1), 255, np.uint8)
  targets[1, :4] = 0  # A quarter is ink.
  drawings = by_agent.draw(trained, targets, samples=2)
  assert drawings[0].blank_error == drawings[0].constant_error == 0
  assert drawings[1].blank_error == pytest.approx(0.25)
  assert drawings[1].constant_error == pytest.approx(0.25 * 0.75)


def _drawing(error, blank=0.0625, constant=0.06):
  return results.Drawing(None, None, error, 2 * error, blank, constant)


def test_what_is_worse_than_nothing_is_said_in_a_sentence():
  assert results.worse_than_nothing({'a': _drawing(0.0599)}) == ''
  assert results.worse_than_nothing({'a': _drawing(0.0, 0.0, 0.0)}) == ''
  assert results.worse_than_nothing({'kanji': _drawing(0.0646)}) == (
      'the drawing is no better than nothing (its l2 is 0.0646, that of a blank'
      ' page 0.0625); try more --seconds, or of an agent more --samples, or'
      ' another agent'
  )
  sentence = results.worse_than_nothing(
      {'a': _drawing(0.061), 'b': _drawing(0.01), 'c': _drawing(0.1, 0.0, 0.0)}
  )
  assert sentence.startswith('2 of 3 drawings are no better than nothing (a: ')
  assert 'a: its l2 is 0.0610, that of a page of one color 0.0600' in sentence
  assert 'c: its l2 is 0.1000, that of a blank page 0.0000' in sentence
  many = results.worse_than_nothing({f'{i}': _drawing(1.0) for i in range(9)})
  assert many.startswith('9 of 9') and '; 4 more)' in many


def test_shares_are_of_pages_without_a_drawing():
  figures = results.figures(0.0646, 0.0702, 0.0625, 0.0)
  assert figures == ['0.0646', '0.0702', '103%', '-']
  assert results.figures(0.02, 0.04, 0.1) == ['0.0200', '50%', '20%']


# The program.


@pytest.mark.slow
def test_an_image_becomes_files_of_every_kind(tmp_path, painting_run):
  pytest.importorskip('av', reason='PyAV is not installed')
  image = _save(tmp_path / 'photo.png', _ink())
  out = tmp_path / 'out'
  code, output, errors = tiny.run_program(
      'draw.py',
      f'--image={image}',
      f'--run_dir={painting_run}',
      f'--out_dir={out}',
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
  target = user_images.read(image, size=16, channels=1)[1][0]
  np.testing.assert_array_equal(read('target.png'), target[..., 0])
  assert (out / 'drawing.svg').read_text() == program.to_svg(millimeters=150)
  assert '150mm' in (out / 'lines.svg').read_text()
  page = (out / 'drawing.html').read_text()
  assert '<title>photo</title>' in page
  data = re.search(r'application/json">(.*?)</script>', page, re.DOTALL)[1]
  assert json.loads(data)['shape'] == [512, 512]
  with Image.open(out / 'drawing.gif') as film:
    assert film.size == (512, 512)
  mark = float(output.split('│')[2])
  error = evaluation.reconstruction_error(
      program.render()[np.newaxis], target[np.newaxis]
  )
  assert mark == pytest.approx(error[0], abs=1e-4)


def test_weights_are_guessed_for_each_image(tmp_path):
  portraits = datasets.load('celeba', 'test').images
  for i in range(6):
    _save(tmp_path / f'line[{i}].png', np.roll(_ink(), i))
  _save(tmp_path / 'photo.webp', portraits[0])
  red = np.where(_ink()[..., np.newaxis], 255, [220, 30, 30])
  _save(tmp_path / 'red.png', red.astype(np.uint8))
  output = io.StringIO()
  console = rich.console.Console(file=output, width=200)
  images = user_images.find(tmp_path)
  sources = by_agent.guessed(console, images)
  lines = [f'line[{i}]' for i in range(6)]
  assert {weights: [*some] for weights, some in sources.items()} == {
      'characters': lines,
      'portraits': ['red', 'photo'],
  }
  printed = output.getvalue()
  assert f'--weights=characters: {", ".join(lines[:5])} and 1 more' in printed
  assert 'a colored drawing, drawn by --weights=portraits: red' in printed
  assert 'a photograph, drawn by --weights=portraits: photo' in printed
  assert 'a guess; --weights=NAME' in printed


def test_an_overview_of_gray_and_colored_pictures_is_in_color():
  gray = np.full((4, 4, 1), 9, np.uint8)
  color = np.full((4, 4, 3), (1, 2, 3), np.uint8)
  stacked = output.stacked([gray, color])
  np.testing.assert_array_equal(stacked[:, 0, 0], [[9, 9, 9], [1, 2, 3]])
  assert output.stacked([gray, gray]).shape == (2, 4, 4, 1)


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
    output.write(
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
    output.write(program, targets[0], tmp_path, **{**arguments, **change})
  assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_a_folder_of_images(tmp_path, painting_run):
  pytest.importorskip('av', reason='PyAV is not installed')
  folder, out = tmp_path / 'in', tmp_path / 'out'
  folder.mkdir()
  for i in range(13):
    _save(folder / f'{i:02d}.png', np.roll(_ink(), 2 * i))
  code, output, errors = tiny.run_program(
      'draw.py',
      f'--image={folder}',
      f'--run_dir={painting_run}',
      f'--out_dir={out}',
      '--samples=2',
      '--sizes=16',
  )
  assert code == 0, errors
  names = [f'{i:02d}' for i in range(13)]
  assert sorted(path.name for path in out.iterdir()) == [*names, 'result.png']
  assert all((out / name / 'drawing.mp4').exists() for name in names)
  assert 'mean of 13' in output
  with Image.open(out / 'result.png') as image:
    assert image.size == (12 * 66, 4 * 66)  # Targets above, in two rows.


@pytest.mark.parametrize(
    'arguments, words',
    [
        (['--image=x.png', '--weights=dgits'], ["no weights named 'dgits'"]),
        (['--image=x.png', '--sizes=big'], ["'big'", 'pixels']),
        (['--image=bad.png', '--run_dir=RUN'], ['bad.png cannot be read']),
        (['--image=bad.png'], ['bad.png cannot be read']),
        (['--image=bad.png', '--brush_sizes=big'], ["'big'", 'pixels']),
        (['--image=bad.png', '--styles=pne'], ["'pne'", 'poster']),
        (
            ['--image=bad.png', '--styles=ink', '--weights=portraits'],
            ['--styles takes one image'],
        ),
        (
            ['--image=bad.png', '--styles=ink', '--brush=classic/pen'],
            ['--brush is what styles choose'],
        ),
        (['--image=bad.png', '--palette=1'], ['--palette=1', '2 to 256']),
        (['--image=bad.png', '--paper=red'], ['--paper=red', '#ffe4c0']),
        (['--image=bad.svg'], ['bad.svg does not exist']),
        (
            ['--image=bad.svg', '--method=strokes'],
            ['is a file of strokes', '--method=lines'],
        ),
        (
            ['--image=bad.png', '--method=lines', '--weights=portraits'],
            ['--method=lines needs no agent'],
        ),
        (
            ['--image=bad.png', '--run_dir=RUN', '--out_dir=bad.png'],
            ['--out_dir=bad.png is a file', 'folder'],
        ),
        (
            ['--image=bad.png', '--run_dir=RUN', '--weights=portraits'],
            ['--weights=portraits', '--run_dir=', 'leave one out'],
        ),
        (
            ['--image=bad.png', '--run_dir=RUN', '--out_dir=.'],
            ['--out_dir=. holds files already, as bad.png', 'new folder'],
        ),
        (['--image=bad.png', '--run_dir=RUN', '--sizes=0'], ['0', 'size']),
        (
            ['--image=bad.png', '--run_dir=RUN', '--other_brush=classic/pn'],
            ['classic/pn'],
        ),
    ],
)
def test_what_the_user_can_mend_is_one_line(
    tmp_path, painting_run, arguments, words, monkeypatch
):
  monkeypatch.chdir(tmp_path)
  (tmp_path / 'bad.png').write_bytes(b'no picture')
  arguments = [a.replace('RUN', str(painting_run)) for a in arguments]
  code, output, errors = tiny.run_program('draw.py', *arguments)
  assert code != 0 and output == ''
  assert len(errors.splitlines()) == 1, errors
  for word in words:
    assert word in errors
  assert sorted(p.name for p in tmp_path.iterdir()) == ['bad.png']


def test_a_checkpoint_of_another_action_space_is_one_line(
    painting_run, monkeypatch
):
  saved = checkpoints.load(painting_run / 'checkpoints')
  config = json.loads(json.dumps(saved.config))
  config['environment']['color'] = True
  monkeypatch.setattr(
      checkpoints, 'load', lambda *_: saved._replace(config=config)
  )
  with pytest.raises(ValueError) as error:
    training.restore(painting_run)
  assert '\n' not in str(error.value)
  assert f'{painting_run} is of another action space' in str(error.value)


# Without an agent.


def _picture(height=60, width=90):
  """Returns a picture of two colors, uint8 `[H, W, 3]`."""
  image = np.full((height, width, 3), (40, 90, 160), np.uint8)
  image[height // 2 :, width // 3 :] = (230, 200, 120)
  return image


@pytest.mark.slow
def test_a_photograph_becomes_strokes(tmp_path):
  pytest.importorskip('av', reason='PyAV is not installed')
  noise = np.random.default_rng(0).integers(0, 20, (60, 90, 3))
  image = _save(tmp_path / 'photo.png', (_picture() + noise).astype(np.uint8))
  out = tmp_path / 'out'
  code, printed, errors = tiny.run_program(
      'draw.py',
      f'--image={image}',
      f'--out_dir={out}',
      '--strokes=12',
      '--seconds=2',
      '--sizes=16,40',
  )
  assert code == 0, errors
  assert 'photo is taken for a ' in printed and '--method=strokes' in printed
  assert {path.name for path in out.iterdir()} == FILES
  program = painting.Program.from_json((out / 'program.json').read_text())
  assert program.aspect == 1.5
  assert 1 <= program.commands['flag'].sum() <= 12
  with Image.open(out / 'picture_40.png') as picture:
    assert picture.size == (40, 27)
  share = float(printed.split('│')[4].strip().rstrip('%'))
  assert share < 30  # Of the best page of one color.


def test_a_drawing_in_lines_becomes_one_stroke_a_line(tmp_path):
  image = np.full((120, 90), 255, np.uint8)
  image[20:26, 10:80] = image[60:66, 10:80] = 0
  image[10:110, 43:48] = 0
  path = _save(tmp_path / 'cross.png', image)
  drawing = by_lines.draw(path)
  flags = drawing.program.commands['flag']
  assert (flags == 0).sum() == 3 and drawing.program.aspect == 0.75
  assert drawing.error < 0.25 * drawing.blank_error
  with pytest.raises(ValueError, match='no lines'):
    by_lines.draw(_save(tmp_path / 'white.png', np.full_like(image, 255)))


def test_fine_lines_of_a_large_scan_are_found(tmp_path):
  image = np.full((2400, 1800), 255, np.uint8)
  image[400:404, 200:1600] = image[1200:1204, 200:1600] = 0
  drawing = by_lines.draw(_save(tmp_path / 'scan.png', image))
  assert (drawing.program.commands['flag'] == 0).sum() == 2


def test_of_a_folder_one_without_lines_is_left_out(tmp_path):
  pytest.importorskip('av', reason='PyAV is not installed')
  folder = tmp_path / 'in'
  folder.mkdir()
  _save(folder / 'a.png', np.full((60, 60), 255, np.uint8))
  _save(folder / 'b.png', _ink(60))
  code, output, errors = tiny.run_program(
      'draw.py',
      f'--image={folder}',
      f'--out_dir={tmp_path / "out"}',
      '--method=lines',
      '--sizes=16',
  )
  assert code == 0, errors
  assert 'a is left out' in output and 'has no lines' in output
  assert (tmp_path / 'out' / 'b' / 'program.json').exists()


def test_strokes_of_a_file_are_drawn_again(tmp_path):
  path = tmp_path / 'stroke.txt'
  path.write_text('START\n10,-10,0\n50,-90,1\nBREAK\n90,-10,2\n60,-40,3\nBREAK')
  program = by_lines.draw(path).program
  moves = [curve.end for curve in program.curves() if not curve.is_paint]
  # In their own order, x and y from the top left.
  scale = 64 / 105
  np.testing.assert_allclose(
      moves, scale * np.array([[10, 10], [90, 10]]), atol=0.1
  )


@pytest.mark.slow
def test_ctrl_c_keeps_what_is_there(tmp_path):
  pytest.importorskip('av', reason='PyAV is not installed')
  image = _save(tmp_path / 'photo.png', _picture())
  out = tmp_path / 'out'
  process = subprocess.Popen(
      [
          sys.executable,
          str(tiny.ROOT / 'experiments' / 'draw.py'),
          f'--image={image}',
          f'--out_dir={out}',
          '--method=strokes',
          '--strokes=2000',
          '--seconds=600',
          '--sizes=16',
      ],
      stdout=subprocess.PIPE,
      text=True,
  )
  deadline = time.monotonic() + 120
  while not (out / 'preview.png').exists():
    assert process.poll() is None and time.monotonic() < deadline
    time.sleep(0.1)
  process.send_signal(signal.SIGINT)
  output, _ = process.communicate(timeout=120)
  assert process.returncode == 0 and 'stopped' in output
  assert not (out / 'preview.png').exists()
  with Image.open(image) as given, Image.open(out / 'target.png') as target:
    assert max(given.size) > 16 == max(target.size)  # As large as the drawing.
  program = painting.Program.from_json((out / 'program.json').read_text())
  assert 1 <= program.commands['flag'].sum() < 2000


def test_start_and_files_count_as_time_of_a_painting():
  left = by_strokes.search_seconds(60.0, 100, spent=4.0)
  assert 54.0 < left < 56.0
  assert by_strokes.search_seconds(60.0, 2000, spent=4.0) < left - 10.0
  assert by_strokes.search_seconds(5.0, 2000, spent=4.0) == 2.5


def test_no_painting_is_worse_than_its_paper():
  flat = np.full((20, 30, 3), (10, 200, 77), np.uint8)
  drawing = by_strokes.paint(flat, strokes=3, seconds=0.3)
  assert drawing.error <= drawing.constant_error + 1e-5
  rng = np.random.default_rng(0)
  noise = rng.integers(0, 256, (40, 40, 3), np.uint8)
  drawing = by_strokes.paint(noise, strokes=3, seconds=0.3)
  assert drawing.error <= drawing.constant_error + 1e-5


def test_a_palette_is_kept_to():
  drawing = by_strokes.paint(_picture(), strokes=5, seconds=0.5, palette=2)
  colors = np.stack(
      [drawing.program.commands[name] for name in ('red', 'green', 'blue')],
      axis=-1,
  )[drawing.program.commands['flag'] == 1]
  assert len(np.unique(colors, axis=0)) <= 2
  with pytest.raises(ValueError, match='--palette=1'):
    by_strokes.paint(_picture(), strokes=5, seconds=0.5, palette=1)


@pytest.mark.slow
def test_a_sheet_of_styles(tmp_path):
  pytest.importorskip('av', reason='PyAV is not installed')
  image = _save(tmp_path / 'photo.png', _picture())
  out = tmp_path / 'out'
  code, _, errors = tiny.run_program(
      'draw.py',
      f'--image={image}',
      f'--out_dir={out}',
      '--strokes=5',
      '--seconds=0.5',
      '--sizes=16',
      '--styles=poster,ink',
  )
  assert code == 0, errors
  names = {path.name for path in out.iterdir()}
  assert names == {'poster', 'ink', 'styles.png'}
  with Image.open(out / 'styles.png') as sheet:
    assert sheet.size[0] > 2 * sheet.size[1]  # Three pictures in a row.


def test_every_style_can_be_painted():
  for style in styles.STYLES.values():
    drawing = by_strokes.paint(_picture(), strokes=2, seconds=0.2, **style)
    assert drawing.program.commands['flag'].sum() <= 2
  with pytest.raises(ValueError, match="'pne', must be all, or some of pen"):
    styles.named(['pne'])
