"""Drawings by trained agents: the best of several samples."""

from collections.abc import Mapping
import pathlib

import numpy as np
import rich.console

from environments import painting
from experiments.drawing import results
from spiral_jax import evaluation
from spiral_jax import training
from spiral_jax.datasets import user_images

# Weights for each of `user_images.KINDS`.
_WEIGHTS_OF = {
    'drawing': 'characters',
    'colored drawing': 'portraits',
    'photograph': 'portraits',
}


def draw(
    trained: training.TrainedAgent,
    targets: np.ndarray,
    *,
    samples: int,
    by: str = 'l2',
    seed: int = 0,
) -> list[results.Drawing]:
  """Returns the best of several drawings of each image.

  Args:
    trained: a conditional agent.
    targets: uint8 `[N, H, W, C]`, of the size and channels of its canvas.
    samples: number of drawings of each image.
    by: criterion of the best drawing: 'l2' for its distance from the target,
      'score' for the score of the discriminator.
    seed: seed of sampled commands.

  Raises:
    ValueError: if the agent does not paint, takes no targets, or comes without
      the discriminator that is asked for.
  """
  settings = painting.check_is_painting(trained.experiment.environment)
  training.check_conditional(trained)
  score = training.make_score(trained) if by == 'score' else None
  if by == 'score' and score is None:
    raise ValueError('there is no discriminator with this agent; use --by=l2')
  count = len(targets) * samples
  # All samples of an image in a row, so that a batch may hold several images.
  image_of = np.arange(count) // samples
  errors = np.empty(count)
  merits = np.empty(count)
  best: dict[int, tuple[float, painting.Program]] = {}
  start = 0
  blank = np.empty(0)
  repeated = np.repeat(targets, samples, axis=0)
  for trajectory in training.episodes(trained, count, repeated, seed=seed):
    canvas, target = trajectory.canvas[-1], np.asarray(trajectory.target)
    blank = trajectory.canvas[0, 0]
    shown = image_of[start : start + len(canvas)]
    now = slice(start, start + len(shown))
    start += len(shown)
    error = evaluation.reconstruction_error(canvas, target)
    merit_of = -error if score is None else score(canvas, target)
    errors[now], merits[now] = error[: len(shown)], merit_of[: len(shown)]
    for index, image in enumerate(shown):
      merit = float(merits[now][index])
      if image not in best or merit > best[image][0]:
        commands = {k: v[:, index] for k, v in trajectory.action.items()}
        best[image] = merit, painting.Program(settings, commands)
  chosen = merits.reshape(-1, samples).argmax(1)
  by_image = errors.reshape(-1, samples)
  return [
      results.Drawing(
          best[i][1],
          targets[i],
          float(row[chosen[i]]),
          float(row.mean()),
          *results.errors_without(targets[i], blank[0, 0]),
      )
      for i, row in enumerate(by_image)
  ]


def guessed(
    console: rich.console.Console, images: Mapping[str, pathlib.Path]
) -> dict[str, dict[str, pathlib.Path]]:
  """Returns the images that each of the package's weights fits; prints them."""
  kinds = user_images.kinds(images)
  sources: dict[str, dict[str, pathlib.Path]] = {}
  for kind in user_images.KINDS:
    names = [name for name in images if kinds.get(name) == kind]
    if names:
      weights = _WEIGHTS_OF[kind]
      sources.setdefault(weights, {}).update({n: images[n] for n in names})
      more = f' and {len(names) - 5} more' if len(names) > 5 else ''
      # Names are data: no markup.
      console.print(
          f'taken for a {kind}, drawn by --weights={weights}: '
          f'{", ".join(names[:5])}{more}',
          markup=False,
      )
  console.print('this is a guess; --weights=NAME draws all with these weights')
  return sources
