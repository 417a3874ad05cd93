"""Chains against the exact posterior, on a world that can be enumerated."""

import jax
import numpy as np
import pytest

from spiral_jax import agents
from spiral_jax import search
from spiral_jax.search import agent_proposals
from tests.search import toys

T = 2
_TINY = agents.AgentConfig(
    conditional=True,
    torso='patches',
    location_head='spatial',
    channels=4,
    torso_blocks=1,
    head_blocks=1,
    hidden_size=8,
    core_size=8,
    embedding_size=4,
    map_size=2,
)


def exact(target, score, **options):
  """Returns all programs and their probabilities, `[M]`."""
  programs = toys.all_programs(
      toys.make_environment(1, **options).action_spec(), T
  )
  canvases = toys.run(programs, **options)
  scores = score(canvases, np.broadcast_to(target, canvases.shape))
  chances = np.exp(scores - scores.max())
  return programs, chances / chances.sum()


def visited(target, score, start, *, propose=None, rounds, burn_in, **options):
  """Returns the shares of all pictures in what chains visit.

  Pictures are in the order of `pictures_of` all programs.
  """
  count = len(start['shade'][0])
  environment = toys.make_environment(count * (1 + T), T, **options)
  spec = environment.action_spec()
  programs = toys.all_programs(spec, T)
  counts = np.zeros(len(programs['shade'][0]))
  num_rounds = 0

  def on_round(programs):
    nonlocal num_rounds
    num_rounds += 1
    if num_rounds > burn_in:
      np.add.at(counts, toys.index_of(programs, spec), 1)

  chains = search.run_chains(
      environment,
      start,
      np.repeat(target[np.newaxis], count, axis=0),
      key=jax.random.key(0),
      rounds=rounds,
      score=score,
      propose=propose,
      on_round=on_round,
  )
  assert 0.05 < chains.is_accepted.mean() < 0.95
  canvases = toys.run(chains.programs, **options)
  np.testing.assert_array_equal(chains.canvases, canvases)
  targets = np.broadcast_to(target, canvases.shape)
  np.testing.assert_array_equal(chains.scores[-1], score(canvases, targets))
  return counts / counts.sum()


def distance(first, second, programs, **options):
  """Returns the total variation between distributions of pictures."""
  canvases = toys.run(programs, **options)
  _, picture = np.unique(
      canvases.reshape(len(canvases), -1), axis=0, return_inverse=True
  )
  return 0.5 * np.abs(np.bincount(picture.ravel(), first - second)).sum()


def a_target():
  target = np.full((toys.SIZE, toys.SIZE, 1), 255, np.uint8)
  target[:8, :8], target[8:, :8] = 130, 40
  return target


@pytest.mark.parametrize('has_kind', [False, True])
@pytest.mark.parametrize('can_copy', [False, True])
def test_chains_visit_programs_as_often_as_the_posterior_says(
    has_kind, can_copy
):
  # With kinds, the number of parts to choose from changes: Hastings' ratio.
  score = search.make_log_likelihood(12.0)
  options = dict(has_kind=has_kind)
  programs, posterior = exact(a_target(), score, **options)
  uniform = np.full(len(posterior), 1 / len(posterior))
  assert distance(uniform, posterior, programs, **options) > 0.3
  spec = toys.make_environment(1, **options).action_spec()
  found = visited(
      a_target(),
      score,
      toys.random_programs(spec, T, 1500),
      rounds=220,
      burn_in=160,
      can_copy=can_copy,
      **options,
  )
  assert distance(found, posterior, programs, **options) < 0.03


@pytest.mark.parametrize('commands', ['one', 'rest'])
def test_an_agents_proposals_leave_the_posterior_as_it_is(commands):
  count = 1000
  score = search.make_log_likelihood(12.0)
  environment = toys.make_environment(count, T)
  agent = agents.make_agent(
      environment.action_spec(), (toys.SIZE, toys.SIZE, 1), _TINY
  )
  params = jax.tree.map(lambda x: 2.0 * x, agent.init(jax.random.key(0)))
  targets = np.repeat(a_target()[np.newaxis], count, axis=0)
  propose = search.make_agent_proposals(
      agent, params, environment, targets, commands=commands
  )

  def wrong(programs, rng):
    return propose(programs, rng)._replace(log_ratio=np.zeros(count))

  programs, posterior = exact(a_target(), score)
  # Chains begin with the posterior, and should stay there.
  drawn = np.random.default_rng(0).choice(len(posterior), count, p=posterior)
  start = {name: values[:, drawn] for name, values in programs.items()}
  right, wrong = (
      distance(
          visited(a_target(), score, start, propose=each, rounds=15, burn_in=5),
          posterior,
          programs,
      )
      for each in (propose, wrong)
  )
  assert right < 0.06
  assert wrong > 0.1


def test_the_key_decides():
  spec = toys.make_environment(1).action_spec()
  results = []
  for seed in (0, 0, 1):
    results.append(
        search.run_chains(
            toys.make_environment(12, T),
            toys.random_programs(spec, T, 4),
            np.repeat(a_target()[np.newaxis], 4, axis=0),
            key=jax.random.key(seed),
            rounds=20,
            score=search.make_log_likelihood(1.0),
        )
    )
  first, again, other = results
  jax.tree.map(np.testing.assert_array_equal, first, again)
  assert (first.scores != other.scores).any()


def test_log_likelihood_in_closed_form():
  canvas = np.zeros((1, 4, 4, 1), np.uint8)
  target = canvas.copy()
  target[0, 0, 0], target[0, 1, 1] = 255, 51
  score = search.make_log_likelihood(0.25)(canvas, target)
  assert score == pytest.approx(-(1.0 + 0.04) / 0.5)


@pytest.mark.parametrize('covariance', [0.0, -1.0, float('nan')])
def test_bad_covariance_is_refused(covariance):
  with pytest.raises(ValueError, match='covariance'):
    search.make_log_likelihood(covariance)


def test_bad_arguments_are_refused():
  environment = toys.make_environment(3, T)
  programs = toys.random_programs(environment.action_spec(), T, 1)
  targets = a_target()[np.newaxis]
  score = search.negative_l2
  key = jax.random.key(0)
  with pytest.raises(ValueError, match='rounds'):
    search.run_chains(
        environment, programs, targets, key=key, rounds=0, score=score
    )
  with pytest.raises(ValueError, match='take 6'):
    search.run_chains(
        environment,
        {name: np.repeat(v, 2, 1) for name, v in programs.items()},
        np.repeat(targets, 2, axis=0),
        key=key,
        rounds=1,
        score=score,
    )
  with pytest.raises(ValueError, match='one each'):
    agent_proposals.make_agent_proposals(None, None, environment, targets)
