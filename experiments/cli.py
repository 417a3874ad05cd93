"""What the scripts share at the command line: errors in one line."""

from collections.abc import Iterator
import contextlib
import sys

from absl import app

from spiral_jax.driver import program


def check_no_arguments(argv: list[str]) -> None:
  """Refuses what is no flag: mostly a flag whose dashes were forgotten."""
  if len(argv) > 1:
    raise app.UsageError(
      f'{argv[1]!r} is not a flag; flags begin with --, as --seed=1'
    )


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
