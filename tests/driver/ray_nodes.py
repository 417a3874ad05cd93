"""Plays on a cluster of two machines, of which one is lost; run as a script.

Both are Ray nodes of one core on this machine. Prints a line of JSON: where two
actors played, before the second node was killed and after another came in its
place, and whether what they played is what they play here.
"""

import functools
import json
import os
import pathlib
import signal
import socket
import subprocess
import sys
import time

import numpy as np

from spiral_jax.driver import ray_token
from tests.driver import toy

ray_token.use_token()

import ray  # noqa: E402

from spiral_jax.driver import ray_launcher  # noqa: E402

PARAMS = {'w': np.float32([1.0, 2.0])}
ROUNDS = 4
SECONDS = 900.0


class Rollout(toy.Rollout):
  """Adds to a file on which node it is made."""

  def __init__(self, seed, folder):
    super().__init__(seed)
    with (folder / str(seed)).open('a') as file:
      file.write(ray.get_runtime_context().get_node_id() + '\n')


def start(*arguments):
  """Starts a node of one core."""
  return subprocess.Popen(
      [
          sys.executable,
          '-m',
          'ray.scripts.scripts',
          'start',
          '--num-cpus=1',
          '--block',
          *arguments,
      ],
      stdout=subprocess.DEVNULL,
  )


def kill(process):
  """Kills a node: the process and all that it started."""
  parents = {}
  for path in pathlib.Path('/proc').glob('[0-9]*/stat'):
    try:
      parents[int(path.parent.name)] = int(
          path.read_text().rpartition(')')[2].split()[1]
      )
    except OSError:  # It has ended.
      continue
  doomed = [process.pid]
  for pid in doomed:
    doomed += [child for child, parent in parents.items() if parent == pid]
  for pid in doomed:
    try:
      os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
      pass
  process.wait()


def wait_for_cores(count):
  deadline = time.monotonic() + SECONDS
  while ray.cluster_resources().get('CPU', 0) != count:
    assert time.monotonic() < deadline, ray.cluster_resources()
    time.sleep(0.2)


def connect(address):
  """Returns a cluster, once its head answers."""
  deadline = time.monotonic() + SECONDS
  while True:
    try:
      return ray_launcher.Cluster(address, num_actors=1)
    except ValueError:
      if time.monotonic() > deadline:
        raise
      time.sleep(0.5)


def play(here, there, version):
  """Returns whether all play the same."""
  return all(
      bool(np.array_equal(a(PARAMS, version).canvas, b(PARAMS, version).canvas))
      for a, b in zip(here, there)
  )


def main(folder):
  with socket.create_server(('127.0.0.1', 0)) as server:
    port = server.getsockname()[1]
  address = f'127.0.0.1:{port}'
  # However slow the machine: an actor that does not wait for its core may come
  # to a node that has one already.
  ray_launcher._PLACE_SECONDS = SECONDS
  nodes = [
      start('--head', f'--port={port}', '--include-dashboard=false'),
  ]
  try:
    cluster = connect(address)
    nodes.append(start(f'--address={address}'))
    wait_for_cores(2)
    here = [toy.Rollout(seed) for seed in range(2)]
    # An actor with a core of its own: so there is one on each node.
    there = [
        cluster.rollout(
            f'actor {seed}', functools.partial(Rollout, seed, folder)
        )
        for seed in range(2)
    ]
    same = [play(here, there, version) for version in range(ROUNDS)]
    kill(nodes.pop())
    wait_for_cores(1)
    nodes.append(start(f'--address={address}'))
    wait_for_cores(2)
    same += [play(here, there, ROUNDS + version) for version in range(ROUNDS)]
    played = [(folder / str(seed)).read_text().split() for seed in range(2)]
    print(json.dumps({'nodes': played, 'same': same, **cluster.counts()}))
    cluster.close()
  finally:
    for node in reversed(nodes):
      kill(node)


if __name__ == '__main__':
  main(pathlib.Path(sys.argv[1]))
