"""Searches that a trained agent begins, and their evaluation."""

import json

import jax
import numpy as np
import pytest

from spiral_jax import agents
from spiral_jax import search
from spiral_jax import training
from spiral_jax.training import program_search
from tests import tiny


@pytest.fixture(scope='module')
def trained():
  experiment = tiny.experiment('unused', conditional=True)
  agent = experiment.make_agent()
  params = agent.init(jax.random.key(0))
  return training.TrainedAgent(experiment, agent, params, 0, {})


@pytest.fixture(scope='module')
def images(trained):
  return trained.experiment.load_images('test').images[:20]


@pytest.mark.parametrize('samples', [0, 4])
def test_programs_are_improved(trained, images, samples):
  options = dict(samples=samples, seed=3)
  start = training.find_programs(trained, images, rounds=0, **options)
  found = training.find_programs(trained, images, rounds=20, **options)
  assert (found.scores >= start.scores).all()
  assert found.scores.mean() > 0.8 * start.scores.mean()  # Negative ones.
  canvases = np.concatenate(
      [c[-1] for c, _ in program_search.replay(trained, found.programs)]
  )
  np.testing.assert_array_equal(canvases, found.canvases)
  np.testing.assert_array_equal(
      search.negative_l2(canvases, images), found.scores
  )


def test_more_samples_begin_better(trained, images):
  scores = [
      training.find_programs(trained, images, rounds=0, samples=n).scores.mean()
      for n in (1, 16)
  ]
  assert scores[1] > scores[0]


def test_evaluation_shows_what_a_search_found(trained, tmp_path):
  figures = training.evaluate_agent(
      trained, tmp_path, count=10, search_seconds=0.05
  )
  searched = figures['0.05 s of search']
  assert searched['renderings'] > 16
  assert searched['error'] < figures['greedy']['error']
  assert searched['blank_error'] == figures['blank_error']
  saved = json.loads((tmp_path / 'evaluation.json').read_text())
  assert saved['0.05 s of search'] == searched
  assert (tmp_path / 'result_searched.png').exists()
  # What is there of another evaluation goes.
  assert '0.05 s of search' not in training.evaluate_agent(
      trained, tmp_path, count=10
  )
  assert not (tmp_path / 'result_searched.png').exists()


def test_an_agent_without_targets_is_refused(tmp_path):
  experiment = tiny.experiment('unused')
  agent = experiment.make_agent()
  params = agent.init(jax.random.key(0))
  trained = training.TrainedAgent(experiment, agent, params, 0, {})
  with pytest.raises(ValueError, match='not from images'):
    training.evaluate_agent(trained, tmp_path, search_seconds=1.0)


def test_what_is_no_run_is_named(tmp_path):
  with pytest.raises(ValueError, match='--step=3 is of a run, and scenes is n'):
    training.restore('scenes', 3)
  with pytest.raises(FileNotFoundError, match='holds no checkpoint'):
    training.restore(tmp_path / 'nothing')
  loaded = agents.load('scenes')
  agents.save(tmp_path / 'bare', loaded._replace(experiment={}))
  with pytest.raises(ValueError, match='says nothing of its environment'):
    training.restore(tmp_path / 'bare')


def test_targets_are_for_agents_that_take_them(trained, images):
  with pytest.raises(ValueError, match='and there are none; give uint8'):
    next(training.episodes(trained, 2))
  generator = training.restore('digits_unconditional')
  targets = np.zeros((2, 64, 64, 1), np.uint8)
  with pytest.raises(ValueError, match='but the agent draws from noise'):
    next(training.episodes(generator, 2, targets))
