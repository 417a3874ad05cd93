"""Rollouts in Ray's processes: what they play, and what happens if they die."""

import functools
import os
import pathlib
import signal
import socket
import time

import numpy as np
import pytest

from spiral_jax.driver import program as program_lib
from tests.driver import toy

pytest.importorskip('ray', reason='needs Ray: the extra [distributed]')

from spiral_jax.driver import ray_launcher

ROOT = pathlib.Path(__file__).resolve().parents[2]
PARAMS = {'w': np.float32([1.0, 2.0])}


class Rollout(toy.Rollout):
  """Says in a file which process it is in."""

  def __init__(self, seed, folder):
    super().__init__(seed)
    (folder / str(seed)).write_text(str(os.getpid()))


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


def test_a_program_goes_on_when_an_actor_is_killed(cluster, tmp_path):
  died = cluster.counts()['actors/died']
  program, policy, _ = toy.build(
    400,
    rollout=lambda i: cluster.rollout(
      f'actor {i}', functools.partial(Rollout, i, tmp_path)
    ),
  )

  def kill_once():
    if 20 < policy.version and (tmp_path / '0').exists() and not killed:
      kill(tmp_path, 0)
      killed.append(policy.version)
    return time.monotonic() > deadline

  killed = []
  deadline = time.monotonic() + 300
  program_lib.launch(program, stop_when=kill_once)
  assert policy.version == 400 and killed and killed[0] < 400
  assert cluster.counts()['actors/died'] == died + 1
  # It plays again: another process has said so.
  assert (tmp_path / '0').exists()


def test_parameters_are_stored_once_a_version(cluster):
  first = cluster.share(PARAMS, 7)
  assert cluster.share(PARAMS, 7) is first
  assert cluster.share(PARAMS, 8) is not first


def test_one_that_cannot_start_is_an_error(cluster):
  there = cluster.rollout('actor 5', functools.partial(os._exit, 1))
  with pytest.raises(RuntimeError, match='actor 5 died 5 times in a row'):
    there(PARAMS, 0)


def closed_port():
  with socket.create_server(('127.0.0.1', 0)) as server:
    return f'127.0.0.1:{server.getsockname()[1]}'


def test_a_head_that_is_lost_is_named(cluster, monkeypatch):
  cluster.check()
  address = closed_port()
  monkeypatch.setattr(cluster, '_head', address)
  with pytest.raises(ray_launcher.HeadLost, match=f'{address}.*--resume'):
    cluster.check()


@pytest.mark.parametrize('address_of', [lambda: 'nowhere', closed_port])
def test_without_a_head_there_is_one_error(address_of):
  address = address_of()  # Not when collecting: workers must collect the same.
  with pytest.raises(ValueError, match=f'--ray_address={address}.*ray start'):
    ray_launcher.Cluster(address, num_actors=1)
