"""Kills the head of a cluster under a program that runs; run as a script.

The argument says what is killed: `gcs`, the process that rules the cluster, or
`all` that the head's machine runs of Ray. Prints the error that the program
ended with, if Ray leaves it the time to.
"""

import functools
import os
import pathlib
import signal
import socket
import sys

from spiral_jax.driver import checkpointer as checkpointer_lib
from spiral_jax.driver import program as program_lib
from tests.driver import ray_nodes
from tests.driver import toy


def kill_gcs(port):
  for path in pathlib.Path('/proc').glob('[0-9]*/cmdline'):
    try:
      command = path.read_bytes()
    except OSError:  # It has ended.
      continue
    if b'gcs_server' in command and str(port).encode() in command:
      os.kill(int(path.parent.name), signal.SIGKILL)


def main(what):
  with socket.create_server(('127.0.0.1', 0)) as server:
    port = server.getsockname()[1]
  head = ray_nodes.start(
      '--head', f'--port={port}', '--include-dashboard=false'
  )
  is_killed = False
  try:
    cluster = ray_nodes.connect(f'127.0.0.1:{port}')
    program, policy, _ = toy.build(
        None,
        num_actors=1,
        rollout=lambda i: cluster.rollout(
            f'actor {i}', functools.partial(toy.Rollout, i)
        ),
    )
    program.add(
        checkpointer_lib.Periodic('ray', cluster.check, every_seconds=1)
    )

    def kill_once():
      nonlocal is_killed
      if policy.version > 20 and not is_killed:
        is_killed = True
        if what == 'gcs':
          kill_gcs(port)
        else:
          ray_nodes.kill(head)
      return False

    try:
      program_lib.launch(program, stop_when=kill_once)
    except program_lib.NodeError as error:
      print(repr(error.__cause__), flush=True)
      cluster.close()
  finally:
    ray_nodes.kill(head)


if __name__ == '__main__':
  main(sys.argv[1])
