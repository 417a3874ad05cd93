"""The budget of a population: its time, divided into rounds, and machines."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple


class Plan(NamedTuple):
  """Rounds of slices that end with the population's time.

  Attributes:
    rounds: number of rounds in all; 0 means as many as there is time for.
    minutes: minutes of each slice that is left.
  """

  rounds: int
  minutes: float


def plan(
    minutes: float, turns: int, slice_minutes: float, done: Sequence[int]
) -> Plan:
  """Returns the rounds for which there is time, and the length of a slice.

  Args:
    minutes: minutes that are left.
    turns: number of slices that follow each other in a round.
    slice_minutes: wanted length of a slice, which gets at least half of it.
    done: number of slices of each member so far.
  """
  mean = sum(done) / len(done)
  each = max(minutes, 0.0) / turns
  rounds = max(1, *done, round(mean + each / slice_minutes))
  if rounds == mean:
    return Plan(rounds, slice_minutes)  # Nothing is left to do.
  return Plan(rounds, max(each / (rounds - mean), slice_minutes / 2))


def member_resources(
    machines: Sequence[Mapping[str, float]], devices: int, member_cpus: int
) -> dict[str, float]:
  """Returns what a member takes: it decides how many train at a time.

  Args:
    machines: CPU, GPU of each machine.
    devices: number of accelerators of a member; 0 means all of the machine that
      has the fewest.
    member_cpus: number of cores of a member; 0 means one next to accelerators,
      else all of the machine that has the fewest.
  """
  gpus, cpus = (
      [machine[kind] for machine in machines if machine.get(kind)]
      for kind in ('GPU', 'CPU')
  )
  if gpus:
    return {'CPU': member_cpus or 1, 'GPU': devices or min(gpus)}
  return {'CPU': member_cpus or min(cpus, default=1)}


def members_at_once(
    machines: Sequence[Mapping[str, float]], resources: Mapping[str, float]
) -> int:
  """Returns how many members can train at a time.

  Args:
    machines: CPU, GPU of each machine.
    resources: what a member takes, of one machine.

  Raises:
    ValueError: if no machine has that much.
  """
  at_once = sum(
      min(int(machine.get(kind, 0) / n) for kind, n in resources.items())
      for machine in machines
  )
  if not at_once:
    needs = ' and '.join(f'{n:g} {kind}s' for kind, n in resources.items())
    raise ValueError(
        f'no machine has the {needs} that a member needs; change --member_cpus '
        'or --devices'
    )
  return at_once
