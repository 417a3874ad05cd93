"""The renderer against MuJoCo itself, and reproducibility."""

from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
import numpy as np
import pytest

from environments import scene
from environments.scene import mujoco_renderer
from environments.scene import world

pytestmark = pytest.mark.usefixtures('needs_gl')

SMALL = scene.SceneSettings(
    canvas_size=37, grid_size=4, sizes=(0.1, 0.3), span=0.65, shades=5
)


def programs(settings, length, count, seed):
  """Returns random programs, int `[length, count]` a part."""
  rng = np.random.default_rng(seed)
  return {
      name: rng.integers(0, part.num_values, (length, count))
      for name, part in settings.action_spec().items()
  }


def at(commands, t):
  return {name: values[t] for name, values in commands.items()}


def play(renderer, commands):
  """Returns the canvases, uint8 `[T + 1, N, H, W, 3]`."""
  length = len(commands['kind'])
  return np.stack(
      [renderer.reset()]
      + [renderer.step(at(commands, t)) for t in range(length)]
  )


def draw_live(renderer, settings, commands, n):
  """Returns MuJoCo's picture of what program n leaves."""
  objects = scene.place({k: v[:, n : n + 1] for k, v in commands.items()})
  return renderer.render(
      world.geoms(settings, scene.Objects(*(x[0] for x in objects)))
  )


def test_3000_programs_equal_mujocos_own_pictures():
  settings = scene.SceneSettings()
  count, batches = 200, 15
  renderer = scene.SceneRenderer(settings, count)
  most = 0
  with mujoco_renderer.LiveRenderer(settings.canvas_size) as mujoco:
    for seed in range(batches):
      commands = programs(settings, 20, count, seed)
      if seed >= batches // 2:
        # Mostly objects: up to 20 of them.
        rng = np.random.default_rng(seed)
        commands['kind'] *= rng.random(commands['kind'].shape) < 0.2
      canvases = play(renderer, commands)
      lengths = np.random.default_rng(seed).integers(1, 21, count)
      for n, length in enumerate(lengths):
        done = {name: values[:length] for name, values in commands.items()}
        np.testing.assert_array_equal(
            canvases[length, n], draw_live(mujoco, settings, done, n)
        )
      most = max(most, scene.place(commands).present.sum(1).max())
  assert most == 20


def test_other_settings_equal_mujocos_own_pictures():
  commands = programs(SMALL, 12, 40, seed=0)
  canvases = play(scene.SceneRenderer(SMALL, 40), commands)
  assert canvases.shape[2:] == (37, 37, 3)
  with mujoco_renderer.LiveRenderer(37) as mujoco:
    for n in range(40):
      np.testing.assert_array_equal(
          canvases[-1, n], draw_live(mujoco, SMALL, commands, n)
      )


@hypothesis_settings(max_examples=60)
@given(data=st.data())
def test_any_program_runs_and_replays_bit_for_bit(data):
  spec = SMALL.action_spec()
  length = data.draw(st.integers(1, 25))
  commands = {
      name: np.array(
          data.draw(
              st.lists(
                  st.integers(0, part.num_values - 1),
                  min_size=length,
                  max_size=length,
              )
          )
      )[:, np.newaxis]
      for name, part in spec.items()
  }
  renderer = scene.SceneRenderer(SMALL)
  canvases = play(renderer, commands)
  play(renderer, programs(SMALL, 3, 1, seed=length))
  np.testing.assert_array_equal(play(renderer, commands), canvases)
  # The last canvas is that of the objects which are there.
  np.testing.assert_array_equal(
      renderer.render(scene.place(commands)), canvases[-1]
  )


@pytest.mark.parametrize('time', range(5))
def test_a_copy_continues_as_its_source_bit_for_bit(time):
  commands = programs(SMALL, 5, 3, seed=time)
  expected = play(scene.SceneRenderer(SMALL, 3), commands)[-1]
  renderer = scene.SceneRenderer(SMALL, 6)
  assert renderer.can_copy
  renderer.reset()
  others = programs(SMALL, 5, 6, seed=8)
  for t in range(time):
    both = {
        k: np.concatenate([v[t], others[k][t, 3:]]) for k, v in commands.items()
    }
    renderer.step(both)
  sources, copies = np.array([1, 0]), np.array([5, 3])
  renderer.copy(sources, copies)
  for t in range(time, 5):
    command = {k: v[t, sources] for k, v in commands.items()}
    renderer.draw_on(command, copies)
  np.testing.assert_array_equal(renderer.read(copies), expected[sources])
  for t in range(time, 5):
    renderer.draw_on(at(commands, t), np.arange(3))
  np.testing.assert_array_equal(renderer.read(np.arange(3)), expected)


def test_whole_scenes_do_not_disturb_those_that_are_being_drawn():
  renderer = scene.SceneRenderer(SMALL, 4)
  commands = programs(SMALL, 6, 4, seed=1)
  canvases = play(renderer, commands)
  renderer.reset()
  for t in range(6):
    renderer.render(scene.generate(SMALL, 4, seed=t))
    np.testing.assert_array_equal(
        renderer.step(at(commands, t)), canvases[t + 1]
    )


def test_parts_that_a_skip_ignores_change_nothing():
  commands = programs(SMALL, 10, 8, seed=2)
  other = programs(SMALL, 10, 8, seed=3)
  is_skip = commands['kind'] == scene.KINDS.index('skip')
  mixed = {
      name: np.where(is_skip, other[name], values) if part.active_if else values
      for (name, values), part in zip(
          commands.items(), SMALL.action_spec().values()
      )
  }
  assert (mixed['location'] != commands['location']).any()
  renderer = scene.SceneRenderer(SMALL, 8)
  np.testing.assert_array_equal(play(renderer, commands), play(renderer, mixed))


def test_command_of_another_length_does_not_get_through():
  renderer = scene.SceneRenderer(SMALL, 3)
  command = {k: np.zeros(3, int) for k in SMALL.action_spec()}
  before = renderer.step(command)
  for name in command:
    with pytest.raises(ValueError):
      renderer.step({**command, name: np.zeros(2, int)})
  nothing = {**command, 'kind': np.ones(3, int)}
  np.testing.assert_array_equal(renderer.step(nothing), before)


def test_location_is_row_times_width_plus_column_from_the_back_left():
  renderer = scene.SceneRenderer(SMALL)
  empty = renderer.reset()[0].astype(int)

  def middle(location):
    renderer.reset()
    command = {k: np.zeros(1, int) for k in SMALL.action_spec()}
    canvas = renderer.step({**command, 'location': np.array([location])})[0]
    return np.argwhere((canvas != empty).any(-1)).mean(0)

  back_left, back_right, front_left = middle(0), middle(3), middle(12)
  assert back_right[1] > back_left[1] + 10
  assert abs(back_right[0] - back_left[0]) < 1
  assert front_left[0] > back_left[0] + 10


def test_bad_arguments():
  with pytest.raises(ValueError, match='count is 0'):
    scene.SceneRenderer(SMALL, 0)
  with pytest.raises(ValueError, match="gl is 'vulkan'.*'egl' or 'osmesa'"):
    scene.make(gl='vulkan', canvas_size=11)
