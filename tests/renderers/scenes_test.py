"""Tests of scenes on the device: equal to those of `environments.scene`."""

import jax
import numpy as np
import pytest

from environments import scene
from environments.scene import sprites
from spiral_jax import renderers
from spiral_jax import types

B, T = 40, 12
SETTINGS = (
    scene.SceneSettings(),
    scene.SceneSettings(
        canvas_size=32, grid_size=5, sizes=(0.1, 0.3), span=0.5, shades=7
    ),
)


def _programs(settings, count, seed=0):
  rng = np.random.default_rng(seed)
  return types.uniform_programs(settings.action_spec(), T, count, rng)


@pytest.mark.parametrize('settings', SETTINGS)
def test_scenes_are_equal_bit_for_bit(settings):
  device = renderers.make_scenes(settings, sprites.load(settings))
  host = scene.SceneRenderer(settings, B)
  programs = _programs(settings, B)
  state, canvas = device.init(B)
  step = jax.jit(device.step)
  np.testing.assert_array_equal(canvas, host.reset())
  for t in range(T):
    command = {name: values[t] for name, values in programs.items()}
    state, canvas = step(state, command)
    assert canvas.dtype == np.uint8
    np.testing.assert_array_equal(canvas, host.step(command))


def test_a_change_without_an_object_does_nothing():
  settings = SETTINGS[1]
  device = renderers.make_scenes(settings, sprites.load(settings))
  state, blank = device.init(1)
  command = {name: np.ones(1, np.int32) for name in settings.action_spec()}
  for kind, is_blank in (('change', True), ('skip', True), ('add', False)):
    command['kind'] = np.full(1, scene.KINDS.index(kind), np.int32)
    state, canvas = device.step(state, command)
    assert (np.asarray(canvas) == blank).all() == is_blank


def test_a_state_is_never_changed():
  settings = SETTINGS[1]
  device = renderers.make_scenes(settings, sprites.load(settings))
  state, _ = device.init(B)
  before = jax.tree.map(np.array, state)
  command = {k: v[0] for k, v in _programs(settings, B).items()}
  first = device.step(state, command)
  again = device.step(state, command)
  jax.tree.map(np.testing.assert_array_equal, state, before)
  jax.tree.map(np.testing.assert_array_equal, first, again)


def test_a_loop_of_commands_compiles():
  settings = SETTINGS[1]
  device = renderers.make_scenes(settings, sprites.load(settings))
  programs = _programs(settings, B)
  state, _ = device.init(B)
  _, canvases = jax.jit(lambda s, p: jax.lax.scan(device.step, s, p))(
      state, programs
  )
  assert canvases.shape == (T, B, 32, 32, 3)
  expected, host = [], scene.SceneRenderer(settings, B)
  host.reset()
  for t in range(T):
    expected.append(host.step({k: v[t] for k, v in programs.items()}))
  np.testing.assert_array_equal(canvases, expected)
