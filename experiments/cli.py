"""What the scripts share at the command line: quiet logs, one-line errors."""

from collections.abc import Iterator
import contextlib
import sys

from absl import app
from absl import flags
from absl import logging

from spiral_jax.driver import program


def start(argv: list[str]) -> None:
  """Refuses what is no flag: mostly a flag whose dashes were forgotten.

  Of the libraries' logs, only warnings are shown unless --verbosity says more.
  """
  if len(argv) > 1:
    raise app.UsageError(
      f'{argv[1]!r} is not a flag; flags begin with --, as --seed=1'
    )
  if not flags.FLAGS['verbosity'].present:
    logging.set_verbosity(logging.WARNING)


@contextlib.contextmanager
def one_line_errors() -> Iterator[None]:
  """Ends the program with one line where the user can mend what is wrong.

  Errors of the user's making are ValueError and OSError; what a node raises
  while the program runs is a defect and keeps its traceback.
  """
  try:
    yield
  except program.NodeError:
    raise
  except (ValueError, OSError) as error:
    sys.exit(f'error: {" ".join(str(error).split())}')
