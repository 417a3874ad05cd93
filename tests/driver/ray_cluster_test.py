"""Rollouts on the machines of a cluster, and what happens if one is lost."""

import json
import os
import pathlib
import subprocess
import sys

import pytest

pytest.importorskip('ray', reason='needs Ray: the extra [distributed]')

ROOT = pathlib.Path(__file__).resolve().parents[2]


@pytest.mark.slow
def test_actors_play_on_all_machines_and_outlive_one(tmp_path):
  result = subprocess.run(
    [sys.executable, '-m', 'tests.driver.ray_nodes', str(tmp_path)],
    cwd=ROOT,
    # Ray's own passwords are kept in the home folder.
    env={**os.environ, 'PYTHONPATH': str(ROOT), 'RAY_AUTH_MODE': 'disabled'},
    capture_output=True,
    text=True,
    timeout=600,
    check=False,
  )
  assert result.returncode == 0, result.stderr
  found = json.loads(result.stdout.splitlines()[-1])
  assert found['same'] == [True] * len(found['same'])
  assert found['actors/died'] == 1 and found['actors/alive'] == 2
  before = {made[0] for made in found['nodes']}
  assert len(before) == 2
  (moved,) = [made for made in found['nodes'] if len(made) > 1]
  assert len(moved) == 2 and moved[1] not in before
