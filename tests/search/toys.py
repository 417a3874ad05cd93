"""A world small enough to enumerate its programs.

Axes: N canvases, T commands, M programs.
"""

import itertools

from dm_env import specs
import numpy as np

from environments import contract
from environments import core

SIZE = 16
# bool [4, H, W, 1], true within each quarter of a canvas.
_QUARTERS = np.arange(4)[:, None, None, None] == np.repeat(
    np.repeat(np.arange(4).reshape(2, 2, 1), SIZE // 2, 0), SIZE // 2, 1
)


class Squares:
  """A command fills a quarter of the canvas, over what was there.

  With `has_kind`, only commands of kind 1 do. Canvases can be copied if
  `can_copy`; `num_drawn` counts the commands drawn.
  """

  def __init__(self, count, *, has_kind=False, can_copy=True):
    self.count = count
    self.can_copy = can_copy
    self.num_drawn = 0
    self._has_kind = has_kind
    self._canvas = np.zeros((count, SIZE, SIZE, 1), np.uint8)

  def action_spec(self):
    active_if = ('kind', (1,)) if self._has_kind else None
    spec = {
        'quarter': core.Part(4, grid_shape=(2, 2), active_if=active_if),
        'shade': core.Part(3, active_if=active_if),
    }
    return {'kind': core.Part(2)} | spec if self._has_kind else spec

  def canvas_spec(self):
    return specs.BoundedArray((SIZE, SIZE, 1), np.uint8, 0, 255)

  def reset(self):
    self._canvas[:] = 255
    return self._canvas.copy()

  def step(self, command):
    self.draw_on(command, np.arange(self.count))
    return self._canvas.copy()

  def copy(self, source, target):
    source, target = contract.check_copy(source, target, self.count)
    self._canvas[target] = self._canvas[source]

  def draw_on(self, command, which):
    which = contract.check_which(which, self.count)
    self.num_drawn += len(which)
    is_filled = _QUARTERS[command['quarter']]
    if self._has_kind:
      is_filled = is_filled & (command['kind'] == 1)[:, None, None, None]
    shade = np.uint8(100) * command['shade'].astype(np.uint8)
    self._canvas[which] = np.where(
        is_filled, shade[:, None, None, None], self._canvas[which]
    )

  def read(self, which):
    return self._canvas[contract.check_which(which, self.count)]


def make_environment(count, length=2, **options):
  """Returns an environment of squares, observed as uint8."""
  return core.BatchedEnvironment(Squares(count, **options), length, np.uint8)


def run(programs, **options):
  """Returns the canvases of programs `[T, M]`, uint8 `[M, H, W, 1]`."""
  length, count = next(iter(programs.values())).shape
  environment = make_environment(count, length, **options)
  environment.reset()
  for t in range(length):
    time_step = environment.step({k: v[t] for k, v in programs.items()})
  return time_step.observation['canvas']


def random_programs(spec, length, count, seed=0):
  """Returns programs, int32 `[length, count]` a part."""
  rng = np.random.default_rng(seed)
  return {
      name: rng.integers(part.num_values, size=(length, count)).astype(np.int32)
      for name, part in spec.items()
  }


def all_programs(spec, length):
  """Returns all programs, int32 `[length, M]` a part."""
  commands = list(
      itertools.product(*(range(p.num_values) for p in spec.values()))
  )
  programs = np.array(list(itertools.product(commands, repeat=length)))
  return {
      name: programs[:, :, i].T.astype(np.int32) for i, name in enumerate(spec)
  }


def index_of(programs, spec):
  """Returns the indices of programs `[T, M]` in `all_programs`, `[M]`."""
  index = 0
  for t in range(len(next(iter(programs.values())))):
    for name, part in spec.items():
      index = index * part.num_values + programs[name][t]
  return index
