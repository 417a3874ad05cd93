import threading
import time

from hypothesis import given
from hypothesis import strategies as st
import pytest

from spiral_jax.driver import channel as channel_lib


def in_thread(function):
  """Starts `function`; returns (thread, list that gets what it raised)."""
  raised = []

  def call():
    try:
      function()
    except Exception as error:
      raised.append(error)

  thread = threading.Thread(target=call)
  thread.start()
  return thread, raised


@given(st.lists(st.one_of(st.integers(), st.none()), max_size=30))
def test_is_a_queue(operations):
  channel = channel_lib.Channel('c', 50)
  model = []
  for item in operations:
    if item is not None:
      channel.put(item)
      model.append(item)
    elif model:
      assert channel.get() == model.pop(0)
    assert len(channel) == len(model)


@pytest.mark.parametrize('end', ['put', 'get'])
def test_close_wakes_both_ends(end):
  channel = channel_lib.Channel('trajectories', 1)
  if end == 'put':
    channel.put(0)
    thread, raised = in_thread(lambda: channel.put(1))
  else:
    thread, raised = in_thread(channel.get)
  time.sleep(0.05)
  assert thread.is_alive()
  channel.close()
  thread.join(600)
  assert not thread.is_alive()
  assert isinstance(raised[0], channel_lib.ChannelClosed)
  assert 'trajectories' in str(raised[0])


def test_close_wakes_all_who_wait():
  channel = channel_lib.Channel('c', 1)
  waiting = [in_thread(channel.get) for _ in range(4)]
  time.sleep(0.05)
  channel.close()
  for thread, raised in waiting:
    thread.join(600)
    assert isinstance(raised[0], channel_lib.ChannelClosed)


def test_closed_channel_raises_at_once_though_it_holds_items():
  channel = channel_lib.Channel('c', 2)
  channel.put(1)
  channel.close()
  channel.close()
  with pytest.raises(channel_lib.ChannelClosed):
    channel.get()
  with pytest.raises(channel_lib.ChannelClosed):
    channel.put(2)


def test_full_channel_waits_for_room():
  channel = channel_lib.Channel('c', 1)
  channel.put(0)
  thread, raised = in_thread(lambda: channel.put(1))
  time.sleep(0.05)
  assert thread.is_alive() and len(channel) == 1
  assert channel.get() == 0
  thread.join(600)
  assert not raised and channel.get() == 1


def test_items_of_many_threads_arrive_once_and_in_their_order():
  channel = channel_lib.Channel('c', 3)

  def produce(i):
    for j in range(100):
      channel.put((i, j))

  threads = [in_thread(lambda i=i: produce(i))[0] for i in range(3)]
  got = [channel.get() for _ in range(300)]
  for thread in threads:
    thread.join(600)
  for i in range(3):
    assert [j for k, j in got if k == i] == list(range(100))


def test_in_lockstep_waiting_is_an_error():
  channel = channel_lib.Channel('trajectories', 1)
  channel.blocking = False
  with pytest.raises(channel_lib.WouldBlock, match="'trajectories' is empty"):
    channel.get()
  channel.put(0)
  with pytest.raises(channel_lib.WouldBlock, match="'trajectories' is full"):
    channel.put(1)


def test_capacity_is_checked():
  with pytest.raises(ValueError, match="'c' is 0; must be at least 1"):
    channel_lib.Channel('c', 0)
