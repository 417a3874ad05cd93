"""A user's own renderer, in a package of its own, by the released programs."""

import json

import numpy as np
import pytest

from spiral_jax import agents
from spiral_jax import training
from spiral_jax.driver import checkpoints
from tests import tiny
from tests.own_renderer import rectangles


def test_it_is_a_renderer_in_under_60_lines():
  with open(rectangles.__file__, encoding='utf-8') as file:
    assert len(file.readlines()) < 60


@pytest.mark.slow
def test_trains_in_threads_resumes_and_is_evaluated(tmp_path):
  code, _, errors = tiny.run_program(
      'train.py', *tiny.own_flags(tmp_path), '--nolockstep', '--num_actors=2'
  )
  assert code == 0, errors
  assert (tmp_path / 'result.png').exists()
  code, output, errors = tiny.run_program(
      'train.py', '--resume', f'--run_dir={tmp_path}', '--frames=120'
  )
  assert code == 0, errors
  assert 'resuming from frame 72' in output
  state = checkpoints.load(tmp_path / 'checkpoints').state
  assert state['policy']['frames'] == 120
  code, _, errors = tiny.run_program(
      'evaluate.py', f'--run_dir={tmp_path}', '--count=8'
  )
  assert code == 0, errors
  figures = json.loads((tmp_path / 'evaluation.json').read_text())
  assert figures['frames'] == 120
  loaded = agents.load(tmp_path)
  assert loaded.experiment['task'] == tiny.OWN_TASK
  assert loaded.canvas_shape == (16, 16, 1)
  (trajectory,) = training.episodes(loaded, 4)
  assert trajectory.canvas.shape == (4, 4, 16, 16, 1)
  with pytest.raises(ValueError, match=r'targets are \[4, 8, 8, 1\], but'):
    next(training.episodes(loaded, 4, np.zeros((4, 8, 8, 1), np.uint8)))
  agents.save(tmp_path / 'saved', loaded)
  assert agents.load(tmp_path / 'saved').environment == loaded.environment
