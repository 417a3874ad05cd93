"""Colors and gains of strokes, against trying all colors."""

import itertools

import numpy as np
import pytest

from spiral_jax.search import stroke_fit

SHADES = np.linspace(0, 1, 5).astype(np.float32)


def _problem(channels=3, size=16, count=3):
  rng = np.random.default_rng(0)

  def some(*shape):
    return rng.random(shape).astype(np.float32)

  cover = some(count, size, size)
  seen = some(size, size)
  seen[:, :3] = 0  # Beside the picture.
  residual = (some(size, size, channels) - 0.5) * (seen > 0)[..., np.newaxis]
  return cover, stroke_fit.Region(residual, some(size, size, channels), seen)


def _loss_with(cover, region, color, score):
  seen = (cover * region.seen)[..., np.newaxis]
  return stroke_fit.loss(region.residual + seen * (color - region.below), score)


@pytest.mark.parametrize('name', sorted(stroke_fit.SCORES))
def test_the_color_is_the_best_of_all(name):
  score = stroke_fit.SCORES[name]
  cover, region = _problem()
  fit = stroke_fit.fit(cover, region, stroke_fit.Colors(SHADES), score)
  before = stroke_fit.loss(region.residual, score)
  for k in range(len(cover)):
    losses = {
        shades: _loss_with(cover[k], region, SHADES[list(shades)], score)
        for shades in itertools.product(range(5), repeat=3)
    }
    best = min(losses, key=losses.get)
    assert tuple(fit.shades[k]) == best
    assert fit.gains[k] == pytest.approx(before - losses[best], rel=1e-3)
  assert len(set(map(tuple, fit.shades.tolist()))) > 1 or fit.gains.std() > 0


def test_of_a_palette_the_nearest_is_the_best():
  palette = np.array([[0, 0, 4], [4, 1, 1], [2, 2, 2]], np.int32)
  cover, region = _problem()
  score = stroke_fit.SCORES['l2']
  fit = stroke_fit.fit(cover, region, stroke_fit.Colors(SHADES, palette), score)
  for k in range(len(cover)):
    losses = [
        _loss_with(cover[k], region, SHADES[entry], score) for entry in palette
    ]
    np.testing.assert_array_equal(fit.shades[k], palette[np.argmin(losses)])


def test_black_ink_is_black():
  cover, region = _problem(channels=1)
  colors = stroke_fit.Colors(SHADES, is_black=True)
  score = stroke_fit.SCORES['l2']
  fit = stroke_fit.fit(cover, region, colors, score)
  assert (fit.shades == 0).all() and fit.shades.shape == (3, 1)
  expected = stroke_fit.loss(region.residual, score) - _loss_with(
      cover[0], region, np.zeros(1), score
  )
  assert fit.gains[0] == pytest.approx(expected, rel=1e-4)


def test_edges_see_no_even_shift_and_scales_see_it_once():
  flat = np.full((16, 16, 3), 0.1, np.float32)
  own = float((flat**2).sum())
  loss = {k: stroke_fit.loss(flat, s) for k, s in stroke_fit.SCORES.items()}
  assert loss['l2'] == pytest.approx(own)
  assert loss['edges'] == pytest.approx(0.09 * own)
  # At three scales.
  assert loss['perceptual'] == pytest.approx(3 * 0.09 * own, rel=1e-4)
  # A checkerboard is nearly all edges, and gone at coarser scales.
  board = (np.indices((16, 16)).sum(0) % 2 - 0.5)[..., np.newaxis]
  board = board.astype(np.float32)
  assert stroke_fit.loss(board, stroke_fit.SCORES['edges']) > 400
