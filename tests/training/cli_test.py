"""What scripts show of an error: a line, or a traceback for a defect."""

import json
import os
import subprocess
import sys

import pytest

# Loading the library takes longest: one process loads it, then a copy of it is
# each of the scripts.
_SCRIPTS = """
import json, os, sys
from spiral_jax.driver import signals
from spiral_jax.training import cli

class Callback:
  def __init__(self, message):
    self.message = message
  def __del__(self):
    raise RuntimeError(self.message)

def stop(error):
  raise error

expressions, sys.argv[1:] = sys.argv[1:], []
for number, expression in enumerate(expressions):
  child = os.fork()
  if not child:
    with open(f'{number}.txt', 'w') as file:
      os.dup2(file.fileno(), sys.stderr.fileno())
    cli.run(lambda argv: eval(expression))
  code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
  print(json.dumps([expression, code]), flush=True)
"""

_SHOWN = [
    ('open("nowhere.txt")', 1, ['error: ', 'nowhere.txt']),
    ('int("one\\ntwo")', 1, ['error: ', 'one']),
    ('sys.modules[3]', 1, ['Traceback', 'KeyError: 3']),
    ('Callback("lost")', 0, ['Traceback', 'RuntimeError: lost']),
    ('stop(signals.Interrupted(15))', 143, ['terminated']),
    ('stop(signals.Interrupted(1))', 129, ['the terminal was closed']),
    ('stop(KeyboardInterrupt())', 130, ['interrupted']),
    (r'print("a \udcff", file=sys.stdout)', 0, []),
    # What orbax leaves of a damaged checkpoint, beside the error.
    ('Callback("Event loop is closed")', 0, []),
]


@pytest.fixture(scope='module')
def shown(tmp_path_factory):
  """Returns (exit code, standard error) of a script by its expression."""
  folder = tmp_path_factory.mktemp('scripts')
  done = subprocess.run(
      [sys.executable, '-c', _SCRIPTS, *(case[0] for case in _SHOWN)],
      cwd=folder,
      env={**os.environ, 'PYTHONPATH': os.pathsep.join(sys.path)},
      capture_output=True,
      text=True,
      errors='surrogateescape',
      check=True,
  )
  lines = [line for line in done.stdout.splitlines() if line.startswith('[')]
  return {
      expression: (code, (folder / f'{number}.txt').read_text())
      for number, (expression, code) in enumerate(map(json.loads, lines))
  }


@pytest.mark.parametrize('expression, code, words', _SHOWN)
def test_what_scripts_show(shown, expression, code, words):
  found, errors = shown[expression]
  assert found == code, errors
  for word in words:
    assert word in errors
  if 'Traceback' not in words:
    assert len(errors.splitlines()) == bool(words)
