"""What the scripts share at the command line: quiet logs, one-line errors."""

from collections.abc import Callable
import sys
from typing import Any, NoReturn

from absl import app
from absl import flags
from absl import logging

from spiral_jax.driver import program

# What shells report of a program that Ctrl-C ended: 128 + SIGINT.
INTERRUPTED = 130


def run(main: Callable[[], object]) -> None:
  """Parses flags, runs a script's `main` and exits.

  What the user can mend (a flag, a file, a library) ends the program with one
  line on standard error, and so does Ctrl-C.  A defect keeps its traceback.

  Of the libraries' logs, only warnings are shown unless --verbosity says more.
  """
  app.run(lambda argv: _run(main), flags_parser=_parse)


def _parse(argv: list[str]) -> list[str]:
  """Returns what is left of `argv`: the name of the script."""
  try:
    script, *rest = flags.FLAGS(argv)
  except flags.Error as error:
    _fail(f'{error}; --helpfull describes all flags')
  if rest:
    # Mostly a flag whose dashes were forgotten.
    _fail(f'{rest[0]!r} is not a flag; flags begin with --, as --seed=1')
  return [script]


def _run(main: Callable[[], object]) -> None:
  if not flags.FLAGS['verbosity'].present:
    logging.set_verbosity(logging.WARNING)
  sys.unraisablehook = _report_unraisable
  try:
    main()
  except program.NodeError:
    raise  # A defect, whatever it was that the node raised.
  except (ValueError, OSError, ImportError) as error:
    _fail(str(error))
  except KeyboardInterrupt:
    print('interrupted', file=sys.stderr)
    sys.exit(INTERRUPTED)


def _report_unraisable(unraisable: Any) -> None:
  """Reports an error in a callback, but not those of a damaged checkpoint.

  Orbax closes its event loop at the first file that it cannot read; callbacks
  of the others, dozens, come after the error that names the checkpoint.
  """
  error = unraisable.exc_value
  if not (
      isinstance(error, RuntimeError) and str(error) == 'Event loop is closed'
  ):
    sys.__unraisablehook__(unraisable)


def _fail(message: str) -> NoReturn:
  sys.exit(f'error: {" ".join(message.split())}')
