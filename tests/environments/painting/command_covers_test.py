"""Covers of commands: with their colors they make the picture."""

import dataclasses

import numpy as np
import pytest

from environments import painting
from environments.painting import command_covers
from environments.painting import native

T = 12


def _settings(brush='classic/pen', **options):
  options = dict(color=True, background='#fff0c0') | options
  return painting.PaintingSettings(
      grid_size=16, brush=brush, brush_sizes=(2, 5, 9), **options
  )


def _program(settings, seed=0):
  rng = np.random.default_rng(seed)
  program = {
      name: rng.integers(part.num_values, size=T)
      for name, part in settings.action_spec().items()
  }
  program['flag'] = (rng.random(T) < 0.75).astype(int)
  program['flag'][[4, 5]] = 1
  return program


def _one(program, time, count=1):
  return {
      name: np.repeat(values[time], count) for name, values in program.items()
  }


@pytest.mark.parametrize(
    'brush', ['classic/pen', 'classic/kabura', 'classic/ink_blot']
)
@pytest.mark.parametrize('color', [True, False])
def test_the_picture_follows_from_covers_and_colors(brush, color):
  settings = _settings(brush, color=color, background='white')
  if color:
    settings = dataclasses.replace(settings, background='#fff0c0')
  program = _program(settings)
  covers = command_covers.CommandCovers(settings, T, 1)
  layers = covers.draw(program)
  assert layers.shape == (T, 64, 64) and layers.dtype == np.uint8
  assert not layers[program['flag'] == 0].any()
  assert layers.max() > 100
  environment = painting.TASK.make_batch(settings, 1, 1)
  environment.reset()
  canvas = covers.paper + np.zeros((64, 64, 1), np.float32)
  for time, layer in enumerate(layers):
    ink = np.zeros(settings.channels)
    if color:
      ink = covers.shades[[program[name][time] for name in covers.colors]]
    canvas = canvas + layer[..., np.newaxis] / np.float32(255) * (ink - canvas)
    drawn = environment.step(_one(program, time)).observation['canvas'][0]
    assert np.abs(255 * canvas - drawn).max() < 3


def test_a_trial_covers_what_it_would_in_the_program():
  settings = _settings()
  program, other = _program(settings), _program(settings, seed=1)
  covers = command_covers.CommandCovers(settings, T, 4, num_threads=2)
  before = covers.draw(program)
  for time in (0, 4, 7):
    changed = {name: values.copy() for name, values in program.items()}
    for name in changed:
      changed[name][time] = other[name][time]
    expected = covers.draw(changed, time)[-(T - time) :]
    np.testing.assert_array_equal(covers.draw(program), before)
    commands = _one(program, time, 4)
    for name in commands:
      commands[name][2] = other[name][time]
    tried = covers.try_commands(time, commands)
    np.testing.assert_array_equal(tried[0], before[time])
    np.testing.assert_array_equal(tried[2], expected[0])
    following = covers.follow(_one(program, time + 1, 2), np.array([2, 3]))
    np.testing.assert_array_equal(following, [expected[1], before[time + 1]])


def test_random_numbers_make_trials_a_little_different():
  settings = _settings('classic/ink_blot')
  program = _program(settings)
  covers = command_covers.CommandCovers(settings, T, 4)
  layers = covers.draw(program)
  np.testing.assert_array_equal(covers.draw(program, 7), layers)
  commands = _one(program, 4, 4)
  first = covers.try_commands(4, commands)
  tried = covers.try_commands(4, commands).astype(float)
  assert (tried != first).any()
  likeness = [np.corrcoef(t.ravel(), layers[4].ravel())[0, 1] for t in tried]
  assert min(likeness) > 0.9
  program['flag'][4] = 0
  assert not covers.try_commands(4, _one(program, 4, 3)).any()


@pytest.mark.parametrize(
    'settings',
    [
        _settings('classic/smudge'),
        _settings('classic/ink_eraser'),
        _settings('classic/short_grass'),
        _settings(background='transparent'),
    ],
)
def test_what_is_no_cover_is_not_searched_as_one(settings):
  assert not painting.PaintingRenderer(settings).can_cover


def test_covers_take_the_extension_and_the_settings_own_size(monkeypatch):
  assert painting.PaintingRenderer(_settings()).can_cover
  assert not painting.PaintingRenderer(_settings(), size=128).can_cover
  monkeypatch.setattr(native, 'is_built', lambda: False)
  assert not painting.PaintingRenderer(_settings()).can_cover
