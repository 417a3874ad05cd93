"""Proposals: programs changed a little, from the action spec alone.

Every move is symmetric: it leads back with the probability with which it leads
there, but for the factor that `Proposals.log_ratio` states. So mixtures of them
serve Metropolis-Hastings as they serve any other search.

Axes: T commands, M programs.
"""

from collections.abc import Collection, Mapping
import dataclasses
from typing import NamedTuple, Protocol

import numpy as np

from spiral_jax import types

# int32 `[T, M]` for each part of a command.
Programs = Mapping[str, np.ndarray]


# Share of the parts that `steps` gives any value.
_FRESH = 0.5

# Share of the changes of single parts that are steps.
_STEPS = 0.75


class Proposals(NamedTuple):
  """Changed programs."""

  programs: dict[str, np.ndarray]  # int32 [T, M] a part.
  # int [M], first command that may have changed; T where none has.
  start: np.ndarray
  # [M], log of the probability of proposing the way back, less that of the way
  # there: Hastings' correction.
  log_ratio: np.ndarray


class Propose(Protocol):
  """Proposes a change of each program."""

  def __call__(self, programs: Programs, rng: np.random.Generator) -> Proposals:
    """Returns changed copies of programs `[T, M]`.

    Args:
      programs: int32 `[T, M]` a part; stays as it is.
      rng: source of all random numbers.
    """


@dataclasses.dataclass(frozen=True)
class Moves:
  """Weights of the ways to change a program; they need not add up to 1.

  Attributes:
    step: one part of a command moves a little.
    steps: two or three parts of a command move a little, or take any value.
    fresh: one part of a command takes any value.
    command: a command is replaced by any other.
    order: a command is taken out and put in elsewhere.
    shift: a command is taken out and those after it move up, or any command is
      put in and those after it move back; one at the end is new or lost.
    reach: largest step, in values, or in rows and columns of a location.
  """

  step: float = 0.25
  steps: float = 0.5
  fresh: float = 0.15
  command: float = 0.02
  order: float = 0.05
  shift: float = 0.03
  reach: int = 2

  def weights(self) -> dict[str, float]:
    """Returns the weights by name."""
    return {
        field.name: getattr(self, field.name)
        for field in dataclasses.fields(self)
        if field.name != 'reach'
    }


def make_proposals(
    action_spec: types.ActionSpec, moves: Moves = Moves()
) -> Propose:
  """Returns proposals for programs of such commands.

  A step out of a part's range leaves it where it was; one of two values becomes
  the other. Only parts that have a meaning are chosen, except by `command` and
  `shift`, which draw whole commands.

  Args:
    action_spec: the parts of a command.
    moves: weights of the ways to change a program.

  Raises:
    ValueError: if a weight is negative, all are 0, or `reach` is below 1.
  """
  weights = np.array(list(moves.weights().values()))
  if not (weights >= 0).all() or not weights.sum() > 0 or moves.reach < 1:
    raise ValueError(
        f'{moves}: weights must be 0 or more, one of them above 0, and reach 1'
        ' or more'
    )
  spec = dict(action_spec)
  ways = {
      'step': _step,
      'steps': _steps,
      'fresh': _fresh,
      'command': _command,
      'order': _order,
      'shift': _shift,
  }

  def propose(programs: Programs, rng: np.random.Generator) -> Proposals:
    changed = {name: np.array(values) for name, values in programs.items()}
    length, count = next(iter(changed.values())).shape
    log_ratio = np.zeros(count)
    way = rng.choice(len(weights), size=count, p=weights / weights.sum())
    for index, name in enumerate(moves.weights()):
      which = np.flatnonzero(way == index)
      if len(which):
        log_ratio[which] = ways[name](spec, changed, which, rng, moves.reach)
    return Proposals(changed, first_change(programs, changed), log_ratio)

  return propose


class Changes(NamedTuple):
  """Changes of single parts of M programs, K of each."""

  time: np.ndarray  # int32 [K, M], the command.
  part: np.ndarray  # int32 [K, M], the index of its part.
  value: np.ndarray  # int32 [K, M], its other value; -1 where none is left.


