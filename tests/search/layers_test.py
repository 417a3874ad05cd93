"""A stack of strokes: its canvas, and what one of them changes."""

import numpy as np
import pytest

from spiral_jax.search import layers as layers_lib
from spiral_jax.search import pixels

SIZE, LEVELS = 64, 2
PAPER = np.array([0.9, 0.5, 0.1], np.float32)


def _layer(rng):
  top, left = (16 * rng.integers(0, 3, size=2)).tolist()
  height, width = (16 * rng.integers(1, 3, size=2)).tolist()
  box = layers_lib.Box(
      top, left, min(top + height, SIZE), min(left + width, SIZE)
  )
  shape = box.bottom - box.top, box.right - box.left
  cover = rng.integers(0, 256, shape, dtype=np.uint8)
  color = rng.random(3).astype(np.float32)
  return layers_lib.Layer({'end': 1}, box, color, {0: cover})


def _painted(stack):
  """Returns the canvas of layers, stroke by stroke."""
  canvas = np.broadcast_to(PAPER, (SIZE, SIZE, 3)).astype(float)
  for layer in stack:
    part = canvas[layer.box.slices]
    cover = layer.covers[0][..., np.newaxis] / 255
    part[:] = (1 - cover) * part + cover * layer.color
  return canvas


@pytest.fixture(name='layers')
def _layers():
  rng = np.random.default_rng(0)
  layers = layers_lib.Layers(SIZE, PAPER, LEVELS)
  for _ in range(8):
    layers.insert(len(layers), _layer(rng))
  return layers


def _assert_is_painted(layers):
  canvas = _painted(layers.stack)
  np.testing.assert_allclose(layers.canvas[0], canvas, atol=1e-5)
  np.testing.assert_allclose(
      layers.canvas[1], pixels.reduce_mean(canvas, 2), atol=1e-5
  )


def test_the_canvas_is_that_of_all_strokes_in_order(layers):
  _assert_is_painted(layers)
  rng = np.random.default_rng(1)
  layers.replace(3, _layer(rng))
  _assert_is_painted(layers)
  layers.insert(2, _layer(rng))
  _assert_is_painted(layers)
  removed = layers.remove(5)
  assert all(layer is not removed for layer in layers.stack)
  _assert_is_painted(layers)
  assert len(layers) == 8


@pytest.mark.parametrize('index', [0, 4, 7, 8])
def test_the_picture_is_what_lies_above_and_what_is_seen_of_the_rest(
    layers, index
):
  rng = np.random.default_rng(2)
  box = layers_lib.Box(8, 0, 56, 40)
  around = layers.around(index, box)
  new = rng.random((48, 40, 3)).astype(np.float32)
  stack = list(layers.stack)
  whole = layers_lib.Box(0, 0, SIZE, SIZE)
  opaque = np.full((SIZE, SIZE), 255, np.uint8)
  # Instead of the stroke something that hides all below.
  for channel_color in (np.zeros(3), np.ones(3)):
    color = channel_color.astype(np.float32)
    cover_all = layers_lib.Layer({}, whole, color, {0: opaque})
    changed = stack[:index] + [cover_all] + stack[index + 1 :]
    expected = _painted(changed)[box.slices]
    np.testing.assert_allclose(
        around.above + around.seen[..., np.newaxis] * color,
        expected,
        atol=1e-5,
    )
  np.testing.assert_allclose(
      around.below, _painted(stack[:index])[box.slices], atol=1e-5
  )
  del new


def test_coarser_covers_are_means(layers):
  layer = layers.stack[0]
  np.testing.assert_allclose(
      layer.cover(1),
      pixels.reduce_mean(layer.covers[0] / 255, 2),
      atol=0.5 / 255 + 1e-6,
  )


def test_strokes_are_arrays_by_name():
  layers = layers_lib.Layers(SIZE, PAPER, LEVELS)
  assert layers.strokes() == {}
  rng = np.random.default_rng(0)
  for end in (5, 3):
    layer = _layer(rng)
    layer.stroke['end'] = end
    layers.insert(len(layers), layer)
  np.testing.assert_array_equal(layers.strokes()['end'], [5, 3])


def test_boxes():
  box = layers_lib.Box(16, 32, 48, 64)
  assert box.union(layers_lib.Box(0, 48, 16, 80)) == (0, 32, 48, 80)
  assert box.coarser(16) == (1, 2, 3, 4)
  assert layers_lib.Box(1, 1, 3, 5).coarser(2) == (0, 0, 2, 3)
