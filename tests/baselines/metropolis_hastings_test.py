"""Tests of metropolis_hastings.py: it samples from the posterior."""

import itertools

import numpy as np
import pytest

from spiral_jax.baselines import metropolis_hastings as mh

NUM_VALUES = {'present': 2, 'shade': 3}
BLOCKS = 2
TARGET = np.array([140, 60], np.uint8)
COVARIANCE = 0.05
CHAINS, STEPS = 20_000, 40


def render(state):
  """Returns pictures of two pixels, `[N, 2]`.

  The first is the sum of the shades that are present; the second knows about
  their order, so that blocks are no copies of each other.
  """
  shade = state['present'] * (1 + state['shade'])
  return np.stack(
      [40 * shade.sum(1), 30 * shade[:, 0] + 10 * shade[:, 1]], -1
  ).astype(np.uint8)


def sample(seed=0, chains=CHAINS, steps=STEPS, covariance=COVARIANCE):
  return mh.sample(
      render,
      NUM_VALUES,
      np.tile(TARGET, (chains, 1)),
      num_blocks=BLOCKS,
      steps=steps,
      covariance=covariance,
      seed=seed,
  )


def all_states():
  """Returns each state once: presence and shade of both blocks."""
  rows = np.array(list(itertools.product(range(2), range(3), repeat=2)))
  return {'present': rows[:, ::2], 'shade': rows[:, 1::2]}


def index(state):
  return sum(
      part[:, block] * 6 ** (1 - block) * (3 if name == 'present' else 1)
      for name, part in state.items()
      for block in range(BLOCKS)
  )


def posterior(covariance=COVARIANCE):
  """Returns the probability of each state, in closed form."""
  difference = (render(all_states()).astype(float) - TARGET) / 255
  p = np.exp(-0.5 * (difference**2).sum(1) / covariance)
  return p / p.sum()


def chi_square(state, covariance=COVARIANCE):
  """Returns it for the 35 degrees of freedom; about 35 +- 8 if all is well."""
  counts = np.bincount(index(state), minlength=36)
  expected = len(state['present']) * posterior(covariance)
  return np.sum((counts - expected) ** 2 / expected)


def test_the_states_are_numbered():
  np.testing.assert_array_equal(index(all_states()), np.arange(36))
  p = posterior()
  assert p.max() > 3 * p.min()  # Not uniform, and nothing is impossible.


def test_chains_end_up_in_the_posterior():
  chains = sample()
  assert chi_square(chains.state) < 80
  # Errors are those of the states, first and last.
  picture = render(chains.state)
  np.testing.assert_array_equal(picture, chains.picture)
  error = np.mean(((picture.astype(float) - TARGET) / 255) ** 2, axis=1)
  np.testing.assert_allclose(chains.error[-1], error, atol=1e-12)
  assert chains.error.shape == (STEPS + 1, CHAINS)
  assert 0.1 < chains.accepted.mean() < 0.95


@pytest.mark.parametrize(
    'mutation',
    [
        lambda log_ratio, uniform: uniform < 1,
        lambda log_ratio, uniform: log_ratio > 0,
        lambda log_ratio, uniform: uniform < np.exp(-log_ratio),
        lambda log_ratio, uniform: uniform < np.exp(2 * log_ratio),
        lambda log_ratio, uniform: uniform < 1 / (1 + np.exp(-2 * log_ratio)),
    ],
    ids=['always', 'only better', 'inverted', 'squared', 'sharper Barker'],
)
def test_another_rule_samples_from_something_else(monkeypatch, mutation):
  monkeypatch.setattr(mh, 'accept', mutation)
  assert chi_square(sample().state) > 200


def test_the_covariance_is_that_of_a_pixel():
  wide = sample(covariance=0.25).state
  assert chi_square(wide, 0.25) < 80
  assert chi_square(wide, 0.125) > 200


def test_a_seed_gives_the_same_chains():
  one, same, other = (sample(seed, chains=5) for seed in (1, 1, 2))
  np.testing.assert_array_equal(one.error, same.error)
  assert np.any(one.error != other.error)


def test_one_block_changes_a_step_and_only_where_accepted():
  states = []

  def watched(state):
    states.append({name: values.copy() for name, values in state.items()})
    return render(state)

  chains = mh.sample(
      watched,
      NUM_VALUES,
      np.tile(TARGET, (50, 1)),
      num_blocks=BLOCKS,
      steps=9,
      covariance=COVARIANCE,
  )
  assert len(states) == 10
  current = states[0]
  for proposal, is_accepted in zip(states[1:], chains.accepted):
    differs = np.logical_or.reduce(
        [proposal[name] != current[name] for name in NUM_VALUES]
    )
    assert np.all(differs.sum(1) <= 1) and differs.any(0).all()
    for name, values in current.items():
      values[is_accepted] = proposal[name][is_accepted]
  for name, values in current.items():
    np.testing.assert_array_equal(values, chains.state[name])
  # Where nothing was accepted, nothing changed.
  stays = ~chains.accepted
  np.testing.assert_array_equal(
      chains.error[1:][stays], chains.error[:-1][stays]
  )


@pytest.mark.parametrize(
    'change, words',
    [
        (dict(steps=0), 'steps=0'),
        (dict(num_blocks=0), 'num_blocks=0'),
        (dict(covariance=0.0), 'covariance is 0.0'),
        (dict(target=np.zeros((2, 2))), 'float64'),
        (dict(target=np.zeros((2, 3), np.uint8)), r'\(2, 2\).*\(2, 3\)'),
    ],
)
def test_what_does_not_fit_is_refused(change, words):
  arguments = dict(target=np.zeros((2, 2), np.uint8), steps=1) | change
  target = arguments.pop('target')
  with pytest.raises(ValueError, match=words):
    mh.sample(render, NUM_VALUES, target, **arguments)
