"""Members of a population: slices of training, descent, what is best."""

import dataclasses
import functools
import json
import shutil

import jax
import numpy as np
from PIL import Image
import pytest

import population
import restored
from spiral_jax.driver import checkpoints
from tests.experiments import tiny


def line(member, slice_, parent=None, score=0.0, **fields):
  defaults = dict(frames=24, seconds=1.0, learning_rate=1e-3, entropy_cost=0.1)
  parent = member if parent is None else parent
  return population.Slice(
      member, slice_, parent, score, **{**defaults, **fields}
  )


# Member 2 is replaced by 0 after the first slice, 0 by 2 after the second.
HISTORY = [
    line(0, 1, score=3.0),
    line(1, 1, score=2.0),
    line(2, 1, score=1.0),
    line(0, 2, score=4.0),
    line(1, 2, score=9.0),
    line(2, 2, 0, score=5.0),
    line(0, 3, 2, score=7.0),
    line(1, 3, score=6.0),
    line(2, 3, score=float('nan')),
]


def test_the_best_is_that_of_the_last_slice():
  assert population.best(HISTORY) == HISTORY[6]
  # Time ran out when two of three had ended it.
  assert population.best(HISTORY[:8]) == HISTORY[4]
  with pytest.raises(ValueError, match='--perturb_minutes'):
    population.best([])


def test_ancestry_follows_parents():
  path = population.ancestry(HISTORY, HISTORY[6])
  assert [(p.slice, p.member) for p in path] == [(1, 0), (2, 2), (3, 0)]


def test_of_a_slice_trained_twice_the_last_counts(tmp_path):
  path = tmp_path / 'history.jsonl'
  assert population.load(path) == []
  again = line(1, 1, score=-np.inf)
  population.save([HISTORY[0], HISTORY[1]], path)
  with path.open('a') as file:
    file.write(population.to_text(again))
  assert 'Infinity' not in path.read_text()
  assert population.load(path) == [HISTORY[0], again]


def test_the_plot_draws_every_member(tmp_path):
  population.plot(HISTORY, HISTORY[6], tmp_path / 'plot.png')
  with Image.open(tmp_path / 'plot.png') as image:
    assert len(image.convert('RGB').getcolors(1 << 20)) > 10


def test_a_score_is_that_of_the_second_half(tmp_path):
  path = tmp_path / 'metrics.jsonl'
  records = [
      {'policy/frames': frames, 'policy/score': score}
      for frames, score in ((90, 50.0), (110, 9.0), (160, 2.0), (200, 4.0))
  ]
  path.write_text('\n'.join(map(json.dumps, [*records, {'step': 1}])))
  score = functools.partial(population._score, path, has_discriminator=False)
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
  score = functools.partial(population._score, path, has_discriminator=True)
  assert score(100, 200) == -3.0
  # One that diverges has nothing to hand on.
  with path.open('a') as file:
    file.write('\n' + json.dumps({distance: None}))
  assert score(100, 200) == score(200, 210) == -np.inf
  path.write_text('')
  assert score(100, 200) == -np.inf


@pytest.mark.slow
def test_a_member_goes_on_from_another(tmp_path):
  setup = tiny.setup(tmp_path / 'work', run=dict(frames=0))
  first = population.train_slice(
      setup, 0, None, tmp_path / 'first', minutes=0, frames=48
  )
  assert (first.slice, first.parent, first.frames) == (1, 0, 48)
  before = params(tmp_path / 'first')
  other = setup._replace(
      run=dataclasses.replace(setup.run, frames=60),
      learner=dataclasses.replace(setup.learner, learning_rate=0.5),
  )
  second = population.train_slice(
      other, 1, tmp_path / 'first', tmp_path / 'second', minutes=0, frames=48
  )
  # Ends at --frames, which are reached before the slice's.
  assert (second.slice, second.parent, second.frames) == (2, 0, 72)
  assert second.learning_rate == 0.5 and np.isfinite(second.score)
  assert second.seconds > first.seconds
  note = json.loads((tmp_path / 'second' / 'member.json').read_text())
  assert note['beside'] > 0 and note['late'] == 0
  assert population.progress(tmp_path / 'second') == (72, 2)
  lines = (tmp_path / 'second' / 'metrics.jsonl').read_text().splitlines()
  frames = [json.loads(text).get('policy/frames') for text in lines]
  assert [f for f in frames if f] == [24, 48, 72]
  # It moved from where the other was, by a large learning rate.
  after = params(tmp_path / 'second')
  assert_same(before, params(tmp_path / 'first'))
  moved = jax.tree.map(lambda a, b: np.abs(a - b).max(), before, after)
  assert max(jax.tree.leaves(moved)) > 0.1
  # What another has left in a folder is not taken.
  shutil.copytree(
      tmp_path / 'second/checkpoints/3', tmp_path / 'second/checkpoints/9'
  )
  population.copy(tmp_path / 'second', tmp_path / 'copy')
  assert [p.name for p in (tmp_path / 'copy/checkpoints').iterdir()] == ['3']
  folders = [tmp_path / 'first', tmp_path / 'second', tmp_path / 'none']
  assert population.ends(folders) == {(1, 0): folders[0], (2, 1): folders[1]}
  agent = restored.load(tmp_path / 'copy')
  assert agent.setup.learner.learning_rate == 0.5


def test_a_slice_makes_up_for_what_those_before_took():
  assert population._length(120, 0, 0) == 120
  # Loading takes 6 s, and took those of the slice before as well.
  assert population._length(120, 6, 6) == 108
  assert population._length(120, 6, -4) == 118
  assert population._length(120, 6, -60) == 120
  # One that trains for a moment only would teach nothing.
  assert population._length(120, 90, 70) == 60


def params(folder):
  state = checkpoints.load(folder / 'checkpoints').state
  return state['policy']['learner']['params']


def assert_same(one, other):
  jax.tree.map(np.testing.assert_array_equal, one, other)
