import io
import threading

import jax.numpy as jnp
import rich.console

from spiral_jax.driver import progress as progress_lib


def progress(monkeypatch, *, terminal, **settings):
  """Returns (progress, output, clock to set)."""
  clock = [0.0]
  monkeypatch.setattr(progress_lib.time, 'monotonic', lambda: clock[0])
  output = io.StringIO()
  console = rich.console.Console(
      file=output, force_terminal=terminal, width=100, color_system=None
  )
  shown = progress_lib.Progress(
      'policy/frames', {'score': 'policy/score'}, console=console, **settings
  )
  return shown, output, clock


def test_progress_prints_plain_lines_where_there_is_no_terminal(monkeypatch):
  shown, output, clock = progress(
      monkeypatch, terminal=False, total_frames=10_000
  )
  for second in range(0, 35):
    clock[0] = float(second)
    shown.write(
        second,
        {
            'policy/frames': 100 * second,
            'other': 5,
            'policy/score': jnp.float32(0.25),
        },
    )
  lines = output.getvalue().splitlines()
  assert len(lines) == 3
  assert lines[-1] == '3,000 frames  100/s  score 0.25  1:10 left'
  for second in range(35, 200):  # Slower now: the rate is of the last minute.
    clock[0] = float(second)
    shown.write(second, {'policy/frames': 3400 + 50 * (second - 34)})
  assert '  50/s  ' in output.getvalue().splitlines()[-1]
  shown.close()
  assert output.getvalue().splitlines()[-1].startswith('11,650 frames  50/s')


def test_progress_shows_the_earlier_end(monkeypatch):
  shown, output, clock = progress(
      monkeypatch, terminal=False, total_frames=10**9, total_seconds=90.0
  )
  for second in (10, 20):
    clock[0] = float(second)
    shown.write(1, {'policy/frames': 100 * second})
  assert '1:10 left' in output.getvalue().splitlines()[-1]


def test_progress_counts_the_time_before_a_resumption(monkeypatch):
  shown, output, clock = progress(
      monkeypatch,
      terminal=False,
      total_seconds=90.0,
      elapsed=lambda: clock[0] + 50.0,
  )
  clock[0] = 15.0
  shown.write(1, {'policy/frames': 7})
  assert '0:25 left' in output.getvalue().splitlines()[-1]


def test_progress_redraws_on_a_terminal(monkeypatch):
  shown, output, clock = progress(
      monkeypatch, terminal=True, total_seconds=60.0
  )
  before = set(threading.enumerate())
  clock[0] = 1.0
  shown.write(1, {'policy/frames': 5})
  assert '5 frames' in output.getvalue()
  shown.close()
  assert set(threading.enumerate()) <= before
