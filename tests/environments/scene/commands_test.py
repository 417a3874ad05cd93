"""What programs leave on the platform."""

import numpy as np

from environments import scene

ADD, SKIP, CHANGE = (scene.KINDS.index(k) for k in ('add', 'skip', 'change'))


def program(*commands):
  """Returns one program, `[T, 1]` a part, of pairs (kind, location).

  The other parts are told from the location.
  """
  kind, location = np.array(commands).T[..., np.newaxis]
  return {
      'kind': kind,
      'object': location % 4,
      'location': location,
      'size': location % 3,
      'red': (location + 1) % 4,
      'green': (location + 2) % 4,
      'blue': (location + 3) % 4,
  }


def locations(*commands):
  objects = scene.place(program(*commands))
  present = objects.present[0]
  # Present ones come first, and all parts came along with the location.
  assert list(present) == sorted(present, reverse=True)
  location = objects.location[0, present]
  for name, factor in (('object', 4), ('size', 3)):
    np.testing.assert_array_equal(
        getattr(objects, name)[0, present], location % factor
    )
  for i, name in enumerate(('red', 'green', 'blue')):
    np.testing.assert_array_equal(
        getattr(objects, name)[0, present], (location + i + 1) % 4
    )
  return list(location)


def test_adds_stay_and_skips_do_nothing():
  assert locations((ADD, 5), (SKIP, 6), (ADD, 7)) == [5, 7]
  assert locations((SKIP, 6), (SKIP, 7)) == []


def test_change_replaces_the_latest_also_after_skips():
  assert locations((ADD, 5), (ADD, 7), (CHANGE, 9)) == [5, 9]
  assert locations((ADD, 5), (SKIP, 1), (CHANGE, 9), (CHANGE, 10)) == [10]
  assert locations((ADD, 5), (CHANGE, 9), (ADD, 11), (CHANGE, 12)) == [9, 12]


def test_change_with_no_object_does_nothing():
  assert locations((CHANGE, 5), (ADD, 7), (SKIP, 0)) == [7]


def test_scenes_of_a_batch_are_apart():
  one = program((ADD, 5), (CHANGE, 6), (ADD, 7))
  two = program((CHANGE, 8), (ADD, 9), (SKIP, 1))
  objects = scene.place({k: np.hstack([one[k], two[k]]) for k in one})
  assert objects.present.tolist() == [[1, 1, 0], [1, 0, 0]]
  assert objects.location.tolist() == [[6, 7, 0], [9, 0, 0]]


def test_objects_as_commands_and_back():
  settings = scene.SceneSettings()
  objects = scene.generate(settings, 50, seed=0)
  commands = scene.to_commands(objects)
  assert commands['kind'].shape == (5, 50)
  for one, other in zip(scene.place(commands), objects):
    np.testing.assert_array_equal(one, other)
