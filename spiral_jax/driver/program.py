"""Programs of named nodes, and their execution in threads or in lockstep.

This is the only module that starts threads.
"""

from collections.abc import Callable
import enum
import logging
import threading
from typing import Any, Protocol, TypeVar

from spiral_jax.driver import channel as channel_lib
from spiral_jax.driver import params as params_lib
from spiral_jax.driver import replay as replay_lib
from spiral_jax.driver import serialization
from spiral_jax.driver import signals
from spiral_jax.driver import state_lock as state_lock_lib

_POLL_SECONDS = 0.1
_PATIENCE_SECONDS = 5.0

_logger = logging.getLogger(__name__)


class StopProgram(Exception):
  """Raised by a node when there is no more work, after a whole step."""


class NodeError(RuntimeError):
  """Failure of a node, named in the message; `__cause__` is its exception."""

  def __init__(self, name: str, cause: BaseException):
    super().__init__(f'node {name!r} failed: {type(cause).__name__}: {cause}')
    self.name = name


class Stopped(enum.Enum):
  """Reason for which a program ended without an error."""

  FINISHED = 'finished'  # A node raised StopProgram, or stop_when was true.
  INTERRUPTED = 'interrupted'  # Ctrl-C, SIGTERM or SIGHUP.


class Node(Protocol):
  """Named worker.

  A node may have a method `close()`, called once when the program stops, which
  must wake a waiting step; and an attribute `is_done`, with which a program
  that is resumed at its end takes no step. A node that is
  `serialization.Stateful` is part of checkpoints, and has an attribute
  `state_lock` if other threads may change its state: `Program.add` sets it to
  the program's lock, under which it does so.
  """

  name: str

  def step(self) -> None:
    """Does one unit of work; may wait for resources or raise `StopProgram`."""


N = TypeVar('N', bound=Node)
R = TypeVar('R', bound=channel_lib.Resource)


class Program:
  """Nodes, in the order in which lockstep runs them, and shared resources.

  A program can be launched only once: stopping closes its resources for good.
  """

  def __init__(self) -> None:
    self.nodes: dict[str, Node] = {}
    self.steps_per_round: dict[str, int] = {}
    self.resources: dict[str, channel_lib.Resource] = {}
    self.state_lock = state_lock_lib.StateLock()
    self.launched = False

  def add(self, node: N, *, steps_per_round: int = 1) -> N:
    """Adds and returns `node`.

    Args:
      node: node to run in its own thread or, in lockstep, after those added
        before it.
      steps_per_round: number of its steps in a round of lockstep; threads
        ignore it.

    Raises:
      ValueError: if the name is taken, or `steps_per_round` is below 1.
    """
    self._check_name(node.name)
    if steps_per_round < 1:
      raise ValueError(
          f'steps_per_round of node {node.name!r} is '
          f'{steps_per_round}; must be at least 1'
      )
    self.nodes[node.name] = node
    self.steps_per_round[node.name] = steps_per_round
    if hasattr(node, 'state_lock'):
      node.state_lock = self.state_lock
    return node

  def own(self, resource: R) -> R:
    """Registers and returns `resource`; the program closes it when it stops."""
    self._check_name(resource.name)
    self.resources[resource.name] = resource
    return resource

  def channel(self, name: str, capacity: int) -> channel_lib.Channel[Any]:
    """Creates and registers a `Channel`."""
    return self.own(channel_lib.Channel(name, capacity))

  def params(self, name: str) -> params_lib.ParamsStore:
    """Creates and registers a `ParamsStore`."""
    return self.own(params_lib.ParamsStore(name))

  def replay(
      self, capacity: int, batch_size: int, **settings: Any
  ) -> replay_lib.Replay:
    """Creates and registers a `Replay`; `settings` go to its constructor."""
    return self.own(replay_lib.Replay(capacity, batch_size, **settings))

  def stateful(self) -> dict[str, serialization.Stateful]:
    """Returns the nodes and resources that have state, by name."""
    parts: dict[str, Any] = {**self.resources, **self.nodes}
    return {
        name: part
        for name, part in parts.items()
        if isinstance(part, serialization.Stateful)
    }

  def _check_name(self, name: str) -> None:
    if name in self.nodes or name in self.resources:
      raise ValueError(
          f'name {name!r} is taken in this program; '
          'nodes and resources need names of their own'
      )


