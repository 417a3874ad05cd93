"""Tests of drawing with trained agents."""

import numpy as np
import pytest

from spiral_jax import training


def test_the_lower_the_temperature_the_likelier_the_commands():
  trained = training.restore('digits_unconditional')

  def log_prob(**options):
    (trajectory,) = training.episodes(trained, 16, seed=1, **options)
    return float(np.mean(trajectory.log_prob)), trajectory.action

  hot, warm, cold = (log_prob(temperature=t) for t in (2.0, 1.0, 0.5))
  assert hot[0] < warm[0] - 0.5 and warm[0] < cold[0] - 0.5
  for (_, action), options in (
      (log_prob(temperature=1e-6), {'greedy': True}),
      (warm, {}),
  ):
    _, same = log_prob(**options)
    for name, values in same.items():
      np.testing.assert_array_equal(action[name], values)


@pytest.mark.parametrize('temperature', [0.0, -1.0, float('nan')])
def test_a_temperature_is_above_0(temperature):
  trained = training.restore('digits_unconditional')
  with pytest.raises(ValueError, match=f'temperature is {temperature}, must'):
    next(training.episodes(trained, 2, temperature=temperature))
