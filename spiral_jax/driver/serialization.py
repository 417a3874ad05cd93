"""Conversion of nodes' states to and from plain state, for checkpoints.

Plain state is nested dicts, with str keys, of NumPy arrays and Python numbers.
It does not depend on classes (a NamedTuple becomes a dict of its fields, a
tuple a dict with keys '0', '1', ...), and any checkpoint format can hold it.
"""

from collections.abc import Mapping
from typing import Any, Protocol, TypeVar, runtime_checkable

import jax
import numpy as np

T = TypeVar('T')


@runtime_checkable
class Stateful(Protocol):
  """Object whose state can be saved and restored.

  `get_state` may be called from another thread at any time and returns the
  state at a step boundary, never in the middle of a step. Nodes hold a lock
  while a step changes their state, and never wait for a channel while they hold
  it. Where states of several parts have to fit each other, their program's
  `StateLock` is frozen meanwhile.
  """

  def get_state(self) -> Any:
    """Returns the state, a pytree of arrays and numbers."""

  def set_state(self, state: Any) -> None:
    """Restores the result of `get_state`."""


@runtime_checkable
class PlainStateful(Stateful, Protocol):
  """Object that takes plain state as it is; its template is elsewhere."""

  def set_plain_state(self, state: Any) -> None:
    """Restores the result of `get_state`, converted to plain state."""


def to_plain(tree: Any) -> Any:
  """Returns `tree`, any pytree of arrays and numbers, as plain state.

  Arrays are copied to fresh NumPy arrays (JAX arrays from their device), so
  that later donations or writes do not affect them. A single leaf is returned
  as a leaf.

  Raises:
    TypeError: if a leaf is neither an array nor a number.
  """
  plain: dict[str, Any] = {}
  for path, leaf in jax.tree_util.tree_flatten_with_path(tree)[0]:
    keys = _keys(path)
    if not keys:
      return _plain_leaf(leaf, 'state')
    node = plain
    for key in keys[:-1]:
      node = node.setdefault(key, {})
    node[keys[-1]] = _plain_leaf(leaf, '/'.join(keys))
  return plain


def from_plain(template: T, plain: Any) -> T:
  """Returns `plain` in the structure of `template`.

  Where the template has a vector and `plain` a dict, the dict's leaves are put
  one after another, in the order of their names: runs of 0.1 and of the first
  0.2 kept the averages of optimizers as trees.

  Args:
    template: pytree whose leaves define the shape, dtype and kind (JAX array,
      NumPy array or Python number) of the result's leaves.
    plain: result of `to_plain`, possibly from a checkpoint.

  Raises:
    ValueError: if a leaf is missing, unknown, or of another shape or dtype; the
      message names it.
  """
  paths, treedef = jax.tree_util.tree_flatten_with_path(template)
  found = dict(_leaves(plain))
  leaves = []
  for path, like in paths:
    keys = _keys(path)
    name = '/'.join(keys)
    if keys not in found and getattr(like, 'ndim', 0) == 1:
      below = [other for other in found if other[: len(keys)] == keys]
      if below:
        found[keys] = np.concatenate(
            [np.ravel(found.pop(other)) for other in sorted(below)]
        )
    if keys not in found:
      raise ValueError(
          f'state has no {name!r}; it was saved by another '
          'configuration or version'
      )
    leaves.append(_leaf_like(like, found.pop(keys), name))
  if found:
    names = ', '.join(repr('/'.join(keys)) for keys in sorted(found)[:3])
    raise ValueError(
        f'state has {names}, unknown here; it was saved by '
        'another configuration or version'
    )
  return jax.tree_util.tree_unflatten(treedef, leaves)


def rng_to_array(rng: np.random.Generator) -> np.ndarray:
  """Returns the state of a PCG64 generator, uint64 `[6]`."""
  state = rng.bit_generator.state
  if state['bit_generator'] != 'PCG64':
    raise ValueError(
        f"generator is a {state['bit_generator']}; must be the "
        'PCG64 that numpy.random.default_rng makes'
    )
  numbers = [
      *divmod(state['state']['state'], 1 << 64),
      *divmod(state['state']['inc'], 1 << 64),
      state['has_uint32'],
      state['uinteger'],
  ]
  return np.array(numbers, np.uint64)


def rng_from_array(array: np.ndarray) -> np.random.Generator:
  """Returns a generator with the state that `rng_to_array` returned."""
  high, low, inc_high, inc_low, has_uint32, uinteger = map(int, array)
  bits = np.random.PCG64()
  bits.state = dict(
      bit_generator='PCG64',
      state=dict(state=(high << 64) + low, inc=(inc_high << 64) + inc_low),
      has_uint32=has_uint32,
      uinteger=uinteger,
  )
  return np.random.Generator(bits)


def _keys(path: tuple[Any, ...]) -> tuple[str, ...]:
  """Returns the names of a JAX key path's entries."""
  return tuple(jax.tree_util.keystr((entry,), simple=True) for entry in path)


def _plain_leaf(leaf: Any, name: str) -> Any:
  if isinstance(leaf, (bool, int, float)):
    return leaf
  if not hasattr(leaf, 'dtype'):
    raise TypeError(
        f'{name!r} is a {type(leaf).__name__}; state holds arrays '
        'and numbers only'
    )
  return np.array(leaf)


def _leaves(plain: Any, keys: tuple[str, ...] = ()):
  """Yields (keys, leaf) of plain state."""
  if isinstance(plain, Mapping):
    for key, value in plain.items():
      yield from _leaves(value, (*keys, key))
  else:
    yield keys, plain


def _leaf_like(like: Any, leaf: Any, name: str) -> Any:
  if isinstance(like, (bool, int, float)):
    return type(like)(leaf)
  array = np.asarray(leaf)
  if array.shape != like.shape or array.dtype != like.dtype:
    raise ValueError(
        f'{name!r} was saved as {array.dtype}{list(array.shape)}, here it is '
        f'{like.dtype}{list(like.shape)}; use the configuration of the run '
        'that saved it'
    )
  # A copy: on CPU a JAX array may alias NumPy's memory and be donated later.
  return jax.numpy.array(array) if isinstance(like, jax.Array) else array
