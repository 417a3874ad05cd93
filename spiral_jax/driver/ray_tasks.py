"""Calls of functions in processes of other machines, through Ray.

Import this only where it is asked for: Ray is optional, and slow to load.
"""

from collections.abc import Callable, Hashable, Iterator, Mapping
import logging
from typing import Any, TypeVar

import ray
from ray import exceptions

from spiral_jax.driver import ray_launcher

_POLL_SECONDS = 1.0
_END_SECONDS = 10.0
_TRIES = 3

_logger = logging.getLogger(__name__)

K = TypeVar('K', bound=Hashable)


class Tasks:
  """A connection to Ray, through which functions are called."""

  def __init__(self, address: str):
    """Connects.

    Args:
      address: address of the head, as `ray start` prints it; empty means this
        machine alone.

    Raises:
      ValueError: if no head answers there.
    """
    ray_launcher.connect(address)

  def machines(self) -> list[dict[str, float]]:
    """Returns the resources (CPU, GPU) of each machine that is up."""
    return [node['Resources'] for node in ray.nodes() if node['Alive']]

  def run(
      self,
      resources: Mapping[str, float],
      function: Callable[..., Any],
      calls: Mapping[K, tuple[Any, ...]],
      should_stop: Callable[[], bool],
  ) -> Iterator[tuple[K, Any]]:
    """Yields (key, what the call returned) as calls end.

    Calls start in order, as many at a time as machines have resources for. Idle
    processes are used again, but those with accelerators end with their call:
    a process never gives its accelerators back. A call that raises, or whose
    process is lost, is made again, twice at most; then an exception takes the
    place of the result. It is what the call raised where the user can mend that
    (ImportError, OSError, ValueError), else one that holds the traceback.

    Args:
      resources: CPU, GPU of a call.
      function: a function of a module, to be called.
      calls: arguments of each call.
      should_stop: asked every second; True ends all calls.
    """
    remote = ray.remote(function).options(
        num_cpus=resources.get('CPU', 0),
        num_gpus=resources.get('GPU', 0),
        max_retries=0,  # Ray's own would be endless where memory runs out.
    )
    tries = dict.fromkeys(calls, 1)
    running = {remote.remote(*calls[key]): key for key in calls}
    try:
      while running and not should_stop():
        ended, _ = ray.wait(list(running), timeout=_POLL_SECONDS)
        for reference in ended:
          key = running.pop(reference)
          try:
            result = ray.get(reference)
          except exceptions.RayError as error:
            cause = getattr(error, 'cause', None)
            is_mendable = isinstance(cause, (ImportError, OSError, ValueError))
            result = cause if is_mendable else error
            if tries[key] < _TRIES:
              _logger.warning('%s failed, and is tried again (%s)', key, result)
              tries[key] += 1
              running[remote.remote(*calls[key])] = key
              continue
          yield key, result
    finally:
      _end(list(running))

  def close(self) -> None:
    """Ends the connection, and all calls."""
    ray.shutdown()


def _end(references: list[Any]) -> None:
  """Ends calls as Ctrl-C does, and by force those that do not heed it.

  By force alone, Ray (2.60) aborts if a call ends just then.
  """
  for force in (False, True):
    for reference in references:
      ray.cancel(reference, force=force)
    if references:
      _, references = ray.wait(
          references, num_returns=len(references), timeout=_END_SECONDS
      )
