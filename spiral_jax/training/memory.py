"""Memory: the best program that was found for each training image so far.

It is what wake-sleep calls the wake phase, with a memory in place of fresh
samples (Hewitt, Le and Tenenbaum, arXiv:2007.03132).

Axes: M images remembered, T time (commands), B batch, H height, W width, C
channels.
"""

from collections.abc import Callable, Mapping
import threading
from typing import Any, NamedTuple

import jax
import numpy as np

from spiral_jax import agents
from spiral_jax import search
from spiral_jax import types
from spiral_jax.training import lessons

# Rounds of a search that lets commands repeat what those before them say.
_REPEATING_ROUNDS = 8

# (random numbers, B) -> programs, int32 `[T, B]` a part.
Prior = Callable[[np.random.Generator, int], types.Action]


class Recalled(NamedTuple):
  """Some images and their best programs."""

  indices: np.ndarray  # int `[B]`.
  images: np.ndarray  # uint8 `[B, H, W, C]`.
  programs: dict[str, np.ndarray]  # int32 `[T, B]` a part.
  errors: np.ndarray  # `[B]`; infinite where there is no program yet.


class Memory:
  """Programs of M images. Any thread may use it."""

  def __init__(
      self,
      images: np.ndarray,
      action_spec: types.ActionSpec,
      length: int,
      part_cost: float = 0.0,
  ):
    """Initializes an empty memory.

    Args:
      images: uint8 `[M, H, W, C]`.
      action_spec: the parts of a command.
      length: number of commands in a program, T.
      part_cost: error that a program may have for each part that it repeats;
        see `search.num_changes`.
    """
    self.images = images
    self.part_cost = part_cost
    self._spec = action_spec
    self._lock = threading.Lock()
    self._programs = {
        name: np.zeros((length, len(images)), np.int32) for name in action_spec
    }
    self._errors = np.full(len(images), np.inf, np.float32)
    self._next = 0

  def take_turns(self, count: int) -> Recalled:
    """Returns the next images in turn, `count` of them or all, to improve."""
    with self._lock:
      count = min(count, len(self.images))
      indices = (self._next + np.arange(count)) % len(self.images)
      self._next = (self._next + count) % len(self.images)
      return self._recall(indices)

  def sample(self, rng: np.random.Generator, count: int) -> Recalled | None:
    """Returns `count` random images that have programs; None if none has."""
    with self._lock:
      known = np.flatnonzero(np.isfinite(self._errors))
      if not len(known):
        return None
      return self._recall(known[rng.integers(len(known), size=count)])

  def offer(
      self,
      indices: np.ndarray,
      programs: Mapping[str, np.ndarray],
      errors: np.ndarray,
  ) -> None:
    """Keeps programs `[T, B]` that cost less than those so far.

    What one costs is its error, of `errors` `[B]`, and its parts.
    """
    cost = self._cost(programs, errors)
    with self._lock:
      so_far = self._recall(indices)
      is_better = cost < self._cost(so_far.programs, so_far.errors)
      kept = indices[is_better]
      self._errors[kept] = errors[is_better]
      for name, values in self._programs.items():
        values[:, kept] = programs[name][:, is_better]

  def figures(self) -> dict[str, float]:
    """Returns how many images have programs, and their mean error."""
    with self._lock:
      known = self._errors[np.isfinite(self._errors)]
    figures = {'images': float(len(known))}
    if len(known):
      figures['error'] = float(known.mean())
    return figures

  def get_state(self) -> dict[str, Any]:
    """Returns all programs, as they are at this moment."""
    with self._lock:
      return {
          'programs': {k: v.copy() for k, v in self._programs.items()},
          'errors': self._errors.copy(),
          'next': self._next,
      }

  def set_state(self, state: Mapping[str, Any]) -> None:
    """Restores what `get_state` returned.

    Raises:
      ValueError: if it is the state of another number of images.
    """
    errors = np.asarray(state['errors'], np.float32)
    if errors.shape != self._errors.shape:
      raise ValueError(
          f'the memory that was saved has {len(errors)} images, this one has '
          f'{len(self._errors)}; resume with the same --memory_size and data'
      )
    with self._lock:
      self._errors = errors.copy()
      self._programs = {
          name: np.array(state['programs'][name], np.int32)
          for name in self._programs
      }
      self._next = int(state['next'])

  def _cost(
      self, programs: Mapping[str, np.ndarray], errors: np.ndarray
  ) -> np.ndarray:
    return errors + self.part_cost * search.num_changes(self._spec, programs)

  def _recall(self, indices: np.ndarray) -> Recalled:
    return Recalled(
        indices,
        self.images[indices],
        {name: values[:, indices] for name, values in self._programs.items()},
        self._errors[indices],
    )


