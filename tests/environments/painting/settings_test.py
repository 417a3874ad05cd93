"""Tests of the settings' checks and of the commands that follow from them."""

import dataclasses

import pytest

from environments import painting


def test_color_spec_has_all_parts_in_the_order_of_decision():
  spec = painting.PaintingSettings(color=True).action_spec()
  assert list(spec) == [
      'flag',
      'end',
      'control',
      'size',
      'pressure',
      'red',
      'green',
      'blue',
  ]
  values = [part.num_values for part in spec.values()]
  assert values == [2, 1024, 1024, 3, 10, 20, 20, 20]
  assert [part.name for part in spec.values()] == list(spec)


def test_locations_say_so_and_ink_counts_only_with_ink():
  spec = painting.PaintingSettings(color=True, grid_size=16).action_spec()
  for name, part in spec.items():
    is_location = name in ('end', 'control')
    assert part.grid_shape == ((16, 16) if is_location else None)
    always = name in ('flag', 'end')
    assert part.active_if == (None if always else ('flag', (1,)))


def test_parts_without_a_choice_are_left_out():
  spec = painting.PaintingSettings(
      pressure=False, brush_sizes=(4,)
  ).action_spec()
  assert list(spec) == ['flag', 'end', 'control']


def test_settings_are_frozen_hashable_and_take_lists():
  settings = painting.PaintingSettings(brush_sizes=[1, 2])
  assert settings == painting.PaintingSettings(brush_sizes=(1, 2))
  assert hash(settings) == hash(painting.PaintingSettings(brush_sizes=(1, 2)))
  with pytest.raises(dataclasses.FrozenInstanceError):
    settings.color = True


@pytest.mark.parametrize(
    'name, value, remedy',
    [
        ('canvas_size', 0, '1 to 8192'),
        ('canvas_size', 64.0, 'int'),
        ('grid_size', -3, '1 to 4096'),
        ('episode_length', 0, '1 or more'),
        ('episode_length', True, 'int'),
        ('brush_sizes', (), 'one radius or more'),
        ('brush_sizes', ('1',), "has '1'"),
        ('brush_sizes', (None,), 'has None'),
        ('brush_sizes', (True,), 'has True'),
        ('brush_sizes', (1e9,), '8192 at most'),
        ('brush', None, 'name of a brush'),
        ('brushes_path', 3, 'path of a folder'),
        ('brush_sizes', (1, 0), 'above 0'),
        ('brush_sizes', (float('nan'),), 'above 0'),
        ('background', 'black', "'white', 'transparent' or a color"),
        ('background', '#ff00gg', "'white', 'transparent' or a color"),
        ('background', '#ff0000', 'must be a gray where ink is black'),
    ],
)
def test_bad_setting_names_itself_its_value_and_the_remedy(name, value, remedy):
  with pytest.raises(ValueError) as error:
    painting.PaintingSettings(**{name: value})
  assert str(error.value).startswith(name)
  assert remedy in str(error.value)
  bad = value[-1] if isinstance(value, tuple) and value else value
  assert repr(bad) in str(error.value)
