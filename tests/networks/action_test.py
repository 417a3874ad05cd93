import jax
import jax.numpy as jnp
import numpy as np
import pytest

from spiral_jax.networks import action as action_lib

GRID = action_lib.ActionPart('end', 6, grid_shape=(2, 3))


def embed(part, values):
  """Returns (embeddings, the layer's kernel)."""
  layer = action_lib.PartEmbedding(part, size=4)
  values = jnp.asarray(values)
  params = layer.init(jax.random.PRNGKey(0), values)
  (kernel,) = jax.tree.leaves(params)
  return layer.apply(params, values), np.asarray(kernel)


def test_embedding_of_a_scalar_is_a_row_of_its_own():
  codes, kernel = embed(action_lib.ActionPart('size', 3), [2, 0, 2, 1])
  np.testing.assert_array_equal(codes, kernel[[2, 0, 2, 1]])


def test_embedding_of_a_location_is_its_row_plus_its_column():
  values = np.array([0, 5, 2, 3, 4, 1])
  codes, kernel = embed(GRID, values)
  assert kernel.shape == (2 + 3, 4)
  rows, columns = values // 3, values % 3
  np.testing.assert_allclose(
      codes, kernel[rows] + kernel[2 + columns], atol=1e-6
  )


@pytest.mark.parametrize('part', [action_lib.ActionPart('size', 3), GRID])
def test_no_command_embeds_as_zeros(part):
  codes, _ = embed(part, [-1, 1, -1])
  np.testing.assert_array_equal(codes[0], np.zeros(4))
  np.testing.assert_array_equal(codes[2], np.zeros(4))
  assert np.any(codes[1] != 0)


def test_location_planes_by_hand():
  part = action_lib.ActionPart('end', 16, grid_shape=(4, 4))
  # (y, x) = (1, 2), none, (3, 3), on a map of 2 x 2 cells of 2 x 2.
  planes = action_lib.location_planes(part, jnp.array([6, -1, 15]), 2)
  expected = np.zeros((3, 2, 2, 4))
  expected[0, 0, 1, 2] = 1  # Lower left of the upper right cell.
  expected[2, 1, 1, 3] = 1
  np.testing.assert_array_equal(planes, expected)


def test_a_location_is_in_one_cell_of_the_map():
  part = action_lib.ActionPart('end', 64, grid_shape=(8, 8))
  cell, sub_cell, count = action_lib.locate(part, jnp.arange(64), 2)
  assert count == 16
  planes = np.asarray(action_lib.location_planes(part, jnp.arange(64), 2))
  planes = planes.reshape(64, 4, 16)
  np.testing.assert_array_equal(planes.sum((1, 2)), 1)
  np.testing.assert_array_equal(planes[range(64), cell, sub_cell], 1)


def test_location_planes_tell_all_locations_apart():
  part = action_lib.ActionPart('end', 64, grid_shape=(8, 8))
  planes = np.asarray(action_lib.location_planes(part, jnp.arange(64), 4))
  assert planes.shape == (64, 4, 4, 4)
  np.testing.assert_array_equal(planes.sum((1, 2, 3)), np.ones(64))
  rows, columns = planes.sum(3).reshape(64, 16).argmax(1) // 4, (
      planes.sum(3).reshape(64, 16).argmax(1) % 4
  )
  np.testing.assert_array_equal(rows, np.arange(64) // 8 // 2)
  np.testing.assert_array_equal(columns, np.arange(64) % 8 // 2)
  assert len(np.unique(planes.reshape(64, -1), axis=0)) == 64


def test_counts():
  command = (
      action_lib.ActionPart('kind', 3),
      action_lib.ActionPart('object', 4, active_if=('kind', (0, 2))),
      action_lib.ActionPart('size', 2, active_if=('object', (3,))),
  )
  action = {
      'size': np.array([[0, 0], [1, 1]]),
      'kind': np.array([[0, 1], [2, 1]]),
      'object': np.array([[3, 3], [0, 0]]),
  }
  counts = action_lib.is_active(command, action)
  assert counts.dtype == jnp.float32
  np.testing.assert_array_equal(
      counts, [[[1, 1, 1], [1, 0, 1]], [[1, 1, 0], [1, 0, 0]]]
  )
