"""Paintings: errors that fall, what is reproducible, and what is refused."""

import jax
import numpy as np
import pytest

from environments import painting
from spiral_jax import search

SETTINGS = painting.fine_settings(background='#808080')
KEY = jax.random.key(0)


def _image(height=48, width=96):
  """Returns a picture of a few colored areas, uint8 `[H, W, 3]`."""
  y, x = np.mgrid[:height, :width]
  image = np.full((height, width, 3), (60, 120, 200), np.uint8)
  image[(y - 20) ** 2 + (x - 30) ** 2 < 150] = (230, 220, 60)
  image[y > 36] = (40, 140, 60)
  return image


def _error(program, image):
  shape = program.shape(96)
  assert shape == image.shape[:2]
  return float(((program.render(96) / 255 - image / 255) ** 2).mean())


@pytest.fixture(name='renderer', scope='module')
def _renderer():
  return painting.SingleStrokes(SETTINGS)


def test_more_rounds_and_more_strokes_are_nearer(renderer):
  image = _image()
  paper = float(((128 / 255 - image / 255) ** 2).mean())
  errors = [
      _error(search.paint(image, renderer, strokes=n, rounds=r, key=KEY), image)
      for n, r in ((2, 40), (12, 150))
  ]
  assert errors[1] < 0.5 * errors[0] < 0.5 * paper
  assert errors[1] < 0.1 * paper


def test_by_rounds_the_key_decides_alone():
  image = _image()

  def paint(key, threads):
    return search.paint(
        image,
        painting.SingleStrokes(SETTINGS, threads),
        strokes=5,
        rounds=30,
        key=jax.random.key(key),
    )

  first = paint(0, 1)
  assert paint(0, 2) == first != paint(1, 1)


def test_the_canvas_of_the_search_is_the_program(renderer):
  image = _image()
  seen = []
  program = search.paint(
      image,
      renderer,
      strokes=8,
      rounds=60,
      key=KEY,
      on_progress=lambda p: seen.append((p.num_strokes, p.error, p.picture())),
  )
  count, error, picture = seen[-1]
  assert count == program.commands['flag'].sum()
  painted = program.render(max(picture.shape))
  # Covers are rounded to bytes, and libmypaint's colors to its fixed point.
  assert np.abs(painted.astype(int) - picture).max() <= 3
  target = np.asarray(jax.image.resize(image / 255.0, picture.shape, 'linear'))
  assert error == pytest.approx(
      float(((picture / 255 - target) ** 2).mean()), rel=0.05
  )
  errors = [e for _, e, _ in seen]
  assert all(b <= a + 1e-6 for a, b in zip(errors, errors[1:]))


def test_progress_may_stop_it(renderer):
  program = search.paint(
      _image(),
      renderer,
      strokes=50,
      rounds=500,
      key=KEY,
      on_progress=lambda p: p.num_strokes == 3,
  )
  assert program.commands['flag'].sum() == 3


def test_the_paper_is_the_answer_where_nothing_helps(renderer):
  flat = np.full((30, 20, 3), 128, np.uint8)
  program = search.paint(flat, renderer, strokes=3, rounds=40, key=KEY)
  assert not program.commands['flag'].any()
  assert (program.render() == 128).all()


@pytest.mark.parametrize('score', search.SCORES)
def test_every_score_paints(renderer, score):
  image = _image()
  program = search.paint(
      image, renderer, strokes=6, rounds=60, key=KEY, score=score
  )
  paper = float(((128 / 255 - image / 255) ** 2).mean())
  assert _error(program, image) < 0.6 * paper


def test_black_ink_on_gray_canvases():
  image = np.full((64, 64, 1), 255, np.uint8)
  image[20:28, 10:50] = 0
  renderer = painting.SingleStrokes(painting.fine_settings(color=False))
  program = search.paint(image, renderer, strokes=4, rounds=80, key=KEY)
  error = ((program.render() / 255 - image / 255) ** 2).mean()
  assert error < 0.25 * ((1 - image / 255) ** 2).mean()


def test_strokes_at_the_border_of_large_and_thin_pictures(renderer):
  image = np.full((10, 400, 3), 128, np.uint8)
  image[:, 350:] = 0
  program = search.paint(image, renderer, strokes=2, rounds=60, key=KEY)
  assert program.aspect == 40
  picture = program.render(400)
  assert picture.shape == (10, 400, 3)
  assert picture[:, 370:].mean() < 60 and picture[:, :300].mean() > 110


@pytest.mark.parametrize(
    'change, words',
    [
        (dict(rounds=None), 'give one of the two'),
        (dict(seconds=1.0), 'give one of the two'),
        (dict(strokes=0), 'strokes is 0'),
        (dict(score='l3'), "score is 'l3', must be one of l2"),
        (dict(image=_image()[..., :1]), r'\[48, 96, 1\], must be uint8'),
        (dict(image=_image() / 255), 'float64'),
    ],
)
def test_what_is_wrong_is_said(renderer, change, words):
  arguments = dict(image=_image(), strokes=2, rounds=3)
  arguments |= change
  image = arguments.pop('image')
  with pytest.raises(ValueError, match=words):
    search.paint(image, renderer, key=KEY, **arguments)
