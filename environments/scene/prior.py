"""Random programs of scenes: what an agent may dream of.

Axes: T commands, N scenes.
"""

import numpy as np

from environments.scene import dataset
from environments.scene import settings as settings_lib


def sample_programs(
    settings: settings_lib.SceneSettings,
    data: dataset.SceneData,
    rng: np.random.Generator,
    count: int,
) -> dict[str, np.ndarray]:
  """Returns programs that add up to `data.max_objects` objects, and then skip.

  The number of objects is uniform from 0 on. All else is uniform as well, so
  that objects may overlap. They arrive in the order of their locations: what a
  picture does not show, an agent need not guess.

  Args:
    settings: settings of the scenes.
    data: says how many objects a scene has at most.
    rng: random numbers.
    count: number of programs, N.

  Returns:
    int32 `[T, N]` for each part.
  """
  length = settings.episode_length
  most = min(data.max_objects, length)
  num_objects = rng.integers(0, most + 1, count)
  is_added = np.arange(length)[:, np.newaxis] < num_objects
  program = {
      name: rng.integers(0, part.num_values, (length, count), dtype=np.int32)
      for name, part in settings.action_spec().items()
  }
  program['kind'] = np.where(
      is_added, settings_lib.ADD, settings_lib.SKIP
  ).astype(np.int32)
  last = settings.grid_size**2
  order = np.argsort(
      np.where(is_added, program['location'], last), axis=0, kind='stable'
  )
  return {
      name: np.take_along_axis(values, order, axis=0)
      for name, values in program.items()
  }
