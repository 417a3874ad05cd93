"""Rollouts in Ray's processes: what they play, and what happens if they die."""

import functools
import importlib
import os
import pathlib
import signal
import socket
import sys
import threading
import time

import numpy as np
import pytest

from spiral_jax.driver import channel as channel_lib
from spiral_jax.driver import nodes
from spiral_jax.driver import program as program_lib
from spiral_jax.driver import serialization
from tests.driver import toy

pytest.importorskip('ray', reason='needs Ray: the extra [distributed]')

import ray
from ray import exceptions

from spiral_jax.driver import ray_launcher
from spiral_jax.driver import signals

ROOT = pathlib.Path(__file__).resolve().parents[2]
PARAMS = {'w': np.float32([1.0, 2.0])}


class Rollout(toy.Rollout):
  """Says in a file which process it is in."""

  def __init__(self, seed, folder):
    super().__init__(seed)
    (folder / str(seed)).write_text(str(os.getpid()))


class Choosy(Rollout):
  """Cannot be where a certain file is, which is mended by its first try."""

  def __init__(self, seed, folder, lacks):
    if lacks.exists():
      lacks.unlink()
      raise FileNotFoundError('no images')
    super().__init__(seed, folder)


class Endless(toy.Rollout):
  """Never ends a trajectory."""

  def __init__(self):
    super().__init__(0)

  def __call__(self, params, version):
    while True:
      time.sleep(1)


@pytest.fixture(scope='module')
def cluster():
  with pytest.MonkeyPatch.context() as patch:
    patch.setenv('PYTHONPATH', str(ROOT))  # Workers import the tests.
    cluster = ray_launcher.Cluster('', num_actors=2)
    yield cluster
    cluster.close()


def kill(folder, seed):
  path = folder / str(seed)
  pid = int(path.read_text())
  assert pid != os.getpid()
  path.unlink()  # Its successor writes another.
  os.kill(pid, signal.SIGKILL)


def test_a_head_that_refuses_is_told_from_one_that_is_not_there(monkeypatch):
  def refuse(**kwargs):
    raise ConnectionError('Failed to connect')

  monkeypatch.setattr(ray, 'init', refuse)
  with socket.create_server(('127.0.0.1', 0)) as head:
    address = f'127.0.0.1:{head.getsockname()[1]}'
    with pytest.raises(ValueError, match='answers but.*RAY_AUTH_TOKEN'):
      ray_launcher.connect(address)
  with pytest.raises(ValueError, match=f'no Ray head answers.*{address}'):
    ray_launcher.connect(address)


@pytest.mark.parametrize('is_sent', [False, True])
def test_signals_are_left_to_the_program(monkeypatch, is_sent):
  before = signal.getsignal(signal.SIGTERM)

  def init(**kwargs):  # As Ray does.
    signal.signal(signal.SIGTERM, lambda signum, frame: sys.exit(signum))
    if is_sent:
      signal.raise_signal(signal.SIGTERM)

  monkeypatch.setattr(ray, 'init', init)
  if is_sent:
    with pytest.raises(signals.Interrupted) as error:
      ray_launcher.connect('')
    assert error.value.signum == signal.SIGTERM
  else:
    ray_launcher.connect('')
  assert signal.getsignal(signal.SIGTERM) is before


def test_one_that_dies_is_replaced_where_it_was(cluster, tmp_path):
  here = toy.Rollout(3)
  there = cluster.rollout('actor 3', functools.partial(Rollout, 3, tmp_path))
  died = cluster.counts()['actors/died']
  for version in range(4):
    if version in (1, 3):
      kill(tmp_path, 3)
    got, expected = there(PARAMS, version), here(PARAMS, version)
    assert isinstance(got, toy.Trajectory)
    np.testing.assert_array_equal(got.canvas, expected.canvas)
    assert got.params_version == version
  assert cluster.counts()['actors/died'] == died + 2
  state = there.get_state()['rng']
  np.testing.assert_array_equal(state, here.get_state()['rng'])


def test_one_that_goes_on_is_not_started_for_it(cluster):
  here = toy.Rollout(6)
  here(PARAMS, 0)
  there = cluster.rollout('actor 6', functools.partial(toy.Rollout, 6))
  actor = nodes.Actor('actor 6', rollout=there, params=None, trajectories=None)
  actor.set_state({'rollout': serialization.to_plain(here.get_state())})
  assert there._player is None
  np.testing.assert_array_equal(there(PARAMS, 1).canvas, here(PARAMS, 1).canvas)


def test_a_program_goes_on_when_an_actor_is_killed(cluster, tmp_path):
  died = cluster.counts()['actors/died']
  program, policy, _ = toy.build(
      None,
      rollout=lambda i: cluster.rollout(
          f'actor {i}', functools.partial(Rollout, i, tmp_path)
      ),
  )
  path = tmp_path / '0'
  killed = []

  def is_over():
    if 20 < policy.version and path.exists() and not killed:
      kill(tmp_path, 0)
      killed.append(policy.version)
    # It plays again when another process has said so.
    goes_on = killed and path.exists() and policy.version > killed[0] + 20
    return bool(goes_on) or time.monotonic() > deadline

  deadline = time.monotonic() + 1200
  program_lib.launch(program, stop_when=is_over)
  assert killed and path.exists() and policy.version > killed[0] + 20
  assert cluster.counts()['actors/died'] == died + 1


