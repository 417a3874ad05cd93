"""Films of programs, read back with the libraries that wrote them."""

import io

import numpy as np
from PIL import Image
from PIL import ImageSequence
import pytest

from environments import optional
from environments import painting
from environments.painting import animation
from tests.environments.painting import golden


def _frames(color):
  """Returns frames `[4, 32, 32, C]` of flat shades, each another."""
  shades = [[255, 255, 255], [200, 30, 30], [20, 180, 90], [0, 0, 255]]
  shades = np.array(shades)[:, slice(None) if color else slice(1, 2)]
  return np.broadcast_to(
      shades[:, None, None].astype(np.uint8), (4, 32, 32, shades.shape[-1])
  )


@pytest.mark.parametrize('color', [False, True])
def test_gif_has_every_frame_and_its_time(color):
  frames = _frames(color)
  data = animation.gif(frames, seconds_per_frame=0.13, last_seconds=1.5)
  with Image.open(io.BytesIO(data)) as image:
    assert image.info['loop'] == 0
    shown = [
        (np.asarray(frame.convert('RGB')), frame.info['duration'])
        for frame in ImageSequence.Iterator(image)
    ]
  assert [duration for _, duration in shown] == [130, 130, 130, 1500]
  for (pixels, _), frame in zip(shown, frames):
    np.testing.assert_array_equal(pixels, np.broadcast_to(frame, pixels.shape))


def test_gif_of_a_gray_program_keeps_every_shade():
  program, canvases = list(golden.programs('classic/charcoal'))[-1]
  assert canvases.shape[-1] == 1
  with Image.open(io.BytesIO(program.to_gif())) as image:
    *_, last = ImageSequence.Iterator(image)
    np.testing.assert_array_equal(last.convert('L'), canvases[-1, ..., 0])


def test_gif_of_many_colors_keeps_the_paper_and_comes_near_to_all_others():
  paper = [253, 239, 217]
  frames = np.empty((12, 64, 64, 3), np.uint8)
  frames[...] = paper
  ramp = np.arange(64, dtype=np.uint8)
  for time in range(1, len(frames)):  # 704 colors, as broad strokes have.
    frames[time:, 5 * time : 5 * time + 4, :, 0] = ramp * 4
    frames[time:, 5 * time : 5 * time + 4, :, 1] = time * 20
  with Image.open(io.BytesIO(animation.gif(frames))) as image:
    shown = [
        np.asarray(frame.convert('RGB'))
        for frame in ImageSequence.Iterator(image)
    ]
  assert len(shown) == len(frames)
  is_paper = (frames == paper).all(axis=-1)
  np.testing.assert_array_equal(np.stack(shown)[is_paper], frames[is_paper])
  error = np.abs(np.stack(shown).astype(int) - frames)
  assert 0 < error.max() <= 24
  assert error[~is_paper].mean() < 6


def test_gif_of_256_colors_keeps_them():
  frames = np.random.default_rng(0).integers(
      256, size=(1, 16, 16, 3), dtype=np.uint8
  )
  with Image.open(io.BytesIO(animation.gif(frames))) as image:
    np.testing.assert_array_equal(image.convert('RGB'), frames[0])


@pytest.mark.parametrize('size', [32, 31])
def test_mp4_shows_every_frame_for_its_time(size):
  av = pytest.importorskip('av', reason='PyAV is not installed')
  frames = _frames(True)[:, :size, :size]
  data = animation.mp4(frames, seconds_per_frame=0.25, last_seconds=1.0)
  with av.open(io.BytesIO(data)) as film:
    stream = film.streams.video[0]
    assert stream.codec_context.name == 'h264'
    assert stream.average_rate == 24
    shown = [frame.to_ndarray(format='rgb24') for frame in film.decode(stream)]
  even = size // 2 * 2
  assert len(shown) == 3 * 6 + 24
  assert shown[0].shape == (even, even, 3)
  for index, frame in zip((3, 9, 15, 30), frames):
    np.testing.assert_allclose(shown[index], frame[:even, :even], atol=8)


def test_mp4_of_a_program():
  av = pytest.importorskip('av', reason='PyAV is not installed')
  program, canvases = next(golden.programs('classic/dry_brush'))
  data = program.to_mp4(128, seconds_per_command=0.1)
  with av.open(io.BytesIO(data)) as film:
    *_, last = film.decode(video=0)
  last = last.to_ndarray(format='rgb24')
  assert golden.correlation(last, canvases[-1]) > 0.98


@pytest.mark.parametrize('write', [animation.gif, animation.mp4])
@pytest.mark.parametrize('name', ['seconds_per_frame', 'last_seconds'])
@pytest.mark.parametrize('value', [0, -1, float('nan'), 1e9])
def test_durations_out_of_range(write, name, value):
  with pytest.raises(ValueError, match=f'{name} is {value}, must be'):
    write(_frames(True), **{name: value})


def test_an_mp4_of_one_pixel_is_refused():
  pytest.importorskip('av', reason='PyAV is not installed')
  with pytest.raises(ValueError, match='1 x 1 pixels.*larger size'):
    animation.mp4(np.zeros((2, 1, 1, 3), np.uint8))


@pytest.mark.parametrize(
    'library, name, write',
    [
        ('PIL.Image', 'pillow', lambda program: program.to_gif()),
        ('av', 'av', lambda program: program.to_mp4()),
        ('matplotlib', 'matplotlib', lambda program: program.trace()),
    ],
)
def test_a_missing_library_is_named_with_the_command_that_installs_it(
    library, name, write, monkeypatch
):
  real = optional.importlib.import_module

  def without(module):
    if module == library:
      raise ModuleNotFoundError(f'No module named {module!r}')
    return real(module)

  monkeypatch.setattr(optional.importlib, 'import_module', without)
  program, _ = next(golden.programs())
  with pytest.raises(ImportError) as error:
    write(program)
  assert f'pip install {name}' in str(error.value)
  assert '\n' not in str(error.value)


def test_everything_else_works_without_those_libraries(monkeypatch):
  def missing(module):
    raise ModuleNotFoundError(f'No module named {module!r}')

  monkeypatch.setattr(optional.importlib, 'import_module', missing)
  program, canvases = next(golden.programs('classic/charcoal'))
  np.testing.assert_array_equal(program.render(), canvases[-1])
  assert painting.Program.from_json(program.to_json()) == program
  assert program.to_svg() and program.to_html()
  assert program.render(20).shape == (20, 20, 3)
