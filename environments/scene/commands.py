"""Translation between commands and the objects on the platform.

Axes: T commands, N scenes, M objects.
"""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from environments.scene import settings as settings_lib


class Objects(NamedTuple):
  """Objects in order of arrival; int32 `[..., M]` unless noted.

  The fields are values of the parts of a command. Where `present` is false, the
  others are 0 and have no meaning.
  """

  present: np.ndarray  # bool [..., M].
  object: np.ndarray
  location: np.ndarray
  size: np.ndarray
  red: np.ndarray
  green: np.ndarray
  blue: np.ndarray


def place(commands: Mapping[str, np.ndarray]) -> Objects:
  """Returns the objects of whole programs, `[N, T]` each.

  A change without a preceding object acts as a skip. (The paper does not say.)

  Args:
    commands: int `[T, N]` for each part.
  """
  num_commands, count = commands['kind'].shape
  objects = Objects(
      np.zeros((count, num_commands), bool),
      *(np.zeros((6, count, num_commands), np.int32)),
  )
  num_objects = np.zeros(count, int)
  for t, kind in enumerate(commands['kind']):
    is_add = kind == settings_lib.ADD
    acts = is_add | ((kind == settings_lib.CHANGE) & (num_objects > 0))
    num_objects += is_add
    slot = acts.nonzero()[0], num_objects[acts] - 1
    objects.present[slot] = True
    for name, values in zip(objects._fields[1:], objects[1:]):
      values[slot] = commands[name][t, acts]
  return objects


def to_commands(objects: Objects) -> dict[str, np.ndarray]:
  """Returns programs that add these objects and otherwise skip.

  The inverse of `place`: objects `[N, M]` become int32 `[M, N]` for each part.
  """
  kind = np.where(objects.present, settings_lib.ADD, settings_lib.SKIP)
  commands = {'kind': kind.T.astype(np.int32)}
  for name, values in zip(objects._fields[1:], objects[1:]):
    commands[name] = np.where(objects.present, values, 0).T.astype(np.int32)
  return commands