def launch(
    program: Program,
    *,
    stop_when: Callable[[], bool] | threading.Event | None = None,
    lockstep: bool = False,
    on_round: Callable[[int], None] | None = None,
    on_stop: Callable[[Stopped], None] | None = None,
) -> Stopped:
  """Runs `program` until a node is done, `stop_when`, a signal or an error.

  With threads, each node runs in its own. In lockstep the calling thread runs
  all nodes in rounds: each node `steps_per_round` times, in the order added.
  The same program from the same state then gives the same results bit for bit.
  Channels must be empty after each round, so that the states of the nodes are
  complete.

  The signals are Ctrl-C, SIGTERM and SIGHUP. None interrupts a step: each node
  finishes its current one (in lockstep, all finish the round), and further
  signals are ignored meanwhile. `signals.held` tells a caller which it was.
  However the program ends, its resources are closed and its threads joined
  before this returns.

  Args:
    program: program that was not launched before.
    stop_when: event, or function called several times a second or, in lockstep,
      after each round.
    lockstep: whether to run without threads.
    on_round: called in lockstep after each round, with the number of rounds.
    on_stop: called at the end unless there was an error, with threads joined
      and signals still held back; the place for a last checkpoint.

  Returns:
    The reason for which the program ended.

  Raises:
    NodeError: if a node raised an exception; reports the first one.
    RuntimeError: if the program was launched before.
  """
  if program.launched:
    raise RuntimeError(
        'program was launched before and its channels are '
        'closed; build another'
    )
  program.launched = True
  if isinstance(stop_when, threading.Event):
    stop_when = stop_when.is_set

  def should_stop() -> bool:
    done = any(getattr(n, 'is_done', False) for n in program.nodes.values())
    return done or (stop_when is not None and bool(stop_when()))

  for part in (*program.resources.values(), *program.nodes.values()):
    if hasattr(part, 'blocking'):
      part.blocking = not lockstep
  with signals.held() as received:
    if lockstep:
      stopped = _run_lockstep(program, should_stop, received, on_round)
    else:
      stopped = _Threads(program).run(should_stop, received)
    if on_stop is not None:
      on_stop(stopped)
  return stopped


def _run_lockstep(
    program: Program,
    should_stop: Callable[[], bool],
    received: list[int],
    on_round: Callable[[int], None] | None,
) -> Stopped:
  """Runs rounds in the calling thread; `received` are signals so far."""
  rounds = 0
  try:
    while True:
      if received:
        return Stopped.INTERRUPTED
      if should_stop():
        return Stopped.FINISHED
      done = False
      # A round is always completed, so that a run resumed from its end misses
      # nothing.
      for name, node in program.nodes.items():
        for _ in range(program.steps_per_round[name]):
          try:
            node.step()
          except StopProgram:
            done = True
            break
          except Exception as error:
            raise NodeError(name, error) from error
      rounds += 1
      if on_round is not None:
        on_round(rounds)
      if done:
        return Stopped.FINISHED
      _check_empty(program)
  finally:
    _close(program)


def _check_empty(program: Program) -> None:
  for name, resource in program.resources.items():
    if isinstance(resource, channel_lib.Channel) and len(resource):
      raise ValueError(
          f'channel {name!r} holds {len(resource)} items after a '
          'round of lockstep; match its ends by steps_per_round'
      )


def _close(program: Program) -> None:
  for part in (*program.resources.values(), *program.nodes.values()):
    if hasattr(part, 'close'):
      part.close()


class _Threads:
  """Single run of a program, with one thread per node."""

  def __init__(self, program: Program):
    self._program = program
    self._stopping = threading.Event()
    self._lock = threading.Lock()
    self._error: NodeError | None = None
    self._is_interrupted = False

  def run(
      self, should_stop: Callable[[], bool], received: list[int]
  ) -> Stopped:
    """Starts the threads, waits for the end and joins the threads.

    Args:
      should_stop: as `stop_when` of `launch`.
      received: signals so far, which end the program.
    """
    threads = [
        threading.Thread(target=self._run_node, args=(node,), name=name)
        for name, node in self._program.nodes.items()
    ]
    stopped = Stopped.FINISHED
    try:
      if should_stop():
        return stopped
      for thread in threads:
        thread.start()
      # Bounded waits: an unbounded one would never see signals.
      while not self._stopping.wait(_POLL_SECONDS):
        if received:
          _logger.warning('interrupted: ending the steps under way')
          stopped = Stopped.INTERRUPTED
          self._is_interrupted = True
          break
        if should_stop():
          break
    finally:
      self._stop()
      _join([thread for thread in threads if thread.ident is not None])
    if self._error is not None:
      raise self._error from self._error.__cause__
    return stopped

  def _run_node(self, node: Node) -> None:
    try:
      while not self._stopping.is_set():
        node.step()
    except StopProgram:
      pass
    except channel_lib.ChannelClosed as error:
      # Only the stop closes resources, unless a node does so by mistake.
      if not self._stopping.is_set():
        self._fail(node, error)
    except BaseException as error:  # pylint: disable=broad-except
      self._fail(node, error)
    finally:
      self._stop()

  def _fail(self, node: Node, error: BaseException) -> None:
    """Keeps the first error; later ones are often consequences of it.

    So are those after a signal: a scheduler sends it to all processes at once,
    those that actors wait for included.
    """
    with self._lock:
      if self._is_interrupted:
        _logger.warning('node %r failed while stopping: %r', node.name, error)
      elif self._error is None:
        self._error = NodeError(node.name, error)
        self._error.__cause__ = error
      elif error is not self._error.__cause__:
        _logger.warning('node %r failed too: %r', node.name, error)

  def _stop(self) -> None:
    self._stopping.set()
    _close(self._program)


def _join(threads: list[threading.Thread]) -> None:
  for thread in threads:
    thread.join(_PATIENCE_SECONDS)
    if thread.is_alive():
      _logger.warning('waiting for node %r to end its step', thread.name)
      thread.join()
