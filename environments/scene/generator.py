"""Random scenes without overlapping objects, as targets to reconstruct.

Axes: N scenes, M objects, L locations, F footprints (object and size).
"""

import functools

import numpy as np

from environments.scene import commands as commands_lib
from environments.scene import settings as settings_lib

_CHUNK = 4096  # Scenes generated at a time, to limit memory.
# Scenes tried at a time where some found no room, and how often in vain.
_TRIES = 512
_MOST_FAILURES = 20


def generate(
    settings: settings_lib.SceneSettings,
    count: int,
    *,
    seed: int,
    max_objects: int = 5,
) -> commands_lib.Objects:
  """Returns random scenes on the agent's grid, `[N, max_objects]` each.

  The number of objects is uniform from 1 to `max_objects`. Kind, size and color
  of each object are uniform. Objects are placed one after another, each at a
  location drawn uniformly from those where its footprint overlaps no other; a
  scene that has no such location is redrawn with as many objects. An object may
  hide another one from the camera, even completely.

  Args:
    settings: settings of the scenes.
    count: number of scenes, N.
    seed: random seed; the same seed gives the same scenes.
    max_objects: largest number of objects in a scene, 1 to 20.

  Raises:
    ValueError: if an argument is out of range, or so many objects do not find
      room.
  """
  if count < 1:
    raise ValueError(f'count is {count}, must be 1 scene or more')
  if seed < 0:
    raise ValueError(f'seed is {seed}, must be 0 or more')
  if not 1 <= max_objects <= 20:
    raise ValueError(f'max_objects is {max_objects}, must be from 1 to 20')
  rng = np.random.default_rng(seed)
  parts = []
  for start in range(0, count, _CHUNK):
    size = min(count - start, _CHUNK)
    wanted = rng.integers(1, max_objects + 1, size)
    scenes, has_room = _generate(settings, wanted, max_objects, rng)
    failures = 0
    while True:
      parts.append(scenes)
      wanted = wanted[~has_room]
      if not len(wanted):
        break
      if failures == _MOST_FAILURES:
        raise ValueError(
            f'{max(wanted)} objects do not find room on the platform; give '
            f'fewer than max_objects={max_objects}, or smaller sizes'
        )
      scenes, has_room = _retry(settings, wanted, max_objects, rng)
      failures = 0 if has_room.any() else failures + 1
  return commands_lib.Objects(*map(np.concatenate, zip(*parts)))


def overlap(
    settings: settings_lib.SceneSettings, objects: commands_lib.Objects
) -> np.ndarray:
  """Returns which pairs of objects overlap, bool `[N, M, M]`.

  Compares footprints, seen from above. Those that only touch do not overlap.
  """
  places = settings.places()[objects.location]
  half, radius = (
      values[objects.object, objects.size] for values in settings.footprints()
  )
  distance = np.abs(places[:, :, np.newaxis] - places[:, np.newaxis])
  overlaps = _overlaps(
      distance,
      half[:, :, np.newaxis] + half[:, np.newaxis],
      radius[:, :, np.newaxis] + radius[:, np.newaxis],
  )
  both = objects.present[:, :, np.newaxis] & objects.present[:, np.newaxis]
  return overlaps & both & ~np.eye(objects.present.shape[1], dtype=bool)


def _generate(
    settings: settings_lib.SceneSettings,
    num_objects: np.ndarray,
    max_objects: int,
    rng: np.random.Generator,
) -> tuple[commands_lib.Objects, np.ndarray]:
  """Returns the scenes that found room, and which did, bool `[N]`."""
  count = len(num_objects)
  shape = (count, max_objects)
  present = np.arange(max_objects) < num_objects[:, np.newaxis]
  spec = settings.action_spec()
  values = {
      name: rng.integers(0, spec[name].num_values, shape).astype(np.int32)
      for name in commands_lib.Objects._fields[1:]
  }
  footprint = values['object'] * len(settings.sizes) + values['size']
  size = settings.grid_size
  blocked = np.lib.stride_tricks.sliding_window_view(
      _blocked(settings), (size, size), axis=(2, 3)
  )
  location = values['location']
  has_room = np.ones(count, bool)
  for i in range(1, max_objects):
    is_free = np.ones((count, size, size), bool)
    for j in range(i):
      y, x = size - 1 - np.array(np.divmod(location[:, j], size))
      is_free &= ~blocked[footprint[:, i], footprint[:, j], y, x]
    num_free = is_free.sum((1, 2))
    has_room &= (num_free > 0) | ~present[:, i]
    # The object goes to the n-th free location.
    n = rng.integers(0, np.maximum(num_free, 1))
    location[:, i] = np.argmax(
        np.cumsum(is_free.reshape(count, -1), axis=1) > n[:, np.newaxis], axis=1
    )
  scenes = commands_lib.Objects(
      present, *(np.where(present, value, 0) for value in values.values())
  )
  return _choose(scenes, has_room), has_room


def _retry(
    settings: settings_lib.SceneSettings,
    num_objects: np.ndarray,
    max_objects: int,
    rng: np.random.Generator,
) -> tuple[commands_lib.Objects, np.ndarray]:
  """Does as `_generate`, with several tries for each scene."""
  wanted = np.resize(num_objects, max(len(num_objects), _TRIES))
  scenes, has_room = _generate(settings, wanted, max_objects, rng)
  # The first success of each.
  slots = np.flatnonzero(has_room) % len(num_objects)
  found, first = np.unique(slots, return_index=True)
  is_found = np.zeros(len(num_objects), bool)
  is_found[found] = True
  return _choose(scenes, first), is_found


def _choose(
    scenes: commands_lib.Objects, chosen: np.ndarray
) -> commands_lib.Objects:
  return commands_lib.Objects(*(value[chosen] for value in scenes))


@functools.lru_cache(maxsize=4)
def _blocked(settings: settings_lib.SceneSettings) -> np.ndarray:
  """Returns a table of overlapping footprints, by the offset between them.

  Returns:
    bool `[F, F, 2 G - 1, 2 G - 1]` for a grid of G x G locations. The last two
    indices are the offset in rows and in columns, plus G - 1.
  """
  size = settings.grid_size
  half, radius = (values.ravel() for values in settings.footprints())
  step = 2 * settings.span / (size - 1)
  way = np.abs(np.arange(1 - size, size)) * step
  distance = np.stack(np.meshgrid(way, way), axis=-1)
  return np.array(
      [
          [
              _overlaps(distance, np.array(a + b), r + s)
              for b, s in zip(half, radius)
          ]
          for a, r in zip(half, radius)
      ]
  )


def _overlaps(
    distance: np.ndarray, half: np.ndarray, radius: np.ndarray | float
) -> np.ndarray:
  """Returns true where rounded squares overlap, bool `[...]`.

  The Minkowski sum of two rounded squares is a rounded square. They overlap if
  the center of one lies within the sum, placed around the center of the other.

  Args:
    distance: distances of the centers along x and along y, `[..., 2]`.
    half: sum of the half sides before rounding, `[...]`.
    radius: sum of the corner radii, `[...]`.
  """
  # Touching is not overlapping, whatever the rounding errors of the sums.
  slack = 1e-9
  outside = np.maximum(distance - np.expand_dims(half, -1), 0.0)
  is_near = np.hypot(outside[..., 0], outside[..., 1]) < radius - slack
  return is_near | (distance.max(-1) < half - slack)
