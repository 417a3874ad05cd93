"""The command line of programs: grouped help, quiet logs, one-line errors."""

from collections.abc import Callable, Sequence
import contextlib
import io
import os
import signal
import sys
from typing import Any, NoReturn

from absl import app
from absl import flags
from absl import logging

from spiral_jax.driver import program
from spiral_jax.training import flags as flags_lib
from spiral_jax.training import runtime

# Exit codes that shells report for a program that a signal ended.
_SIGNALED = 128
INTERRUPTED = _SIGNALED + signal.SIGINT


def run(main: Callable[[Sequence[str]], object]) -> None:
  """Parses flags, runs a program's `main(argv)` and exits.

  What the user can mend (a flag, a file, a library) ends the program with one
  line on standard error, and so do Ctrl-C, SIGTERM and SIGHUP while it trains,
  with the exit code that shells report for them. A defect keeps its traceback.
  `--help` lists the program's flags in groups. Flag files may include others
  relative to themselves.

  Of the libraries' logs, only warnings are shown unless --verbosity says more.
  """
  app.run(lambda argv: _run(main, argv), flags_parser=_parse)


def _parse(argv: list[str]) -> list[str]:
  """Returns what is left of `argv`: the name of the program."""
  if any(a in ('--help', '-help', '-h', '--helpshort') for a in argv[1:]):
    print(_help())
    sys.exit(0)
  try:
    program_name, *rest = flags.FLAGS(flags_lib.expand_flag_files(argv))
  except (flags.Error, ValueError) as error:
    _fail(f'{error}; --help describes all flags')
  if rest:
    # Mostly a flag whose dashes were forgotten.
    _fail(f'{rest[0]!r} is not a flag; flags begin with --, as --seed=1')
  return [program_name]


def _help() -> str:
  """Returns the program's docstring and its flags, in groups."""
  values = flags.FLAGS
  by_group = values.flags_by_module_dict()
  own = sys.modules['__main__'].__file__ or ''
  groups = [name for name in (sys.argv[0], own, '__main__') if name in by_group]
  groups += [name for name in flags_lib.GROUPS if name in by_group]
  text = [(sys.modules['__main__'].__doc__ or '').strip()]
  for group in dict.fromkeys(groups):
    heading = group if group in flags_lib.GROUPS else 'this program'
    text.append(f'\n{heading}:')
    for flag in sorted(by_group[group], key=lambda flag: flag.name):
      name = f'--[no]{flag.name}' if flag.boolean else f'--{flag.name}'
      if choices := getattr(flag.parser, 'enum_values', None):
        name += f'=<{"|".join(choices)}>'
      # Absl puts the choices of an enumeration before its help.
      help_text = flag.help.partition('>: ')[2] if choices else flag.help
      if '(default: ' not in help_text and flag.default not in (None, ''):
        help_text += f' (default: {_as_text(flag.default)})'
      text.append(flags.text_wrap(f'{name}: {help_text}', 80, '      ', '  '))
  return '\n'.join(text)


def _as_text(value: Any) -> str:
  return ','.join(map(str, value)) if isinstance(value, list) else str(value)


def _run(main: Callable[[Sequence[str]], object], argv: Sequence[str]) -> None:
  if not flags.FLAGS['verbosity'].present:
    logging.set_verbosity(logging.WARNING)
  sys.unraisablehook = _report_unraisable
  _print_any_name()
  runtime.prepare()
  try:
    main(argv)
  except program.NodeError:
    raise  # A defect, whatever it was that the node raised.
  except (ValueError, OSError, ImportError) as error:
    _fail(str(error))
  except KeyboardInterrupt as error:
    signum = getattr(error, 'signum', signal.SIGINT)
    words = {signal.SIGINT: 'interrupted', signal.SIGTERM: 'terminated'}
    _say_last(words.get(signum, 'the terminal was closed'))
    sys.exit(_SIGNALED + signum)


def _print_any_name() -> None:
  """Lets names of files that are not text be printed, as the bytes they are."""
  for stream in (sys.stdout, sys.stderr):
    if isinstance(stream, io.TextIOWrapper):
      is_utf8 = stream.encoding.lower().replace('-', '') == 'utf8'
      stream.reconfigure(
          errors='surrogateescape' if is_utf8 else 'backslashreplace'
      )


def _say_last(message: str) -> None:
  """Prints a line on standard error; both outputs may be lost by now."""
  with contextlib.suppress(OSError):
    print(message, file=sys.stderr, flush=True)
  try:
    sys.stdout.flush()
  except OSError:
    # Python would try again at exit, and exit with another code.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


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
