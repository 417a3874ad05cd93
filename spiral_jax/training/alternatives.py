"""Alternatives: results of episodes with one part of one command changed.

A reward says how good an episode was, and leaves open which of its commands
that is owed to. The renderer can be asked: the same program, but for one part
of one command, is run again, and the difference of the results is that part's
alone. It is a search of one step in the middle of training, from which the
policy learns on canvases of its own (as Anthony et al., arXiv:1705.08439, do).

Axes: T time (commands), B batch, K alternatives, H height, W width, C channels.
"""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from spiral_jax import search
from spiral_jax import types

# Apart from the random numbers of the rollout with the same seed.
_STREAM = 0xA17


class RolloutWithAlternatives:
  """Plays whole episodes, and runs alternatives of each.

  Randomness depends only on the seed and the number of calls so far, which,
  with the state of the rollout, is the whole checkpointed state.
  """

  def __init__(
      self,
      play: Callable[[types.Params, int], types.Trajectory],
      make_environment: Callable[[int], search.Environment],
      *,
      batch: int,
      length: int,
      count: int,
      fixed: tuple[str, ...] = (),
      seed: int = 0,
  ):
    """Initializes the environment in which alternatives are run.

    Args:
      play: a rollout of whole episodes; it may have state.
      make_environment: makes an environment of as many uint8 canvases as it is
        given, that draws as that of the rollout does.
      batch: number of episodes, B.
      length: number of commands of an episode, T.
      count: number of alternatives of each, K, or as many as there are.
      fixed: names of parts that stay as they are.
      seed: random seed.
    """
    self._play: Any = play
    one = make_environment(1)
    self._spec = dict(one.action_spec())
    self._free = [name for name in self._spec if name not in fixed]
    self._count = min(count, length * len(self._free))
    needed = search.canvases_needed(one, length, self._count)
    self._executor = search.make_executor(
        make_environment(batch * needed), batch, length, self._count
    )
    self._seed = seed
    self._calls = 0

  def __call__(self, params: types.Params, version: int) -> types.Trajectory:
    """Returns B episodes and their alternatives, in host memory."""
    trajectory = self._play(params, version)
    rng = np.random.default_rng((self._seed, self._calls, _STREAM))
    self._calls += 1
    return trajectory._replace(alternatives=self._run(trajectory.action, rng))

  def get_state(self) -> dict[str, Any]:
    """Returns the number of calls and the state of the rollout."""
    return {'calls': self._calls, 'rollout': self._play.get_state()}

  def set_state(self, state: Mapping[str, Any]) -> None:
    """Continues where `get_state` was called."""
    self._calls = int(state['calls'])
    self._play.set_state(state['rollout'])

  def _run(
      self, action: types.Action, rng: np.random.Generator
  ) -> types.Alternatives:
    programs = {name: np.asarray(action[name]) for name in self._spec}
    tried = search.single_changes(
        self._spec, self._free, programs, rng, self._count
    )
    value = {name: np.full_like(v, -1) for name, v in programs.items()}
    result = {name: np.zeros_like(v) for name, v in programs.items()}
    changed = {}
    for index, (name, values) in enumerate(programs.items()):
      copies = np.repeat(values[..., np.newaxis], self._count, axis=2)
      k, b = np.nonzero((tried.part == index) & (tried.value >= 0))
      time, other = tried.time[k, b], tried.value[k, b]
      value[name][time, b], result[name][time, b] = other, k
      copies[time, b, k] = other
      changed[name] = copies
    self._executor.start(programs)
    canvas = self._executor.run(changed, tried.time.T)
    return types.Alternatives(value, result, canvas.swapaxes(0, 1))
