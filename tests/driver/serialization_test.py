from typing import NamedTuple

from hypothesis import given
from hypothesis import strategies as st
import jax
from jax import flatten_util
import jax.numpy as jnp
import numpy as np
import pytest

from spiral_jax.driver import serialization


class Pair(NamedTuple):
  left: object
  right: object


def leaves():
  return st.one_of(
      st.integers(-(2**40), 2**40),
      st.booleans(),
      st.floats(allow_nan=False, width=64),
      st.builds(
          lambda shape, dtype: np.ones(shape, dtype),
          st.lists(st.integers(0, 3), max_size=3).map(tuple),
          st.sampled_from(['uint8', 'int64', 'float32', 'bool']),
      ),
  )


def trees():
  return st.recursive(
      leaves(),
      lambda children: st.one_of(
          st.dictionaries(st.text('ab/.', min_size=1), children, max_size=3),
          st.lists(children, max_size=3),
          st.tuples(children),
          st.builds(Pair, children, children),
      ),
      max_leaves=8,
  )


@given(trees())
def test_round_trip(tree):
  plain = serialization.to_plain(tree)
  result = serialization.from_plain(tree, plain)
  assert jax.tree.structure(result) == jax.tree.structure(tree)
  for one, two in zip(jax.tree.leaves(tree), jax.tree.leaves(result)):
    assert type(one) is type(two)
    np.testing.assert_array_equal(one, two)


def test_a_vector_is_read_from_a_tree_of_its_pieces():
  tree = {
      'b': np.arange(3.0),
      'a': {'y': np.full((2, 2), 7.0), 'x': np.ones(1)},
  }
  template = Pair(jnp.zeros(8), jnp.zeros(2))
  plain = serialization.to_plain(Pair(tree, np.ones(2)))
  result = serialization.from_plain(template, jax.tree.map(np.float32, plain))
  np.testing.assert_array_equal(result.left, flatten_util.ravel_pytree(tree)[0])
  np.testing.assert_array_equal(result.right, 1)
  with pytest.raises(ValueError, match="'left' was saved as float32.8., here"):
    serialization.from_plain(
        Pair(jnp.zeros(9), jnp.zeros(2)), jax.tree.map(np.float32, plain)
    )


def test_plain_is_nested_dicts_of_copies():
  array = np.zeros(2)
  plain = serialization.to_plain(
      Pair((array, 3), {'b': jnp.ones(1, jnp.bfloat16)})
  )
  array[:] = 1
  assert plain['left']['1'] == 3
  np.testing.assert_array_equal(plain['left']['0'], [0, 0])
  assert type(plain['right']['b']) is np.ndarray
  assert plain['right']['b'].dtype == jnp.bfloat16


def test_jax_arrays_come_back_as_such_and_may_be_donated():
  # Aligned as XLA likes it: such an array it would use without a copy.
  buffer = np.zeros(4096 + 64, np.uint8)
  start = -buffer.ctypes.data % 64
  saved = buffer[start : start + 4096].view(np.float32)
  restored = serialization.from_plain({'w': jnp.zeros(1024)}, {'w': saved})
  assert isinstance(restored['w'], jax.Array)
  assert restored['w'].unsafe_buffer_pointer() != saved.ctypes.data
  jax.jit(lambda w: w + 1, donate_argnums=0)(restored['w'])
  np.testing.assert_array_equal(saved, np.zeros(1024))


@pytest.mark.parametrize(
    'plain, message',
    [
        ({'a': {}}, "no 'a/b'"),
        (
            {'a': {'b': np.zeros(3)}},
            r"'a/b' was saved as float64\[3\], here it is " r'float32\[2\]',
        ),
        ({'a': {'b': np.zeros(2, np.float16)}}, r'saved as float16\[2\]'),
        (
            {'a': {'b': np.zeros(2, np.float32)}, 'c': 1},
            "has 'c', unknown here",
        ),
    ],
)
def test_misfits_are_named(plain, message):
  with pytest.raises(ValueError, match=message):
    serialization.from_plain({'a': {'b': jnp.zeros(2)}}, plain)


def test_other_leaves_are_refused():
  with pytest.raises(TypeError, match="'a/0' is a str"):
    serialization.to_plain({'a': ['text']})


@given(st.integers(0, 2**32), st.integers(0, 5))
def test_rng_round_trip(seed, draws):
  rng = np.random.default_rng(seed)
  for _ in range(draws):
    rng.integers(5, dtype=np.uint32)  # Leaves half of a 64-bit draw behind.
  array = serialization.rng_to_array(rng)
  assert array.dtype == np.uint64 and array.shape == (6,)
  again = serialization.rng_from_array(array)
  assert again.bit_generator.state == rng.bit_generator.state
  np.testing.assert_array_equal(rng.normal(size=5), again.normal(size=5))


def test_other_generators_are_refused():
  with pytest.raises(ValueError, match='MT19937'):
    serialization.rng_to_array(np.random.Generator(np.random.MT19937(0)))
