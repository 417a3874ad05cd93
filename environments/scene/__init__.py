"""Primitives on a lit platform, as MuJoCo draws them.

`make` gives a dm_env environment of one scene, `make_batch` one of many that
are drawn in one call. `Program` is what an agent wrote: it can be saved, opened
in MuJoCo, and rendered large and with shadows.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

from environments import core
from environments.scene import commands as commands_lib
from environments.scene import dataset
from environments.scene import generator
from environments.scene import gl as gl_lib
from environments.scene import metrics
from environments.scene import prior
from environments.scene import program as program_lib
from environments.scene import renderer as renderer_lib
from environments.scene import settings as settings_lib
from environments.scene import sprites

COLORS = settings_lib.COLORS
KINDS = settings_lib.KINDS
OBJECTS = settings_lib.OBJECTS
NoOpenGLError = gl_lib.NoOpenGLError
Objects = commands_lib.Objects
Program = program_lib.Program
SceneData = dataset.SceneData
SceneRenderer = renderer_lib.SceneRenderer
SceneSettings = settings_lib.SceneSettings
generate = generator.generate
place = commands_lib.place
to_commands = commands_lib.to_commands


def _summarize(
    settings: SceneSettings, objects: Objects, true: Objects | None
) -> dict[str, dict[str, Any]]:
  """Returns how many objects there are, and what is right about them."""
  if true is None:
    return {'objects': {'objects': float(objects.present.sum(1).mean())}}

  def accuracy(chosen: np.ndarray) -> dict[str, Any]:
    predicted, right = (
        {part: np.asarray(side[part])[chosen] for part in Objects._fields}
        for side in (objects._asdict(), true._asdict())
    )
    shape = settings.grid_size, settings.grid_size
    return metrics.evaluate_objects(
        predicted, right, grid_shape=shape
    )._asdict()

  num_true = true.present.sum(1)
  figures = {'objects': accuracy(num_true > 0)}
  if 0 < np.mean(num_true <= 2) < 1:
    figures['objects, scenes of 1 or 2'] = accuracy(num_true <= 2)
  return figures


TASK = core.Task(
    name=__name__,
    settings=SceneSettings,
    # Scenes are drawn by NumPy, in one thread.
    make_renderer=lambda settings, count, num_threads: SceneRenderer(
        settings, count
    ),
    make_images=dataset.make_images,
    dataset='scenes',
    data=SceneData,
    read_programs=lambda canvas, action: place(action),
    summarize_programs=_summarize,
    costs={
        # Without it, another object on top of the last mends it as well as a
        # change does.
        'object': core.ActionCost(
            'kind', settings_lib.ADD, 'adding an object to a scene'
        )
    },
    sample_programs=prior.sample_programs,
    device_renderer=lambda settings: (
        'spiral_jax.renderers:make_scenes',
        sprites.load(settings),
    ),
)


def make(
    *, gl: gl_lib.Kind = 'auto', **settings: Any
) -> core.RenderEnvironment:
  """Returns an environment of one scene.

  Args:
    gl: 'egl', 'osmesa' or 'auto': how to draw the table of all objects, which
      is done once and kept in the user's cache.
    **settings: fields of `SceneSettings`: canvas_size=64, grid_size=16,
      span=0.72, sizes=(0.13, 0.2, 0.28), shades=4, episode_length=20.

  Returns:
    A dm_env environment whose actions are dicts of ints (kind, object,
    location, size, red, green, blue) and whose observation has `canvas`,
    float32 in [0, 1], `[H, W, 3]`.

  Raises:
    NoOpenGLError: if the table is not cached and there is no OpenGL.
    ValueError: if a setting is out of range.
  """
  checked = SceneSettings(**settings)
  return core.RenderEnvironment(
      SceneRenderer(checked, count=1, gl=gl), checked.episode_length
  )


def make_batch(
    count: int,
    *,
    dtype: npt.DTypeLike = np.float32,
    gl: gl_lib.Kind = 'auto',
    **settings: Any,
) -> core.BatchedEnvironment:
  """Returns an environment of N = `count` scenes that stay in step.

  Args:
    count: number of canvases.
    dtype: type of the observed canvases `[N, H, W, 3]`: float32 in [0, 1], or
      uint8, 0 to 255.
    gl: as for `make`.
    **settings: as for `make`.

  Raises:
    NoOpenGLError, ValueError: as `make` does.
  """
  checked = SceneSettings(**settings)
  return core.BatchedEnvironment(
      SceneRenderer(checked, count, gl=gl), checked.episode_length, dtype
  )
