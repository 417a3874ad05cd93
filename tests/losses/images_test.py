"""What images are to losses, and what is refused."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from spiral_jax.losses import color
from spiral_jax.losses import images as images_lib
from spiral_jax.losses import rewards
from spiral_jax.losses import wgan

B, SHAPE = 3, (4, 4, 3)
KEY = np.array([0, 0], np.uint32)


def random(seed, *lead):
  rng = np.random.default_rng(seed)
  return rng.integers(256, size=(*lead, *SHAPE)).astype(np.uint8)


def square(x):
  return 0.5 * (x**2).sum(axis=(1, 2, 3))


# Functions of two images of one shape.
PAIRED = {
    'l2': rewards.negative_l2,
    'multiscale_l2': rewards.negative_multiscale_l2,
    'log_l2': rewards.negative_log_l2,
    'color': color.earth_movers_distance,
    'wgan': lambda x, y: wgan.wgan_loss(square, KEY, x, y).total,
    'logistic': lambda x, y: wgan.logistic_loss(square, x, y).total,
    'penalty': lambda x, y: wgan.gradient_penalty(square, KEY, x, y),
}


def test_bytes_are_divided_and_floats_stay():
  image = np.array([0, 51, 255], np.uint8)
  floats = images_lib.to_float(image)
  assert floats.dtype == np.float32
  np.testing.assert_allclose(floats, [0.0, 0.2, 1.0])
  assert images_lib.to_float(floats) is floats
  doubles = np.array([0.0, 0.2, 1.0])
  assert images_lib.to_float(doubles).dtype == np.float32
  halves = jnp.array([0.0, 1.0], jnp.bfloat16)
  assert images_lib.to_float(halves) is halves


@pytest.mark.parametrize('name', PAIRED)
def test_floats_beyond_one_are_no_numbers_where_nobody_can_look(name):
  function = jax.jit(PAIRED[name])
  good = random(0, B).astype(np.float32) / 255
  assert np.isfinite(function(good, good[::-1])).all()
  assert np.isnan(function(good, 255 * good)).any()
  assert np.isnan(function(255 * good, good)).any()


def test_pages_beyond_one_are_neither_blank_nor_drawn_on():
  pages = np.ones((B, *SHAPE), np.float32)
  is_last = np.ones((1, B), bool)
  penalties = jax.jit(rewards.blank_page_penalties)
  np.testing.assert_array_equal(penalties(pages, 1.0, is_last), -1.0)
  assert np.isnan(penalties(255 * pages, 1.0, is_last)).all()


@pytest.mark.parametrize('name', PAIRED)
def test_bytes_and_floats_are_the_same_images(name):
  function = PAIRED[name]
  canvas, target = random(0, B), random(1, B)
  floats = [x.astype(np.float32) / 255 for x in (canvas, target)]
  expected = function(*floats)
  for one, other in (
      (canvas, target),
      (canvas, floats[1]),
      (floats[0], target),
  ):
    np.testing.assert_allclose(function(one, other), expected, rtol=1e-5)
    np.testing.assert_allclose(
        jax.jit(function)(one, other), expected, rtol=1e-5
    )


@pytest.mark.parametrize('name', PAIRED)
def test_no_axis_of_one_is_repeated(name):
  canvas = random(0, B)
  others = [canvas[:1], canvas[..., :1], canvas[:, None]]
  if name not in ('color',):
    others.append(canvas[:, :1])
  for other in others:
    for pair in ((canvas, other), (other, canvas)):
      with pytest.raises(AssertionError):
        jax.eval_shape(PAIRED[name], *pair)


@pytest.mark.parametrize('name', PAIRED)
@pytest.mark.parametrize(
    'bad, words',
    [
        (random(0, B).astype(np.float32), '255; give floats in'),
        (np.full((B, *SHAPE), np.nan), 'nan'),
        (random(0, B) - 128.0, 'floats from -'),
        (random(0, B).astype(int), 'int64; give uint8'),
        (random(0, B) > 100, 'bool; give uint8'),
    ],
)
def test_other_images_are_refused(name, bad, words):
  for pair in ((bad, random(1, B)), (random(1, B), bad)):
    with pytest.raises(ValueError, match=words):
      PAIRED[name](*pair)


def test_a_target_serves_all_leading_axes_that_it_lacks():
  canvas, target = random(0, 2, B), random(1, B)
  for function in (rewards.negative_l2, color.earth_movers_distance):
    together = function(canvas, target)
    assert together.shape == (2, B)
    np.testing.assert_allclose(
        together, [function(x, target) for x in canvas], rtol=1e-5
    )


@pytest.mark.parametrize('canvas_type', [np.uint8, np.float32])
@pytest.mark.parametrize(
    'page', [255, 1.0, np.full(SHAPE, 255, np.uint8), np.ones(SHAPE, 'f')]
)
def test_blank_pages_are_found_among_bytes_and_floats(canvas_type, page):
  canvas = np.full((B, *SHAPE), 255, np.uint8)
  canvas[1, 0, 0, 0] = 254
  if canvas_type == np.float32:
    canvas = canvas.astype(np.float32) / 255
  is_last = np.ones((1, B), bool)
  np.testing.assert_array_equal(
      rewards.blank_page_penalties(canvas, page, is_last), [[-1, 0, -1]]
  )


def test_a_blank_page_of_another_shape_is_refused():
  canvas, is_last = random(0, B), np.ones((1, B), bool)
  for page in (canvas[:1], canvas[0, ..., :1], canvas[0, :1]):
    with pytest.raises(AssertionError, match='blank page'):
      rewards.blank_page_penalties(canvas, page, is_last)
  with pytest.raises(ValueError, match='blank page.*255'):
    rewards.blank_page_penalties(canvas, 255.0, is_last)
