"""Random scenes: no overlaps, on the platform, all values, other seeds."""

import numpy as np
import pytest

from environments import scene
from environments.scene import generator

SETTINGS = scene.SceneSettings()


def rectangle_gap(point, middle, half):
  """Returns how far a point is from a square."""
  return np.linalg.norm(np.maximum(np.abs(point - middle) - half, 0))


def gap(one, other):
  """Returns how far two footprints are apart; below 0 if they overlap.

  Each is (is a square, place, half width).
  """
  (square, a, r), (other_square, b, s) = sorted(
      (one, other), key=lambda footprint: not footprint[0]
  )
  if other_square:
    return np.abs(a - b).max() - r - s
  if square:
    return rectangle_gap(b, a, r) - s
  return np.linalg.norm(a - b) - r - s


def footprints(objects, n):
  half, radius = SETTINGS.footprints()
  places = SETTINGS.places()
  return [
      (
          scene.OBJECTS[objects.object[n, i]] == 'box',
          places[objects.location[n, i]],
          (half + radius)[objects.object[n, i], objects.size[n, i]],
      )
      for i in np.flatnonzero(objects.present[n])
  ]


def test_objects_do_not_overlap_and_stay_on_the_platform():
  objects = scene.generate(SETTINGS, 500, seed=0)
  closest = np.inf
  for n in range(500):
    all_ = footprints(objects, n)
    for i, one in enumerate(all_):
      assert np.abs(one[1]).max() + one[2] <= 1 + 1e-9
      for other in all_[:i]:
        assert gap(one, other) > -1e-9
        closest = min(closest, gap(one, other))
  assert closest < 0.02  # They come close: the footprints are not too large.
  assert not generator.overlap(SETTINGS, objects).any()


def test_overlap_is_told_pair_by_pair():
  rng = np.random.default_rng(0)
  spec = SETTINGS.action_spec()
  objects = scene.Objects(
      np.ones((200, 5), bool),
      *(
          rng.integers(0, spec[name].num_values, (200, 5))
          for name in scene.Objects._fields[1:]
      ),
  )
  overlaps = generator.overlap(SETTINGS, objects)
  for n in range(200):
    all_ = footprints(objects, n)
    for i, one in enumerate(all_):
      for j, other in enumerate(all_):
        expected = i != j and gap(one, other) < -1e-9
        assert overlaps[n, i, j] == expected
  assert 0.1 < overlaps.mean() < 0.5
  some = objects._replace(present=np.arange(5) < 1 + np.zeros((200, 1)))
  assert not generator.overlap(SETTINGS, some).any()


def test_numbers_and_values_are_uniform():
  count = 20_000
  objects = scene.generate(SETTINGS, count, seed=1)
  numbers = np.bincount(objects.present.sum(1), minlength=6)
  assert numbers[0] == 0
  np.testing.assert_allclose(numbers[1:] / count, 0.2, atol=0.015)
  for name, part in SETTINGS.action_spec().items():
    if name == 'kind':
      continue
    values = getattr(objects, name)
    assert values.dtype == np.int32 and values.shape == (count, 5)
    assert not values[~objects.present].any()
    shares = np.bincount(values[objects.present]) / objects.present.sum()
    assert len(shares) == part.num_values
    if name == 'location':
      # Free places are more often at the border, but none is left out.
      assert 0.5 / 256 < shares.min() < shares.max() < 2 / 256
      first = np.bincount(values[:, 0], minlength=256) / count
      np.testing.assert_allclose(first, 1 / 256, atol=0.0025)
    else:
      np.testing.assert_allclose(shares, 1 / part.num_values, atol=0.015)


def test_later_objects_are_uniform_where_there_is_room():
  # Two large spheres on a 3x3 grid: neighbors overlap, and diagonals do not.
  settings = scene.SceneSettings(
      grid_size=3, span=0.45, sizes=(0.28,), shades=2
  )
  objects = scene.generate(settings, 300_000, seed=2, max_objects=2)
  is_sphere = (objects.object == 0).all(1) & objects.present.all(1)
  corner = is_sphere & (objects.location[:, 0] == 0)
  seconds = np.bincount(objects.location[corner, 1], minlength=9)
  assert (seconds[[0, 1, 3]] == 0).all()
  rest = seconds[[2, 4, 5, 6, 7, 8]] / corner.sum()
  np.testing.assert_allclose(rest, 1 / 6, atol=0.05)


def test_a_seed_gives_the_same_scenes_and_another_seed_others():
  one, same, other = (
      scene.generate(SETTINGS, 300, seed=seed) for seed in (3, 3, 4)
  )
  for a, b in zip(one, same):
    np.testing.assert_array_equal(a, b)
  rows = [
      {tuple(row) for row in np.hstack(objects).tolist()}
      for objects in (one, other)
  ]
  assert len(rows[0]) > 290
  # Of single objects, of which there are 196,608, one may come twice.
  assert len(rows[0] & rows[1]) <= 1


@pytest.mark.parametrize(
    'arguments, message',
    [
        ({'count': 0}, 'count is 0'),
        ({'seed': -1}, 'seed is -1'),
        ({'max_objects': 21}, 'max_objects is 21.*1 to 20'),
    ],
)
def test_bad_arguments(arguments, message):
  with pytest.raises(ValueError, match=message):
    scene.generate(SETTINGS, **{'count': 1, 'seed': 0, **arguments})


def test_numbers_of_objects_are_uniform_where_room_is_scarce():
  objects = scene.generate(SETTINGS, 840, seed=0, max_objects=14)
  counts = np.bincount(objects.present.sum(1), minlength=15)[1:]
  assert counts.sum() == 840
  # Each has 60 on average, with a deviation of 7.5.
  assert np.all(np.abs(counts - 60) < 4 * 7.5)
  assert not generator.overlap(SETTINGS, objects).any()


def test_objects_that_find_no_room_are_told():
  # At most one object has room, whatever its kind.
  settings = scene.SceneSettings(grid_size=2, span=0.05, sizes=(0.5,))
  with pytest.raises(ValueError, match='5 objects do not find room.*smaller'):
    scene.generate(settings, 200, seed=0)
