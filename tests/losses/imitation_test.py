import math

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
