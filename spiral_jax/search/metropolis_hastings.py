"""Metropolis-Hastings over programs: samples of their posterior.

Axes: N chains, R rounds, T commands, H height, W width, C channels.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import numpy as np

from spiral_jax.baselines import metropolis_hastings as baseline
from spiral_jax.search import executor as executor_lib
from spiral_jax.search import improvement
from spiral_jax.search import proposals as proposals_lib
from spiral_jax.search import scores as scores_lib


class Chains(NamedTuple):
  """History and final state of N chains."""

  programs: dict[str, np.ndarray]  # int32 [T, N] a part, at the end.
  canvases: np.ndarray  # uint8 [N, H, W, C], at the end.
  scores: np.ndarray  # float64 [R + 1, N], log posterior but for a constant.
  is_accepted: np.ndarray  # bool [R, N].


def run_chains(
    environment: executor_lib.Environment,
    programs: proposals_lib.Programs,
    targets: np.ndarray,
    *,
    key: jax.Array,
    rounds: int,
    score: scores_lib.Score,
    propose: proposals_lib.Propose | None = None,
    on_round: Callable[[dict[str, np.ndarray]], None] | None = None,
) -> Chains:
  """Runs a chain for each target, whose programs are samples in the long run.

  The stationary distribution has probabilities in proportion to
  `exp(score(canvas, target))`: the posterior of programs under a uniform prior,
  if the score is the log-likelihood of the target.

  Args:
    environment: environment of uint8 canvases, enough for all chains with one
      proposal each, see `canvases_needed`. It must be reset afterwards.
    programs: programs to begin with, int `[T, N]` a part.
    targets: uint8 `[N, H, W, C]`.
    key: consumed; the chains depend on it alone.
    rounds: number of proposals to each chain, R.
    score: (canvases, targets), uint8 `[N, H, W, C]` each, to log-likelihoods
      `[N]`, such as `make_log_likelihood` returns.
    propose: proposals; None means `make_proposals` of the action spec.
    on_round: called after each round with the programs, `[T, N]` a part.

  Raises:
    ValueError: if `rounds` is below 1, or shapes do not fit.
  """
  if rounds < 1:
    raise ValueError(f'rounds is {rounds}, must be 1 or more')
  spec = environment.action_spec()
  programs = improvement.check_programs(programs, spec, len(targets))
  programs = {name: values.copy() for name, values in programs.items()}
  propose = propose or proposals_lib.make_proposals(spec)
  count = len(targets)
  length = len(next(iter(programs.values())))
  executor = executor_lib.make_executor(environment, count, length, 1)
  rng = improvement.make_rng(key)
  canvases = executor.start(programs).copy()
  scores = np.empty((rounds + 1, count))
  scores[0] = score(canvases, targets)
  is_accepted = np.empty((rounds, count), bool)
  for r in range(rounds):
    proposals = propose(programs, rng)
    drawn = executor.run(
        {name: v[..., np.newaxis] for name, v in proposals.programs.items()},
        proposals.start[:, np.newaxis],
    )[:, 0]
    new_scores = np.asarray(score(drawn, targets), np.float64)
    log_ratio = new_scores - scores[r] + proposals.log_ratio
    accepted = baseline.accept(log_ratio, rng.random(count))
    for name, values in programs.items():
      values[:, accepted] = proposals.programs[name][:, accepted]
    canvases[accepted] = drawn[accepted]
    executor.accept(programs, np.where(accepted, proposals.start, length))
    scores[r + 1] = np.where(accepted, new_scores, scores[r])
    is_accepted[r] = accepted
    if on_round is not None:
      on_round(programs)
  return Chains(programs, canvases, scores, is_accepted)


def make_log_likelihood(covariance: float) -> scores_lib.Score:
  """Returns the log-likelihood of a target, but for a constant.

  Each pixel and channel is normal around the canvas, as in section 4.6 of Ganin
  et al. (arXiv:1804.01118).

  Args:
    covariance: variance of each pixel and channel, whose values are in [0, 1].

  Raises:
    ValueError: if the covariance is not above 0.
  """
  if not covariance > 0:
    raise ValueError(f'covariance is {covariance}, must be above 0')

  def score(canvases: np.ndarray, targets: np.ndarray) -> np.ndarray:
    num_values = np.prod(targets.shape[1:])
    return scores_lib.negative_l2(canvases, targets) * (
        num_values / (2 * covariance)
    )

  return score
