"""Tests of the settings' checks and of the commands that follow from them."""

import dataclasses

import numpy as np
import pytest

from environments import scene


def test_spec_is_the_papers_in_the_order_of_decision():
  spec = scene.SceneSettings().action_spec()
  assert list(spec) == [
      'kind',
      'object',
      'location',
      'size',
      'red',
      'green',
      'blue',
  ]
  values = [part.num_values for part in spec.values()]
  assert values == [3, 4, 256, 3, 4, 4, 4]
  assert np.prod(values) == 4 * 16**2 * 3 * 4**3 * 3  # Section 4.6.
  assert [part.name for part in spec.values()] == list(spec)


def test_a_skip_has_only_its_kind():
  skip = scene.KINDS.index('skip')
  for name, part in scene.SceneSettings().action_spec().items():
    assert part.grid_shape == ((16, 16) if name == 'location' else None)
    if name == 'kind':
      assert part.active_if is None
    else:
      earlier, values = part.active_if
      assert earlier == 'kind' and set(values) == {0, 1, 2} - {skip}


def test_spec_follows_the_settings():
  spec = scene.SceneSettings(grid_size=5, sizes=(0.2,), shades=7).action_spec()
  values = [part.num_values for part in spec.values()]
  assert values == [3, 4, 25, 1, 7, 7, 7]


def test_places_go_along_rows_from_the_back_left():
  places = scene.SceneSettings(grid_size=3, span=0.5).places()
  np.testing.assert_allclose(
      places,
      [(x, y) for y in (0.5, 0.0, -0.5) for x in (-0.5, 0.0, 0.5)],
  )


def test_colors_go_in_equal_steps_from_nearly_black_to_full():
  colors = scene.SceneSettings(shades=4).colors()
  assert 0.0 < colors[0] < 0.1 and colors[-1] == 1.0
  np.testing.assert_allclose(np.diff(colors), (1.0 - colors[0]) / 3)


def test_footprints_stay_on_the_platform():
  settings = scene.SceneSettings()
  half, radius = settings.footprints()
  assert half.shape == radius.shape == (4, 3)
  outermost = np.abs(settings.places()).max()
  assert outermost == pytest.approx(0.72)
  assert (outermost + half + radius <= 1.0 + 1e-9).all()
  # A box is square and all others are round.
  assert ((half > 0) == (np.array(scene.OBJECTS) == 'box')[:, None]).all()
  assert ((radius > 0) != (half > 0)).all()


def test_settings_are_frozen_hashable_and_take_lists():
  settings = scene.SceneSettings(sizes=[0.1, 0.2])
  assert settings == scene.SceneSettings(sizes=(0.1, 0.2))
  assert hash(settings) == hash(scene.SceneSettings(sizes=(0.1, 0.2)))
  with pytest.raises(dataclasses.FrozenInstanceError):
    settings.span = 0.5


@pytest.mark.parametrize(
    'name, value, remedy',
    [
        ('canvas_size', 7, '8 to 256'),
        ('canvas_size', 64.0, 'int'),
        ('grid_size', 1, '2 to 64'),
        ('shades', 17, '2 to 16'),
        ('episode_length', 0, '1 or more'),
        ('episode_length', True, 'int'),
        ('sizes', (), '1 to 16 radii'),
        ('sizes', (0.1, 0.0), '0.01 or more'),
        ('sizes', (float('nan'),), '0.01 or more'),
        ('sizes', ('0.1',), "sizes has '0.1'"),
        ('sizes', (None,), 'sizes has None'),
        ('sizes', (True,), 'sizes has True'),
        ('sizes', ([0.1],), 'sizes has [0.1]'),
        ('span', '0.7', "span is '0.7'"),
        ('span', None, 'span is None'),
        ('span', 1.0, 'below 1'),
        ('span', float('nan'), 'below 1'),
        ('span', 0.73, 'overhang'),
    ],
)
def test_bad_setting_names_itself_its_value_and_the_remedy(name, value, remedy):
  with pytest.raises(ValueError) as error:
    scene.SceneSettings(**{name: value})
  assert str(error.value).startswith(name)
  assert remedy in str(error.value)
  bad = value[-1] if isinstance(value, tuple) and value else value
  assert repr(bad) in str(error.value)


def test_sizes_that_just_fit_are_taken():
  scene.SceneSettings(span=0.7, sizes=(0.1, 0.3))
