"""Search by covers: it finds more, loses nothing, and repeats."""

import jax
import numpy as np
import pytest

from environments import painting
from environments.painting import renderer as renderer_lib
from spiral_jax import search

T = 5


def _settings(**options):
  return painting.PaintingSettings(
      **dict(episode_length=T, grid_size=16, brush_sizes=(2, 5)) | options
  )


def _problem(settings, count, seed=0):
  """Returns targets that programs draw, and other programs."""
  spec, keys = settings.action_spec(), jax.random.split(jax.random.key(seed))
  drawn, other = (
      search.random_programs(spec, T, count, key=key) for key in keys
  )
  return _run(settings, drawn), other


def _run(settings, programs):
  environment = painting.TASK.make_batch(
      settings, len(programs['end'][0]), num_threads=1
  )
  environment.reset()
  for t in range(T):
    step = environment.step({k: v[t] for k, v in programs.items()})
  return step.observation['canvas']


def _improve(settings, programs, targets, *, threads=1, seed=0, **options):
  environment = painting.TASK.make_batch(settings, 100, threads)
  return search.improve(
      environment, programs, targets, key=jax.random.key(seed), **options
  )


@pytest.mark.parametrize(
    'options',
    [{}, dict(color=True), dict(color=True, brush='classic/ink_blot')],
)
def test_more_is_found_than_by_drawing_whole_programs(options, monkeypatch):
  settings = _settings(**options)
  targets, programs = _problem(settings, 4)
  first = _improve(settings, programs, targets, rounds=0)
  found = _improve(settings, programs, targets, rounds=60)
  canvases = _run(settings, found.programs)
  np.testing.assert_array_equal(found.canvases, canvases)
  np.testing.assert_array_equal(
      found.scores, search.negative_l2(canvases, targets)
  )
  assert (found.num_renderings <= 1 + 16 * 60).all()
  assert (found.num_renderings > 1 + 16 * 30).all()
  assert (found.scores >= first.scores).all()
  monkeypatch.setattr(renderer_lib.PaintingRenderer, 'can_cover', False)
  whole = _improve(settings, programs, targets, rounds=60)
  assert found.scores.mean() > whole.scores.mean() > first.scores.mean()


def test_no_rounds_change_nothing():
  settings = _settings()
  targets, programs = _problem(settings, 3)
  found = _improve(settings, programs, targets, rounds=0)
  jax.tree.map(np.testing.assert_array_equal, found.programs, programs)
  np.testing.assert_array_equal(found.canvases, _run(settings, programs))


@pytest.mark.parametrize('brush', ['classic/pen', 'classic/ink_blot'])
def test_the_key_decides_and_threads_do_not(brush):
  settings = _settings(color=True, brush=brush)
  targets, programs = _problem(settings, 3)
  first, again, other = (
      _improve(
          settings, programs, targets, rounds=6, seed=seed, threads=threads
      )
      for seed, threads in ((0, 1), (0, 2), (1, 1))
  )
  jax.tree.map(np.testing.assert_array_equal, first, again)
  assert any(
      (values != other.programs[name]).any()
      for name, values in first.programs.items()
  )


def test_what_nobody_sees_goes():
  settings = _settings(pressure=False, color=True)
  program = {
      'flag': [0, 1, 0, 1, 0],  # A white stroke on white paper, a black one.
      'end': [68, 168, 68, 168, 0],
      'control': [0, 118, 0, 118, 0],
      'size': [0, 0, 0, 1, 0],
      **{name: [0, 19, 0, 0, 0] for name in ('red', 'green', 'blue')},
  }
  programs = {
      name: np.repeat(np.array(v, np.int32)[:, np.newaxis], 3, axis=1)
      for name, v in program.items()
  }
  targets = _run(settings, programs)
  found = _improve(settings, programs, targets, rounds=300)
  np.testing.assert_array_equal(found.scores, 0.0)
  assert (found.programs['flag'].sum(axis=0) == 1).any()


def test_seconds_are_kept():
  settings = _settings()
  targets, programs = _problem(settings, 3)
  found = _improve(settings, programs, targets, seconds=0.2)
  assert (found.num_renderings > 16).all()
  found = _improve(settings, programs, targets, seconds=0.0)
  np.testing.assert_array_equal(found.num_renderings, 1)
