"""Improvement of programs by proposals, of which the best is kept.

Axes: N images, K proposals an image, T commands, H height, W width, C channels.
"""

from collections.abc import Callable, Iterator
import time
from typing import Any, NamedTuple

import jax
import numpy as np

from spiral_jax.search import command_search
from spiral_jax.search import covers as covers_lib
from spiral_jax.search import executor as executor_lib
from spiral_jax.search import proposals as proposals_lib
from spiral_jax.search import scores as scores_lib

NUM_PROPOSALS = 16  # By default, for each image in a round.


class Found(NamedTuple):
  """Programs that a search found."""

  programs: dict[str, np.ndarray]  # int32 [T, N] a part.
  scores: np.ndarray  # float64 [N].
  canvases: np.ndarray  # uint8 [N, H, W, C], results of the programs.
  num_renderings: np.ndarray  # int64 [N], programs tried for each image.


def improve(
    environment: executor_lib.Environment,
    programs: proposals_lib.Programs,
    targets: np.ndarray,
    *,
    key: jax.Array,
    seconds: float | None = None,
    rounds: int | None = None,
    num_proposals: int = NUM_PROPOSALS,
    score: scores_lib.Score = scores_lib.negative_l2,
    propose: proposals_lib.Propose | None = None,
    part_cost: float = 0.0,
) -> Found:
  """Improves a program for each target.

  A round runs K changed programs for each image, and keeps the best of them
  unless the image's program was better. So no program gets worse. Of equal
  ones, those with fewer parts that have a meaning are better: what nobody sees
  goes. Images are taken in groups, as many at once as the environment has
  canvases for.

  Where the renderer can say what its commands cover (`CoveringRenderer`), and
  `score`, `propose` and `part_cost` are left as they are, other commands in the
  place of one are tried without drawing the rest, in the colors that are best.
  Then a program may become worse for a while; what is returned does not.

  Args:
    environment: environment of uint8 canvases, as
      `task.make_batch(settings, count, num_threads)`; `canvases_needed` says
      how many an image takes. It must be reset afterwards.
    programs: programs to begin with, int `[T, N]` a part.
    targets: uint8 `[N, H, W, C]`.
    key: consumed. With `rounds`, the result depends on it alone, and not on the
      number of threads.
    seconds: time to search, in all divided by the number of images.
    rounds: number of rounds; either this or `seconds`.
    num_proposals: number of proposals an image in a round, K.
    score: (canvases, targets), uint8 `[M, H, W, C]` each, to scores `[M]`.
    propose: proposals; None means `make_proposals` of the action spec, where
      programs are run.
    part_cost: score that a program may lose for each part that it repeats; see
      `num_changes`.

  Returns:
    Programs, with scores that are those of `programs` or higher, but for what
    `part_cost` allows.

  Raises:
    ValueError: if neither or both of `seconds` and `rounds` are given, the
      environment has too few canvases for one image, or shapes do not fit.
  """
  if (seconds is None) == (rounds is None):
    raise ValueError(
        f'seconds is {seconds} and rounds {rounds}; give one of the two'
    )
  spec = environment.action_spec()
  programs = check_programs(programs, spec, len(targets))
  is_default = score is scores_lib.negative_l2 and propose is None
  covering = getattr(environment, 'renderer', None)
  if not (
      is_default and not part_cost and getattr(covering, 'can_cover', False)
  ):
    covering = None
  propose = propose or proposals_lib.make_proposals(spec)
  length = len(next(iter(programs.values())))

  def cost_of(programs: proposals_lib.Programs) -> np.ndarray | float:
    if not part_cost:
      return 0.0
    return part_cost * proposals_lib.num_changes(spec, programs)

  found = []
  for index, group in enumerate(
      groups(environment, len(targets), length, num_proposals)
  ):
    size = group.stop - group.start
    group_key = jax.random.fold_in(key, index)
    executor = executor_lib.make_executor(
        environment, size, length, num_proposals
    )
    start = {name: values[:, group] for name, values in programs.items()}
    budget = dict(
        seconds=None if seconds is None else seconds * size, rounds=rounds
    )
    if covering is not None:
      found.append(
          _improve_covers(
              executor,
              covering,
              spec,
              start,
              targets[group],
              key=group_key,
              **budget,
          )
      )
      continue
    found.append(
        _improve_group(
            executor,
            start,
            targets[group],
            rng=make_rng(group_key),
            score=score,
            propose=propose,
            cost_of=cost_of,
            sizes_of=lambda programs: proposals_lib.are_active(
                spec, programs
            ).sum(axis=(0, 1)),
            **budget,
        )
    )
  return Found(
      {
          name: np.concatenate([f.programs[name] for f in found], axis=1)
          for name in programs
      },
      *(np.concatenate([f[i] for f in found]) for i in range(1, 4)),
  )


def groups(
    environment: executor_lib.Environment,
    num_images: int,
    length: int,
    num_proposals: int,
) -> Iterator[slice]:
  """Yields slices of images, each as large as the environment allows.

  Raises:
    ValueError: if there are too few canvases for one image, or no images.
  """
  if num_images < 1 or num_proposals < 1:
    raise ValueError(
        f'there are {num_images} images, with {num_proposals} proposals each;'
        ' both must be 1 or more'
    )
  needed = executor_lib.canvases_needed(environment, length, num_proposals)
  most = environment.count // needed
  if not most:
    raise ValueError(
        f'the environment has {environment.count} canvases; one image with'
        f' {num_proposals} proposals takes {needed}'
    )
  for first in range(0, num_images, most):
    yield slice(first, min(first + most, num_images))


