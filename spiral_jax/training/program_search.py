"""Search for programs of images, begun by a trained agent.

Axes: N images, T time (commands), B batch, H height, W width, C channels.
"""

from collections.abc import Iterator
import os

import jax
import numpy as np

from spiral_jax import search
from spiral_jax.training import lessons
from spiral_jax.training import trained_agent as trained_agent_lib

# Images that are searched for at once, so that batches are worth their calls.
_IMAGES = 16
_CANVASES = 250  # Drawn at once otherwise.


def find_programs(
    trained: trained_agent_lib.TrainedAgent,
    images: np.ndarray,
    *,
    seconds: float | None = None,
    rounds: int | None = None,
    samples: int = 16,
    propose: search.Propose | None = None,
    seed: int = 0,
) -> search.Found:
  """Returns programs of images: the agent's best samples, improved.

  Renders in as many threads as this process may use.

  Args:
    trained: a conditional agent.
    images: uint8 `[N, H, W, C]`.
    seconds: time to improve an image's program, see `search.improve`.
    rounds: rounds of improvement; either this or `seconds`.
    samples: number of samples of the agent that improvement begins with, the
      best of them; 0 begins with random programs.
    propose: proposals, as for `search.improve`.
    seed: random seed.

  Raises:
    ValueError: if the agent takes no targets, or as `search.improve`.
  """
  trained_agent_lib.check_conditional(trained)
  settings = trained.experiment.environment
  key, improve_key = jax.random.split(jax.random.key(seed))
  length = settings.episode_length
  if samples:
    start = search.best_of(
        trained.agent,
        trained.params,
        _make_environment(trained, min(_CANVASES, samples * len(images))),
        images,
        samples=samples,
        key=key,
    ).programs
  else:
    start = search.random_programs(
        settings.action_spec(), length, len(images), key=key
    )
  needed = search.canvases_needed(
      _make_environment(trained, 1), length, search.NUM_PROPOSALS
  )
  environment = _make_environment(trained, needed * min(_IMAGES, len(images)))
  return search.improve(
      environment,
      start,
      images,
      key=improve_key,
      seconds=seconds,
      rounds=rounds,
      propose=propose,
  )


def replay(
    trained: trained_agent_lib.TrainedAgent,
    programs: search.Programs,
) -> Iterator[tuple[np.ndarray, dict[str, np.ndarray]]]:
  """Yields canvases, uint8 `[T + 1, B, H, W, C]`, and commands of programs.

  Args:
    trained: the agent whose environment executes the programs.
    programs: int32 `[T, N]` a part.
  """
  count = next(iter(programs.values())).shape[1]
  for first in range(0, count, _CANVASES):
    part = {k: v[:, first : first + _CANVASES] for k, v in programs.items()}
    size = min(_CANVASES, count - first)
    yield lessons.render(_make_environment(trained, size), part), part


def _make_environment(trained: trained_agent_lib.TrainedAgent, count: int):
  task = trained.experiment.find_task()
  return task.make_batch(trained.experiment.environment, count, num_threads())


def num_threads() -> int:
  """Returns the number of cores that this process may use."""
  if hasattr(os, 'sched_getaffinity'):
    return len(os.sched_getaffinity(0))
  return os.cpu_count() or 1
