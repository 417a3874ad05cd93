"""Settings that all tests share."""

import gc
import os
import pathlib
import signal

from absl import app as app  # Its own flags, and those of logging, stay.
from absl import flags
from absl import logging as logging
import hypothesis
import pytest

# The figures that tests compare with were computed on a CPU. This comes before
# the first import of jax; JAX_PLATFORMS set by hand wins.
os.environ.setdefault('JAX_PLATFORMS', 'cpu')

# What is printed to a terminal that a test makes up depends on this.
os.environ['TERM'] = 'xterm'

# Whatever one test compiles, draws or trains once is there for all others: for
# workers of xdist, for processes that tests start, and for the next run. The
# user's cache is left alone.
_CACHE = pathlib.Path(__file__).resolve().parents[1] / '.pytest_cache'
os.environ['XDG_CACHE_HOME'] = str(_CACHE / 'xdg')
os.environ['JAX_COMPILATION_CACHE_DIR'] = str(_CACHE / 'xla')
os.environ['JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS'] = '0.1'

# Most of the tests' time is XLA's compiler's, most of it spent on optimizations
# that tiny programs do not need.
os.environ.setdefault(
    'XLA_FLAGS',
    '--xla_backend_optimization_level=0 '
    '--xla_llvm_disable_expensive_passes=true '
    '--xla_cpu_use_fusion_emitters=false '
    '--xla_cpu_parallel_codegen_split_count=1',
)

# The next most is tracing's, which would note for each operation the lines of
# Python that it comes from.
os.environ.setdefault('JAX_TRACEBACK_IN_LOCATIONS_LIMIT', '0')

# Ray's processes would wait until no other test wants a core.
os.environ.setdefault('RAY_worker_niceness', '0')

# Examples are the same in every run, and the first of them may have to wait
# for a compiler.
hypothesis.settings.register_profile(
    'tests', deadline=None, derandomize=True, print_blob=False
)
hypothesis.settings.load_profile('tests')


def pytest_collection_modifyitems(items):
  """Puts files with slow tests first, so that no worker ends with one."""
  slow = {item.path for item in items if item.get_closest_marker('slow')}
  items.sort(key=lambda item: item.path not in slow)


def pytest_collection_finish():
  """Keeps the garbage collector from what the tests' imports left."""
  gc.collect()
  gc.freeze()
  gc.set_threshold(20_000, 20, 20)


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report():
  """Forgets the flags of programs that a test module imports.

  Programs define flags of the same names, and run in processes of their own.
  """
  known = set(flags.FLAGS)
  report = yield
  for name in set(flags.FLAGS) - known:
    delattr(flags.FLAGS, name)
  return report


@pytest.fixture(scope='session')
def data_folder() -> pathlib.Path:
  """Returns the folder that SPIRAL_JAX_DATA names, or skips the test.

  It may hold the official archives in `mnist/`, `omniglot/` and `faces/`.
  """
  folder = os.environ.get('SPIRAL_JAX_DATA')
  if not folder:
    pytest.skip('needs SPIRAL_JAX_DATA, a folder with the official archives')
  return pathlib.Path(folder)


@pytest.fixture
def usual_handlers():
  """Gives a test the handlers of signals that Python starts with."""
  ending = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
  before = {signum: signal.getsignal(signum) for signum in ending}
  signal.signal(signal.SIGINT, signal.default_int_handler)
  signal.signal(signal.SIGTERM, signal.SIG_DFL)
  signal.signal(signal.SIGHUP, signal.SIG_DFL)
  yield
  for signum, handler in before.items():
    signal.signal(signum, handler)
