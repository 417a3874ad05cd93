"""What `runtime.prepare` changes, seen from a process of its own."""

import os
import platform
import subprocess
import sys

import pytest

from tests import tiny

# Bytes objects of 64 MiB come from malloc; each page of a fresh one faults.
PROGRAM = """
import gc, resource, sys
import jax
from spiral_jax.training import runtime
if sys.argv[1] == 'prepare':
  runtime.prepare()
  assert jax.config.jax_compilation_cache_dir.endswith('spiral_jax/xla')
  assert gc.get_freeze_count() > 100_000  # What was imported.
bytearray(1 << 26)
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(10):
  block = bytes(b'x') * (1 << 26)
  del block
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def faults(argument):
  done = subprocess.run(
      [sys.executable, '-c', PROGRAM, argument],
      env={
          **os.environ,
          'PYTHONPATH': str(tiny.ROOT),
          'JAX_COMPILATION_CACHE_DIR': '',
          'GLIBC_TUNABLES': '',
          'JAX_PLATFORMS': 'cpu',
      },
      capture_output=True,
      text=True,
      check=True,
  )
  return int(done.stdout)


@pytest.mark.skipif(
    platform.libc_ver()[0] != 'glibc', reason='allocators differ'
)
def test_freed_memory_is_used_again():
  pages = (1 << 26) // os.sysconf('SC_PAGE_SIZE')
  assert faults('prepare') < 2 * pages
  # Otherwise there would be nothing to gain.
  assert faults('leave') > 4 * pages


# An accelerator's plugin, as one that is installed would be found.
PLUGIN = """
import importlib.metadata, sys
from spiral_jax.training import runtime
found = importlib.metadata.entry_points
importlib.metadata.entry_points = lambda group: (
  ['xla_cuda12'] if group == 'jax_plugins' else found(group=group)
)
kept = []
runtime._keep_freed_memory = lambda: kept.append(True)
runtime.prepare()
print(len(kept))
"""


@pytest.mark.parametrize('platforms, kept', [('', '0'), ('cpu', '1')])
def test_memory_is_not_kept_where_an_accelerator_computes(platforms, kept):
  done = subprocess.run(
      [sys.executable, '-c', PLUGIN],
      env={
          **os.environ,
          'PYTHONPATH': str(tiny.ROOT),
          'JAX_COMPILATION_CACHE_DIR': '',
          'JAX_PLATFORMS': platforms,
      },
      capture_output=True,
      text=True,
      check=True,
  )
  assert done.stdout.split() == [kept]
