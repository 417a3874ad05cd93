"""JAX's own switches: what learns works with each, and computes the same."""

import functools
import json
import os
import pathlib
import subprocess
import sys

import jax
import numpy as np
import pytest

from spiral_jax import agents
from spiral_jax import types
from tests.agents import switches
from tests.agents import toys

ROOT = pathlib.Path(__file__).resolve().parents[2]


def compute_with(**environ):
  """Returns what a process with these variables computes, and its types."""
  finished = subprocess.run(
      [sys.executable, '-m', 'tests.agents.switches'],
      cwd=ROOT,
      env={**os.environ, 'PYTHONPATH': str(ROOT), **environ},
      capture_output=True,
      text=True,
      check=False,
  )
  assert not finished.returncode, finished.stderr
  return json.loads(finished.stdout)


@functools.cache
def plainly():
  return switches.compute(jax.random.key(3))


def test_doubles_change_nothing():
  found = compute_with(JAX_ENABLE_X64='1')
  assert found.keys() == plainly().keys()
  for name, expected in plainly().items():
    dtype, values = found[name]
    assert dtype == str(expected.dtype), name
    np.testing.assert_allclose(
        values, expected, rtol=1e-4, atol=1e-5, err_msg=name
    )


def test_other_random_numbers_are_random_numbers():
  found = compute_with(JAX_DEFAULT_PRNG_IMPL='rbg')
  assert found.keys() == plainly().keys()
  for name, expected in plainly().items():
    dtype, values = found[name]
    assert dtype == str(expected.dtype), name
    assert np.isfinite(values).all(), name
    if not name.endswith('.key'):  # Four numbers instead of two.
      assert np.shape(values) == expected.shape, name
  name = "['trajectory'].action['end']"
  assert np.any(found[name][1] != plainly()[name])


def observation(world):
  return types.Observation(
      world.trajectory.canvas[0],
      world.trajectory.target,
      world.trajectory.noise,
  )


def test_nothing_needs_to_be_compiled():
  world = toys.world('conditional-patches')
  given = (
      world.params,
      world.agent.initial_state(toys.B),
      observation(world),
      toys.acting_key(5),
  )
  expected, _ = jax.jit(world.agent.step)(*given)
  with jax.disable_jit():
    found, _ = world.agent.step(*given)
  np.testing.assert_allclose(found.log_prob, expected.log_prob, rtol=1e-4)
  np.testing.assert_allclose(found.value, expected.value, rtol=1e-4)


def test_greedy_may_be_traced():
  world = toys.world('conditional-patches')
  step = jax.jit(world.agent.step)
  given = (
      world.params,
      world.agent.initial_state(toys.B),
      observation(world),
      toys.acting_key(5),
  )
  for greedy in (True, False):
    expected = world.step(*given, greedy=greedy)
    found = step(*given, greedy=greedy)
    jax.tree.map(
        functools.partial(np.testing.assert_allclose, rtol=1e-5, atol=1e-6),
        found,
        expected,
    )
  with pytest.raises(AssertionError):  # Or the two would not differ.
    jax.tree.map(
        np.testing.assert_array_equal,
        step(*given, greedy=True)[0].action,
        step(*given, greedy=False)[0].action,
    )


@pytest.mark.parametrize('name', ['conditional-patches', 'color-conv'])
def test_steps_are_exported_without_native_calls(name):
  world = toys.world(name)
  given = (
      world.params,
      world.agent.initial_state(toys.B),
      observation(world),
      toys.acting_key(5),
  )
  for one, other in zip(
      exported_flat(world.agent.step, given),
      jax.tree.leaves(world.step(*given)),
      strict=True,
  ):
    np.testing.assert_allclose(one, other, rtol=1e-3, atol=1e-4)


def test_scores_and_their_gradients_are_exported():
  config = agents.DiscriminatorConfig(channels=(4, 8))
  discriminator = agents.make_discriminator((16, 16, 1), False, config)
  params = discriminator.init(jax.random.key(0))
  images = np.random.default_rng(0).random((3, 16, 16, 1), np.float32)

  def slopes(params, images):
    return jax.grad(lambda x: discriminator.score(params, x).sum())(images)

  for function in (discriminator.score, slopes):
    (found,) = exported_flat(function, (params, images))
    np.testing.assert_allclose(
        found,
        jax.jit(function)(params, images),
        rtol=1e-4,
        atol=1e-6,
    )


def exported_flat(function, arguments):
  """Returns an exported function of leaves, which need no registered names.

  Exporting refuses programs with calls that other machines may lack.
  """
  flat, treedef = jax.tree.flatten(arguments)

  def of_leaves(*leaves):
    return jax.tree.leaves(function(*jax.tree.unflatten(treedef, leaves)))

  exported = jax.export.export(jax.jit(of_leaves))(*flat)
  assert '@spiral_jax' not in exported.mlir_module()
  return exported.call(*flat)
