"""Actors in processes of other machines, through Ray.

The program's graph stays what it is: its actor nodes are handed rollouts that
play elsewhere. Parameters and trajectories travel through Ray's object store,
each version of the parameters once to each machine. Import this only where it
is asked for: Ray is optional, and slow to load.

Whatever waits for Ray looks up every second: a head that is gone or a program
that stops must not be waited for.
"""

from collections.abc import Callable, Sequence
import logging
import math
import os
import socket
import subprocess
import sys
import threading
import time
from typing import Any
import warnings

import jax
import ray
from ray import exceptions

from spiral_jax.driver import channel as channel_lib
from spiral_jax.driver import nodes
from spiral_jax.driver import serialization

_CONNECT_SECONDS = 3.0
_CONNECTIONS = 3  # Tries, a second apart, before a head counts as lost.
_POLL_SECONDS = 1.0
_DEATHS = 5  # In a row, without a trajectory: no accident.
# Until a process must have found a core; then it may share others' cores, as
# after a machine is lost whose cores nobody replaces.
_PLACE_SECONDS = 60.0

# An actor is one core: XLA makes as many threads as NPROC says.
_ENVIRONMENT = {'JAX_PLATFORMS': 'cpu', 'NPROC': '1'}

# How the loss of a process, or of its machine with what it made, is told.
_LOSSES = (
    exceptions.RayActorError,
    exceptions.ObjectLostError,
    exceptions.OutOfMemoryError,
    exceptions.NodeDiedError,
    exceptions.WorkerCrashedError,
)

# Ray ends a process whose part of Ray on the same machine is gone, at once and
# without a word. One that looks on has it instead.
_WITNESS = """
import signal, sys
signal.signal(signal.SIGINT, signal.SIG_IGN)
if not sys.stdin.read():
  sys.exit('error: the process was ended from outside, or by Ray, as when the '
           'head or the machine is lost from the cluster; go on from the last '
           'checkpoint by --resume')
"""

_logger = logging.getLogger(__name__)


class HeadLost(ConnectionError):
  """The head of the cluster no longer answers."""


class ActorFailed(ChildProcessError):
  """An actor cannot start on its machine, which has no data, say."""


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
        'one by: ray start --head'
    ) from error


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
    cores = [
        node['Resources'].get('CPU', 0.0)
        for node in ray.nodes()
        if node['Alive']
    ]
    self._share_of_core = share_of_core(cores, num_actors)
    self._lock = threading.Lock()
    self._newest: tuple[int, Any] = (-1, None)
    self._started = self._died = 0
    self._lost: HeadLost | None = None
    self._witness = subprocess.Popen(
        [sys.executable, '-c', _WITNESS], stdin=subprocess.PIPE, text=True
    )

  def rollout(
      self, name: str, make: Callable[[], nodes.RolloutFn]
  ) -> 'RemoteRollout':
    """Returns a rollout that plays in a process of its own.

    Args:
      name: of its actor, for messages.
      make: makes the rollout, there; pickled.
    """
    return RemoteRollout(self, name, make)

  def start(self, *, shares: bool = False) -> Any:
    """Asks for a process; returns a handle to its `_Player`.

    Args:
      shares: take cores that others have, if need be.
    """
    return (
        ray.remote(_Player)
        .options(
            num_cpus=0 if shares else self._share_of_core,
            scheduling_strategy='SPREAD' if shares else 'DEFAULT',
            runtime_env={'env_vars': _ENVIRONMENT},
        )
        .remote()
    )

  def started(self) -> None:
    """Counts a process that is there."""
    with self._lock:
      self._started += 1

  def died(self) -> None:
    """Counts a process that was there and ended by itself."""
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
    self.raise_if_lost()
    for tries in range(1, _CONNECTIONS + 1):
      try:
        _check_answers(self._head)
        return
      except OSError as error:
        if tries == _CONNECTIONS:
          with self._lock:
            # Others may be told already: the same, once.
            self._lost = self._lost or HeadLost(
                f'the Ray head at {self._head} no longer answers ({error}); '
                'start it again and go on from the last checkpoint by --resume'
            )
          raise self._lost from error
      time.sleep(_POLL_SECONDS)

  def raise_if_lost(self) -> None:
    """Raises `HeadLost` if a check has; asks nobody."""
    if self._lost is not None:
      raise self._lost

  def close(self) -> None:
    """Ends all that was started."""
    self._witness.communicate('all is well')
    ray.shutdown()


