"""Signals that end a run, held back until it can stop at a whole step."""

from collections.abc import Iterator
from contextlib import contextmanager
import signal
import threading

# Ctrl-C; what schedulers and containers send; a closed terminal.
_ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Interrupted(KeyboardInterrupt):
  """Raised after a signal has ended a run and all is saved.

  Attributes:
    signum: the signal, of which Ctrl-C is `signal.SIGINT`.
  """

  def __init__(self, signum: int = signal.SIGINT):
    super().__init__(signal.Signals(signum).name)
    self.signum = signum


class _Holder:
  """Handler that keeps signals in a list.

  One that sets a `threading.Event` can deadlock with the `wait` that it
  interrupts.
  """

  def __init__(self) -> None:
    self.received: list[int] = []

  def __call__(self, signum: int, frame: object) -> None:
    del frame
    self.received.append(signum)


def _raise(signum: int, frame: object) -> None:
  del frame
  raise Interrupted(signum)


@contextmanager
def held() -> Iterator[list[int]]:
  """Holds signals back; yields the list of those received so far.

  Within another `held` it yields the same list. Only the main thread may set
  handlers; on other threads signals are left alone, and the list stays empty.
  """
  outer = signal.getsignal(signal.SIGINT)
  if isinstance(outer, _Holder):
    in_main = threading.current_thread() is threading.main_thread()
    yield outer.received if in_main else []
    return
  holder = _Holder()
  with _handled_by(holder):
    yield holder.received


@contextmanager
def raised() -> Iterator[None]:
  """Lets SIGTERM and SIGHUP raise `Interrupted`, as Ctrl-C raises its base."""
  with _handled_by(_raise):
    yield


@contextmanager
def _handled_by(handler: object) -> Iterator[None]:
  """Sets the handler of the signals that a program doesn't ignore."""
  before = {}
  if threading.current_thread() is threading.main_thread():
    for signum in _ENDING:
      old = signal.getsignal(signum)
      # Whoever starts a program by nohup wants it to survive its terminal. None
      # is a handler that is not Python's.
      if signum == signal.SIGINT or old not in (signal.SIG_IGN, None):
        before[signum] = signal.signal(signum, handler)  # type: ignore
  try:
    yield
  finally:
    for signum, old in before.items():
      signal.signal(signum, old)
