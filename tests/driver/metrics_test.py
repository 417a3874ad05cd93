import json
import os
import pathlib
import subprocess
import sys
import threading
import time

import jax.numpy as jnp
import numpy as np

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
  deadline = time.monotonic() + 600  # tensorboardX doesn't join its queue's.
  while set(threading.enumerate()) - before and time.monotonic() < deadline:
    time.sleep(0.01)
  assert set(threading.enumerate()) <= before


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
