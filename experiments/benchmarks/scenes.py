"""Times the scene environment: steps per second on one thread.

It is compared with two ways to let MuJoCo draw the same pictures at each step:
a model and a renderer made anew, and one compiled model to which objects are
appended, without shadows. All take turns, so that other work on the machine
slows all alike; printed are medians over the turns, with quartiles.

  python experiments/benchmarks/scenes.py
"""

from collections.abc import Callable, Sequence
import os
import time
from typing import cast

from absl import flags
import numpy as np

from environments import scene
from environments.scene import gl as gl_lib
from environments.scene import mujoco_renderer
from environments.scene import world
from spiral_jax.training import cli
from spiral_jax.training import profiling

_CANVASES = flags.DEFINE_integer(
    'canvases', 64, 'number of scenes in a batch', lower_bound=1
)
_TURNS = flags.DEFINE_integer(
    'turns', 9, 'number of episodes of each way', lower_bound=1
)
_REBUILDS = flags.DEFINE_integer(
    'rebuilds',
    3,
    'number of steps of an episode at which models are made anew',
    lower_bound=1,
)
_GL = flags.DEFINE_enum('gl', 'egl', ['egl', 'osmesa'], 'kind of OpenGL')
_FIGURES = flags.DEFINE_string(
    'figures',
    '',
    'file of JSON lines that figures are added to; empty for none',
)

_ENVIRONMENT = 'environment'
_SINGLE = 'environment, one scene'
_LIVE = 'one compiled model'
_REBUILT = 'model and renderer anew'


class Episode:
  """A random program for each scene of a batch, and its intermediate states."""

  def __init__(self, settings: scene.SceneSettings, count: int):
    """Draws N = `count` programs."""
    rng = np.random.default_rng(0)
    length = settings.episode_length
    self.commands = {
        name: rng.integers(0, part.num_values, (length, count), np.int32)
        for name, part in settings.action_spec().items()
    }
    # Of the first scene, after each command.
    self.programs = [
        scene.Program(
            settings,
            {name: v[: t + 1, 0] for name, v in self.commands.items()},
        )
        for t in range(length)
    ]
    self.geoms = [
        world.geoms(settings, program.objects()) for program in self.programs
    ]
    self.mjcf = [program.to_mjcf() for program in self.programs]

  def at(self, t: int) -> dict[str, np.ndarray]:
    """Returns the command of each scene at time t."""
    return {name: values[t] for name, values in self.commands.items()}

  def first_at(self, t: int) -> dict[str, int]:
    """Returns the command of the first scene at time t."""
    return {name: int(values[t, 0]) for name, values in self.commands.items()}


def rebuild(xml: str, size: int) -> np.ndarray:
  """Returns a picture, made as in MuJoCo's tutorial."""
  import mujoco

  model = mujoco.MjModel.from_xml_string(xml)
  data = mujoco.MjData(model)
  mujoco.mj_forward(model, data)
  with mujoco.Renderer(model, size, size) as renderer:
    renderer.update_scene(data, camera=world.CAMERA)
    return renderer.render()


def main(argv: Sequence[str]) -> None:
  """Prints a table, and ratios of rates."""
  del argv
  # MuJoCo reads it when it is imported.
  os.environ['MUJOCO_GL'] = _GL.value
  gl = cast(gl_lib.Kind, _GL.value)
  settings = scene.SceneSettings()
  size, length = settings.canvas_size, settings.episode_length
  episode = Episode(settings, _CANVASES.value)
  batch = scene.make_batch(_CANVASES.value, dtype=np.uint8, gl=gl)
  single = scene.make(gl=gl)
  with mujoco_renderer.LiveRenderer(size, gl=gl) as renderer:
    _check(episode, batch, renderer, size)
    # Spread over the episode: scenes grow.
    rebuilt = np.linspace(0, length - 1, _REBUILDS.value).astype(int)
    ways: dict[str, tuple[Callable[[], None], int]] = {
        _ENVIRONMENT: (
            lambda: _each(batch, episode.at, length),
            length * _CANVASES.value,
        ),
        _SINGLE: (lambda: _each(single, episode.first_at, length), length),
        _LIVE: (lambda: _all(renderer.render, episode.geoms), length),
        _REBUILT: (
            lambda: _all(
                lambda xml: rebuild(xml, size),
                [episode.mjcf[t] for t in rebuilt],
            ),
            len(rebuilt),
        ),
    }
    rates: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(_TURNS.value):
      for name, (play, num_steps) in ways.items():
        start = time.perf_counter()
        play()
        rates[name].append(num_steps / (time.perf_counter() - start))

  print(
      f'{_CANVASES.value} scenes of {size} pixels, episodes of {length}'
      f' commands, {_GL.value}, {_TURNS.value} turns; steps per second'
  )
  for name, values in rates.items():
    low, median, high = np.percentile(values, [25, 50, 75])
    print(f'{name:24} {median:9,.0f}  ({low:,.0f} to {high:,.0f})')
  for name in (_REBUILT, _LIVE):
    ratios = np.array(rates[_ENVIRONMENT]) / np.array(rates[name])
    low, median, high = np.percentile(ratios, [25, 50, 75])
    print(f'against {name:24} {median:,.1f}x  ({low:,.1f} to {high:,.1f})')
    profiling.record(
        _FIGURES.value,
        profiling.Figure(
            'scenes',
            float(np.median(rates[_ENVIRONMENT])),
            'steps/s',
            float(np.median(rates[name])),
            name,
            median,
            (low, high),
        ),
    )


def _check(episode, batch, renderer, size: int) -> None:
  """Raises an error unless all ways draw the same."""
  batch.reset()
  for t, geoms in enumerate(episode.geoms):
    canvas = batch.step(episode.at(t)).observation['canvas'][0]
    np.testing.assert_array_equal(canvas, renderer.render(geoms))
  np.testing.assert_array_equal(canvas, rebuild(episode.mjcf[-1], size))


def _each(environment, command_at: Callable, length: int) -> None:
  environment.reset()
  for t in range(length):
    environment.step(command_at(t))


def _all(draw: Callable, items: Sequence) -> None:
  for item in items:
    draw(item)


if __name__ == '__main__':
  cli.run(main)
