"""Figure 6: inputs, reconstructions, details and traces."""

import shutil

import numpy as np
from PIL import Image
import pytest

from environments import painting
from experiments.paper import figure6
from spiral_jax import agents
from spiral_jax import training
from tests import tiny


@pytest.fixture(name='trained')
def _trained(painting_run):
  return training.restore(painting_run)


@pytest.fixture(name='targets')
def _targets():
  rng = np.random.default_rng(0)
  return rng.integers(0, 256, (3, 16, 16, 1)).astype(np.uint8)


def without_targets(trained):
  """Returns the agent as if it drew from noise."""
  return trained._replace(
      experiment=trained.experiment.replace(
          agent=agents.AgentConfig(noise_size=3)
      )
  )


def test_it_has_inputs_drawings_details_and_mean_traces(trained, targets):
  samples, size = 4, 48
  figure = figure6.figure6(trained, targets, samples=samples, size=size, seed=1)
  assert figure.shape == (4 * (size + 2), 3 * (size + 2), 3)
  panels = figure.reshape(4, size + 2, 3, size + 2, 3).swapaxes(1, 2)
  panels = panels[:, :, :size, :size]
  (trajectory,) = training.episodes(trained, 12, targets, seed=1)
  programs = [
      painting.Program(
          trained.experiment.environment,
          {name: part[:, b] for name, part in trajectory.action.items()},
      )
      for b in range(12)
  ]
  for i, target in enumerate(targets):
    np.testing.assert_array_equal(
        panels[0, i], np.repeat(target.repeat(3, 0).repeat(3, 1), 3, 2)
    )
    canvas = programs[i].render()
    np.testing.assert_array_equal(
        panels[1, i, ::3, ::3], np.repeat(canvas, 3, 2)
    )
    np.testing.assert_array_equal(
        panels[2, i], np.repeat(programs[i].render(size), 3, 2)
    )
    traces = [p.trace(size, moves=False) for p in programs[i::3]]
    np.testing.assert_allclose(panels[3, i], np.mean(traces, 0), atol=0.51)


def test_panels_are_not_below_the_canvas(trained, targets):
  with pytest.raises(ValueError, match='--size=8 .*16 pixels'):
    figure6.figure6(trained, targets, samples=1, size=8)


def test_an_agent_without_targets_is_refused(trained, targets):
  with pytest.raises(ValueError, match='draws from noise.*--conditional'):
    figure6.figure6(without_targets(trained), targets, samples=1, size=16)


def test_the_picture_of_a_run_goes_into_its_folder(painting_run, tmp_path):
  run_dir = shutil.copytree(painting_run, tmp_path / 'run')
  code, output, errors = tiny.run_program(
      'paper/figure6.py',
      f'--run_dir={run_dir}',
      '--samples=2',
      '--count=3',
      '--size=32',
  )
  assert code == 0, errors
  assert f'{run_dir}/figure6.png' in output and errors == ''
  with Image.open(run_dir / 'figure6.png') as image:
    assert image.size == (3 * 34, 4 * 34)


def test_weights_that_come_with_the_package(tmp_path, monkeypatch):
  monkeypatch.chdir(tmp_path)
  code, output, errors = tiny.run_program(
      'paper/figure6.py',
      '--weights=digits',
      '--samples=1',
      '--count=2',
      '--size=64',
  )
  assert code == 0, errors
  assert 'out/figure6.png' in output
  with Image.open(tmp_path / 'out' / 'figure6.png') as image:
    assert image.size == (2 * 66, 4 * 66)
