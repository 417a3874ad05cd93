"""Several devices learn what one learns, each from its share of the batch."""

import json
import os
import pathlib
import subprocess
import sys

import jax
import pytest

from spiral_jax import agents

ROOT = pathlib.Path(__file__).resolve().parents[2]
FLAGS = f'{os.environ["XLA_FLAGS"]} --xla_force_host_platform_device_count=8'


@pytest.fixture(scope='module')
def updates():
  """Returns (learner, devices) -> (what a device is given, distance)."""
  result = subprocess.run(
      [sys.executable, '-m', 'tests.agents.sharded_updates'],
      cwd=ROOT,
      env={**os.environ, 'XLA_FLAGS': FLAGS, 'JAX_PLATFORMS': 'cpu'},
      capture_output=True,
      text=True,
      check=False,
  )
  assert result.returncode == 0, result.stderr
  lines = map(json.loads, result.stdout.splitlines())
  return {(name, devices): rest for name, devices, *rest in lines}


# Batches are of 16; 'clipped' learns from them in two minibatches. Adam divides
# by the root of squared gradients: what it makes of small ones is less exact.
@pytest.mark.slow
@pytest.mark.parametrize(
    'learner, devices, share, tolerance',
    [
        ('discriminator', 8, 2, 1e-3),
        ('policy clipped', 8, 1, 1e-4),
        ('policy vtrace, pieces and dreams', 4, 4, 1e-4),
    ],
)
def test_devices_learn_together_what_one_learns(
    updates, learner, devices, share, tolerance
):
  given, distance = updates[learner, devices]
  assert given == share
  assert distance < tolerance


def test_one_device_needs_no_mesh():
  assert agents.make_mesh(1) is None


def test_devices_that_are_not_there_are_named():
  count = jax.local_device_count()
  words = rf'devices is {count + 1}.*has {count} '
  with pytest.raises(ValueError, match=words):
    agents.make_mesh(count + 1)
