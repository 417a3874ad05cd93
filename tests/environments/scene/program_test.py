"""Programs as JSON, as MuJoCo's XML, and as pictures."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest

from environments import scene
from environments.scene import gl as gl_lib
from environments.scene import world

SETTINGS = scene.SceneSettings(shades=3, sizes=(1 / 9, 1 / 7, 0.28))


def make_program(seed=0, length=12, settings=SETTINGS):
  rng = np.random.default_rng(seed)
  return scene.Program(
      settings,
      {
          name: rng.integers(0, part.num_values, length)
          for name, part in settings.action_spec().items()
      },
  )


def canvas_of(program):
  renderer = scene.SceneRenderer(program.settings)
  canvas = renderer.reset()
  for t in range(len(program)):
    canvas = renderer.step(
        {name: values[t : t + 1] for name, values in program.commands.items()}
    )
  return canvas[0]


def test_json_and_back():
  program = make_program()
  text = program.to_json()
  again = scene.Program.from_json(text)
  assert again == program and again.settings == SETTINGS
  assert again.to_json() == text
  assert make_program(seed=1) != program
  other = scene.SceneSettings(shades=3, span=0.7)
  assert scene.Program(other, program.commands) != program
  first = json.loads(text)['commands'][0]
  assert first['kind'] in scene.KINDS and first['object'] in scene.OBJECTS
  assert len(text.splitlines()) == 12 + 3


def test_an_empty_program():
  program = make_program(length=0)
  assert scene.Program.from_json(program.to_json()) == program
  assert len(program) == 0 and not program.objects().present.size


def test_objects_are_those_that_stay():
  program = make_program()
  placed = scene.place({k: v[:, None] for k, v in program.commands.items()})
  objects = program.objects()
  assert objects.present.all() and len(objects.present) > 2
  np.testing.assert_array_equal(
      objects.location, placed.location[placed.present]
  )


def change(path, value):
  data = json.loads(make_program().to_json())
  place = data
  for key in path[:-1]:
    place = place[key]
  if value is None:
    del place[path[-1]]
  else:
    place[path[-1]] = value
  return json.dumps(data)


@pytest.mark.parametrize(
    'text, words',
    [
        ('{', ['no JSON', 'line 1']),
        ('[]', ["'format'", 'spiral_jax scene program']),
        (change(['format'], 'x'), ["'format'", 'spiral_jax scene program']),
        ('[' * 100_000, ['no JSON']),
        ('{"format": ' + '9' * 9999 + '}', ['no JSON']),
        ('', ['no JSON', 'to_json']),
        (change(['version'], 2), ['version 2', 'version 1']),
        (change(['version'], []), ['version []', 'version 1']),
        (change(['version'], True), ['version True', 'version 1']),
        (change(['settings', 'x' * 999], 1), ["unknown setting 'xxx"]),
        (change(['settings', 'span'], 'wide'), ["span is 'wide'"]),
        (change(['settings', 'span'], {}), ['span is {}']),
        (change(['settings', 'sizes'], [[0.1]]), ['sizes has [0.1]']),
        (change(['settings', 'sizes'], ['0.1']), ["sizes has '0.1'"]),
        (change(['settings', 'sizes'], 'abc'), ["sizes is 'abc'"]),
        (change(['settings', 'shades'], 3.0), ['shades is 3.0']),
        (change(['commands', 4], [1] * 999), ['command 4 is [1, 1']),
        (change(['commands', 4], 'x' * 999), ["command 4 is 'xxx"]),
        (change(['commands', 4, 'red'], 'x' * 999), ["'red' of command 4"]),
        (change(['settings'], None), ["lacks 'settings'"]),
        (change(['settings', 'span'], None), ["missing setting 'span'"]),
        (change(['settings', 'extra'], 1), ["unknown setting 'extra'"]),
        (change(['settings', 'span'], 2.0), ['span is 2.0']),
        (change(['commands'], 3), ["lacks 'commands'"]),
        (change(['commands', 4, 'size'], None), ['command 4', 'size']),
        (change(['commands', 4, 'size'], 3), ["'size' of command 4 is 3", '2']),
        (change(['commands', 4, 'red'], 1.0), ["'red' of command 4 is 1.0"]),
        (change(['commands', 4, 'red'], True), ["'red' of command 4 is True"]),
        (
            change(['commands', 0, 'object'], 'cone'),
            ["'object' of command 0 is 'cone'", 'sphere, box'],
        ),
        (change(['commands', 0, 'kind'], []), ["'kind' of command 0 is []"]),
    ],
)
def test_bad_json_is_told_in_one_line(text, words):
  with pytest.raises(ValueError) as error:
    scene.Program.from_json(text)
  assert '\n' not in str(error.value) and len(str(error.value)) < 300
  for word in words:
    assert word in str(error.value)


@pytest.mark.parametrize('depth', [10, 300, 900])
@pytest.mark.parametrize('name', ['version', 'span', 'sizes', 'kind', 'red'])
def test_what_is_deep_is_told_in_one_line(name, depth):
  data = json.loads(make_program().to_json())
  for place in (data, data['settings'], data['commands'][1]):
    if name in place:
      place[name] = 'DEEP'
  text = json.dumps(data).replace('"DEEP"', '[' * depth + ']' * depth)
  with pytest.raises(ValueError) as error:
    scene.Program.from_json(text)
  assert '\n' not in str(error.value) and len(str(error.value)) < 300


def test_bad_commands_are_told():
  commands = make_program().commands
  with pytest.raises(ValueError, match="'red'.* is 3, must be from 0 to 2"):
    scene.Program(SETTINGS, commands | {'red': np.full(12, 3)})
  with pytest.raises(ValueError, match=r"'red'.*\(11,\), must be \(12,\)"):
    scene.Program(SETTINGS, commands | {'red': np.zeros(11, int)})
  with pytest.raises(ValueError, match="lacks part 'kind'"):
    scene.Program(SETTINGS, {})


def test_commands_are_the_callers_own():
  program = make_program()
  program.commands['kind'][:] = 0
  assert program == make_program()


@pytest.mark.usefixtures('needs_gl')
def test_render_is_the_canvas_and_can_be_larger_and_shaded():
  program = make_program()
  canvas = canvas_of(program)
  np.testing.assert_array_equal(program.render(), canvas)
  large = program.render(256)
  assert large.shape == (256, 256, 3)
  # The same picture, but for edges.
  shrunk = large.reshape(64, 4, 64, 4, 3).mean((1, 3))
  assert np.abs(shrunk - canvas).mean() < 4
  shaded = program.render(256, shadows=True)
  assert shaded.mean() < large.mean() - 1


_OWN_RENDERER = """
import sys
import mujoco
import numpy as np
pictures = []
for path in sys.argv[2:]:
  model = mujoco.MjModel.from_xml_path(path)
  data = mujoco.MjData(model)
  mujoco.mj_forward(model, data)
  with mujoco.Renderer(model, 64, 64) as renderer:
    renderer.update_scene(data, camera='camera')
    pictures.append(renderer.render())
