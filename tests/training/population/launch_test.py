"""What a population is refused for; pbt_test.py has whole ones."""

import dataclasses

import pytest

from spiral_jax.training import population
from spiral_jax.training.population import launch
from tests import tiny
from tests.training.population import toys


@pytest.mark.parametrize(
    'run, words',
    [
        (dict(frames=0), '--minutes of all of it, or --frames'),
        (dict(resume=True), 'no population to resume'),
        (dict(launcher='ray', lockstep=False), '--launcher=ray'),
        (dict(init_from='nothing'), "no weights named 'nothing'"),
        (dict(batch_size=7, devices=2), '--batch_size=7'),
    ],
)
def test_an_experiment_that_fits_no_population_is_refused(tmp_path, run, words):
  run_dir = tmp_path / 'run'
  with pytest.raises((ValueError, FileNotFoundError), match=words):
    population.train(tiny.experiment(run_dir, run=run), toys.SEARCH)
  assert not run_dir.exists()
  with pytest.raises(ValueError, match='run_dir is empty'):
    population.train(tiny.experiment(''), toys.SEARCH)


def test_no_teacher_is_not_the_folder_that_one_is_in(tmp_path, monkeypatch):
  (tmp_path / 'checkpoints').mkdir()
  monkeypatch.chdir(tmp_path)
  experiment = launch._with_absolute_paths(tiny.experiment('run'))
  assert experiment.lessons.teacher == experiment.run.init_from == ''
  assert experiment.run.run_dir == str(tmp_path / 'run')


def test_a_folder_with_something_else_is_refused(tmp_path):
  toys.write_run(tmp_path / 'run')
  with pytest.raises(ValueError, match='a single run'):
    population.train(tiny.experiment(tmp_path / 'run'), toys.SEARCH)
  toys.rounds(tmp_path / 'population', toys.Slices())
  with pytest.raises(ValueError, match='a population already.*--resume'):
    population.train(tiny.experiment(tmp_path / 'population'), toys.SEARCH)


@pytest.mark.parametrize(
    'fields, words',
    [
        (dict(members=8), 'has --members=4, now it is 8'),
        (
            dict(learning_rates=(1e-4, 0.1)),
            'has --learning_rates=0.0001,0.01, now it is 0.0001,0.1',
        ),
        (dict(entropy_costs=(0.01, 2.0)), 'has --entropy_costs=0.01,1.0'),
    ],
)
def test_another_search_on_resume_is_refused(tmp_path, fields, words):
  toys.rounds(tmp_path, toys.Slices())
  resumed = tiny.experiment(tmp_path, run=dict(resume=True))
  with pytest.raises(ValueError, match=words):
    population.train(resumed, dataclasses.replace(toys.SEARCH, **fields))
  with pytest.raises(ValueError, match='has --seed=0, now it is 1'):
    population.train(resumed.replace(seed=1), toys.SEARCH)
