"""Bounded queues between nodes, and the base class of what nodes share.

Closing a resource wakes all that wait for it, at either end.
"""

import collections
from collections.abc import Callable
import threading
from typing import Generic, TypeVar

T = TypeVar('T')


class ChannelClosed(Exception):
  """Raised when a resource that a node uses is closed: the program stops."""

  def __init__(self, name: str):
    super().__init__(f'{name!r} is closed')
    self.name = name


class WouldBlock(RuntimeError):
  """Raised in lockstep when a node would wait forever."""


class Resource:
  """Named, thread-safe object shared by nodes, with a condition to wait on.

  Attributes:
    name: name for errors, unique in its program.
    blocking: whether an operation may wait. In lockstep one thread runs all
      nodes and would wait forever, so `launch` sets this to False: operations
      then raise `WouldBlock` instead.
  """

  def __init__(self, name: str):
    self.name = name
    self.blocking = True
    self._condition = threading.Condition()
    self._closed = False

  @property
  def closed(self) -> bool:
    """True once `close` was called."""
    return self._closed

  def close(self) -> None:
    """Raises `ChannelClosed` in all that wait. Closing twice is harmless."""
    with self._condition:
      self._closed = True
      self._condition.notify_all()

  def _wait_until(self, ready: Callable[[], bool], otherwise: str) -> None:
    """Waits until `ready()`; the caller holds the condition.

    Args:
      ready: predicate that ends the wait; called with the condition held.
      otherwise: state while not ready, such as "is empty", for the error.

    Raises:
      ChannelClosed: if closed before or while waiting.
      WouldBlock: if not ready and not `blocking`.
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
  """First-in, first-out queue of at most `capacity` items.

  Once closed, `put` and `get` raise at once and the remaining items are lost: a
  program that stops does not drain its channels.
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
      ChannelClosed: if closed before or while waiting.
    """
    with self._condition:
      self._wait_until(lambda: len(self._items) < self.capacity, 'is full')
      self._items.append(item)
      self._condition.notify_all()

  def get(self) -> T:
    """Removes and returns the oldest item, waiting while there is none.

    Raises:
      ChannelClosed: if closed before or while waiting.
    """
    with self._condition:
      self._wait_until(lambda: bool(self._items), 'is empty')
      item = self._items.popleft()
      self._condition.notify_all()
      return item

  def __len__(self) -> int:
    """Returns the number of items in the channel."""
    return len(self._items)
