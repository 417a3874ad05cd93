import errno
import json
import os
import pathlib
import subprocess
import sys
import threading

import jax.numpy as jnp
import numpy as np
import pytest

from spiral_jax.driver import metrics


def read(path):
  return [json.loads(line) for line in path.read_text().splitlines()]


def test_json_lines(tmp_path):
  path = tmp_path / 'new' / 'metrics.jsonl'
  writer = metrics.JsonLines(path)
  writer.write(
      3,
      {
          'loss': jnp.float32(0.5),
          'frames': 7,
          'lag': np.int32(2),
          'bad': np.nan,
      },
  )
  (record,) = read(path)  # Flushed already.
  assert record.pop('seconds') >= 0
  assert record == dict(step=3, loss=0.5, frames=7, lag=2, bad=None)
  assert isinstance(record['lag'], int)
  writer.close()
  writer = metrics.JsonLines(path)
  writer.write(4, {'loss': 1})
  writer.close()
  assert [record['step'] for record in read(path)] == [3, 4]


def test_json_lines_go_on_where_the_checkpoint_was(tmp_path):
  path = tmp_path / 'metrics.jsonl'
  writer = metrics.JsonLines(path)
  writer.write(1, {'x': 1})
  state = writer.get_state()
  writer.write(2, {'x': 2})
  writer.close()
  with open(path, 'ab') as file:
    file.write(b'{"step": 3, "x"')  # Killed while it wrote.
  writer = metrics.JsonLines(path)
  writer.set_state({**state, 'seconds': 1000.0})
  writer.write(2, {'x': 20})
  writer.close()
  assert [(r['step'], r['x']) for r in read(path)] == [(1, 1), (2, 20)]
  assert 1000 <= read(path)[1]['seconds'] < 2000


def test_json_lines_of_a_run_moved_elsewhere(tmp_path):
  writer = metrics.JsonLines(tmp_path / 'metrics.jsonl')
  writer.set_state(dict(length=500, seconds=1.0))
  writer.write(9, {'x': 1})
  writer.close()
  assert len(read(tmp_path / 'metrics.jsonl')) == 1


def test_json_lines_are_whole_when_threads_write(tmp_path):
  path = tmp_path / 'metrics.jsonl'
  writer = metrics.JsonLines(path)

  def write(name):
    for step in range(200):
      writer.write(step, {name: step})

  threads = [threading.Thread(target=write, args=(n,)) for n in 'abc']
  for thread in threads:
    thread.start()
  for thread in threads:
    thread.join()
  writer.close()
  records = read(path)
  for name in 'abc':
    assert [r[name] for r in records if name in r] == list(range(200))


def test_tensorboard_leaves_an_event_file_and_no_thread(tmp_path):
  before = set(threading.enumerate())
  writer = metrics.TensorBoard(tmp_path)
  writer.write(1, {'policy/loss': jnp.float32(0.5)})
  writer.close()
  (file,) = tmp_path.glob('events.out.tfevents.*')
  assert b'policy/loss' in file.read_bytes()
  assert set(threading.enumerate()) <= before


class Full:
  """File on a disk that has room for some bytes more, then for none."""

  def __init__(self, file, room):
    self.file = file
    self.room = room

  def write(self, content):
    if not self.room:
      raise OSError(errno.ENOSPC, 'No space left on device')
    written = self.file.write(content[: self.room])
    self.room -= written
    return written

  def __getattr__(self, name):
    return getattr(self.file, name)


@pytest.mark.parametrize('room', [0, 7, 70])
def test_lines_wait_for_room_on_a_full_disk(tmp_path, caplog, room):
  path = tmp_path / 'metrics.jsonl'
  writer = metrics.JsonLines(path)
  writer.write(0, {'x': 0})
  length = path.stat().st_size
  file, writer._file = writer._file, Full(writer._file, room)
  for step in (1, 2, 3):
    writer.write(step, {'x': step})
  # Half a line is no place to resume from.
  saved = writer.get_state()['length']
  assert path.read_bytes()[:saved].endswith(b'}\n')
  assert saved == length if room < 70 else saved > length
  warnings = [record.getMessage() for record in caplog.records]
  assert len(warnings) == 1 and 'metrics.jsonl' in warnings[0]
  writer._file = file
  writer.write(4, {'x': 4})
  writer.close()
  assert [record['step'] for record in read(path)] == [0, 1, 2, 3, 4]


def test_the_last_lines_are_written_when_there_is_room(tmp_path):
  path = tmp_path / 'metrics.jsonl'
  writer = metrics.JsonLines(path)
  file, writer._file = writer._file, Full(writer._file, 3)
  writer.write(1, {'x': 1})
  writer._file = file
  writer.close()
  assert [record['step'] for record in read(path)] == [1]


def test_tensorboard_continues_after_a_full_disk(tmp_path, caplog):
  writer = metrics.TensorBoard(tmp_path)
  writer.write(1, {'early': 1.0})

  class Lost:

    def write_event(self, event):
      raise OSError(errno.ENOSPC, 'No space left on device')

  writer._file = Lost()
  writer.write(2, {'lost': 1.0})
  with pytest.MonkeyPatch.context() as patch:
    patch.setattr(writer, '_open', Lost)
    writer.write(3, {'lost': 1.0})
  writer.write(4, {'late': 1.0})
  writer.close()
  texts = [path.read_bytes() for path in tmp_path.iterdir()]
  assert [b'early' in text for text in texts].count(True) == 1
  assert [b'late' in text for text in texts].count(True) == 1
  assert not any(b'early' in text and b'late' in text for text in texts)
  assert len(caplog.records) == 1


def test_tensorboard_leaves_pytorch_to_those_who_need_it(tmp_path):
  (tmp_path / 'torch.py').write_text('print("torch is imported")')
  code = (
      'from spiral_jax.driver import metrics\n'
      f'metrics.TensorBoard({str(tmp_path)!r}).close()\n'
      'print("written")\n'
      'import torch\n'
  )
  root = pathlib.Path(__file__).parents[2]
  path = os.pathsep.join([str(tmp_path), str(root)])
  output = subprocess.run(
      [sys.executable, '-c', code],
      env={**os.environ, 'PYTHONPATH': path},
      capture_output=True,
      text=True,
      check=True,
  ).stdout
  assert output == 'written\ntorch is imported\n'


def test_fanout_reads_arrays_once():
  class Memory:

    def __init__(self):
      self.calls, self.closed = [], False

    def write(self, step, values):
      self.calls.append((step, values))

    def close(self):
      self.closed = True

  one, two = Memory(), Memory()
  fanout = metrics.Fanout(one, two)
  fanout.write(1, {'x': jnp.float32(2)})
  fanout.close()
  assert one.calls == two.calls == [(1, {'x': 2.0})]
  assert type(one.calls[0][1]['x']) is float
  assert one.closed and two.closed
