"""Lock on the folder of a run, which two programs at once would destroy."""

import errno
import logging
import os
import pathlib
from typing import Any

try:
  import fcntl
except ImportError:  # Windows has none.
  fcntl = None  # type: ignore[assignment]

# Where the file system knows no locks, as on some clusters.
_NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP)

_logger = logging.getLogger(__name__)


class RunLock:
  """Holds a folder until it is closed, or its process dies in any way.

  The lock is the operating system's, on a file `.lock` that stays behind.
  """

  def __init__(self, run_dir: pathlib.Path):
    """Takes the folder, but not the lock yet."""
    self._run_dir = run_dir
    self._file: Any = None

  def acquire(self) -> None:
    """Locks the folder, which is created if missing; twice is harmless.

    Raises:
      ValueError: if another program holds it; names its process.
    """
    if self._file is not None:
      return
    self._run_dir.mkdir(parents=True, exist_ok=True)
    file = (self._run_dir / '.lock').open('a+')
    try:
      _lock(file)
    except OSError as error:
      file.seek(0)
      holder = file.read().strip() or 'unknown'
      file.close()
      if error.errno in _NO_LOCKS:
        _logger.warning(
            '%s cannot be locked (%s); take care not to train in it twice',
            self._run_dir,
            error.strerror,
        )
        return
      raise ValueError(
          f'{self._run_dir} is in use by another program (process {holder}); '
          'wait for its end, stop it, or name another folder by --run_dir'
      ) from None
    file.truncate(0)
    file.write(f'{os.getpid()} on {os.uname().nodename}\n')
    file.flush()
    self._file = file

  def close(self) -> None:
    """Gives the folder back."""
    if self._file is not None:
      self._file.close()
      self._file = None


def _lock(file: Any) -> None:
  """Locks an open file, or raises OSError at once."""
  if fcntl is not None:
    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
