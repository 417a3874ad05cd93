"""Functions that are made once for equal arguments."""

import collections
from collections.abc import Callable
import functools
import threading
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
  made: collections.OrderedDict[Any, Any] = collections.OrderedDict()
  lock = threading.Lock()

  @functools.wraps(make)
  def remember(*args, **kwargs):
    key = tuple(map(_key, args)), tuple(
        (name, _key(value)) for name, value in sorted(kwargs.items())
    )
    try:
      hash(key)
    except TypeError:
      return make(*args, **kwargs)
    with lock:
      if key not in made:
        made[key] = make(*args, **kwargs)
      made.move_to_end(key)
      while len(made) > _SIZE:
        made.popitem(last=False)
      return made[key]

  return remember  # type: ignore[return-value]


def _key(value: Any) -> Any:
  """Returns what stands for a value; numbers of other types are not equal."""
  if isinstance(value, np.ndarray):
    return value.shape, value.dtype.str, value.tobytes()
  return type(value), value
