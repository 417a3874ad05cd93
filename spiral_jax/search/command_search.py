"""Search for a program whose commands each lay a cover of one color.

Where a renderer can say what commands cover, alone, other commands in the place
of one are tried without drawing the rest: the picture follows from the covers,
and which colors are best does, too.

Axes: T commands, K trials, H height, W width, M = H * W pixels, C channels.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from spiral_jax import types
from spiral_jax.search import clock as clock_lib
from spiral_jax.search import covers as covers_lib
from spiral_jax.search import pair_fit
from spiral_jax.search import proposals as proposals_lib

_REWRITTEN = 0.1  # Share of the rounds that move, add or take out commands.
_FLIPPED = 0.06  # Share of the trials in which other parts get a meaning.
_NUM_PARTS = (0.4, 0.35, 0.25)  # Chances that 1, 2 or 3 parts change.
_FRESH = 0.3  # Share of the changes that are no steps.
_WHERE_WRONG = 0.6  # Share of fresh locations that go where the error is.
_REACH = 3  # Of steps, at most.
# A program may become worse by a share of the first error that falls to nothing
# within a share of the time.
_HEAT, _COOLING = 0.02, 0.8
_ROUNDED = 1e-4  # Sums of squares that rounding makes different.
_EQUAL = 1e-2  # ... where they come from parabolas.


def improve(
    renderer: covers_lib.CoveringRenderer,
    action_spec: types.ActionSpec,
    programs: proposals_lib.Programs,
    targets: np.ndarray,
    rngs: list[np.random.Generator],
    *,
    seconds: float | None,
    rounds: int | None,
    num_proposals: int,
) -> tuple[dict[str, np.ndarray], np.ndarray]:
  """Searches for better programs, for one image after the other.

  Args:
    renderer: renderer of the images.
    action_spec: the parts of a command.
    programs: programs to begin with, int `[T, N]` a part.
    targets: uint8 `[N, H, W, C]`.
    rngs: a source of random numbers for each image.
    seconds: time to search, for all images together.
    rounds: number of rounds; either this or `seconds`.
    num_proposals: number of trials in a round, K.

  Returns:
    Programs, int `[T, N]` a part, and how many were tried for each, `[N]`.
  """
  count, length = len(targets), len(next(iter(programs.values())))
  best, num_trials = [], []
  for index, rng in enumerate(rngs):
    clock = clock_lib.Clock(seconds and seconds / count, rounds)
    one = CommandSearch(
        action_spec,
        renderer.make_covers(length, num_proposals),
        {name: values[:, index] for name, values in programs.items()},
        targets[index],
        rng,
        num_proposals,
    )
    one.run(clock)
    best.append(one.best)
    num_trials.append(one.num_trials)
  return {
      name: np.stack([program[name] for program in best], axis=1)
      for name in programs
  }, np.array(num_trials)


class CommandSearch:
  """The state of a search for the program of one image.

  Attributes:
    best: the best program so far, int32 `[T]` a part.
    least_error: its sum of squared errors.
    num_trials: number of programs that were tried.
  """

  def __init__(
      self,
      action_spec: types.ActionSpec,
      covers: covers_lib.Covers,
      program: Mapping[str, np.ndarray],
      target: np.ndarray,
      rng: np.random.Generator,
      num_proposals: int,
  ):
    """Initializes a search.

    Args:
      action_spec: the parts of a command.
      covers: says what commands cover.
      program: a program to begin with, int `[T]` a part.
      target: uint8 `[H, W, C]`.
      rng: source of all random numbers.
      num_proposals: number of trials in a round, K.
    """
    self._spec = dict(action_spec)
    self._covers = covers
    self._shape = target.shape
    self._target = target.reshape(-1, target.shape[-1]) / np.float32(255)
    self._rng = rng
    self._num_proposals = num_proposals
    self._governors = types.governors(self._spec)
    self._free = [
        name
        for name in self._spec
        if name not in covers.colors and name not in self._governors
    ]
    self._program = {name: np.array(program[name]) for name in self._spec}
    self._length = len(next(iter(self._program.values())))
    self._layers = _opacities(covers.draw(self._program))
    self._compose()
    self._heat = _HEAT * self._error
    self._slack = 0.0  # By which a program may become worse in this round.
    self.best, self.least_error = self._program, self._error
    self.num_trials = 0

  def run(self, clock: clock_lib.Clock) -> None:
    """Searches until the time is over."""
    while (done := clock.share_done) < 1:
      warmth = max(0.0, 1 - done / _COOLING) ** 2
      self._slack = self._heat * warmth * self._rng.exponential()
      if self._rng.random() < _REWRITTEN:
        self._rewrite()
      else:
        self._replace()
      clock.count_round()

  def _compose(self) -> None:
    """Computes what is below and above each command, and the error."""
    colors = self._colors(self._program)
    paper = np.broadcast_to(self._covers.paper, self._target.shape)
    self._below = [paper]
    for layer, color in zip(self._layers, colors):
      self._below.append(_lay(self._below[-1], layer, color))
    seen = np.ones(len(self._target), np.float32)
    above = np.zeros_like(self._target)
    self._seen, self._above = [seen], [above]
    for layer, color in zip(self._layers[::-1], colors[::-1]):
      above = above + (seen * layer)[:, np.newaxis] * color
      seen = seen * (1 - layer)
      self._seen.append(seen)
      self._above.append(above)
    self._seen.reverse()
    self._above.reverse()
    squares = (self._below[-1] - self._target) ** 2
    self._wrong = squares.sum(axis=1)
    self._error = float(self._wrong.sum(dtype=np.float64))

  def _num_parts(self, commands: Mapping[str, np.ndarray]) -> np.ndarray:
    """Returns how many parts of commands `[...]` have a meaning, `[...]`."""
    return proposals_lib.are_active(self._spec, commands).sum(axis=0)

  def _colors(self, program: Mapping[str, np.ndarray]) -> np.ndarray:
    """Returns the colors of commands, float32 `[..., C]`."""
    names = self._covers.colors
    if not names:
      some = program[next(iter(self._spec))]
      return np.zeros((*some.shape, self._target.shape[1]), np.float32)
    return self._covers.shades[
        np.stack([program[name] for name in names], axis=-1)
    ]

  def _replace(self) -> None:
    """Tries other commands in the place of one."""
    at = int(self._rng.integers(self._length))
    tried = self._propose(at)
    self.num_trials += self._num_proposals
    first = _opacities(self._covers.try_commands(at, tried))
    second, second_color = None, None
    colors = self._colors(self._program)
    last = at
    if at + 1 < self._length and self._layers[at + 1].any():
      last = at + 1
      second_color = colors[last]
      second = np.broadcast_to(self._layers[last], first.shape).copy()
      differs = np.logical_or.reduce(
          [tried[n] != self._program[n][at] for n in self._covers.handed_on]
      )
      which = np.flatnonzero(differs)
      if len(which):
        following = {
            name: np.full(len(which), values[last])
            for name, values in self._program.items()
        }
        second[which] = _opacities(self._covers.follow(following, which))
    seen, below = self._seen[last + 1], self._below[at]
    residual = (
        self._above[last + 1] + seen[:, np.newaxis] * below - self._target
    )
    found = pair_fit.fit(
        first,
        second,
        pair_fit.Region(residual, below, seen),
        colors[at],
        second_color,
        self._covers.shades if self._covers.colors else None,
    )
    best = int(found.errors.argmin())
    if not found.errors[best] < self._error + self._slack - _EQUAL:
      # Of equal ones, one of fewer parts: what nobody sees goes.
      is_plainer = self._num_parts(tried) < self._num_parts(self._program)[at]
      best = int(np.where(is_plainer, found.errors, np.inf).argmin())
      if not (is_plainer[best] and found.errors[best] < self._error + _EQUAL):
        return
    program = {name: values.copy() for name, values in self._program.items()}
    for name in self._spec:
      program[name][at] = tried[name][best]
    for color, place in ((found.first, at), (found.second, last)):
      if color is not None and self._covers.colors:
        steps = np.rint(color[best] * (len(self._covers.shades) - 1))
        for name, shade in zip(self._covers.colors, steps.astype(int)):
          program[name][place] = shade
    self._take(program, at)

  def _rewrite(self) -> None:
    """Tries programs in which commands come elsewhere, or are others."""
    count = max(1, self._num_proposals // self._length)
    self.num_trials += count
    rng, length = self._rng, self._length
    program = {
        name: np.repeat(values[:, np.newaxis], count, axis=1)
        for name, values in self._program.items()
    }
    source, target = rng.integers(length, size=(2, count))
    is_new = rng.random(count) < 0.5
    for k in range(count):
      for name, values in program.items():
        rest = np.delete(values[:, k], source[k])
        moved = values[source[k], k]
        if is_new[k]:
          moved = rng.integers(self._spec[name].num_values)
        values[:, k] = np.insert(rest, target[k], moved)
    first = int(min(source.min(), target.min()))
    colors = self._colors(program)
    canvas = np.broadcast_to(self._below[first], (count, *self._target.shape))
    everyone = np.arange(count)
    for at in range(first, length):
      commands = {name: values[at] for name, values in program.items()}
      if at == first:
        cover = self._covers.try_commands(at, commands)
      else:
        cover = self._covers.follow(commands, everyone)
      canvas = _lay(canvas, _opacities(cover), colors[at][:, np.newaxis])
    errors = ((canvas - self._target) ** 2).sum(axis=(1, 2))
    best = int(errors.argmin())
    if errors[best] < self._error + self._slack - _EQUAL:
      self._take(
          {name: values[:, best] for name, values in program.items()}, first
      )

  def _take(self, program: dict[str, np.ndarray], first: int) -> None:
    """Makes a program the current one, unless it is too bad as a whole."""
    before = self._program, self._layers, self._error
    drawn = _opacities(self._covers.draw(program, first))
    kept = self._length - len(drawn)
    self._program = program
    self._layers = np.concatenate([self._layers[:kept], drawn])
    self._compose()
    if self._error >= before[2] + max(self._slack, _ROUNDED):
      self._program, self._layers, _ = before
      self._covers.draw(self._program, first)
      self._compose()
    elif self._error < self.least_error + _ROUNDED:
      self.best, self.least_error = self._program, self._error

  def _propose(self, at: int) -> dict[str, np.ndarray]:
    """Returns commands like the one at a place, `[K]` a part."""
    rng, count = self._rng, self._num_proposals
    now = {name: values[at : at + 1] for name, values in self._program.items()}
    tried = {name: np.repeat(value, count) for name, value in now.items()}
    for name in self._governors:
      other = rng.integers(self._spec[name].num_values, size=count)
      if self._spec[name].num_values == 2:
        other = 1 - tried[name]
      tried[name] = np.where(rng.random(count) < _FLIPPED, other, tried[name])
    had_meaning = proposals_lib.are_active(self._spec, now)
    has_meaning = proposals_lib.are_active(self._spec, tried)
    indices = [list(self._spec).index(name) for name in self._free]
    has_meaning, had_meaning = has_meaning[indices], had_meaning[indices]
    rank = np.where(has_meaning, rng.random(has_meaning.shape), 2.0)
    rank = rank.argsort(axis=0).argsort(axis=0)
    number = 1 + rng.choice(len(_NUM_PARTS), p=_NUM_PARTS, size=count)
    for index, name in enumerate(self._free):
      part, values = self._spec[name], tried[name]
      step = proposals_lib.moved(part, values, rng, _REACH)
      fresh = self._fresh(part, count)
      is_new = has_meaning[index] & ~had_meaning[index]
      is_fresh = is_new | (rng.random(count) < _FRESH)
      is_changed = is_new | (has_meaning[index] & (rank[index] < number))
      tried[name] = np.where(
          is_changed, np.where(is_fresh, fresh, step), values
      )
    return tried

  def _fresh(self, part: Any, count: int) -> np.ndarray:
    """Returns any values of a part, locations mostly where the error is."""
    rng = self._rng
    values = rng.integers(part.num_values, size=count)
    grid = types.grid_shape(part)
    if grid is None:
      return values
    chance = np.cumsum(self._wrong + 1e-9)
    at = np.searchsorted(chance, rng.random(count) * chance[-1])
    at = np.minimum(at, len(chance) - 1)
    pixels = np.stack(np.divmod(at, self._shape[1])) + rng.random((2, count))
    scale = np.array(grid) / self._shape[:2]
    cells = np.rint(pixels * scale[:, np.newaxis]).astype(int)
    y, x = np.minimum(cells, np.array(grid)[:, np.newaxis] - 1)
    return np.where(rng.random(count) < _WHERE_WRONG, y * grid[1] + x, values)


def _opacities(covers: np.ndarray) -> np.ndarray:
  """Returns covers uint8 `[n, H, W]` as float32 `[n, M]`, in [0, 1]."""
  return covers.reshape(len(covers), -1) * np.float32(1 / 255)


def _lay(
    canvas: np.ndarray, cover: np.ndarray, color: np.ndarray
) -> np.ndarray:
  """Returns canvases `[..., M, C]` after strokes of covers `[..., M]`."""
  return canvas + cover[..., np.newaxis] * (color - canvas)
