"""What the terminal shows of text from outside, and what if it is lost."""

import io
import os
import re

import pytest
import rich.table

from spiral_jax import console
from spiral_jax.driver import progress
from tests import tiny

NAMES = ['runs/[old]', '[red]x[/red]', 'a [/b] c', ':car:', 'a\\[b', '[link=x]']


@pytest.mark.parametrize('name', NAMES)
def test_text_is_text(capsys, name):
  console.say(f'checkpoints in {name}')
  table = rich.table.Table('file', title=name)
  table.add_row(name)
  console.Console(width=80).print(table)
  said, *rows = capsys.readouterr().out.splitlines()
  assert said == f'checkpoints in {name}'
  assert sum(name in row for row in rows) == 2


def test_long_lines_are_not_broken(capsys):
  console.say('x ' * 500)
  assert len(capsys.readouterr().out.splitlines()) == 1


class Lost(io.StringIO):
  """A terminal that was closed, or a pipe that nobody reads."""

  def __init__(self, error):
    super().__init__()
    self.error = error

  def write(self, text):
    raise self.error

  flush = write

  def fileno(self):
    raise io.UnsupportedOperation


LOSSES = [BrokenPipeError(32, 'Broken pipe'), OSError(5, 'Input/output error')]


@pytest.mark.parametrize('error', LOSSES)
def test_a_lost_terminal_is_no_error(monkeypatch, error):
  monkeypatch.setattr('sys.stdout', Lost(error))
  console.say('hello')
  lost = console.Console()
  lost.print('hello')
  lost.print('once more')


@pytest.mark.parametrize('is_terminal', [False, True])
@pytest.mark.parametrize('error', LOSSES)
def test_progress_falls_silent_when_its_terminal_is_lost(error, is_terminal):
  shown = progress.Progress(
      'frames',
      {},
      total_frames=10,
      plain_every_seconds=1e-9,
      console=console.Console(file=Lost(error), force_terminal=is_terminal),
  )
  for step in range(3):
    shown.write(step, {'frames': step})
  shown.close()


def test_all_programs_print_through_it():
  made = []
  for folder in ('spiral_jax', 'experiments', 'environments'):
    for path in (tiny.ROOT / folder).rglob('*.py'):
      if re.search(r'\brich\.(console\.Console\(|print)', path.read_text()):
        made.append(os.path.relpath(path, tiny.ROOT))
  assert made == []
