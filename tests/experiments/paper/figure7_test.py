"""Figure 7: images and their reconstructions."""

import numpy as np
from PIL import Image
import pytest

from experiments.paper import figure7
from spiral_jax import agents
from spiral_jax import evaluation
from spiral_jax import training
from spiral_jax.training import trained_agent
from tests import tiny


@pytest.fixture(name='trained')
def _trained(painting_run):
  return training.restore(painting_run)


@pytest.mark.parametrize('greedy', [False, True])
def test_it_has_reconstructions_below_their_targets(
    trained, greedy, monkeypatch
):
  monkeypatch.setattr(trained_agent, '_BATCH', 4)  # 6 images: 2 batches.
  rng = np.random.default_rng(0)
  targets = rng.integers(0, 256, (6, 16, 16, 1)).astype(np.uint8)
  figure, quality = figure7.figure7(
      trained, targets, columns=3, seed=1, greedy=greedy
  )
  assert figure.shape == (4 * 18, 3 * 18, 1)
  panels = figure.reshape(2, 2, 18, 3, 18, 1).transpose(1, 0, 3, 2, 4, 5)
  above, below = panels[..., :16, :16, :].reshape(2, 6, 16, 16, 1)
  np.testing.assert_array_equal(above, targets)
  drawn = training.episodes(trained, 6, targets, seed=1, greedy=greedy)
  canvas = np.concatenate([trajectory.canvas[-1] for trajectory in drawn])[:6]
  np.testing.assert_array_equal(below, canvas)
  assert np.ptp(canvas) > 0
  assert quality == evaluation.evaluate_reconstructions(canvas, targets)


def test_an_agent_without_targets_is_refused(trained):
  targets = np.zeros((3, 16, 16, 1), np.uint8)
  noise = trained._replace(
      experiment=trained.experiment.replace(
          agent=agents.AgentConfig(noise_size=3)
      )
  )
  with pytest.raises(ValueError, match='draws from noise.*--conditional'):
    figure7.figure7(noise, targets, columns=3)


def test_the_program_writes_a_picture_and_prints_its_error(
    painting_run, tmp_path
):
  code, output, errors = tiny.run_program(
      'paper/figure7.py',
      f'--run_dir={painting_run}',
      '--rows=2',
      '--columns=3',
      f'--out_dir={tmp_path}',
  )
  assert code == 0, errors
  assert 'pages of one color' in output and errors == ''
  with Image.open(tmp_path / 'figure7.png') as image:
    assert image.size == (3 * 18, 4 * 18)
