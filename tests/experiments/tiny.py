"""Setups of runs that take seconds, and their flags."""

import os
import pathlib
import subprocess
import sys

from environments import painting
from environments import scene
import run_setup
import scene_data
from spiral_jax import agents

ROOT = pathlib.Path(__file__).resolve().parents[2]

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


def setup(run_dir, *, run=(), learner=(), **agent):
  """Returns a run of three updates: 3 commands by 8 episodes each."""
  if not agent.get('conditional'):
    agent.setdefault('noise_size', 3)
  return run_setup.Setup(
      dataset='mnist',
      run=run_setup.RunConfig(run_dir=str(run_dir), **{**RUN, **dict(run)}),
      environment=painting.PaintingSettings(
          canvas_size=16, grid_size=8, episode_length=3
      ),
      agent=agents.AgentConfig(**AGENT, **agent),
      learner=agents.LearnerConfig(**dict(learner)),
      discriminator=agents.DiscriminatorConfig(channels=(4, 4), patch_size=2),
  )


def scene_setup(run_dir, **kwargs):
  """Returns the same run on scenes, of a conditional agent by default."""
  painting_run = setup(run_dir, **{'conditional': True, **kwargs})
  return painting_run._replace(
      dataset='scenes',
      environment=scene.SceneSettings(**SCENES),
      data=scene_data.SceneData(**SCENE_DATA),
  )


def flags(run_dir):
  """Returns flags of the run that `setup` returns."""
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
  """Returns flags of the run that `scene_setup` returns."""
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


def _flags(**values):
  return [f'--{name}={value}' for name, value in values.items()]


def script(name, *arguments, **kwargs):
  """Starts a script of experiments/."""
  environment = {**os.environ, 'JAX_PLATFORMS': 'cpu', 'COLUMNS': '100'}
  return subprocess.Popen(
      [sys.executable, str(ROOT / 'experiments' / name), *map(str, arguments)],
      stdout=subprocess.PIPE,
      stderr=subprocess.PIPE,
      text=True,
      env=environment,
      **kwargs,
  )