np.save(sys.argv[1], np.stack(pictures))
"""


@pytest.mark.usefixtures('needs_gl')
def test_mjcf_looks_the_same_through_mujocos_own_renderer(tmp_path):
  programs = [make_program(seed, length=20) for seed in range(5)]
  files = []
  for i, program in enumerate(programs):
    files.append(tmp_path / f'{i}.xml')
    files[-1].write_text(program.to_mjcf())
  (kind,) = gl_lib._used
  done = subprocess.run(
      [sys.executable, '-c', _OWN_RENDERER, tmp_path / 'out.npy', *files],
      env={k: v for k, v in os.environ.items() if k != 'PYOPENGL_PLATFORM'}
      | {'MUJOCO_GL': kind},
      capture_output=True,
      text=True,
      check=False,
  )
  assert done.returncode == 0, done.stderr
  for picture, program in zip(np.load(tmp_path / 'out.npy'), programs):
    np.testing.assert_array_equal(picture, canvas_of(program))


def test_mjcf_loads_in_mujoco_with_its_objects():
  mujoco = pytest.importorskip('mujoco')
  program = make_program()
  model = mujoco.MjModel.from_xml_string(
      program.to_mjcf(size=512, shadows=True)
  )
  num_objects = len(program.objects().present)
  assert model.ngeom == num_objects + 2
  for i, geom in enumerate(world.geoms(SETTINGS, program.objects())):
    loaded = model.geom(f'object {i}')
    assert loaded.id == i + 2
    for name in ('pos', 'rgba'):
      expected = getattr(geom, {'pos': 'position'}.get(name, name))
      np.testing.assert_array_equal(
          np.float32(getattr(loaded, name)), np.float32(expected)
      )
  assert model.vis.global_.offwidth == 512
  assert model.light('lamp').castshadow[0] == 1
  assert model.camera('camera').id == 0