class Wake:
  """A source of lessons: improves some programs, then recalls some.

  Images take turns. The agent, which is the recognizer, samples programs for
  them; the better of these and the remembered ones are improved by a local
  search, made plainer if parts have a cost, and remembered. How many are
  searched for a lesson divides the time between search and learning.
  """

  def __init__(
      self,
      memory: Memory,
      environment: search.Environment,
      agent: agents.Agent,
      *,
      images: int,
      samples: int,
      rounds: int,
      prior: Prior,
      after: int = 0,
      seed: int = 0,
  ):
    """Initializes the source, which owns the environment from then on.

    Args:
      memory: programs so far; its state is saved with this source.
      environment: environment of uint8 canvases; `search.canvases_needed` says
        how many an image takes.
      agent: a conditional agent.
      images: number of images that are searched for a lesson.
      samples: number of programs that the agent samples for each of them.
      rounds: rounds of the search; see `search.improve`.
      prior: makes programs for the lessons before the first search.
      after: number of these lessons.
      seed: random seed.
    """
    self._memory = memory
    self._environment = environment
    self._agent = agent
    self._images = images
    self._samples = samples
    self._rounds = rounds
    self._prior = prior
    self._after = after
    self._seed = seed
    self._dreams = self._searches = 0

  def __call__(
      self, rng: np.random.Generator, count: int, params: types.Params
  ) -> tuple[types.Action, np.ndarray | None]:
    """Returns programs int32 `[T, B]` a part, and images `[B, H, W, C]`.

    Before the first search these are None, which stands for the programs' own
    pictures.
    """
    if self._dreams < self._after:
      self._dreams += 1
      return self._prior(rng, count), None
    self.search(params)
    recalled = self._memory.sample(rng, count)
    assert recalled is not None
    return recalled.programs, recalled.images

  def search(self, params: types.Params) -> None:
    """Improves the programs of the images whose turn it is."""
    key = jax.random.fold_in(jax.random.key(self._seed), self._searches)
    sample_key, search_key, repeat_key = jax.random.split(key, 3)
    turn = self._memory.take_turns(self._images)
    new = search.best_of(
        self._agent,
        params,
        self._environment,
        turn.images,
        samples=self._samples,
        key=sample_key,
    )
    is_new = -new.scores < turn.errors
    start = {
        name: np.where(is_new, new.programs[name], values)
        for name, values in turn.programs.items()
    }
    found = search.improve(
        self._environment,
        start,
        turn.images,
        key=search_key,
        rounds=self._rounds,
    )
    if self._memory.part_cost:
      found = search.improve(
          self._environment,
          found.programs,
          turn.images,
          key=repeat_key,
          rounds=_REPEATING_ROUNDS,
          propose=search.make_repeats(self._environment.action_spec()),
          part_cost=self._memory.part_cost,
      )
    self._memory.offer(turn.indices, found.programs, -found.scores)
    self._searches += 1

  def get_state(self) -> dict[str, Any]:
    """Returns the memory, and the numbers of dreams and searches so far."""
    return {
        'dreams': self._dreams,
        'searches': self._searches,
        'memory': self._memory.get_state(),
    }

  def set_state(self, state: Mapping[str, Any]) -> None:
    """Restores what `get_state` returned.

    Raises:
      ValueError: as `Memory.set_state`.
    """
    self._memory.set_state(state['memory'])
    self._dreams = int(state['dreams'])
    self._searches = int(state['searches'])


def make_variations(
    memory: Memory,
    action_spec: types.ActionSpec,
    share: float,
    prior: Prior,
) -> lessons.Source:
  """Returns a source of remembered programs, some of whose commands changed.

  They are dreams: their targets are their own pictures.

  Args:
    memory: programs so far.
    action_spec: the parts of a command.
    share: share of the commands that are changed.
    prior: makes programs as long as nothing is remembered.
  """

  def source(rng, count, params):
    del params
    recalled = memory.sample(rng, count)
    if recalled is None:
      return prior(rng, count), None
    return lessons.disturb(rng, action_spec, recalled.programs, share), None

  return source
