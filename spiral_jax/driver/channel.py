"""What nodes share and a program closes: a bounded queue, and its base.

Closing wakes whoever waits at either end.
"""

import collections
from collections.abc import Callable
import threading
from typing import Generic, TypeVar

T = TypeVar('T')


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


class Channel(Resource, Generic[T]):
  """First in, first out; holds at most `capacity` items.

  Once closed, `put` and `get` raise at once and items still held are lost: a
  program that stops doesn't drain its channels.
  """

  def __init__(self, name: str, capacity: int):
    if capacity < 1:
      raise ValueError(
          f'capacity of channel {name!r} is {capacity}; must be at least 1'
      )
    super().__init__(name)
    self.capacity = capacity
    self._items: collections.deque[T] = collections.deque()

  def put(self, item: T) -> None:
    """Appends `item`, waiting while the channel is full.

    Raises:
      ChannelClosed: when closed before or while waiting.
    """
    with self._condition:
      self._wait_until(lambda: len(self._items) < self.capacity, 'is full')
      self._items.append(item)
      self._condition.notify_all()

  def get(self) -> T:
    """Removes and returns the oldest item, waiting while there is none.

    Raises:
      ChannelClosed: when closed before or while waiting.
    """
    with self._condition:
      self._wait_until(lambda: bool(self._items), 'is empty')
      item = self._items.popleft()
      self._condition.notify_all()
      return item

  def __len__(self) -> int:
    """Number of items held."""
    return len(self._items)
