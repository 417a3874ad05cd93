"""Putting scenes together, with made-up sprites: needs no OpenGL."""

import numpy as np
import pytest

from environments.scene import compositor
from environments.scene import sprites as sprites_lib

SIZE, SHADES = 4, 3


def make_table(*sprites):
  """Returns a table of sprites, each {pixel: (nearness, brightness)}.

  At shade s the brightness is 10 s more.
  """
  starts = np.cumsum([0, *map(len, sprites), 0])
  rows = [(p, *what) for sprite in sprites for p, what in sprite.items()]
  pixels, nearness, brightness = map(np.array, zip(*rows))
  return sprites_lib.Table(
      background=np.full((SIZE, SIZE, 3), 7, np.uint8),
      background_nearness=np.full((SIZE, SIZE), 0.25, np.float32),
      starts=starts.astype(np.int32),
      pixels=pixels.astype(np.int32),
      nearness=nearness.astype(np.float32),
      brightness=(brightness[:, None] + 10 * np.arange(SHADES)).astype(
          np.uint8
      ),
  )


NEAR = {0: (0.5, 100), 1: (0.5, 110)}
FAR = {1: (0.375, 120), 2: (0.375, 130)}
AS_NEAR = {1: (0.5, 140), 3: (0.5, 150)}
BEHIND = {5: (0.125, 160)}
TABLE = make_table(NEAR, FAR, AS_NEAR, BEHIND)


class Single:
  """One canvas, on which objects are gray of shade 0."""

  def __init__(self):
    self._canvases = compositor.Canvases(TABLE, 1)

  def add(self, sprite, levels=(0, 0, 0)):
    return self._draw(True, False, sprite, levels)

  def replace(self, sprite, levels=(0, 0, 0)):
    return self._draw(False, True, sprite, levels)

  def nothing(self):
    return self._draw(False, False, 0, (0, 0, 0))

  def _draw(self, adds, replaces, sprite, levels):
    self._canvases.draw(
        np.array([adds]),
        np.array([replaces]),
        np.array([sprite]),
        np.array([levels]),
    )
    canvas = self._canvases.picture()
    assert canvas.shape == (1, SIZE, SIZE, 3) and canvas.dtype == np.uint8
    return canvas[0].reshape(-1, 3)


def grays(canvas):
  """Returns the first six pixels, whose channels must be equal."""
  assert (canvas == canvas[:, :1]).all()
  return canvas[:6, 0].tolist()


def test_the_nearest_shows_in_either_order():
  for order in ((0, 1), (1, 0)):
    single = Single()
    for sprite in order:
      canvas = single.add(sprite)
    assert grays(canvas) == [100, 110, 130, 7, 7, 7]


def test_of_two_equally_near_the_later_shows():
  single = Single()
  single.add(0)
  assert grays(single.add(2)) == [100, 140, 7, 150, 7, 7]
  assert grays(single.add(0)) == [100, 110, 7, 150, 7, 7]


def test_what_is_behind_the_platform_does_not_show():
  assert grays(Single().add(3)) == [7] * 6


def test_each_channel_has_its_own_shade():
  canvas = Single().add(0, levels=(2, 0, 1))
  assert canvas[:3].tolist() == [[120, 100, 110], [130, 110, 120], [7, 7, 7]]


def test_replacing_brings_back_what_was_behind():
  single = Single()
  single.add(1)
  assert grays(single.add(0)) == [100, 110, 130, 7, 7, 7]
  assert grays(single.replace(3)) == [7, 120, 130, 7, 7, 7]
  assert grays(single.replace(2)) == [7, 140, 130, 150, 7, 7]
  assert grays(single.nothing()) == [7, 140, 130, 150, 7, 7]
  assert grays(single.replace(0)) == [100, 110, 130, 7, 7, 7]


def test_only_the_latest_is_replaced():
  single = Single()
  single.add(0)
  single.add(1)
  single.add(2)
  assert grays(single.replace(1)) == [100, 110, 130, 7, 7, 7]
  single.add(2)
  assert grays(single.replace(3)) == [100, 110, 130, 7, 7, 7]


def test_reset_clears_and_forgets():
  canvases = compositor.Canvases(TABLE, 2)
  assert not canvases.has_object().any()
  yes, no = np.ones(2, bool), np.zeros(2, bool)
  levels = np.zeros((2, 3), int)
  canvases.draw(np.array([True, False]), no, np.array([0, 0]), levels)
  assert canvases.has_object().tolist() == [True, False]
  canvases.reset()
  assert (canvases.picture() == 7).all()
  assert not canvases.has_object().any()
  canvases.draw(yes, no, np.array([1, 1]), levels)
  assert grays(canvases.picture()[1].reshape(-1, 3)) == [7, 120, 130, 7, 7, 7]


def test_results_are_the_callers_own():
  canvases = compositor.Canvases(TABLE, 1)
  canvases.picture()[:] = 0
  assert (canvases.picture() == 7).all()


@pytest.mark.parametrize('seed', range(5))
def test_against_one_pixel_at_a_time(seed):
  rng = np.random.default_rng(seed)
  sprites = [
      {
          # Few depths, so that ties are common.
          int(p): (rng.integers(1, 7) / 8, rng.integers(8, 200))
          for p in rng.choice(SIZE**2, rng.integers(0, 12), replace=False)
      }
      for _ in range(10)
  ]
  table = make_table(*sprites)
  count = 6
  canvases = compositor.Canvases(table, count)
  scenes = [[] for _ in range(count)]
  for _ in range(30):
    kinds = rng.integers(0, 3, count)
    replaces = (kinds == 2) & canvases.has_object()
    sprite = rng.integers(0, len(sprites), count)
    levels = rng.integers(0, SHADES, (count, 3))
    canvases.draw(kinds == 0, replaces, sprite, levels)
    result = canvases.picture()
    for n, objects in enumerate(scenes):
      if replaces[n]:
        objects.pop()
      if replaces[n] or kinds[n] == 0:
        objects.append((sprites[sprite[n]], levels[n]))
      expected = np.full((SIZE**2, 3), 7)
      nearest = np.full(SIZE**2, 0.25)
      for pixels, level in objects:
        for p, (near, brightness) in pixels.items():
          if near >= nearest[p]:
            nearest[p] = near
            expected[p] = brightness + 10 * level
      np.testing.assert_array_equal(result[n].reshape(-1, 3), expected)
