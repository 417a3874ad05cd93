"""Functions that are made once for equal arguments."""

from collections.abc import Callable
import functools
from typing import Any, TypeVar

import numpy as np

# So many agents, say, are remembered, those that were asked for last.
_SIZE = 16

F = TypeVar('F', bound=Callable[..., Any])


def shared(make: F) -> F:
  """Returns `make` with a memory: equal arguments give the same result.

  What it makes are pure functions, which JAX traces and compiles once each: two
  runs of the same settings in a process, or a run and its evaluation, share
  that. Where an argument cannot be hashed, as a user's own module may not, all
  is made anew.

  Args:
    make: returns pure functions.
  """

  @functools.lru_cache(_SIZE)
  def remembered(call: _Call) -> Any:
    return make(*call.args, **call.kwargs)

  @functools.wraps(make)
  def make_or_remember(*args, **kwargs):
    call = _Call(args, kwargs)
    try:
      hash(call)
    except TypeError:
      return make(*args, **kwargs)
    return remembered(call)

  return make_or_remember  # type: ignore[return-value]


class _Call:
  """Arguments; equal to others if these are, arrays and types included."""

  def __init__(self, args: tuple[Any, ...], kwargs: dict[str, Any]):
    self.args, self.kwargs = args, kwargs
    self._key = (
        tuple(map(_key, args)),
        tuple((name, _key(value)) for name, value in sorted(kwargs.items())),
    )

  def __hash__(self) -> int:
    return hash(self._key)

  def __eq__(self, other: object) -> bool:
    return isinstance(other, _Call) and self._key == other._key


def _key(value: Any) -> Any:
  if isinstance(value, np.ndarray):
    return value.shape, value.dtype.str, value.tobytes()
  return type(value), value
