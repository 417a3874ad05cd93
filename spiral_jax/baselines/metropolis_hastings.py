"""Blocked Metropolis-Hastings search for the program of a picture.

Section 4.6 of Ganin et al. (arXiv:1804.01118). A state has M blocks. A block
has a value for each part: all attributes of one object, and whether the object
is present. A proposal replaces one block by a uniformly drawn one. The prior
over states is uniform, and the likelihood of each pixel is `Normal(target;
picture, covariance)`. So a proposal is accepted with probability min(1, ratio
of the likelihoods).

All chains are in step, so that a renderer draws them in one batch. Axes: N
chains, M blocks, S steps; pictures are uint8, `[N, ...]`.
"""

from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np

# Values of each part, int64 `[N, M]`.
State = dict[str, np.ndarray]
# Draws the pictures of a state, uint8 `[N, ...]`.
Render = Callable[[State], np.ndarray]

_SCALE = 255.0  # Pictures are compared as floats in [0, 1].


class Chains(NamedTuple):
  """History and final state of N chains."""

  error: np.ndarray  # float64 [S + 1, N], mean squared error per pixel and
  # channel of the chain's state, starting with the initial one.
  accepted: np.ndarray  # bool [S, N], true where a proposal was accepted.
  state: State  # Final state.
  picture: np.ndarray  # uint8 [N, ...], pictures of the final state.


def sample(
    render: Render,
    num_values: Mapping[str, int],
    target: np.ndarray,
    *,
    num_blocks: int = 20,
    steps: int = 2000,
    covariance: float = 0.25,
    seed: int = 0,
    on_step: Callable[[int], None] = lambda step: None,
) -> Chains:
  """Runs a chain for each target, from a uniformly drawn state.

  Args:
    render: draws all N chains; called `steps + 1` times.
    num_values: number of values of each part, which start at 0; 2 for a part
      'present', for example.
    target: target pictures, uint8 `[N, ...]`, of the shape that `render` draws.
    num_blocks: number of blocks, M.
    steps: number of steps, S.
    covariance: variance of each pixel and channel, whose values are in [0, 1].
    seed: random seed; the same seed gives the same chains.
    on_step: called with the number of steps done.

  Raises:
    ValueError: if a number is out of range, or pictures and targets differ in
      shape.
  """
  if num_blocks < 1 or steps < 1:
    raise ValueError(
        f'num_blocks={num_blocks}, steps={steps}: both must be 1 ' 'or more'
    )
  if not covariance > 0:
    raise ValueError(f'covariance is {covariance}, must be above 0')
  if target.dtype != np.uint8 or not len(target):
    raise ValueError(
        f'target is {target.dtype} {target.shape}: give uint8 '
        '[N, ...], one picture or more'
    )
  rng = np.random.default_rng(seed)
  count = len(target)
  flat_target = target.reshape(count, -1) / _SCALE
  # Factor from a mean squared error to minus the log-likelihood.
  precision = flat_target.shape[1] / (2 * covariance)

  def evaluate(state: State) -> tuple[np.ndarray, np.ndarray]:
    """Returns pictures and their errors `[N]`."""
    picture = render(state)
    if picture.shape != target.shape or picture.dtype != np.uint8:
      raise ValueError(
          f'render draws {picture.dtype} {picture.shape}, targets '
          f'are {target.dtype} {target.shape}'
      )
    difference = picture.reshape(count, -1) / _SCALE - flat_target
    error = np.einsum('nd,nd->n', difference, difference)
    return picture, error / flat_target.shape[1]

  state = {
      name: rng.integers(0, size, (count, num_blocks))
      for name, size in num_values.items()
  }
  picture, error = evaluate(state)
  errors = np.empty((steps + 1, count))
  accepted = np.empty((steps, count), bool)
  errors[0] = error
  chains = np.arange(count)
  for step in range(steps):
    block = rng.integers(0, num_blocks, count)
    proposal = {}
    for name, values in state.items():
      proposal[name] = values.copy()
      proposal[name][chains, block] = rng.integers(0, num_values[name], count)
    new_picture, new_error = evaluate(proposal)
    is_accepted = accept(precision * (error - new_error), rng.random(count))
    for name, values in state.items():
      values[is_accepted] = proposal[name][is_accepted]
    picture[is_accepted] = new_picture[is_accepted]
    error = np.where(is_accepted, new_error, error)
    accepted[step], errors[step + 1] = is_accepted, error
    on_step(step + 1)
  return Chains(errors, accepted, state, picture)


def accept(log_ratio: np.ndarray, uniform: np.ndarray) -> np.ndarray:
  """Returns the accepted proposals, bool `[N]`, by Metropolis' rule.

  Args:
    log_ratio: log of the posterior ratio of proposal to state, `[N]`, and of
      Hastings' correction if proposals are not symmetric.
    uniform: uniform random numbers in [0, 1), `[N]`.
  """
  return uniform < np.exp(np.minimum(log_ratio, 0.0))
