import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from spiral_jax.networks import layers
from spiral_jax.networks import torso as torso_lib

N, SIZE, MAP = 4, 16, 4
TORSOS = pytest.mark.parametrize(
    'torso_class',
    [torso_lib.ConvTorso, torso_lib.PatchTorso, torso_lib.FineTorso],
)


def random(seed, *shape):
  values = np.random.default_rng(seed).normal(size=shape)
  return jnp.asarray(values, jnp.float32)


IMAGES = random(0, N, SIZE, SIZE, 1), random(3, N, SIZE, SIZE, 3)
NOTHING = (IMAGES[0][..., :0],)
CONDITION = random(1, N, 6)
PLANES = random(2, N, MAP, MAP, 3)


@functools.cache
def make(torso_class, num_blocks=0, blind=False):
  torso = torso_class(
      channels=4, num_blocks=num_blocks, hidden_size=8, map_size=MAP
  )
  images = NOTHING if blind else IMAGES
  params = torso.init(jax.random.PRNGKey(0), images, CONDITION, PLANES)
  params = jax.tree.map(lambda x: x + 0.1, params)  # Biases too.
  return functools.partial(jax.jit(torso.apply), params)


@TORSOS
def test_shapes(torso_class):
  feature_map, vector = make(torso_class, 1)(IMAGES, CONDITION, PLANES)
  assert feature_map.shape == (N, MAP, MAP, 4)
  assert vector.shape == (N, 8)


@TORSOS
@pytest.mark.parametrize('changed', ['images', 'condition'])
def test_each_row_sees_its_own_inputs(torso_class, changed):
  inputs = {'images': IMAGES, 'condition': CONDITION, 'planes': PLANES}
  apply = make(torso_class, 1)
  before = apply(*inputs.values())
  inputs[changed] = jax.tree.map(lambda x: x.at[1].add(0.5), inputs[changed])
  for one, other in zip(before, apply(*inputs.values())):
    changes = np.any(np.reshape(one != other, (N, -1)), axis=-1)
    np.testing.assert_array_equal(changes, np.arange(N) == 1)


@TORSOS
def test_the_map_lies_where_the_image_does(torso_class):
  apply = make(torso_class)
  before, _ = apply(IMAGES, CONDITION, PLANES)
  # The middle of cell (2, 0): nothing else on the map sees it.
  images = IMAGES[0], IMAGES[1].at[:, 9:11, 1:3].add(3.0)
  after, _ = apply(images, CONDITION, PLANES)
  change = np.abs(after - before).max(axis=(0, 3))
  assert np.unravel_index(np.argmax(change), change.shape) == (2, 0)
  np.testing.assert_array_equal(change[0], np.zeros(MAP))
  np.testing.assert_array_equal(change[:, 2:], np.zeros((MAP, 2)))


@TORSOS
def test_the_same_everywhere_differs_by_its_coordinates(torso_class):
  feature_map, _ = make(torso_class)(
      jax.tree.map(jnp.ones_like, IMAGES), CONDITION, jnp.zeros_like(PLANES)
  )
  # Away from the border, where padding would tell.
  inner = np.asarray(feature_map[:, 1:-1, 1:-1])
  assert np.all(np.abs(inner[:, 0] - inner[:, 1]).max(axis=(1, 2)) > 1e-4)
  assert np.all(np.abs(inner[:, :, 0] - inner[:, :, 1]).max(axis=(1, 2)) > 1e-4)


def test_rows_of_patches_one_after_another_are_space_to_depth():
  for image in IMAGES:
    rows = torso_lib._rows_of_patches(image, 4)
    assert len(rows) == 4
    np.testing.assert_array_equal(
        jnp.concatenate(rows, axis=-1), layers.space_to_depth(image, 4)
    )


def test_the_patch_torso_sees_the_last_commands_mark_in_its_place():
  apply = make(torso_lib.PatchTorso)
  before, _ = apply(IMAGES, CONDITION, PLANES)
  after, _ = apply(IMAGES, CONDITION, PLANES.at[:, 3, 1].add(1.0))
  changed = np.abs(after - before).max(axis=(0, 3)) > 0
  expected = np.zeros((MAP, MAP), bool)
  expected[3, 1] = True
  np.testing.assert_array_equal(changed, expected)


@TORSOS
def test_there_may_be_no_image(torso_class):
  apply = make(torso_class, blind=True)
  feature_map, vector = apply(NOTHING, CONDITION, PLANES)
  assert np.all(np.isfinite(feature_map)) and np.any(vector != 0)


def test_a_fine_torso_sees_the_last_commands_mark_in_its_place():
  apply = make(torso_lib.FineTorso)
  before, _ = apply(IMAGES, CONDITION, PLANES)
  after, _ = apply(IMAGES, CONDITION, PLANES.at[:, 3, 1].add(1.0))
  changed = np.abs(after - before).max(axis=(0, 3)) > 0
  assert changed[3, 1] and changed.sum() == 1


def test_mixed_cells_see_all_others_once_they_have_learned_to():
  torso = torso_lib.PatchTorso(
      channels=4, num_blocks=0, hidden_size=8, map_size=MAP, mix_cells=True
  )
  inputs = IMAGES, CONDITION, PLANES
  params = torso.init(jax.random.PRNGKey(0), *inputs)
  plain = jax.tree.map(lambda x: x, params)
  mix = plain['params'].pop('mix_cells')['kernel']
  assert mix.shape == (MAP**2, MAP**2)
  unmixed = torso_lib.PatchTorso(4, 0, 8, MAP).apply(plain, *inputs)
  np.testing.assert_allclose(
      torso.apply(params, *inputs)[0], unmixed[0], atol=1e-6
  )

  # What cell (3, 1) has, cell (0, 2) is given as well.
  moved = jnp.zeros_like(mix).at[3 * MAP + 1, 2].set(1.0)
  params['params']['mix_cells']['kernel'] = moved
  before, _ = torso.apply(params, *inputs)
  after, _ = torso.apply(params, IMAGES, CONDITION, PLANES.at[:, 3, 1].add(1.0))
  changed = np.abs(after - before).max(axis=(0, 3)) > 0
  expected = np.zeros((MAP, MAP), bool)
  expected[3, 1] = expected[0, 2] = True
  np.testing.assert_array_equal(changed, expected)
