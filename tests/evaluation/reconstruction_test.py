"""Tests of reconstruction.py, recognition.py and images.py."""

import numpy as np
import pytest

from spiral_jax import evaluation
from spiral_jax.evaluation import images
from spiral_jax.losses import color


def test_error_in_closed_form():
  canvas = np.zeros((3, 4, 6, 2))
  target = np.zeros((3, 4, 6, 2))
  target[0] = 1.0
  target[1, 0, 0, 0] = 0.5  # One of 48 values.
  np.testing.assert_allclose(
      evaluation.reconstruction_error(canvas, target), [1, 0.25 / 48, 0]
  )


def test_bytes_and_floats_are_on_one_scale():
  canvas = np.full((2, 3, 3, 1), 51, np.uint8)
  target = np.full((2, 3, 3, 1), 0.7, np.float32)
  np.testing.assert_allclose(
      evaluation.reconstruction_error(canvas, target), 0.25, rtol=1e-5
  )


def test_bytes_do_not_wrap_around():
  black, white = (np.full((1, 2, 2, 1), v, np.uint8) for v in (0, 255))
  for pair in ((black, white), (white, black)):
    np.testing.assert_allclose(evaluation.reconstruction_error(*pair), 1)


def test_share_of_a_blank_page():
  # Two targets: one a quarter black, one white. The canvas misses half of the
  # ink of the first and puts gray everywhere on the second.
  target = np.full((2, 4, 4, 1), 255, np.uint8)
  target[0, :2, :2] = 0
  canvas = np.full((2, 4, 4, 1), 255, np.uint8)
  canvas[0, :2, :1] = 0
  canvas[1] = 204
  quality = evaluation.evaluate_reconstructions(canvas, target)
  error = (2 / 16 + 0.2**2) / 2
  np.testing.assert_allclose(
      quality[:3], (error, (4 / 16) / 2, error / 0.125), rtol=1e-6
  )
  blank = np.full_like(target, 255)
  assert evaluation.evaluate_reconstructions(blank, target)[2] == 1
  assert evaluation.evaluate_reconstructions(target, target)[2] == 0
  assert np.isnan(evaluation.evaluate_reconstructions(blank, blank)[2])


def test_a_blank_page_of_another_color():
  blank = np.zeros((2, 2, 1), np.uint8)
  blank[0, 0] = 51
  target = np.zeros((3, 2, 2, 1), np.uint8)
  target[0, 0, 0] = target[1, 0, 0] = 51
  canvas = np.zeros_like(target)
  quality = evaluation.evaluate_reconstructions(canvas, target, blank)
  np.testing.assert_allclose(
      quality[:3], (2 * 0.04 / 12, 0.04 / 12, 2), rtol=1e-6
  )


def test_share_of_the_best_page_of_one_color():
  # Half 51, half 255 in red, and 102 all over in green: 153 in red is best.
  target = np.full((3, 2, 2, 2), 102, np.uint8)
  target[..., 0] = [[51, 255], [255, 51]]
  target[2] = 7
  canvas = np.full_like(target, 102)
  canvas[..., 0] = 153
  canvas[2] = 7
  best = evaluation.evaluate_reconstructions(canvas, target)
  assert best.constant_error == pytest.approx(2 / 3 * 0.4**2 / 2)
  assert best.error == pytest.approx(best.constant_error)
  assert best.share_of_constant == pytest.approx(1)
  for change in (-1, 1):
    worse = canvas.copy()
    worse[0, ..., 0] = 153 + change
    quality = evaluation.evaluate_reconstructions(worse, target)
    assert quality.share_of_constant > 1
    assert quality.constant_error == best.constant_error
  flat = np.full_like(target, 9)
  assert np.isnan(
      evaluation.evaluate_reconstructions(flat, flat).share_of_constant
  )


def test_distance_of_colors_wherever_they_are():
  target = np.zeros((2, 2, 2, 3), np.uint8)
  target[0, 0, 0] = 255, 0, 0
  shifted = np.roll(target, 1, axis=2)

  def distance(canvas, target):
    quality = evaluation.evaluate_reconstructions(canvas, target)
    return quality.color_distance

  assert distance(shifted, target) == 0
  # A quarter of the first picture has another red by 0.4, of three channels.
  shifted[0, 0, 1, 0] = 153
  assert distance(shifted, target) == pytest.approx(0.25 * 0.4 / 3 / 2)
  # And what the training's penalty is, with a bin a value.
  rng = np.random.default_rng(0)
  canvas, target = rng.integers(256, size=(2, 5, 8, 8, 3)).astype(np.uint8)
  canvas //= 2
  expected = color.earth_movers_distance(
      canvas.astype(np.float32) / 255, target.astype(np.float32) / 255, bins=256
  )
  assert distance(canvas, target) == pytest.approx(
      float(expected.mean()), rel=1e-4
  )


def test_refuses_other_shapes_and_scales():
  one = np.ones((2, 3, 3, 1))
  with pytest.raises(ValueError, match=r'\(2, 3, 3, 1\).*\(2, 3, 3, 3\)'):
    evaluation.reconstruction_error(one, np.ones((2, 3, 3, 3)))
  with pytest.raises(ValueError, match='targets go from 255.0'):
    evaluation.reconstruction_error(one, 255 * one)
  with pytest.raises(ValueError, match='canvases are int64'):
    evaluation.reconstruction_error(one.astype(np.int64), one)
  with pytest.raises(ValueError, match='images go from nan'):
    images.unit(np.array([0.0, np.nan]))
