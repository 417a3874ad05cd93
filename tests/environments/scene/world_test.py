"""Where objects stand, in closed form."""

import numpy as np
import pytest

from environments import scene
from environments.scene import world


def single(object_, location=0, size=0, rgb=(0, 0, 0)):
  values = [object_, location, size, *rgb]
  return scene.Objects(np.ones(1, bool), *(np.array([v]) for v in values))


@pytest.mark.parametrize('size', range(3))
@pytest.mark.parametrize('object_', range(4))
def test_objects_stand_on_the_platform_in_their_footprint(object_, size):
  settings = scene.SceneSettings()
  (geom,) = world.geoms(settings, single(object_, location=37, size=size))
  across, along, up = geom.size
  # From MuJoCo's XML reference: half sizes; a capsule's is without its caps.
  height = {
      'sphere': across,
      'box': up,
      'cylinder': along,
      'capsule': across + along,
  }[geom.shape]
  assert geom.position[2] == pytest.approx(height)
  half, radius = settings.footprints()
  assert across == pytest.approx((half + radius)[object_, size])
  np.testing.assert_array_equal(geom.position[:2], settings.places()[37])


def test_larger_sizes_are_larger_and_colors_are_red_green_blue():
  settings = scene.SceneSettings()
  small, large = (
      world.geoms(settings, single(1, size=size, rgb=(3, 0, 1)))[0]
      for size in (0, 2)
  )
  np.testing.assert_allclose(large.size / small.size, 0.28 / 0.13)
  shades = settings.colors()
  np.testing.assert_array_equal(
      small.rgba, [shades[3], shades[0], shades[1], 1.0]
  )


def test_objects_that_are_not_present_are_left_out():
  settings = scene.SceneSettings()
  objects = scene.Objects(
      np.array([False, True]), *np.array([[0, 3], *[[0, 1]] * 5])
  )
  (geom,) = world.geoms(settings, objects)
  assert geom.shape == 'capsule'
