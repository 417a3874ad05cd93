"""A bounded queue between nodes that closes and wakes both ends."""

import collections
from typing import Generic, TypeVar

from spiral_jax.driver import resource

ChannelClosed = resource.ChannelClosed

T = TypeVar('T')


class Channel(resource.Resource, Generic[T]):
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