class RemoteRollout:
  """Is a `nodes.RolloutFn` whose episodes are played in another process.

  One that dies is replaced, with what it knew after its last trajectory.
  """

  def __init__(
      self, cluster: Cluster, name: str, make: Callable[[], nodes.RolloutFn]
  ):
    self._cluster = cluster
    self._name = name
    self._make = make
    self._starting = threading.Lock()
    self._player: Any = None
    self._state: Any = None
    self._was_there = False
    self._closed = threading.Event()

  def __call__(self, params: Any, version: int) -> Any:
    """Returns a trajectory; whose arrays are read-only.

    Raises:
      RuntimeError: if one process after the other dies.
      ActorFailed: if one raises what its machine's owner can mend.
      ChannelClosed: if the program stops meanwhile.
      HeadLost: if the head no longer answers.
    """
    shared = self._cluster.share(params, version)
    trajectory, self._state = self._ask('play', shared, version)
    return trajectory

  def get_state(self) -> Any:
    """Returns the state after the last trajectory."""
    if self._state is not None:
      return self._state
    return self._ask('get_state', if_closed=True)

  def set_state(self, state: Any) -> None:
    """Sets what `get_state` returned; not while a trajectory is played."""
    self.set_plain_state(state)

  def set_plain_state(self, state: Any) -> None:
    """Sets plain state, without waiting for the process."""
    self._state = state
    if self._player is not None:
      self._player.set_state.remote(state)

  def close(self) -> None:
    """Ends the wait for a trajectory, if one is played."""
    self._closed.set()

  def _ask(self, method: str, *args: Any, if_closed: bool = False) -> Any:
    """Returns what the process returns, or that which replaces it."""
    for tries in range(1, _DEATHS + 1):
      player = None
      try:
        player = self._started(if_closed)
        return self._get(getattr(player, method).remote(*args), if_closed)
      except ActorFailed as error:
        # A machine that took one may be at fault for a while, or another is.
        if not self._was_there or tries == _DEATHS:
          raise
        _logger.warning('%s; another try follows', error)
        self._closed.wait(_POLL_SECONDS)
      except _LOSSES as error:
        _logger.warning(
            '%s died and is started again (%s)',
            self._name,
            str(error).splitlines()[0],
        )
        with self._starting:
          if player is not None and player is self._player:
            self._player = None
            self._cluster.died()
        self._cluster.check()
    raise RuntimeError(
        f"{self._name} died {_DEATHS} times in a row; see Ray's logs on its "
        'machine'
    )

  def _started(self, if_closed: bool) -> Any:
    """Returns the process, a new one once it is there."""
    with self._starting:
      if self._player is None:
        player = self._cluster.start()
        try:
          self._get(player.__ray_ready__.remote(), if_closed, _PLACE_SECONDS)
        except TimeoutError:
          _logger.warning(
              '%s found no core of its own in %.0f s and shares '
              'those of others',
              self._name,
              _PLACE_SECONDS,
          )
          player = self._cluster.start(shares=True)
        except exceptions.RayActorError:
          pass  # What is wrong is seen next.
        self._prepare(player, if_closed)
        self._player = player
        self._was_there = True
        self._cluster.started()
      return self._player

  def _prepare(self, player: Any, if_closed: bool) -> None:
    """Waits until a new process has all that it needs."""
    try:
      self._get(player.make.remote(self._make), if_closed)
      if self._state is not None:
        self._get(player.set_state.remote(self._state), if_closed)
    except exceptions.RayTaskError as error:
      if not isinstance(error.cause, (ImportError, OSError, ValueError)):
        raise  # A defect.
      why = str(error.cause)
    except exceptions.RayActorError as error:
      if not error.actor_init_failed:
        raise
      # A library is missing: there is nothing else that a `_Player` begins by.
      why = str(error).strip().splitlines()[-1]
    else:
      return
    if self._closed.is_set() and not if_closed:
      raise channel_lib.ChannelClosed(self._name)
    raise ActorFailed(f'{self._name} cannot start on its machine: {why}')

  def _get(
      self, reference: Any, if_closed: bool, seconds: float = math.inf
  ) -> Any:
    """Waits for a result, but for none that nobody wants or can make."""
    deadline = time.monotonic() + seconds
    while not ray.wait([reference], timeout=_POLL_SECONDS)[0]:
      if self._closed.is_set() and not if_closed:
        raise channel_lib.ChannelClosed(self._name)
      self._cluster.raise_if_lost()
      if time.monotonic() > deadline:
        raise TimeoutError
    return ray.get(reference)


class _Player:
  """Plays, in its own process."""

  def __init__(self) -> None:
    self._rollout: Any = None
    self._params: tuple[int, Any] = (-1, None)

  def make(self, make: Callable[[], nodes.RolloutFn]) -> None:
    """Makes the rollout; a place in the cluster is found before."""
    self._rollout = make()

  def play(self, params: Any, version: int) -> tuple[Any, Any]:
    """Returns a trajectory and the state after it."""
    if self._params[0] != version:
      self._params = (version, jax.device_put(params))
    return self._rollout(self._params[1], version), self.get_state()

  def get_state(self) -> Any:
    """Returns the rollout's state, plain."""
    if not isinstance(self._rollout, serialization.Stateful):
      return {}
    return serialization.to_plain(self._rollout.get_state())

  def set_state(self, state: Any) -> None:
    """Goes on from there."""
    if isinstance(self._rollout, serialization.Stateful):
      self._rollout.set_state(
          serialization.from_plain(self._rollout.get_state(), state)
      )


def share_of_core(cores: Sequence[float], num_actors: int) -> float:
  """Returns how much of a core each actor may take so that all find a place.

  Args:
    cores: of each machine, on one of which an actor's share must lie.
    num_actors: that there are going to be.

  Returns:
    At most 1, in Ray's units of 1e-4; 0 where machines offer no core.
  """
  # An actor's share grows until a machine holds one fewer.
  shares = {1.0, *(c / k for c in {*cores} for k in range(1, num_actors + 1))}
  fitting = [
      share
      for share in shares
      if 0 < share <= 1
      and sum(math.floor(c / share + 1e-9) for c in cores) >= num_actors
  ]
  return math.floor(max(fitting, default=0.0) * 1e4) / 1e4


def _check_answers(address: str) -> None:
  """Raises OSError if nothing listens at `host:port`."""
  host, _, port = address.rpartition(':')
  if not port.isdigit():
    raise OSError(f'{address!r} is no host:port')
  socket.create_connection((host, int(port)), _CONNECT_SECONDS).close()
