"""Functions with native code for CPUs, and XLA's own operations elsewhere.

Exported programs (`jax.export`) hold XLA's own operations: they may run where
this package is not installed.
"""

from collections.abc import Callable
import functools
from typing import Any, NamedTuple

import chex
import jax
from jax.extend import core
from jax.interpreters import batching
from jax.interpreters import mlir


class Pair(NamedTuple):
  """Two functions of arrays and keyword arguments; each returns a tuple.

  Neither is differentiated. Defined once for each module, not in each call: it
  is what compiled programs are found by.
  """

  natively: Callable[..., tuple[chex.Array, ...]]
  with_xla: Callable[..., tuple[chex.Array, ...]]


def call(
    pair: Pair, *arrays: chex.Array, **kwargs: Any
) -> tuple[chex.Array, ...]:
  """Calls one of the two, chosen at lowering.

  Calls that differ only in the values of their arrays are lowered once.

  Args:
    pair: the functions.
    *arrays: their arguments.
    **kwargs: their keyword arguments, which must be hashable.
  """
  settings = tuple(sorted(kwargs.items()))
  return tuple(_compiled(*arrays, pair=pair, settings=settings, batched=()))


_call = core.Primitive('spiral_jax_per_platform')
_call.multiple_results = True


def _run(
    function: Callable[..., Any],
    arrays: tuple[chex.Array, ...],
    settings: tuple[tuple[str, Any], ...],
    batched: tuple[tuple[int | None, ...], ...],
) -> tuple[chex.Array, ...]:
  """Calls a function, under one `vmap` for each entry of `batched`."""
  function = functools.partial(function, **dict(settings))
  for in_axes in reversed(batched):
    function = jax.vmap(function, in_axes)
  return function(*arrays)


def _with_xla(*arrays, pair, settings, batched):
  return _run(pair.with_xla, arrays, settings, batched)


def _natively(*arrays, pair, settings, batched):
  return _run(pair.natively, arrays, settings, batched)


@_call.def_impl
def _now(*arrays, **params):
  """Calls one of the two; XLA's own operations if nothing is to be compiled."""
  if jax.config.jax_disable_jit:  # type: ignore[attr-defined]
    return _with_xla(*arrays, **params)
  return _compiled(*arrays, **params)


@functools.partial(jax.jit, static_argnames=('pair', 'settings', 'batched'))
def _compiled(*arrays, pair, settings, batched):
  return _call.bind(*arrays, pair=pair, settings=settings, batched=batched)


@_call.def_abstract_eval
def _abstract(*avals, **params):
  arrays = [jax.ShapeDtypeStruct(a.shape, a.dtype) for a in avals]
  results = jax.eval_shape(functools.partial(_with_xla, **params), *arrays)
  return [jax.core.ShapedArray(x.shape, x.dtype) for x in results]


def _batch(arrays, in_axes, *, pair, settings, batched):
  results = _call.bind(
      *arrays, pair=pair, settings=settings, batched=(tuple(in_axes), *batched)
  )
  return results, [0] * len(results)


_lower_xla = mlir.lower_fun(_with_xla, multiple_results=True)
_lower_native = mlir.lower_fun(_natively, multiple_results=True)


def _lower_on_cpu(context, *values, **params):
  is_export = context.module_context.lowering_parameters.for_export
  lower = _lower_xla if is_export else _lower_native
  return lower(context, *values, **params)


batching.primitive_batchers[_call] = _batch
mlir.register_lowering(_call, _lower_xla)
mlir.register_lowering(_call, _lower_on_cpu, platform='cpu')
