"""Errors of two strokes in closed form: those of the picture itself."""

import itertools

import numpy as np
import pytest

from spiral_jax.search import pair_fit

K, C = 3, 2
SHADES = np.linspace(0, 1, 5).astype(np.float32)


def _problem(pixels, seed=0):
  rng = np.random.default_rng(seed)
  first, second = rng.random((2, K, pixels)).astype(np.float32)
  below, above, target = rng.random((3, pixels, C)).astype(np.float32)
  seen = rng.random(pixels).astype(np.float32)
  above *= 0.2  # Or all strokes had better be black.
  residual = above + seen[:, np.newaxis] * below - target
  region = pair_fit.Region(residual, below, seen)

  def error(k, color, other=None):
    canvas = below + first[k][:, np.newaxis] * (color - below)
    if other is not None:
      canvas = canvas + second[k][:, np.newaxis] * (other - canvas)
    picture = above + seen[:, np.newaxis] * canvas
    return ((picture - target) ** 2).sum()

  return first, second, region, error


@pytest.mark.parametrize('pixels', [256, 100])
def test_errors_are_those_of_the_picture(pixels):
  first, second, region, error = _problem(pixels)
  color, other = SHADES[[1, 3]], SHADES[[4, 0]]
  found = pair_fit.fit(first, second, region, color, other)
  expected = [error(k, color, other) for k in range(K)]
  np.testing.assert_allclose(found.errors, expected, rtol=1e-4)
  np.testing.assert_array_equal(found.first, [color] * K)
  np.testing.assert_array_equal(found.second, [other] * K)
  found = pair_fit.fit(first, None, region, color)
  expected = [error(k, color) for k in range(K)]
  np.testing.assert_allclose(found.errors, expected, rtol=1e-4)
  assert found.second is None


def test_no_color_of_a_single_stroke_is_better():
  first, _, region, error = _problem(256)
  found = pair_fit.fit(first, None, region, SHADES[[0, 0]], shades=SHADES)
  for k in range(K):
    least = min(
        error(k, np.array(color))
        for color in itertools.product(SHADES, repeat=C)
    )
    np.testing.assert_allclose(found.errors[k], least, rtol=1e-4)
    np.testing.assert_allclose(error(k, found.first[k]), least, rtol=1e-4)


def test_colors_of_two_strokes_are_nearly_the_best():
  first, second, region, error = _problem(256)
  begin = SHADES[[0, 0]]
  found = pair_fit.fit(first, second, region, begin, begin, SHADES)
  colors = list(map(np.array, itertools.product(SHADES, repeat=C)))
  for k in range(K):
    least = min(error(k, a, b) for a in colors for b in colors)
    assert found.errors[k] < 1.05 * least
    assert found.errors[k] < error(k, begin, begin)
    drawn = error(k, found.first[k], found.second[k])
    np.testing.assert_allclose(found.errors[k], drawn, rtol=1e-4)
