"""Blocked Metropolis-Hastings: search for the program of a picture.

Section 4.6 of Ganin et al. (arXiv:1804.01118). A state has M blocks; a block
has a value for each part: all attributes of one object, and whether the object
is there. One block at a time is replaced by one that is drawn uniformly. With
the uniform prior over states and the likelihood `Normal(target; picture,
covariance)` of each pixel, a proposal is accepted with the probability that is
the ratio of the two likelihoods, or 1 if that is more.

All chains are in step, so that a renderer draws them together. Axes: N chains,
M blocks, S steps; pictures are uint8, `[N, ...]`.
"""

from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np

# Values of each part, int64 `[N, M]`.
State = dict[str, np.ndarray]
# Draws the pictures, uint8 `[N, ...]`, of a state.
Render = Callable[[State], np.ndarray]

_SCALE = 255.0  # Pictures are compared as floats in [0, 1].


class Chains(NamedTuple):
  """What N chains did."""

  error: np.ndarray  # float64 [S + 1, N], mean squared error a pixel and
  # channel of the chain's state; first the initial one.
  accepted: np.ndarray  # bool [S, N].
  state: State  # The last.
  picture: np.ndarray  # uint8 [N, ...], of the last state.


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
  """Runs a chain for each target, from a state that is drawn uniformly.

  Args:
    render: draws all N chains; evaluated `steps + 1` times.
    num_values: of each part, which takes values from 0 up; a part of the name
      'present', say, has 2.
    target: uint8 `[N, ...]`, as `render` draws.
    num_blocks: M.
    steps: S.
    covariance: of each pixel, in [0, 1], and channel.
    seed: the same gives the same chains.
    on_step: called with the number of steps done.

  Raises:
    ValueError: if a number is out of range, or pictures do not fit.
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
  # The sum over pixels of the exponent's part that differs between pictures.
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
  """Returns which proposals are taken, bool `[N]`: Metropolis' rule.

  Proposals are as likely as their reverse, so their ratio is 1.

  Args:
    log_ratio: of the posterior at the proposal to that at the state, `[N]`.
    uniform: random, in [0, 1), `[N]`.
  """
  return uniform < np.exp(np.minimum(log_ratio, 0.0))
