"""Actors in processes of other machines, through Ray.

The program's graph stays what it is: its actor nodes are handed rollouts that
play elsewhere. Parameters and trajectories travel through Ray's object store,
each version of the parameters once to each machine. Import this only where it
is asked for: Ray is optional, and slow to load.
"""

from collections.abc import Callable
import logging
import os
import socket
import threading
from typing import Any
import warnings

import jax
import ray
from ray import exceptions

from spiral_jax.driver import nodes
from spiral_jax.driver import state as state_lib

_CONNECT_SECONDS = 3.0
_DEATHS = 5  # In a row, without a trajectory: no accident.

_logger = logging.getLogger(__name__)


class HeadLost(ConnectionError):
  """The head of the cluster no longer answers."""


def connect(address: str) -> None:
  """Connects this process to Ray.

  Args:
    address: of the head, as `ray start` prints it; empty, this machine alone.

  Raises:
    ValueError: if no head answers there.
  """
  # Ray would tell its makers of its use.
  os.environ.setdefault('RAY_USAGE_STATS_ENABLED', '0')
  quiet: dict[str, Any] = dict(log_to_driver=False, logging_level='ERROR')
  try:
    if address:
      _check_answers(address)
      ray.init(address=address, **quiet)
    else:
      with warnings.catch_warnings():
        # JAX warns of forks; Ray's become other programs at once.
        warnings.filterwarnings('ignore', 'os.fork', RuntimeWarning)
        ray.init(address='local', include_dashboard=False, **quiet)
  except (ConnectionError, OSError, RuntimeError, ValueError) as error:
    raise ValueError(
        f'no Ray head answers at --ray_address={address} ({error}); start '
        'one by: ray start --head') from error


class Cluster:
  """A connection to Ray, and the processes that were started through it."""

  def __init__(self, address: str, num_actors: int):
    """Connects.

    Args:
      address: of the head, as `ray start` prints it; empty, this machine alone.
      num_actors: that are going to share the machines' cores.

    Raises:
      ValueError: if no head answers there.
    """
    connect(address)
    self._head = ray.get_runtime_context().gcs_address
    cores = ray.cluster_resources().get('CPU', 1.0)
    self._options = dict(
        num_cpus=min(1.0, cores / num_actors),
        runtime_env={'env_vars': {'JAX_PLATFORMS': 'cpu'}})
    self._lock = threading.Lock()
    self._newest: tuple[int, Any] = (-1, None)
    self._started = self._died = 0

  def rollout(self, name: str, make: Callable[[], nodes.Rollout]
              ) -> 'RemoteRollout':
    """Returns a rollout that plays in a process of its own.

    Args:
      name: of its actor, for messages.
      make: makes the rollout, there; pickled.
    """
    return RemoteRollout(self, name, make)

  def start(self, make: Callable[[], nodes.Rollout]) -> Any:
    """Starts a process; returns a handle to its `_Player`."""
    with self._lock:
      self._started += 1
    return ray.remote(_Player).options(**self._options).remote(make)

  def died(self) -> None:
    """Counts a process that ended by itself."""
    with self._lock:
      self._died += 1

  def counts(self) -> dict[str, int]:
    """Returns how many processes live, and how many died so far."""
    with self._lock:
      return {
          'actors/alive': self._started - self._died,
          'actors/died': self._died,
      }

  def share(self, params: Any, version: int) -> Any:
    """Returns a reference to parameters, stored once a version."""
    with self._lock:
      if self._newest[0] != version:
        self._newest = (version, ray.put(jax.device_get(params)))
      return self._newest[1]

  def check(self) -> None:
    """Raises `HeadLost` if the head no longer answers.

    Ray itself waits for a minute, then ends the process without a word.
    """
    try:
      _check_answers(self._head)
    except OSError as error:
      raise HeadLost(
          f'the Ray head at {self._head} no longer answers ({error}); start it '
          'again and go on from the last checkpoint by --resume') from error

  def close(self) -> None:
    """Ends all that was started."""
    ray.shutdown()


class RemoteRollout:
  """Is a `nodes.Rollout` whose episodes are played in another process.

  One that dies is replaced, with what it knew after its last trajectory.
  """

  def __init__(self, cluster: Cluster, name: str,
               make: Callable[[], nodes.Rollout]):
    self._cluster = cluster
    self._name = name
    self._make = make
    self._player: Any = None
    self._state: Any = None

  def __call__(self, params: Any, version: int) -> Any:
    """Returns a trajectory; whose arrays are read-only.

    Raises:
      RuntimeError: if one process after the other dies.
    """
    shared = self._cluster.share(params, version)
    for _ in range(_DEATHS):
      if self._player is None:
        self._player = self._cluster.start(self._make)
        if self._state is not None:
          self._player.set_state.remote(self._state)
      try:
        trajectory, self._state = ray.get(
            self._player.play.remote(shared, version))
        return trajectory
      except exceptions.RayActorError as error:
        _logger.warning('%s died and is started again (%s)', self._name,
                        str(error).splitlines()[0])
        self._player = None
        self._cluster.died()
        self._cluster.check()
    raise RuntimeError(
        f"{self._name} died {_DEATHS} times in a row; see Ray's logs on its "
        'machine')

  def get_state(self) -> Any:
    """Returns the state after the last trajectory."""
    if self._state is None:
      if self._player is None:
        self._player = self._cluster.start(self._make)
      self._state = ray.get(self._player.get_state.remote())
    return self._state

  def set_state(self, state: Any) -> None:
    """Sets what `get_state` returned."""
    self._state = state
    if self._player is not None:
      self._player.set_state.remote(state)


class _Player:
  """Plays, in its own process."""

  def __init__(self, make: Callable[[], nodes.Rollout]):
    self._rollout = make()
    self._params: tuple[int, Any] = (-1, None)

  def play(self, params: Any, version: int) -> tuple[Any, Any]:
    """Returns a trajectory and the state after it."""
    if self._params[0] != version:
      self._params = (version, jax.device_put(params))
    return self._rollout(self._params[1], version), self.get_state()

  def get_state(self) -> Any:
    """Returns the rollout's state, plain."""
    if not isinstance(self._rollout, state_lib.Stateful):
      return {}
    return state_lib.to_plain(self._rollout.get_state())

  def set_state(self, state: Any) -> None:
    """Goes on from there."""
    if isinstance(self._rollout, state_lib.Stateful):
      self._rollout.set_state(
          state_lib.from_plain(self._rollout.get_state(), state))


def _check_answers(address: str) -> None:
  """Raises OSError if nothing listens at `host:port`."""
  host, _, port = address.rpartition(':')
  if not port.isdigit():
    raise OSError(f'{address!r} is no host:port')
  socket.create_connection((host, int(port)), _CONNECT_SECONDS).close()
