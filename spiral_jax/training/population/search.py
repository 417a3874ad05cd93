"""The search of a population: its ranges, exploit and explore."""

from collections.abc import Sequence
import dataclasses
import math
from typing import Any

import numpy as np

from spiral_jax.agents import config as config_lib
from spiral_jax.training import experiment as experiment_lib
from spiral_jax.training.population import history as history_lib
from spiral_jax.training.population import slice as slice_lib

_QUANTILE = 0.25  # Share of the members that is replaced, and that replaces.
_RESAMPLE_PROBABILITY = 0.25
_FACTORS = (0.8, 1.2)


@dataclasses.dataclass(frozen=True)
class Search:
  """The search of a population.

  The default ranges are those of IMPALA (Espeholt et al., 2018), whose learner
  SPIRAL's is.

  Attributes:
    members: number of members.
    learning_rates: range of the first learning rates, drawn log-uniformly.
    entropy_costs: range of the first entropy costs, drawn log-uniformly.
    perturb_minutes: minutes of each member between two comparisons, loading and
      saving included; adjusted so that rounds end with minutes.
    perturb_frames: commands that each member learns from between two
      comparisons; 0 means as perturb_minutes says.
    member_cpus: number of cores of each member, which decides how many train at
      a time; 0 means all of a machine, or one next to accelerators.
  """

  members: int = 12
  learning_rates: tuple[float, float] = (5e-6, 5e-3)
  entropy_costs: tuple[float, float] = (5e-5, 1e-2)
  perturb_minutes: float = 2.0
  perturb_frames: int = 0
  member_cpus: int = 0

  def __post_init__(self) -> None:
    """Raises ValueError, naming the field and its value, if one is invalid."""
    config_lib.check_fields(
        self,
        perturb_minutes='0 or more',
        perturb_frames='a whole number from 0 on',
        member_cpus='a whole number from 0 on',
    )
    if self.members < 2:
      raise ValueError(f'members is {self.members}, must be 2 or more')
    for name in ('learning_rates', 'entropy_costs'):
      bounds = getattr(self, name)
      if len(bounds) != 2 or not 0 < bounds[0] < bounds[1] < math.inf:
        raise ValueError(
            f'{name}={_as_flag(bounds)} must be two numbers above 0, the lower '
            f'one first, as --{name}=1e-4,1e-2'
        )
    if not self.perturb_minutes and not self.perturb_frames:
      raise ValueError(
          'perturb_minutes is 0, but a slice needs an end; give '
          '--perturb_minutes or --perturb_frames'
      )


def fixed(search: Search, seed: int) -> dict[str, str]:
  """Returns what cannot change in a population, by flag."""
  return {
      'members': _as_flag(search.members),
      'seed': _as_flag(seed),
      'learning_rates': _as_flag(search.learning_rates),
      'entropy_costs': _as_flag(search.entropy_costs),
  }


def _as_flag(value: Any) -> str:
  return ','.join(map(str, value)) if isinstance(value, tuple) else str(value)


def first_round(
    experiment: experiment_lib.Experiment, search: Search
) -> list[slice_lib.Slice]:
  """Returns the first slice of each member; the first one is as configured."""
  rng = np.random.default_rng([experiment.run.seed, 1])
  planned = [
      slice_lib.Slice(
          member,
          1,
          member,
          _draw(rng, search.learning_rates),
          _draw(rng, search.entropy_costs),
      )
      for member in range(search.members)
  ]
  given = {
      name: getattr(experiment.learner, name) for name in slice_lib.SEARCHED
  }
  return [planned[0]._replace(**given), *planned[1:]]


def next_round(
    history: Sequence[slice_lib.Slice],
    last_round: Sequence[slice_lib.Slice],
    search: Search,
    seed: int,
    max_frames: int = 0,
) -> list[slice_lib.Slice]:
  """Returns the slices of the round after the last one; none after the end.

  Members with a score in the lowest quarter, and those that failed, start from
  a slice of the highest quarter. None starts from one that diverged.

  Args:
    history: slices that have ended.
    last_round: slices of the last round, as planned.
    search: the search.
    seed: seed of the population. Draws depend on it and on the round.
    max_frames: frames at which a member is done; 0 disables the limit.
  """
  number = last_round[0].slice + 1
  rng = np.random.default_rng([seed, number])
  # Some that failed may have no slice at all.
  latest = {planned.member: planned for planned in last_round}
  latest |= {line.member: line for line in history}
  active = [
      latest[member]
      for member in range(search.members)
      if not 0 < max_frames <= latest[member].frames
  ]
  compared = sorted(
      (line for line in active if line in history and line.slice == number - 1),
      key=history_lib.rank,
  )
  count = min(math.ceil(_QUANTILE * len(compared)), len(compared) // 2)
  winners = [
      line for line in compared[-max(count, 1) :] if np.isfinite(line.score)
  ]
  replaced = {planned.member for planned in last_round}
  replaced -= {line.member for line in compared[count:]}
  planned = []
  for line in active if compared else []:  # Not for those that failed alone.
    parent, rate, cost = line.member, line.learning_rate, line.entropy_cost
    if winners and line.member in replaced:
      winner = winners[rng.integers(len(winners))]
      parent = winner.member
      rate = _explore(rng, winner.learning_rate, search.learning_rates)
      cost = _explore(rng, winner.entropy_cost, search.entropy_costs)
    planned.append(slice_lib.Slice(line.member, number, parent, rate, cost))
  return planned


def _explore(
    rng: np.random.Generator, value: float, bounds: tuple[float, float]
) -> float:
  """Returns a hyperparameter near another, or drawn anew."""
  if rng.random() < _RESAMPLE_PROBABILITY:
    return _draw(rng, bounds)
  return value * float(rng.choice(_FACTORS))


def _draw(rng: np.random.Generator, bounds: tuple[float, float]) -> float:
  return float(np.exp(rng.uniform(*np.log(bounds))))
