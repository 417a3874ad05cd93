"""Setups of runs that take seconds, and their flags."""

import os
import pathlib
import subprocess
import sys

from environments import painting
import run_setup
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
  batch_size=8, frames=72, log_every=1, replay_batches=2, lockstep=True
)


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


def flags(run_dir):
  """Returns flags of the same run."""
  values = dict(
    **AGENT, **RUN, run_dir=run_dir, noise_size=3, canvas_size=16, grid_size=8,
    episode_length=3, discriminator_channels='4,4', discriminator_patch_size=2,
  )
  return [f'--{name}={value}' for name, value in values.items()]


def script(name, *arguments, **kwargs):
  """Starts a script of experiments/."""
  environment = {**os.environ, 'JAX_PLATFORMS': 'cpu', 'COLUMNS': '100'}
  return subprocess.Popen(
    [sys.executable, str(ROOT / 'experiments' / name), *map(str, arguments)],
    stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    env=environment, **kwargs,
  )