def single_changes(
    action_spec: types.ActionSpec,
    free: Collection[str],
    programs: Programs,
    rng: np.random.Generator,
    count: int,
) -> Changes:
  """Returns changes of parts that have a meaning, no two of the same one.

  Most are steps, the others any values.

  Args:
    action_spec: the parts of a command.
    free: names of the parts that may change.
    programs: `[T, M]` a part.
    rng: source of all random numbers.
    count: number of changes of each program, K; at most T for each free part.
  """
  length, number = next(iter(programs.values())).shape
  active = are_active(action_spec, programs)
  is_free = [
      name in free and part.num_values > 1 for name, part in action_spec.items()
  ]
  active &= np.array(is_free)[:, np.newaxis, np.newaxis]
  active = active.reshape(-1, number)
  chances = np.where(active, rng.random(active.shape), -1.0)
  slot = (-chances).argsort(axis=0)[:count]
  is_left = np.take_along_axis(chances, slot, axis=0) >= 0
  index, time = np.divmod(slot, length)
  value = np.full(slot.shape, -1, np.int32)
  for here, (name, part) in enumerate(action_spec.items()):
    k, m = np.nonzero(is_left & (index == here))
    if not len(k):
      continue
    before = programs[name][time[k, m], m]
    step = moved(part, before, rng, Moves.reach)
    other = (
        before + rng.integers(1, part.num_values, len(k))
    ) % part.num_values
    # Some steps lead out of the grid.
    is_step = (rng.random(len(k)) < _STEPS) & (step != before)
    value[k, m] = np.where(is_step, step, other)
  return Changes(time.astype(np.int32), index.astype(np.int32), value)


def first_change(programs: Programs, changed: Programs) -> np.ndarray:
  """Returns the first commands that differ, int `[M]`; T where none does.

  Args:
    programs: programs `[T, M]`.
    changed: the same ones, changed.
  """
  differs = np.logical_or.reduce(
      [changed[name] != values for name, values in programs.items()]
  )
  return np.where(differs.any(0), differs.argmax(0), len(differs))


def are_active(
    action_spec: types.ActionSpec, commands: Mapping[str, np.ndarray]
) -> np.ndarray:
  """Returns which parts of commands have a meaning, bool `[P, ...]`.

  Args:
    action_spec: the P parts of a command.
    commands: int `[...]` for each part.
  """
  found = []
  for name, part in action_spec.items():
    governor = types.active_if(part)
    if governor is None:
      found.append(np.ones(commands[name].shape, bool))
    else:
      found.append(np.isin(commands[governor[0]], governor[1]))
  return np.stack(found)


def num_changes(
    action_spec: types.ActionSpec, programs: Programs
) -> np.ndarray:
  """Returns how many parts of programs have to be told, int `[...]`.

  These are the parts that have a meaning, but for those with the value that
  they had when they last had one.

  Args:
    action_spec: the parts of a command.
    programs: int `[T, ...]` a part.
  """
  before = _values_before(action_spec, programs)
  is_other = np.stack([before[name] != programs[name] for name in action_spec])
  return (is_other & are_active(action_spec, programs)).sum(axis=(0, 1))


def make_repeats(action_spec: types.ActionSpec) -> Propose:
  """Returns proposals in which a command repeats what the one before says.

  One of its parts, or all, take the value that they had when they last had a
  meaning. Nothing leads back: these are for `improve` with a `part_cost`, and
  Metropolis-Hastings never accepts them.

  Args:
    action_spec: the parts of a command.
  """
  spec = dict(action_spec)

  def propose(programs: Programs, rng: np.random.Generator) -> Proposals:
    length, count = next(iter(programs.values())).shape
    time, index = rng.integers(length, size=(count,)), np.arange(count)
    before = _values_before(spec, programs)
    are_other = are_active(spec, programs)
    for number, name in enumerate(spec):
      are_other[number] &= before[name] != programs[name]
      are_other[number] &= before[name] >= 0
    are_other = are_other[:, time, index]
    # One of the parts that would change, or all of them.
    first = np.where(are_other, rng.random(are_other.shape), 2.0).argmin(0)
    is_all = rng.random(count) < 0.5
    changed = {name: values.copy() for name, values in programs.items()}
    for number, name in enumerate(spec):
      at = are_other[number] & (is_all | (first == number))
      changed[name][time[at], index[at]] = before[name][time[at], index[at]]
    return Proposals(
        changed, first_change(programs, changed), np.full(count, -np.inf)
    )

  return propose


def _values_before(spec, programs) -> dict[str, np.ndarray]:
  """Returns the values that parts had before a command, `[T, ...]`.

  They are those of the last command in which they had a meaning, or -1.
  """
  found = {}
  for name, active in zip(spec, are_active(spec, programs)):
    last = np.full(active.shape[1:], -1, np.int32)
    found[name] = np.empty(active.shape, np.int32)
    for time, is_active in enumerate(active):
      found[name][time] = last
      last = np.where(is_active, programs[name][time], last)
  return found


# Each of the following changes `programs` in place, of which it treats those
# with the indices `which`, int `[m]`, and returns log ratios `[m]`, or 0.


def _step(spec, programs, which, rng, reach):
  time, part, before = _pick(_active(spec, programs, which), rng)
  for index, (name, values) in enumerate(programs.items()):
    here = np.flatnonzero(part == index)
    at = time[here], which[here]
    values[at] = moved(spec[name], values[at], rng, reach)
  return _ratio(spec, programs, which, before)


