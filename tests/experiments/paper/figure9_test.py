"""The search beside an agent: what it evaluates, shows and refuses."""

import json

import numpy as np
from PIL import Image
import pytest

from environments import scene
from experiments.paper import figure9
from spiral_jax import training
from tests import tiny

SETTINGS = scene.SceneSettings(**tiny.SCENES)

pytestmark = pytest.mark.usefixtures('scene_table')


def search(problem, evaluations=12):
  chains, rate = figure9.search(
      problem,
      evaluations=evaluations,
      num_objects=4,
      covariance=0.25,
      seed=0,
      on_step=lambda step: None,
  )
  assert rate > 0
  return chains


def test_states_make_the_pictures():
  problem = figure9.make_problem(SETTINGS, 6, max_objects=2)
  chains = search(problem)
  assert chains.error.shape == (12, 6)
  assert set(chains.state) == set(scene.Objects._fields)
  assert chains.state['present'].shape == (6, 4)
  # All objects, in places where there are none too.
  objects = scene.Objects(
      **chains.state | {'present': chains.state['present'] == 1}
  )
  picture = scene.SceneRenderer(SETTINGS, 6).render(objects)
  np.testing.assert_array_equal(picture, chains.picture)
  difference = (picture.astype(float) - problem.target) / 255
  np.testing.assert_allclose(
      chains.error[-1], np.mean(difference**2, axis=(1, 2, 3))
  )


def test_search_gets_nearer():
  # On a small platform with few values, a search gets somewhere.
  problem = figure9.make_problem(SETTINGS, 10, max_objects=1)
  chains, _ = figure9.search(
      problem,
      evaluations=300,
      num_objects=3,
      covariance=0.01,
      seed=0,
      on_step=lambda step: None,
  )
  assert chains.error[-1].mean() < 0.5 * chains.error[0].mean()


def test_the_agent_is_compared_on_the_same_pictures(
    scene_run, tmp_path, capsys
):
  trained = training.restore(scene_run)
  problem = figure9.make_problem_of_agent(trained, 6)
  assert {name: v.shape for name, v in problem.agent.items()} == {
      'agent, sampled': (6, 16, 16, 3),
      'agent, likeliest': (6, 16, 16, 3),
  }
  figures = figure9.figure9(
      problem, tmp_path, evaluations=20, num_objects=3, agent_evaluations=8
  )
  assert figures == json.loads(
      (tmp_path / 'figure9.json').read_text(),
      object_hook=lambda group: {
          int(k) if k.isdigit() else k: v for k, v in group.items()
      },
  )
  assert list(figures['errors']) == [1, 5, 10, 15, 20]
  assert figures['lowest_errors'][20] <= figures['errors'][20]
  for name, canvas in problem.agent.items():
    difference = (canvas.astype(float) - problem.target) / 255
    assert figures['agent'][name] == pytest.approx(np.mean(difference**2))
  assert list(figures['by_agent']['errors']) == [1, 2, 4, 6, 8]
  output = capsys.readouterr().out
  assert 'agent, sampled' in output and '20 evaluations' in output
  assert 'by the agent, 8 evaluations' in output
  for name in ('figure9', 'pictures'):
    with Image.open(tmp_path / f'{name}.png') as image:
      image.load()
  assert image.size == (6 * 18, 5 * 18)  # Targets, searches, agent twice.


def test_the_agents_chains_go_where_it_would(scene_run):
  trained = training.restore(scene_run)
  problem = figure9.make_problem_of_agent(trained, 6)
  error, picture = figure9.search_by_agent(
      problem, evaluations=5, covariance=0.25, seed=0
  )
  assert error.shape == (5, 6)
  difference = (picture.astype(float) - problem.target) / 255
  np.testing.assert_allclose(error[-1], np.mean(difference**2, axis=(1, 2, 3)))
  # Hardly any evidence: nearly all that an agent proposes is accepted, from
  # random programs, which it finds unlikely.
  error, _ = figure9.search_by_agent(
      problem, evaluations=5, covariance=1e6, seed=0
  )
  assert (error[1] != error[0]).any()


def test_the_program_runs(scene_run, tmp_path):
  code, output, errors = tiny.run_program(
      'paper/figure9.py',
      f'--run_dir={scene_run}',
      f'--out_dir={tmp_path}',
      '--count=5',
      '--evaluations=9',
      '--objects=2',
      '--proposal=agent',
      '--agent_evaluations=4',
  )
  assert code == 0, errors
  assert '5 pictures' in output
  assert json.loads((tmp_path / 'figure9.json').read_text())['images'] == 5


@pytest.mark.parametrize(
    'arguments, words',
    [
        (['--run_dir={run}', '--shades=3'], ['--shades', '--run_dir']),
        (['--run_dir={run}', '--count=99'], ['20 held-out scenes', '99']),
        (['--run_dir=/no/such'], ['/no/such']),
        (['--span=0.9'], ['--span is 0.9']),
        (['--proposal=agent'], ['--proposal=agent', '--weights=scenes']),
        (
            [
                '--covariance=0',
                '--canvas_size=16',
                '--grid_size=8',
                '--sizes=0.2',
                '--shades=2',
            ],
            ['covariance is 0.0'],
        ),
    ],
)
def test_what_does_not_fit_gives_one_line(
    scene_run, tmp_path, arguments, words
):
  code, output, errors = tiny.run_program(
      'paper/figure9.py',
      f'--out_dir={tmp_path}/out',
      *(argument.format(run=scene_run) for argument in arguments),
  )
  assert code != 0 and output == ''
  assert len(errors.splitlines()) == 1, errors
  for word in words:
    assert word in errors
  assert not (tmp_path / 'out').exists()


def test_an_agent_that_paints_is_refused(painting_run):
  trained = training.restore(painting_run)
  with pytest.raises(ValueError, match='does not reconstruct scenes'):
    figure9.make_problem_of_agent(trained, 5)
