"""Published parameters: readers see the latest version only."""

import threading
from typing import Any

from spiral_jax.driver import channel as channel_lib


class ParamsStore(channel_lib.Resource):
  """Holds one version of some parameters, replaced by each `publish`.

  Readers keep what they got for as long as they like, so the publisher must
  never donate published arrays to a jitted function.
  """

  def __init__(self, name: str):
    super().__init__(name)
    self._params: Any = None
    self._version = -1

  @property
  def version(self) -> int:
    """The latest version; -1 before the first `publish`."""
    return self._version

  def publish(self, params: Any, version: int) -> None:
    """Replaces what `latest` returns. Never waits, nor raises once closed.

    So a learner that has made an update always finishes its step.

    Args:
      params: a pytree of arrays that no one will donate or write to.
      version: non-negative; by convention the number of updates made.
    """
    with self._condition:
      self._params, self._version = params, version
      self._condition.notify_all()

  def peek(self) -> tuple[Any, int]:
    """Returns the latest (params, version), also once closed; never waits.

    Before the first `publish`: (None, -1).
    """
    with self._condition:
      return self._params, self._version

  def latest(self, at_least: int = 0) -> tuple[Any, int]:
    """Returns the latest (params, version).

    Args:
      at_least: version to wait for.

    Raises:
      ChannelClosed: when closed before or while waiting.
    """
    with self._condition:
      self._wait_until(
          lambda: self._version >= at_least, f'has no version {at_least}'
      )
      return self._params, self._version


class LagBound:
  """Lets actors run at most so many updates ahead of a learner.

  One for all actors of a learner, which takes a trajectory an update: the i-th
  trajectory may be begun once version `i - max_lag` of the parameters is there.
  With 0, every trajectory is that of the very parameters that learn from it.
  More than 0 bounds how many are on their way; of several actors, one that
  others overtake meanwhile brings a trajectory that is older than that.
  """

  def __init__(self, params: ParamsStore, max_lag: int):
    """Counts from the version that is published when the first one asks.

    Args:
      params: where the learner publishes.
      max_lag: in updates.

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
    """Waits for its turn; returns the latest (params, version).

    Raises:
      ChannelClosed: when `params` closes before or while waiting.
    """
    with self._lock:
      if self._begun is None:
        self._begun = self._params.latest()[1]
      index = self._begun
      self._begun += 1
    return self._params.latest(at_least=index - self._max_lag)
