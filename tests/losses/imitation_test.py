import math

import jax
import numpy as np
import pytest

from spiral_jax.losses import imitation


def test_loss_is_the_mean_negative_log_likelihood_of_a_command():
  probabilities = np.array([[0.5, 0.25], [0.125, 1.0], [1.0, 1.0]])
  loss = imitation.imitation_loss(np.log(probabilities))
  assert loss == pytest.approx(math.log(2) * (1 + 2 + 3) / 6)


def test_programs_are_told_from_single_commands():
  with pytest.raises(AssertionError, match='rank'):
    imitation.imitation_loss(np.zeros(3))


def test_preferring_the_worse_costs_by_how_much_worse_it_is():
  # Twice as likely; of the three parts one is better, one worse, one the same.
  log_ratio = np.log(np.full((2, 1, 3), 2.0))
  gain = np.array([[[0.5, -3.0, 0.0]], [[0.0, 0.0, 0.0]]])
  loss = imitation.preference_loss(log_ratio, gain)
  # Of two values the one that is twice as likely is chosen two times of three.
  expected = -0.5 * math.log(2 / 3) - 3 * math.log(1 / 3)
  assert loss == pytest.approx(expected / 2)


def test_preference_stops_pulling_where_the_better_is_certain():
  gradient = jax.grad(
      lambda x: imitation.preference_loss(x, np.array([[[2.0, -2.0]]]))
  )
  np.testing.assert_allclose(gradient(np.zeros((1, 1, 2))), [[[-1.0, 1.0]]])
  certain = gradient(np.array([[[9.0, -9.0]]]))
  np.testing.assert_allclose(certain, np.zeros((1, 1, 2)), atol=1e-3)


def test_preferences_and_gains_are_of_the_same_parts():
  with pytest.raises(AssertionError, match='shape'):
    imitation.preference_loss(np.zeros((2, 1, 3)), np.zeros((2, 1, 2)))
