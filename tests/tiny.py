"""Experiments that take seconds, and their flags."""

import contextlib
import io
import os
import pathlib
import runpy
import signal
import subprocess
import sys
from typing import NamedTuple
from unittest import mock

from absl import flags as absl_flags

from environments import painting
from environments import scene
from spiral_jax import agents
from spiral_jax import training

ROOT = pathlib.Path(__file__).resolve().parents[1]
OWN_TASK = 'tests.own_renderer.rectangles'

AGENT = dict(
    torso='patches',
    location_head='spatial',
    channels=4,
    torso_blocks=0,
    head_blocks=0,
    hidden_size=16,
    core_size=16,
    embedding_size=4,
)
RUN = dict(
    batch_size=8,
    frames=72,
    log_every=1,
    replay_batches=2,
    lockstep=True,
    picture_seconds=0,  # But at the end, however slow the machine.
)
SCENES = dict(
    canvas_size=16, grid_size=8, sizes=(0.2,), shades=2, episode_length=3
)
SCENE_DATA = dict(train_scenes=40, held_out=20, max_objects=3)


def experiment(run_dir, *, run=(), learner=(), costs=(), **agent):
  """Returns a run of three updates: 3 commands by 8 episodes each."""
  if not agent.get('conditional'):
    agent.setdefault('noise_size', 3)
  return training.Experiment(
      task='environments.painting',
      dataset='mnist',
      run=training.RunConfig(run_dir=str(run_dir), **{**RUN, **dict(run)}),
      environment=painting.PaintingSettings(
          canvas_size=16, grid_size=8, episode_length=3
      ),
      agent=agents.AgentConfig(**AGENT, **agent),
      learner=agents.LearnerConfig(**dict(learner)),
      discriminator=agents.DiscriminatorConfig(channels=(4, 4), patch_size=2),
      costs=dict(costs),
  )


def scene_experiment(run_dir, *, costs=(), **kwargs):
  """Returns the same run on scenes, of a conditional agent by default."""
  return experiment(run_dir, **{'conditional': True, **kwargs}).replace(
      task='environments.scene',
      dataset='scenes',
      environment=scene.SceneSettings(**SCENES),
      data=scene.SceneData(**SCENE_DATA),
      costs=dict(costs),
  )


def flags(run_dir):
  """Returns flags of the run that `experiment` returns."""
  return _flags(
      **AGENT,
      **RUN,
      run_dir=run_dir,
      noise_size=3,
      canvas_size=16,
      grid_size=8,
      episode_length=3,
      discriminator_channels='4,4',
      discriminator_patch_size=2,
  )


def scene_flags(run_dir):
  """Returns flags of the run that `scene_experiment` returns."""
  return _flags(
      **AGENT,
      **RUN,
      **SCENE_DATA,
      **{**SCENES, 'sizes': 0.2},
      run_dir=run_dir,
      conditional=True,
      discriminator_channels='4,4',
      discriminator_patch_size=2,
  )


def own_flags(run_dir):
  """Returns flags of the same run with a renderer of a package of its own."""
  chosen = [f for f in flags(run_dir) if not f.startswith('--grid_size')]
  return [*chosen, f'--task={OWN_TASK}', '--dataset=mnist']


def _flags(**values):
  return [f'--{name}={value}' for name, value in values.items()]


class Result(NamedTuple):
  """What a program left."""

  code: int
  stdout: str
  stderr: str


def run_program(name, *arguments, evaluated=8):
  """Runs the `main` of a program of experiments/ in this process.

  Its flags are forgotten afterwards, so that another program may define them.
  What it trains is evaluated on `evaluated` pictures, by default as many as an
  actor draws at once: more take longer, and what draws them is traced anew.
  """
  values = absl_flags.FLAGS
  known = set(values)
  argv, sys.argv = sys.argv, [
      str(ROOT / 'experiments' / name),
      *map(str, arguments),
  ]
  stdout, stderr = io.StringIO(), io.StringIO()
  hook, code = sys.unraisablehook, 0
  try:
    with (
        contextlib.redirect_stdout(stdout),
        contextlib.redirect_stderr(stderr),
        mock.patch.dict(training.evaluate.__kwdefaults__, count=evaluated),
    ):
      runpy.run_path(sys.argv[0], run_name='__main__')
  except SystemExit as exit_:
    code = exit_.code or 0
    if isinstance(code, str):
      stderr.write(code + '\n')
      code = 1
  finally:
    sys.argv = argv
    sys.unraisablehook = hook
    for flag in set(values) - known:
      delattr(values, flag)
    values.unparse_flags()
  return Result(code, stdout.getvalue(), stderr.getvalue())


def start_program(name, *arguments, **kwargs):
  """Starts a program of experiments/ in a process of its own."""
  environment = {**os.environ, 'JAX_PLATFORMS': 'cpu', 'COLUMNS': '100'}
  return subprocess.Popen(
      [sys.executable, str(ROOT / 'experiments' / name), *map(str, arguments)],
      stdout=subprocess.PIPE,
      stderr=subprocess.PIPE,
      text=True,
      env=environment,
      # Ctrl-C works even if the tests themselves were started without it.
      preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
      **kwargs,
  )
