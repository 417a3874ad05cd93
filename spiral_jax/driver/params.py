"""Published parameters, of which readers see only the latest version."""

import threading
from typing import Any

from spiral_jax.driver import channel as channel_lib


class ParamsStore(channel_lib.Resource):
  """Holds the latest version of some parameters, replaced by each `publish`.

  Readers may keep a version for as long as they like, so the publisher must
  never donate published arrays to a jitted function.
  """

  def __init__(self, name: str):
    super().__init__(name)
    self._params: Any = None
    self._version = -1

  @property
  def version(self) -> int:
    """Latest version; -1 before the first `publish`."""
    return self._version

  def publish(self, params: Any, version: int) -> None:
    """Replaces the latest version. Never waits, and never raises once closed.

    A learner that has made an update can thus always finish its step.

    Args:
      params: pytree of arrays that nobody will donate or write to.
      version: version, 0 or more; by convention the number of updates.
    """
    with self._condition:
      self._params, self._version = params, version
      self._condition.notify_all()

  def peek(self) -> tuple[Any, int]:
    """Returns the latest (params, version), even once closed; never waits.

    Returns (None, -1) before the first `publish`.
    """
    with self._condition:
      return self._params, self._version

  def latest(self, at_least: int = 0) -> tuple[Any, int]:
    """Returns the latest (params, version).

    Args:
      at_least: smallest version to wait for.

    Raises:
      ChannelClosed: if closed before or while waiting.
    """
    with self._condition:
      self._wait_until(
          lambda: self._version >= at_least, f'has no version {at_least}'
      )
      return self._params, self._version


class LagBound:
  """Limits the number of updates by which actors run ahead of a learner.

  All actors of a learner share one bound, and the learner takes one trajectory
  per update. The i-th trajectory may begin once version `i - max_lag` of the
  parameters is published. With 0, every trajectory comes from exactly the
  parameters that learn from it. A larger value bounds the number of
  trajectories under way. With several actors, the trajectory of one that others
  overtake can be older than that.
  """

  def __init__(self, params: ParamsStore, max_lag: int):
    """Initializes a bound; counting starts at the first call of `latest`.

    Args:
      params: store to which the learner publishes.
      max_lag: largest number of updates to run ahead.

    Raises:
      ValueError: if `max_lag` is negative.
    """
    if max_lag < 0:
      raise ValueError(f'max_lag is {max_lag}, must be 0 or more')
    self._params = params
    self._max_lag = max_lag
    self._lock = threading.Lock()
    self._begun: int | None = None

  def latest(self) -> tuple[Any, int]:
    """Waits for the caller's turn; returns the latest (params, version).

    Raises:
      ChannelClosed: if `params` is closed before or while waiting.
    """
    with self._lock:
      if self._begun is None:
        self._begun = self._params.latest()[1]
      index = self._begun
      self._begun += 1
    return self._params.latest(at_least=index - self._max_lag)
