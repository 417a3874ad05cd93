"""Slices of training, their scores and their folders."""

import functools
import json
import math

import jax
import numpy as np
import pytest

from spiral_jax import training
from spiral_jax.driver import checkpoints
from spiral_jax.driver import finite
from spiral_jax.training.population import slice as slice_lib
from tests import tiny
from tests.training.population import toys


def test_a_score_is_that_of_the_second_half(tmp_path):
  path = tmp_path / 'metrics.jsonl'
  records = [
      {'policy/frames': frames, 'policy/score': score}
      for frames, score in ((90, 50.0), (110, 9.0), (160, 2.0), (200, 4.0))
  ]
  path.write_text('\n'.join(map(json.dumps, [*records, {'step': 1}])))
  score = functools.partial(slice_lib._score, path, has_discriminator=False)
  assert score(100, 200) == 3.0
  assert score(200, 210) == 4.0  # Too short for a record.


def test_a_score_is_less_that_of_real_images(tmp_path):
  path = tmp_path / 'metrics.jsonl'
  distance = 'discriminator/discriminator_distance'
  lines = [
      {distance: 9.0},  # Before the first half ends.
      {'policy/frames': 160, 'policy/score': 50.0},
      {distance: 2.0},
      {distance: 4.0},
  ]
  path.write_text('\n'.join(map(json.dumps, lines)))
  score = functools.partial(slice_lib._score, path, has_discriminator=True)
  assert score(100, 200) == -3.0
  # One that diverges has nothing to hand on.
  with path.open('a') as file:
    file.write('\n' + json.dumps({distance: None}))
  assert score(100, 200) == score(200, 210) == -math.inf
  path.write_text('')
  assert score(100, 200) == -math.inf


def test_overhead_is_part_of_a_slice():
  assert slice_lib._training_seconds(120, 0) == 120
  assert slice_lib._training_seconds(120, 6) == 114
  # One that trains for a moment only would teach nothing.
  assert slice_lib._training_seconds(120, 90) == 60


def params(folder):
  state = checkpoints.load(folder / 'checkpoints').state
  return state['policy']['learner']['params']


@pytest.mark.slow
def test_a_member_starts_from_another(tmp_path):
  experiment = tiny.experiment(tmp_path, run=dict(frames=0))
  planned = slice_lib.Slice(0, 1, 0, 1e-3, 0.1)
  first = slice_lib.train_slice(experiment, planned, None, 0.0, 48)
  assert first[:5] == planned[:5]
  assert first.frames == 48 and first.overhead > 0
  folder = tmp_path / 'members' / '0' / '1'
  before = params(folder)
  planned = slice_lib.Slice(1, 2, 0, 0.5, 0.2)
  experiment = experiment.replace(frames=60)
  second = slice_lib.train_slice(experiment, planned, first, 0.0, 48)
  # Ends at --frames, which are reached before the slice's.
  assert second.frames == 72 and second.seconds > first.seconds
  assert np.isfinite(second.score)
  end = tmp_path / 'members' / '1' / '2'
  texts = (end / 'metrics.jsonl').read_text().splitlines()
  frames = [json.loads(text).get('policy/frames') for text in texts]
  assert [f for f in frames if f] == [24, 48, 72]
  # It moved from where the other was, by a large learning rate.
  jax.tree.map(np.testing.assert_array_equal, before, params(folder))
  moved = jax.tree.map(lambda a, b: np.abs(a - b).max(), before, params(end))
  assert max(jax.tree.leaves(moved)) > 0.1
  # A folder has one checkpoint, and nothing lies next to it.
  assert [p.name for p in (end / 'checkpoints').iterdir()] == ['3']
  assert [p.name for p in end.parent.iterdir()] == ['2']
  trained = training.restore(end)
  assert trained.experiment.learner.learning_rate == 0.5
  assert trained.experiment.learner.entropy_cost == 0.2
  # No member learns from what another one is evaluated on.
  assert trained.experiment.run.seed == 1
  assert trained.experiment.run.data_seed == 0


def test_a_slice_that_diverges_is_not_tried_again(tmp_path, monkeypatch):
  error = finite.NotFiniteError('policy/loss', math.nan, 7, 168)

  def diverge(experiment, **kwargs):
    del experiment, kwargs
    raise error

  monkeypatch.setattr(slice_lib.runner, 'train', diverge)
  experiment = tiny.experiment(tmp_path)
  planned = toys.line(0, 1)
  found = slice_lib.train_slice(experiment, planned, None, 60.0, 0)
  assert found is error  # As a result: what is raised is tried again.
  assert not toys.folder(tmp_path, 1, 0).exists()
