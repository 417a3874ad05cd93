"""Actors on the machines of a cluster, and what happens if one is lost."""

import json
import os
import pathlib
import subprocess
import sys

import pytest

pytest.importorskip('ray', reason='needs Ray: the extra [distributed]')

ROOT = pathlib.Path(__file__).resolve().parents[2]


TOKEN = 64 * 'a'


def run(script, argument, home, token=TOKEN):
  """Runs a script as on a machine whose clusters ask for a token."""
  (home / '.ray').mkdir(parents=True)
  (home / '.ray' / 'auth_token').write_text(token)
  environment = {**os.environ, 'PYTHONPATH': str(ROOT), 'HOME': str(home)}
  environment.pop('RAY_AUTH_MODE', None)
  return subprocess.run(
      [sys.executable, '-m', f'tests.driver.{script}', str(argument)],
      cwd=ROOT,
      env=environment,
      capture_output=True,
      text=True,
      timeout=3600,
      check=False,
  )


@pytest.mark.slow
def test_actors_play_on_all_machines_and_outlive_one(tmp_path):
  result = run('ray_nodes', tmp_path, tmp_path / 'home')
  assert result.returncode == 0, result.stderr
  found = json.loads(result.stdout.splitlines()[-1])
  assert found['same'] == [True] * len(found['same'])
  assert found['actors/died'] == 1 and found['actors/alive'] == 2
  before = {made[0] for made in found['nodes']}
  assert len(before) == 2
  (moved,) = [made for made in found['nodes'] if len(made) > 1]
  assert len(moved) == 2 and moved[1] not in before


@pytest.mark.slow
@pytest.mark.parametrize('what', ['gcs', 'all'])
def test_a_head_that_is_killed_is_one_error(what, tmp_path):
  result = run('ray_head', what, tmp_path / 'home')
  # Ray leaves the program the time for an error of its own, or does not.
  said = (result.stdout + result.stderr).splitlines()
  # That an actor is started again may be a line, Ray's own of the port another.
  (error,) = [line for line in said if 'from the last checkpoint' in line]
  assert 'head' in error, result
  assert not any('Traceback' in line or 'failed too' in line for line in said)
