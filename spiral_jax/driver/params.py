"""Published parameters: readers see the latest version only."""

from typing import Any

from spiral_jax.driver import resource


class ParamsStore(resource.Resource):
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

  def latest(self) -> tuple[Any, int]:
    """Returns the latest (params, version), waiting for the first.

    Raises:
      ChannelClosed: when closed before or while waiting.
    """
    with self._condition:
      self._wait_until(lambda: self._version >= 0, 'holds no parameters')
      return self._params, self._version
