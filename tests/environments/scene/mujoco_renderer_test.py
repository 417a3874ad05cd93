"""MuJoCo's own drawing, through EGL or OSMesa."""

import json
import os
import pathlib
import subprocess
import sys
import threading

import numpy as np
import pytest

from environments import scene
from environments.scene import gl as gl_lib
from environments.scene import mujoco_renderer
from environments.scene import world

ROOT = pathlib.Path(__file__).resolve().parents[3]
SETTINGS = scene.SceneSettings()


def first_scene(seed=0):
  objects = scene.generate(SETTINGS, 1, seed=seed)
  return world.geoms(SETTINGS, scene.Objects(*(x[0] for x in objects)))


def run(code, **environment):
  """Returns what a new interpreter prints."""
  done = subprocess.run(
      [sys.executable, '-c', code],
      cwd=ROOT,
      env={k: v for k, v in os.environ.items() if k != 'MUJOCO_GL'}
      | environment,
      capture_output=True,
      text=True,
      check=False,
  )
  assert done.returncode == 0, done.stderr
  return done.stdout


def test_importing_loads_no_mujoco_and_leaves_the_environment_alone():
  code = """
import os, sys
before = dict(os.environ)
from environments import scene
from environments.scene import mujoco_renderer
scene.SceneSettings().action_spec()
assert not {'mujoco', 'OpenGL', 'glfw'} & set(sys.modules)
assert dict(os.environ) == before
print('imported')
"""
  assert run(code) == 'imported\n'


@pytest.mark.usefixtures('needs_gl')
def test_drawing_leaves_the_environment_alone():
  code = """
import os, sys
before = dict(os.environ)
from environments.scene import mujoco_renderer
mujoco_renderer.LiveRenderer(8).render([])
assert 'mujoco' in sys.modules
assert dict(os.environ) == before
print('drew')
"""
  assert run(code) == 'drew\n'


def test_egl_and_osmesa_draw_the_same():
  pictures = {
      kind: run(_DRAW.replace('KIND', repr(kind))) for kind in ('egl', 'osmesa')
  }
  missing = [kind for kind, text in pictures.items() if text == 'none\n']
  if missing:
    pytest.skip(f'this machine has no {", ".join(missing)}')
  assert pictures['egl'] == pictures['osmesa']
  assert len(set(json.loads(pictures['egl']))) > 10


_DRAW = """
import json
from environments import scene
settings = scene.SceneSettings()
objects = scene.generate(settings, 1, seed=5)
commands = {k: v[:, 0] for k, v in scene.to_commands(objects).items()}
try:
  picture = scene.Program(settings, commands).render(gl=KIND)
except scene.NoOpenGLError:
  print('none')
else:
  print(json.dumps(picture.ravel().tolist()))
"""


@pytest.mark.usefixtures('needs_gl')
def test_one_kind_in_a_process():
  (used,) = gl_lib._used
  other = {'egl': 'osmesa', 'osmesa': 'egl'}[used]
  mujoco_renderer.LiveRenderer(8, gl=used).close()
  with pytest.raises(ValueError, match=f'{other!r}.*{used!r} already'):
    mujoco_renderer.LiveRenderer(8, gl=other)


def test_the_environment_variable_chooses(no_gl, monkeypatch):
  del no_gl
  monkeypatch.setenv('MUJOCO_GL', 'osmesa')
  with pytest.raises(scene.NoOpenGLError) as error:
    gl_lib.open_context('auto', 8)
  assert 'OSMesa' in str(error.value) and 'EGL' not in str(error.value)
  with pytest.raises(ValueError, match="'egl'.*MUJOCO_GL"):
    gl_lib.open_context('egl', 8)


@pytest.mark.usefixtures('needs_gl')
def test_shadows_darken_what_is_beside_objects():
  with (
      mujoco_renderer.LiveRenderer(64) as plain,
      mujoco_renderer.LiveRenderer(64, shadows=True) as shaded,
  ):
    geoms = first_scene()
    # They take turns: each draws in its own context.
    first, dark = plain.render(geoms), shaded.render(geoms)
    np.testing.assert_array_equal(plain.render(geoms), first)
    np.testing.assert_array_equal(shaded.render(geoms), dark)
    empty, dark_empty = plain.render([]), shaded.render([])
  # Nearly: the lamp is then added in a second pass, and clipped apart.
  assert (dark.astype(int) <= first.astype(int) + 8).all()
  # Beside the objects the platform shows as before, but for their shadows.
  is_beside = (first == empty).all(-1)
  darker = dark.astype(int).sum(-1) < dark_empty.astype(int).sum(-1) - 30
  assert 20 < (is_beside & darker).sum() < 1000


@pytest.mark.usefixtures('needs_gl')
def test_nearness_goes_up_towards_the_camera():
  with mujoco_renderer.LiveRenderer(64) as renderer:
    _, empty = renderer.render_depth([])
    picture, near = renderer.render_depth(first_scene())
    np.testing.assert_array_equal(picture, renderer.render(first_scene()))
  assert (0 < empty).all() and (near <= 1).all()
  assert empty[50, 32] > empty[20, 32]  # The platform's front and back.
  assert (near >= empty).all() and (near > empty).sum() > 20


@pytest.mark.usefixtures('needs_gl')
def test_misuse_is_told():
  renderer = mujoco_renderer.LiveRenderer(16, max_objects=1)
  with pytest.raises(ValueError, match='2 objects; max_objects is 1'):
    renderer.render(2 * first_scene()[:1])
  errors = []

  def elsewhere():
    try:
      renderer.render([])
    except RuntimeError as error:
      errors.append(str(error))

  thread = threading.Thread(target=elsewhere)
  thread.start()
  thread.join()
  assert len(errors) == 1 and 'another thread' in errors[0]
  renderer.close()
  renderer.close()
  with pytest.raises(RuntimeError, match='closed'):
    renderer.render([])
  for size in (0, 5000):
    with pytest.raises(ValueError, match=f'size is {size}'):
      mujoco_renderer.LiveRenderer(size)
