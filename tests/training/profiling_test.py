"""Counting an agent's operations."""

import jax.numpy as jnp
import numpy as np
import pytest

from spiral_jax import types
from spiral_jax.agents import agent as agent_lib
from spiral_jax.ops import native
from spiral_jax.training import profiling
from tests.agents import toys

INPUTS, UNITS = 64, 128


def layer_agent():
  """Returns an agent that is one layer of UNITS units, for each episode."""
  other = toys.table_agent()

  def unroll(params, trajectory, imitated=None):
    del imitated
    values = jnp.tanh(trajectory.noise @ params).sum(-1)
    return types.UnrollOutput(values, values, values[..., None], None)

  return agent_lib.Agent(None, None, None, unroll, other.parts)


@pytest.mark.parametrize('episodes', [8, 24])
def test_a_product_forward_and_one_backward_are_counted(episodes):
  noise = np.ones((episodes, INPUTS), np.float32)
  trajectory = toys.table_trajectory(noise=noise)
  before = native.is_built
  flops = profiling.gradient_flops(
      layer_agent(), jnp.ones((INPUTS, UNITS)), trajectory
  )
  product = 2 * episodes * INPUTS * UNITS
  assert 2 * product < flops < 2.2 * product
  assert native.is_built is before