def check_programs(
    programs: proposals_lib.Programs, spec: Any, num_images: int
) -> dict[str, np.ndarray]:
  """Returns programs as int32 arrays `[T, N]`, in the order of the spec.

  Raises:
    ValueError: if a part is missing or unknown, or of another shape.
  """
  if set(programs) != set(spec):
    raise ValueError(
        f'programs have the parts {", ".join(programs)}; the environment has'
        f' {", ".join(spec)}'
    )
  checked = {name: np.asarray(programs[name], np.int32) for name in spec}
  shapes = {name: values.shape for name, values in checked.items()}
  first = next(iter(shapes.values()))
  if len(set(shapes.values())) > 1 or len(first) != 2 or not first[0]:
    raise ValueError(f'programs have shapes {shapes}, must be [T, N] for all')
  if first[1] != num_images:
    raise ValueError(
        f'there are {first[1]} programs for {num_images} targets; give one each'
    )
  return checked


def make_rng(key: jax.Array) -> np.random.Generator:
  """Returns NumPy's generator for a key, which is consumed."""
  return np.random.default_rng(np.asarray(jax.random.key_data(key)).ravel())


def _improve_covers(
    executor: executor_lib.Executor,
    renderer: covers_lib.CoveringRenderer,
    spec: Any,
    programs: dict[str, np.ndarray],
    targets: np.ndarray,
    *,
    key: jax.Array,
    seconds: float | None,
    rounds: int | None,
) -> Found:
  """As `_improve_group`, where commands are covers."""
  canvases = executor.start(programs).copy()
  scores = scores_lib.negative_l2(canvases, targets)
  new, num_trials = command_search.improve(
      renderer,
      spec,
      programs,
      targets,
      [make_rng(jax.random.fold_in(key, n)) for n in range(len(targets))],
      seconds=seconds,
      rounds=rounds,
      num_proposals=executor.num_proposals,
  )
  new_canvases = executor.start(new)
  new_scores = scores_lib.negative_l2(new_canvases, targets)
  is_kept = new_scores >= scores  # Equal ones may be plainer.
  canvases[is_kept] = new_canvases[is_kept]
  return Found(
      {n: np.where(is_kept, new[n], programs[n]).astype(np.int32) for n in new},
      np.where(is_kept, new_scores, scores),
      canvases,
      1 + num_trials,
  )


def _improve_group(
    executor: executor_lib.Executor,
    programs: dict[str, np.ndarray],
    targets: np.ndarray,
    *,
    rng: np.random.Generator,
    seconds: float | None,
    rounds: int | None,
    score: scores_lib.Score,
    propose: proposals_lib.Propose,
    cost_of: Callable[[proposals_lib.Programs], np.ndarray | float],
    sizes_of: Callable[[proposals_lib.Programs], np.ndarray],
) -> Found:
  end = time.perf_counter() + (0.0 if seconds is None else seconds)
  num_images, num_proposals = len(targets), executor.num_proposals
  length = len(next(iter(programs.values())))
  images = np.arange(num_images)
  repeated = np.repeat(targets, num_proposals, axis=0)
  programs = {name: values.copy() for name, values in programs.items()}
  canvases = executor.start(programs).copy()
  scores = np.array(score(canvases, targets), np.float64)
  values = scores - cost_of(programs)
  sizes = sizes_of(programs)
  num_rounds = 0
  while (
      num_rounds < rounds if rounds is not None else time.perf_counter() < end
  ):
    proposals = propose(
        {k: np.repeat(v, num_proposals, axis=1) for k, v in programs.items()},
        rng,
    )
    shape = num_images, num_proposals
    start = proposals.start.reshape(shape)
    proposed = {
        name: values.reshape(length, *shape)
        for name, values in proposals.programs.items()
    }
    drawn = executor.run(proposed, start)
    new_scores = np.asarray(
        score(drawn.reshape(-1, *drawn.shape[2:]), repeated)
    ).reshape(shape)
    new_values = new_scores - cost_of(proposed)
    new_values = np.where(start < length, new_values, -np.inf)
    new_sizes = sizes_of(proposed)
    best = np.lexsort((new_sizes, -new_values), axis=1)[:, 0]
    new_value, new_size = new_values[images, best], new_sizes[images, best]
    # Equals are taken too: so programs wander where nothing shows, until a
    # change becomes visible.
    is_kept = (new_value > values) | (
        (new_value == values) & (new_size <= sizes)
    )
    for name, commands in programs.items():
      commands[:, is_kept] = proposed[name][:, images, best][:, is_kept]
    canvases[is_kept] = drawn[images, best][is_kept]
    scores = np.where(is_kept, new_scores[images, best], scores)
    values = np.where(is_kept, new_value, values)
    sizes = np.where(is_kept, new_size, sizes)
    executor.accept(programs, np.where(is_kept, start[images, best], length))
    num_rounds += 1
  counts = np.full(num_images, 1 + num_rounds * num_proposals)
  return Found(programs, scores, canvases, counts)
