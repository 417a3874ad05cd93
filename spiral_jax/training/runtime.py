"""Settings of the whole process that make training faster."""

import ctypes
import functools
import gc
import importlib.metadata
import importlib.util

import jax

from spiral_jax import files

# Parameters of glibc's mallopt, from malloc.h.
_M_TRIM_THRESHOLD = -1
_M_TOP_PAD = -2
_M_MMAP_THRESHOLD = -3
_M_ARENA_MAX = -8
_MIB = 1 << 20


def prepare() -> None:
  """Caches compilations, spares the collector and, on a CPU, keeps memory.

  To be called before JAX first computes, and after what is imported. A
  compilation cache that is set already (JAX_COMPILATION_CACHE_DIR) stays.
  """
  if not jax.config.jax_compilation_cache_dir:  # type: ignore[attr-defined]
    jax.config.update('jax_compilation_cache_dir', str(files.directory('xla')))
    jax.config.update('jax_persistent_cache_min_compile_time_secs', 0.5)
  if not _has_accelerator():
    _keep_freed_memory()
  _spare_collector()


def _has_accelerator() -> bool:
  """Returns True if JAX has a plugin for an accelerator, and may use it.

  It is not asked for its devices: then it would start threads, and allocate.
  On a machine that has the plugin alone, JAX_PLATFORMS=cpu tells.
  """
  if jax.config.jax_platforms == 'cpu':  # type: ignore[attr-defined]
    return False
  plugins = importlib.metadata.entry_points(group='jax_plugins')
  return bool(plugins) or importlib.util.find_spec('libtpu') is not None


def _keep_freed_memory() -> None:
  """Tells glibc to reuse large blocks instead of handing them back.

  XLA's CPU backend allocates its temporary arrays anew in every call.  By
  default each of them is mapped, zeroed page by page and unmapped again. With
  these settings all threads share one heap, for whose lock the many that
  compile for an accelerator would wait. Elsewhere than on glibc this does
  nothing.
  """
  try:
    mallopt = ctypes.CDLL(None).mallopt
  except (AttributeError, OSError, TypeError):
    return
  mallopt(_M_ARENA_MAX, 1)
  # Some versions of glibc refuse more than 32 MiB.
  _ = mallopt(_M_MMAP_THRESHOLD, 1024 * _MIB) or mallopt(
      _M_MMAP_THRESHOLD, 32 * _MIB
  )
  mallopt(_M_TRIM_THRESHOLD, 2047 * _MIB)
  mallopt(_M_TOP_PAD, 64 * _MIB)


@functools.cache  # What a program leaves behind later is to be collected.
def _spare_collector() -> None:
  """Lets the garbage collector search less often, and not what imports left.

  It would search all of that again and again while JAX traces, and once more
  when the program ends.
  """
  gc.freeze()
  gc.set_threshold(20_000, 20, 20)
