"""Actors in processes on other machines, through Ray.

The program's graph does not change: its actor nodes receive rollouts that play
in other processes. Parameters and trajectories travel through Ray's object
store, each version of the parameters once per machine. Import this module only
when it is needed, after `ray_token.use_token()`: Ray is optional and slow to
import.

All waits for Ray poll every second, so that they end when the head is lost or
the program stops.
"""

from collections.abc import Callable, Iterator, Sequence
import contextlib
import logging
import math
import os
import signal
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
from spiral_jax.driver import signals

_CONNECT_SECONDS = 3.0
_CONNECTIONS = 3  # Attempts, a second apart, before a head counts as lost.
_POLL_SECONDS = 1.0
_DEATHS = 5  # Deaths in a row, without a trajectory, that end the program.
# Time for a process to find a free core. Then it may share cores with others,
# for example after a machine is lost and not replaced.
_PLACE_SECONDS = 60.0

# An actor uses one core: NPROC is XLA's number of threads.
_ENVIRONMENT = {'JAX_PLATFORMS': 'cpu', 'NPROC': '1'}

# Exceptions that report the loss of a process, its machine or its results.
_LOSSES = (
    exceptions.RayActorError,
    exceptions.ObjectLostError,
    exceptions.OutOfMemoryError,
    exceptions.NodeDiedError,
    exceptions.WorkerCrashedError,
)

# Ray kills a process silently when Ray's daemon on its machine is gone. This
# child process outlives it and prints the error.
_WITNESS = """
import signal, sys
for signum in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
  signal.signal(signum, signal.SIG_IGN)
if not sys.stdin.read():
  sys.exit('error: the process was ended from outside, or by Ray, as when the '
           'head or the machine is lost from the cluster; resume from the last '
           'checkpoint')
"""

_logger = logging.getLogger(__name__)


class HeadLost(ConnectionError):
  """Raised when the head of the cluster no longer answers."""


class ActorFailed(ChildProcessError):
  """Raised when an actor cannot start on its machine, for lack of data, say."""


def connect(address: str) -> None:
  """Connects this process to Ray.

  Args:
    address: address of the head, as `ray start` prints it; empty starts Ray on
      this machine alone.

  Raises:
    ValueError: if no head answers at the address, or does not let this process
      in.
    signals.Interrupted: at SIGTERM.
  """
  # Ray would report usage statistics.
  os.environ.setdefault('RAY_USAGE_STATS_ENABLED', '0')
  quiet: dict[str, Any] = dict(log_to_driver=False, logging_level='ERROR')
  answers = False
  try:
    if address:
      _check_answers(address)
      answers = True
    else:
      quiet |= dict(include_dashboard=False)
    with _own_handler(), warnings.catch_warnings():
      # JAX warns of forks, but Ray's execute another program at once.
      warnings.filterwarnings('ignore', 'os.fork', RuntimeWarning)
      ray.init(address=address or 'local', **quiet)
  except (
      ConnectionError,
      OSError,
      RuntimeError,
      ValueError,
      exceptions.RayError,
  ) as error:
    if answers:
      raise ValueError(
          f'the head at address={address} answers but refuses this process '
          f'({error}); both need the same Ray, {ray.__version__} here, '
          'and the same token: copy ~/.ray/auth_token from the head, or set '
          'RAY_AUTH_TOKEN'
      ) from error
    raise ValueError(
        f'no Ray head answers at address={address} ({error}); start '
        'one by: ray start --head'
    ) from error


@contextlib.contextmanager
def _own_handler() -> Iterator[None]:
  """Lets SIGTERM raise `signals.Interrupted`; then puts its handler back.

  Ray would exit, here and ever after, with a code of its own.
  """
  handler = signal.getsignal(signal.SIGTERM)
  try:
    yield
  except SystemExit as end:
    if end.code != signal.SIGTERM:
      raise
    raise signals.Interrupted(signal.SIGTERM) from end
  finally:
    in_main = threading.current_thread() is threading.main_thread()
    if in_main and handler is not None:  # None is one that C has set.
      signal.signal(signal.SIGTERM, handler)