def test_a_trajectory_that_is_lost_is_played_again(
    cluster, tmp_path, monkeypatch
):
  here = toy.Rollout(4)
  there = cluster.rollout('actor 4', functools.partial(Rollout, 4, tmp_path))
  there(PARAMS, 0), here(PARAMS, 0)
  get, lost = there._get, []

  def lose_one(*args):
    result = get(*args)
    if isinstance(result, tuple) and not lost:
      lost.append(result)
      raise exceptions.ObjectLostError('00', '', '')
    return result

  monkeypatch.setattr(there, '_get', lose_one)
  got, expected = there(PARAMS, 1), here(PARAMS, 1)
  assert lost
  np.testing.assert_array_equal(got.canvas, expected.canvas)


def test_one_without_a_core_shares_those_of_others(
    cluster, tmp_path, monkeypatch
):
  monkeypatch.setattr(ray_launcher, '_PLACE_SECONDS', 2.0)
  monkeypatch.setattr(
      cluster, '_share_of_core', float(ray.cluster_resources()['CPU'])
  )
  alive = cluster.counts()['actors/alive']
  rollouts = [
      cluster.rollout(f'actor {i}', functools.partial(Rollout, i, tmp_path))
      for i in (6, 7)
  ]
  for there in rollouts:
    assert there(PARAMS, 0).params_version == 0
  assert cluster.counts()['actors/alive'] == alive + 2


def test_a_program_that_stops_waits_for_no_trajectory(cluster):
  there = cluster.rollout('actor 8', Endless)
  timer = threading.Timer(1.0, there.close)
  timer.start()
  with pytest.raises(channel_lib.ChannelClosed, match='actor 8'):
    there(PARAMS, 0)
  timer.join()


@pytest.mark.parametrize(
    'cores, num_actors, expected',
    [
        ([2.0], 2, 1.0),
        ([2.0], 3, 0.6666),
        ([32.0, 2.0], 3, 1.0),
        ([2.0, 2.0], 5, 0.6666),
        ([2.0, 3.0], 6, 0.75),
        ([1.0], 4, 0.25),
        ([0.0, 1.0], 1, 1.0),
        ([], 2, 0.0),
    ],
)
def test_all_actors_find_a_place(cores, num_actors, expected):
  share = ray_launcher.share_of_core(cores, num_actors)
  assert share == pytest.approx(expected)
  if share:
    assert sum(int(c / share + 1e-3) for c in cores) >= num_actors


def test_parameters_are_stored_once_a_version(cluster):
  first = cluster.share(PARAMS, 7)
  assert cluster.share(PARAMS, 7) is first
  assert cluster.share(PARAMS, 8) is not first


def fail(error):
  raise error


def test_what_a_machine_lacks_is_told_at_once(cluster):
  error = FileNotFoundError('no images in /data')
  there = cluster.rollout('actor 7', functools.partial(fail, error))
  with pytest.raises(
      ray_launcher.ActorFailed, match='actor 7 .* machine: no images in /data'
  ):
    there(PARAMS, 0)
  there = cluster.rollout('actor 8', functools.partial(fail, KeyError('x')))
  with pytest.raises(KeyError):
    there(PARAMS, 0)


def test_what_is_not_installed_there_is_told(cluster, tmp_path, monkeypatch):
  (tmp_path / 'only_here.py').write_text(
      'class Player:\n  def make(self, make):\n    pass\n'
  )
  monkeypatch.syspath_prepend(tmp_path)
  player = importlib.import_module('only_here').Player
  monkeypatch.setattr(ray_launcher, '_Player', player)
  there = cluster.rollout('actor 9', functools.partial(toy.Rollout, 9))
  with pytest.raises(
      ray_launcher.ActorFailed, match="actor 9 .* No module named 'only_here'"
  ):
    there(PARAMS, 0)


def test_one_whose_successor_lacks_something_tries_again(cluster, tmp_path):
  lacks = tmp_path / 'lacks'
  there = cluster.rollout(
      'actor 3', functools.partial(Choosy, 3, tmp_path, lacks)
  )
  here = toy.Rollout(3)
  there(PARAMS, 0), here(PARAMS, 0)
  lacks.touch()
  kill(tmp_path, 3)
  got, expected = there(PARAMS, 1), here(PARAMS, 1)
  assert not lacks.exists()
  np.testing.assert_array_equal(got.canvas, expected.canvas)


def test_one_that_cannot_start_is_an_error(cluster, monkeypatch):
  monkeypatch.setattr(ray_launcher, '_DEATHS', 2)
  there = cluster.rollout('actor 5', functools.partial(os._exit, 1))
  with pytest.raises(RuntimeError, match='actor 5 died 2 times in a row'):
    there(PARAMS, 0)


def closed_port():
  with socket.create_server(('127.0.0.1', 0)) as server:
    return f'127.0.0.1:{server.getsockname()[1]}'


def test_a_head_that_is_lost_is_named(cluster, monkeypatch):
  cluster.check()
  address = closed_port()
  monkeypatch.setattr(cluster, '_head', address)
  with pytest.raises(ray_launcher.HeadLost, match=f'{address}.*checkpoint'):
    cluster.check()


@pytest.mark.parametrize('address_of', [lambda: 'nowhere', closed_port])
def test_without_a_head_there_is_one_error(address_of):
  address = address_of()  # Not when collecting: workers must collect the same.
  with pytest.raises(ValueError, match=f'address={address}.*ray start'):
    ray_launcher.Cluster(address, num_actors=1)
