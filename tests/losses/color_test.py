"""Distances of colors: closed forms, SciPy's, and what they must not see."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from spiral_jax.losses import color


def random(seed, *shape):
  """Returns uint8 images of uneven colors as floats in [0, 1]."""
  rng = np.random.default_rng(seed)
  values = 255 * rng.beta(0.7, 1 + seed, size=shape)
  return values.astype(np.uint8).astype(np.float32) / 255


def page(*shades, size=4):
  """Returns a page of one color, `[size, size, C]`."""
  return np.full((size, size, len(shades)), shades, np.float32)


@pytest.mark.parametrize('bins', [2, 5, 16, 256])
def test_black_and_white_are_one_apart(bins):
  black, white = page(0, 0, 0), page(1, 1, 1)
  distance = functools.partial(color.earth_movers_distance, bins=bins)
  assert distance(black, white) == pytest.approx(1.0)
  assert distance(white, black) == pytest.approx(1.0)
  assert distance(white, white) == 0.0


def test_one_channel_of_three_counts_for_a_third():
  assert color.earth_movers_distance(
      page(0, 1, 0), page(0, 0, 0)
  ) == pytest.approx(1 / 3)


def test_it_is_how_much_moves_times_how_far():
  # A quarter of a white page goes to 51 / 255.
  canvas = page(1)
  canvas[:2, :2] = 0.2
  assert color.earth_movers_distance(
      canvas, page(1), bins=256
  ) == pytest.approx(0.25 * 0.8)
  # Of five bins it goes from the last to the second: three of four steps.
  assert color.earth_movers_distance(
      np.minimum(canvas + 0.01, 1), page(1), bins=5
  ) == pytest.approx(0.25 * 3 / 4)


def test_it_grows_with_the_way_where_l1_of_histograms_would_not():
  near, far = (
      color.earth_movers_distance(page(shade), page(0)) for shade in (0.3, 0.9)
  )
  assert near == pytest.approx(0.3, abs=0.05)
  assert far == pytest.approx(0.9, abs=0.05)


@pytest.mark.parametrize('bins', [2, 7, 32, 256])
def test_it_is_the_wasserstein_distance_of_scipy(bins):
  stats = pytest.importorskip('scipy.stats')
  canvas, target = random(1, 9, 7, 3), random(2, 9, 7, 3)
  places = np.arange(bins) / (bins - 1)
  expected = []
  for channel in range(3):
    weights = [
        np.bincount(
            np.minimum(
                np.floor(x[..., channel].ravel() * bins), bins - 1
            ).astype(int),
            minlength=bins,
        )
        for x in (canvas, target)
    ]
    expected.append(stats.wasserstein_distance(places, places, *weights))
  assert np.ptp(expected) > 0
  distance = color.earth_movers_distance(canvas, target, bins=bins)
  assert distance == pytest.approx(np.mean(expected), rel=1e-5)


def test_with_256_bins_it_is_that_of_the_pixels():
  # As many pixels in both: the least work moves them in their order.
  canvas, target = random(1, 9, 7, 3), random(2, 9, 7, 3)
  ordered = [np.sort(x.reshape(-1, 3), axis=0) for x in (canvas, target)]
  assert color.earth_movers_distance(canvas, target, bins=256) == pytest.approx(
      np.abs(ordered[0] - ordered[1]).mean(), rel=1e-4
  )


def test_every_value_of_uint8_has_a_bin_of_its_own():
  values = np.arange(256, dtype=np.float32).reshape(16, 16, 1) / 255
  np.testing.assert_allclose(
      color.histograms(values, 256), np.full((1, 256), 1 / 256)
  )


def test_places_are_of_no_account_and_channels_are():
  image = random(1, 8, 8, 3)
  shuffled = np.random.default_rng(0).permutation(image.reshape(64, 3))
  same = color.earth_movers_distance(shuffled.reshape(4, 16, 3), image)
  assert same == pytest.approx(0.0, abs=1e-6)
  image[..., 0] *= 0.1
  assert color.earth_movers_distance(image[..., ::-1], image) > 0.1


def test_each_canvas_is_compared_with_its_own_target():
  target = random(1, 3, 4, 4, 2)  # [B, H, W, C]
  canvas = np.stack([target] * 5)  # [T, B, ...], every one perfect.
  canvas[2, 1, ..., 0] = 1 - canvas[2, 1, ..., 0]
  distance = np.array(
      jax.jit(color.earth_movers_distance)(canvas, jnp.asarray(target))
  )
  assert distance.shape == (5, 3)
  assert distance[2, 1] == pytest.approx(
      float(color.earth_movers_distance(canvas[2, 1], target[1]))
  )
  assert distance[2, 1] > 0.05
  distance[2, 1] = 0.0
  np.testing.assert_allclose(distance, 0.0, atol=1e-6)


@pytest.mark.parametrize('bins', [1, 257])
def test_bins_out_of_range_are_refused(bins):
  with pytest.raises(AssertionError):
    color.earth_movers_distance(page(0), page(1), bins=bins)


def test_other_channels_are_refused():
  with pytest.raises(AssertionError):
    color.earth_movers_distance(page(0), page(1, 1, 1))


def _strokes(seed=0, size=8, count=5, batch=2):
  """Returns covers `[T, B, H, W, 1]` and colors `[T, B, 3]`."""
  rng = np.random.default_rng(seed)
  covers = rng.random((count, batch, size, size, 1)) ** 3
  colors = rng.integers(20, size=(count, batch, 3)) / 19
  return covers.astype(np.float32), colors.astype(np.float32)


def _paint(covers, colors, paper=0.8):
  """Returns canvases before, between and after strokes."""
  canvases = [np.full((*covers.shape[1:-1], 3), paper, np.float32)]
  for cover, shade in zip(covers, colors):
    ink = shade[:, np.newaxis, np.newaxis]
    canvases.append(canvases[-1] + cover * (ink - canvases[-1]))
  return np.stack(canvases)


def test_the_best_colors_of_strokes_are_those_of_least_squares():
  covers, colors = _strokes(size=16)
  canvas = _paint(covers, colors)
  target = random(3, 2, 16, 16, 3)
  best, is_seen = color.best_stroke_colors(canvas, colors, target)
  assert is_seen.all() and best.shape == colors.shape
  assert best.min() >= 0 and best.max() <= 1

  def error(colors):
    return ((_paint(covers, colors)[-1] - target) ** 2).sum(axis=(1, 2, 3))

  least = error(np.asarray(best))
  assert (least < error(colors)).all()
  rng = np.random.default_rng(1)
  for _ in range(50):
    other = np.clip(best + 0.1 * rng.normal(size=best.shape), 0, 1)
    assert (error(other) > 0.98 * least).all()


def test_strokes_that_made_the_target_have_the_best_colors():
  covers, colors = _strokes(size=32)
  _, made = _strokes(seed=1, size=32)
  target = _paint(covers, made)[-1]
  canvas = np.rint(255 * _paint(covers, colors)).astype(np.uint8)
  best, _ = jax.jit(color.best_stroke_colors)(
      canvas, colors, np.rint(255 * target).astype(np.uint8)
  )
  np.testing.assert_allclose(best, made, atol=0.06)


def test_strokes_that_nobody_sees_have_no_best_color():
  covers, colors = _strokes(count=3)
  covers[1, 0] = 0.0  # Nothing.
  covers[2, 1] = 1.0  # All that is below is hidden.
  canvas = _paint(covers, colors)
  _, is_seen = color.best_stroke_colors(canvas, colors, canvas[-1])
  np.testing.assert_array_equal(
      is_seen, [[True, False], [False, False], [True, True]]
  )
