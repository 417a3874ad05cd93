"""What nodes share and a program closes: the base of channels and stores."""

from collections.abc import Callable
import threading


class ChannelClosed(Exception):
  """The resource a node waits on, or uses, is closed: the program stops."""

  def __init__(self, name: str):
    super().__init__(f'{name!r} is closed')
    self.name = name


class WouldBlock(RuntimeError):
  """In lockstep, a node waits for what no other node can give it."""


class Resource:
  """A named, thread-safe thing with a condition on which both ends wait.

  Attributes:
    name: unique in its program; errors name it.
    blocking: whether an operation may wait. In lockstep, where one thread runs
      all nodes and waiting would last forever, `launch` sets it to False and
      such an operation raises `WouldBlock` instead.
  """

  def __init__(self, name: str):
    self.name = name
    self.blocking = True
    self._condition = threading.Condition()
    self._closed = False

  @property
  def closed(self) -> bool:
    """Whether `close` was called."""
    return self._closed

  def close(self) -> None:
    """Wakes whoever waits, with `ChannelClosed`. Closing twice is harmless."""
    with self._condition:
      self._closed = True
      self._condition.notify_all()

  def _wait_until(self, ready: Callable[[], bool], otherwise: str) -> None:
    """Waits until `ready()`; the caller holds the condition.

    Args:
      ready: says, under the condition, whether to go on.
      otherwise: what is the case while not ready ("is empty"), for the error.

    Raises:
      ChannelClosed: when closed before or while waiting.
      WouldBlock: when not ready and not `blocking`.
    """
    if not self.blocking and not self._closed and not ready():
      raise WouldBlock(
          f'{self.name!r} {otherwise}, which in lockstep no other node can '
          'change; add producers before consumers and match steps_per_round'
      )
    self._condition.wait_for(lambda: self._closed or ready())
    if self._closed:
      raise ChannelClosed(self.name)