class Cluster:
  """Connection to Ray, and the processes that were started through it."""

  def __init__(self, address: str, num_actors: int):
    """Connects to Ray.

    Args:
      address: address of the head, as `ray start` prints it; empty starts Ray
        on this machine alone.
      num_actors: number of actors that will share the machines' cores.

    Raises:
      ValueError: as `connect` does.
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
    """Returns a rollout that plays in its own process.

    Args:
      name: name of its actor, for messages.
      make: function that makes the rollout in that process; pickled.
    """
    return RemoteRollout(self, name, make)

  def start(self, *, shares: bool = False) -> Any:
    """Requests a process; returns a handle to its `_Player`.

    Args:
      shares: whether it may share cores with other processes.
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
    """Counts a process that has started."""
    with self._lock:
      self._started += 1

  def died(self) -> None:
    """Counts a started process that died."""
    with self._lock:
      self._died += 1

  def counts(self) -> dict[str, int]:
    """Returns the numbers of processes alive and of those that died so far."""
    with self._lock:
      return {
          'actors/alive': self._started - self._died,
          'actors/died': self._died,
      }

  def share(self, params: Any, version: int) -> Any:
    """Returns a reference to parameters; stores each version once."""
    with self._lock:
      if self._newest[0] != version:
        self._newest = (version, ray.put(jax.device_get(params)))
      return self._newest[1]

  def check(self) -> None:
    """Raises `HeadLost` if the head no longer answers.

    Ray itself waits for a minute and then kills the process silently.
    """
    self.raise_if_lost()
    for tries in range(1, _CONNECTIONS + 1):
      try:
        _check_answers(self._head)
        return
      except OSError as error:
        if tries == _CONNECTIONS:
          with self._lock:
            # Other threads may have raised it already: keep the first.
            self._lost = self._lost or HeadLost(
                f'the Ray head at {self._head} no longer answers ({error}); '
                'start it again and resume from the last checkpoint'
            )
          raise self._lost from error
      time.sleep(_POLL_SECONDS)

  def raise_if_lost(self) -> None:
    """Raises `HeadLost` if an earlier check did; does not check again."""
    if self._lost is not None:
      raise self._lost

  def close(self) -> None:
    """Ends all processes and the connection."""
    self._witness.communicate('all is well')
    ray.shutdown()


class RemoteRollout:
  """Plays episodes in another process; implements `nodes.RolloutFn`.

  A process that dies is replaced, in the state after its last trajectory.
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
    """Returns a trajectory of read-only arrays.

    Raises:
      RuntimeError: if several processes die in a row.
      ActorFailed: if the process cannot start for a reason that the user can
        fix on its machine.
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
    """Restores the result of `get_state`; not while a trajectory is played."""
    self.set_plain_state(state)

  def set_plain_state(self, state: Any) -> None:
    """Restores plain state, without waiting for the process."""
    self._state = state
    if self._player is not None:
      self._player.set_state.remote(state)

  def close(self) -> None:
    """Ends the wait for a trajectory, if there is one."""
    self._closed.set()

  def _ask(self, method: str, *args: Any, if_closed: bool = False) -> Any:
    """Returns a method's result from the process or from its replacement."""
    for tries in range(1, _DEATHS + 1):
      player = None
      try:
        player = self._started(if_closed)
        return self._get(getattr(player, method).remote(*args), if_closed)
      except ActorFailed as error:
        # Earlier it did start: the fault may pass, or be another machine's.
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
    """Returns the process; starts one first if there is none."""
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
          pass  # `_prepare` finds the cause.
        self._prepare(player, if_closed)
        self._player = player
        self._was_there = True
        self._cluster.started()
      return self._player

  def _prepare(self, player: Any, if_closed: bool) -> None:
    """Waits until a new process has its rollout and its state."""
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
      # A library is missing: nothing else happens before a `_Player` exists.
      why = str(error).strip().splitlines()[-1]
    else:
      return
    if self._closed.is_set() and not if_closed:
      raise channel_lib.ChannelClosed(self._name)
    raise ActorFailed(f'{self._name} cannot start on its machine: {why}')

  def _get(
      self, reference: Any, if_closed: bool, seconds: float = math.inf
  ) -> Any:
    """Waits for a result, unless the program stops or the head is lost."""
    deadline = time.monotonic() + seconds
    while not ray.wait([reference], timeout=_POLL_SECONDS)[0]:
      if self._closed.is_set() and not if_closed:
        raise channel_lib.ChannelClosed(self._name)
      self._cluster.raise_if_lost()
      if time.monotonic() > deadline:
        raise TimeoutError
    return ray.get(reference)


class _Player:
  """Plays a rollout in its own process."""

  def __init__(self) -> None:
    self._rollout: Any = None
    self._params: tuple[int, Any] = (-1, None)

  def make(self, make: Callable[[], nodes.RolloutFn]) -> None:
    """Makes the rollout, once the process has its place in the cluster."""
    self._rollout = make()

  def play(self, params: Any, version: int) -> tuple[Any, Any]:
    """Returns a trajectory and the state after it."""
    if self._params[0] != version:
      self._params = (version, jax.device_put(params))
    return self._rollout(self._params[1], version), self.get_state()

  def get_state(self) -> Any:
    """Returns the rollout's state as plain state."""
    if not isinstance(self._rollout, serialization.Stateful):
      return {}
    return serialization.to_plain(self._rollout.get_state())

  def set_state(self, state: Any) -> None:
    """Restores the rollout's state from plain state."""
    if isinstance(self._rollout, serialization.Stateful):
      self._rollout.set_state(
          serialization.from_plain(self._rollout.get_state(), state)
      )


def share_of_core(cores: Sequence[float], num_actors: int) -> float:
  """Returns the largest share of a core per actor with which all find a place.

  Args:
    cores: number of cores of each machine; an actor must fit on one machine.
    num_actors: number of actors to place.

  Returns:
    At most 1, rounded down to 1e-4, Ray's unit; 0 if machines offer no cores.
  """
  # At the largest share, some machine is exactly full.
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
