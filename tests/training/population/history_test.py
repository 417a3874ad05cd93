"""The best of a history, its ancestry, its plot, and its file."""

import errno

from PIL import Image
import pytest

from spiral_jax.training.population import history as history_lib
from tests.training.population import toys


def test_the_best_is_that_of_the_last_slice():
  assert history_lib.best(toys.HISTORY) == toys.HISTORY[6]
  # Time ran out when two of three had ended it.
  assert history_lib.best(toys.HISTORY[:8]) == toys.HISTORY[4]
  with pytest.raises(ValueError, match='--perturb_minutes'):
    history_lib.best([])


def test_ancestry_follows_parents():
  path = history_lib.ancestry(toys.HISTORY, toys.HISTORY[6])
  assert [(p.slice, p.member) for p in path] == [(1, 0), (2, 2), (3, 0)]
  # Member 1 took no part in a round.
  late = toys.line(1, 5)
  assert history_lib.ancestry([*toys.HISTORY, late], late)[-2:] == [
      toys.HISTORY[7],
      late,
  ]


def test_the_plot_draws_every_member(tmp_path):
  history_lib.plot(toys.HISTORY, toys.HISTORY[6], tmp_path / 'plot.png')
  with Image.open(tmp_path / 'plot.png') as image:
    assert len(image.convert('RGB').getcolors(1 << 20)) > 10


def test_a_full_disk_is_waited_for(tmp_path, monkeypatch, caplog):
  failures = [OSError(errno.ENOSPC, 'No space left on device')] * 2
  write = history_lib.files.write_atomically

  def write_later(path, content):
    if failures:
      raise failures.pop()
    write(path, content)

  monkeypatch.setattr(history_lib, '_RETRY_SECONDS', 0.0)
  monkeypatch.setattr(history_lib.files, 'write_atomically', write_later)
  history_lib.save([toys.line(0, 1)], tmp_path / 'history.jsonl')
  assert history_lib.load(tmp_path / 'history.jsonl') == [toys.line(0, 1)]
  assert len(caplog.records) == 2 and 'history.jsonl' in caplog.text
  failures.append(PermissionError(errno.EACCES, 'no'))
  with pytest.raises(PermissionError):
    history_lib.save([], tmp_path / 'history.jsonl')