def _steps(spec, programs, which, rng, reach):
  # Parts that decide which others have a meaning stay, and so does the choice.
  active = _active(spec, programs, which)
  governors = types.governors(spec)
  active &= np.array([name not in governors for name in spec])[:, None, None]
  time, _, count = _pick(active, rng)
  active = active[:, time, np.arange(len(which))]
  # Two parts of the command, or three.
  rank = _order_of(np.where(active, rng.random(active.shape), 2.0))
  is_moved = active & (rank < rng.choice([2, 2, 3], size=len(which)))
  is_moved &= count > 0
  for index, (name, values) in enumerate(programs.items()):
    at = time[is_moved[index]], which[is_moved[index]]
    step = moved(spec[name], values[at], rng, reach)
    fresh = rng.integers(spec[name].num_values, size=len(step))
    is_fresh = rng.random(len(step)) < _FRESH
    values[at] = np.where(is_fresh, fresh, step)
  return 0.0


def _fresh(spec, programs, which, rng, reach):
  del reach
  time, part, before = _pick(_active(spec, programs, which), rng)
  for index, (name, values) in enumerate(programs.items()):
    here = np.flatnonzero(part == index)
    at = time[here], which[here]
    values[at] = rng.integers(spec[name].num_values, size=len(here))
  return _ratio(spec, programs, which, before)


def _command(spec, programs, which, rng, reach):
  del reach
  time = rng.integers(_length(programs), size=len(which))
  for name, values in programs.items():
    values[time, which] = rng.integers(spec[name].num_values, size=len(which))
  return 0.0


def _order(spec, programs, which, rng, reach):
  del spec, reach
  length = _length(programs)
  source, target = rng.integers(length, size=(2, len(which)))
  order = np.arange(length)[:, np.newaxis] + np.zeros(len(which), int)
  up = (order >= source) & (order < target)
  back = (order > target) & (order <= source)
  order = np.where(order == target, source, order + up - back)
  for values in programs.values():
    values[:, which] = np.take_along_axis(values[:, which], order, axis=0)
  return 0.0


def _shift(spec, programs, which, rng, reach):
  del reach
  length = _length(programs)
  time = rng.integers(length, size=len(which))
  takes_out = rng.random(len(which)) < 0.5
  order = np.arange(length)[:, np.newaxis]
  order = np.where(takes_out, order + (order >= time), order - (order > time))
  place = np.where(takes_out, length - 1, time)
  for name, values in programs.items():
    values[:, which] = np.take_along_axis(
        values[:, which], np.minimum(order, length - 1), axis=0
    )
    values[place, which] = rng.integers(spec[name].num_values, size=len(which))
  return 0.0


def _length(programs: Programs) -> int:
  return len(next(iter(programs.values())))


def _active(spec, programs, which) -> np.ndarray:
  """Returns which parts have a meaning, bool `[P, T, m]`."""
  return are_active(
      spec, {name: values[:, which] for name, values in programs.items()}
  )


def _pick(active, rng):
  """Returns times and indices of active parts, and their numbers, `[m]`."""
  length, count = active.shape[1:]
  chances = np.where(active, rng.random(active.shape), -1.0)
  part, time = np.divmod(chances.reshape(-1, count).argmax(axis=0), length)
  return time, part, active.sum(axis=(0, 1))


def _order_of(values) -> np.ndarray:
  """Returns the rank of each value along the first axis, from 0."""
  return values.argsort(axis=0).argsort(axis=0)


def _ratio(spec, programs, which, before) -> np.ndarray:
  """Returns the log ratio of the chances that a part was chosen, `[m]`."""
  after = _active(spec, programs, which).sum(axis=(0, 1))
  return np.log(before) - np.log(after)


def moved(part, values, rng, reach) -> np.ndarray:
  """Returns values after a step, or as they were where it leads out.

  Half of the steps are shortest ones.
  """
  if part.num_values == 2:
    return 1 - values
  count = len(values)
  grid_shape = types.grid_shape(part)
  far = np.where(rng.random(count) < 0.5, 1, reach)
  if grid_shape is None:
    step = rng.integers(1, far + 1)
    moved = values + np.where(rng.random(count) < 0.5, step, -step)
    is_inside = (moved >= 0) & (moved < part.num_values)
    return np.where(is_inside, moved, values)
  height, width = grid_shape
  # All steps of a square but the one that leads nowhere.
  side = 2 * far + 1
  step = rng.integers(side * side - 1)
  step += step >= side * side // 2
  down, right = np.divmod(step, side)
  y, x = np.divmod(values, width)
  y, x = y + down - far, x + right - far
  is_inside = (y >= 0) & (y < height) & (x >= 0) & (x < width)
  return np.where(is_inside, y * width + x, values)
