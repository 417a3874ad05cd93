import threading
import time

import pytest

from spiral_jax.driver import channel as channel_lib
from spiral_jax.driver import params as params_lib


def test_readers_see_the_latest_as_often_as_they_like():
  store = params_lib.ParamsStore('params')
  assert store.version == -1
  for version in range(3):
    store.publish({'w': version * 10}, version)
  assert store.version == 2
  assert store.latest() == store.latest() == ({'w': 20}, 2)


def test_waits_for_the_first():
  store = params_lib.ParamsStore('params')
  got = []
  thread = threading.Thread(target=lambda: got.append(store.latest()))
  thread.start()
  time.sleep(0.05)
  assert not got
  store.publish('w', 0)
  thread.join(600)
  assert got == [('w', 0)]


def test_close_wakes_readers_and_lets_the_publisher_finish():
  store = params_lib.ParamsStore('params')
  raised = []

  def read():
    try:
      store.latest()
    except channel_lib.ChannelClosed as error:
      raised.append(error)

  thread = threading.Thread(target=read)
  thread.start()
  time.sleep(0.05)
  store.close()
  thread.join(600)
  assert raised and 'params' in str(raised[0])
  store.publish('w', 3)
  assert store.version == 3
  assert store.peek() == ('w', 3)
  with pytest.raises(channel_lib.ChannelClosed):
    store.latest()
