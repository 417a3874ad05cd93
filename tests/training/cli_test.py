"""What scripts show of an error: a line, or a traceback for a defect."""

import subprocess
import sys

import pytest

_SCRIPT = """
import sys
from spiral_jax.training import cli

class Callback:
  def __init__(self, message):
    self.message = message
  def __del__(self):
    raise RuntimeError(self.message)

cli.run(lambda argv: {expression})
"""


@pytest.mark.parametrize(
    'expression, code, words',
    [
        ('open("nowhere.txt")', 1, ['error: ', 'nowhere.txt']),
        ('int("one\\ntwo")', 1, ['error: ', 'one']),
        ('sys.modules[3]', 1, ['Traceback', 'KeyError: 3']),
        ('Callback("lost")', 0, ['Traceback', 'RuntimeError: lost']),
        (
            'exec("from spiral_jax.driver import signals\\n'
            'raise signals.Interrupted(15)")',
            143,
            ['terminated'],
        ),
        (
            'exec("from spiral_jax.driver import signals\\n'
            'raise signals.Interrupted(1)")',
            129,
            ['the terminal was closed'],
        ),
        ('exec("raise KeyboardInterrupt")', 130, ['interrupted']),
        (r'print("a \udcff")', 0, []),
        # What orbax leaves of a damaged checkpoint, beside the error.
        ('Callback("Event loop is closed")', 0, []),
    ],
)
def test_what_scripts_show(tmp_path, expression, code, words):
  script = tmp_path / 'script.py'
  script.write_text(_SCRIPT.format(expression=expression))
  done = subprocess.run(
      [sys.executable, script],
      capture_output=True,
      text=True,
      errors='surrogateescape',
  )
  assert done.returncode == code, done.stderr
  for word in words:
    assert word in done.stderr
  if 'Traceback' not in words:
    assert len(done.stderr.splitlines()) == bool(words)
