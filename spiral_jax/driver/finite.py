"""Watch for updates that leave numbers which are not finite.

The check runs on the device, next to the update, and is read when it is there
already: no update waits for it.
"""

import collections
from collections.abc import Mapping
import threading
from typing import Any, NamedTuple

import jax
from jax import flatten_util
import jax.numpy as jnp
import numpy as np


class NotFiniteError(ValueError):
  """Raised when training has diverged; names the first number that did.

  Attributes:
    name: name of the number.
    value: the number.
    update: number of the update.
    frames: commands learned from until then; None if the learner counts none.
    remedy: what is left, and what to do.
  """

  def __init__(
      self,
      name: str,
      value: float,
      update: int,
      frames: int | None = None,
      remedy: str = '',
  ):
    self.name, self.value, self.update = name, value, update
    self.frames, self.remedy = frames, remedy
    at = '' if frames is None else f', at frame {frames:,}'
    super().__init__(
        f'{name} is {value} in update {update:,}{at}{": " * bool(remedy)}'
        f'{remedy}'
    )

  def __reduce__(self) -> Any:
    """Pickles its arguments: Ray hands it on."""
    return type(self), (
        self.name,
        self.value,
        self.update,
        self.frames,
        self.remedy,
    )

  def with_remedy(self, frames: int, remedy: str) -> 'NotFiniteError':
    """Returns the error with what its learner does not know."""
    return NotFiniteError(self.name, self.value, self.update, frames, remedy)


class _Update(NamedTuple):
  number: int
  frames: int | None
  numbers: dict[str, Any]  # Logs and parameters, by name.
  are_finite: tuple[Any, ...]  # Booleans `[]` on their device.


class Watch:
  """Watches the updates of one learner."""

  def __init__(self, name: str):
    """Takes the learner's name, for errors."""
    self._name = name
    self._lock = threading.Lock()
    self._updates: collections.deque[_Update] = collections.deque()

  def add(
      self,
      number: int,
      frames: int | None,
      logs: Mapping[str, Any],
      params: Any,
  ) -> None:
    """Adds an update; nobody may donate `params` to another function."""
    # Several devices: each has to itself what is checked together.
    are_finite = (_are_finite(dict(logs)), _are_finite(params))
    numbers = {**logs, 'params': params}
    with self._lock:
      self._updates.append(_Update(number, frames, numbers, are_finite))

  def check(self, *, wait: bool = False) -> None:
    """Looks at the updates that are computed; with `wait`, at all of them.

    Raises:
      NotFiniteError: if one left a number that is not finite.
    """
    with self._lock:
      while self._updates:
        first = self._updates[0]
        if not wait and not all(flag.is_ready() for flag in first.are_finite):
          return
        if not all(map(bool, first.are_finite)):
          name, value = first_not_finite(first.numbers) or ('a number', np.nan)
          raise NotFiniteError(
              f'{self._name}/{name}', value, first.number, first.frames
          )
        self._updates.popleft()

  def clear(self) -> None:
    """Forgets all updates."""
    with self._lock:
      self._updates.clear()


def first_not_finite(
    tree: Any, *, only_nan: bool = False
) -> tuple[str, float] | None:
  """Returns (name, value) of the first number that is not finite, if any.

  Args:
    tree: pytree of arrays and numbers.
    only_nan: takes infinity for a number, such as the best value so far that an
      optimizer begins with.
  """
  is_bad = np.isnan if only_nan else lambda array: ~np.isfinite(array)
  for path, leaf in jax.tree_util.tree_flatten_with_path(tree)[0]:
    if not _has_fractions(leaf):
      continue
    array = np.asarray(leaf)
    bad = is_bad(array)
    if bad.any():
      name = jax.tree_util.keystr(path, simple=True, separator='/')
      return name, float(array[bad][0])
  return None


@jax.jit
def _are_finite(tree: Any) -> jax.Array:
  """Returns whether all numbers are finite, as a boolean `[]`."""
  leaves = [x for x in jax.tree.leaves(tree) if _has_fractions(x)]
  # Of one vector: a reduction for each leaf would take longer to compile.
  numbers, _ = flatten_util.ravel_pytree(leaves)
  return jnp.all(jnp.isfinite(numbers))


def _has_fractions(leaf: Any) -> bool:
  return isinstance(leaf, float) or (
      hasattr(leaf, 'dtype') and jnp.issubdtype(leaf.dtype, jnp.inexact)
  )
