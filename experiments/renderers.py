"""What the experiments know of each kind of renderer; the rest is the same.

Axes: T commands, B canvases of a batch, N episodes.
"""

from collections.abc import Callable
import dataclasses
from typing import Any, NamedTuple

import numpy as np

from environments import core
from environments import painting
from environments import scene
from environments.painting import metrics as stroke_metrics
from environments.scene import metrics as object_metrics
import scene_data
from spiral_jax import agents
from spiral_jax import datasets

Settings = painting.PaintingSettings | scene.SceneSettings
# A group of figures by name, in groups by name.
Figures = dict[str, dict[str, Any]]


class Kind(NamedTuple):
  """One kind of renderer.

  Attributes:
    settings: class of the environment's settings.
    data: class of what a run is told of its data, beside what every run is;
      None, nothing.
    make_batch: (settings, count, threads) -> environment.
    load: (setup, split) -> images.
    read_programs: (trajectory) -> a NamedTuple of arrays `[B, ...]`, of which
      `figures` is made.
    figures: (setup, NamedTuple of arrays `[N, ...]`) -> what there is to say of
      the programs; a conditional agent's first N targets are those of the test
      split.
  """

  settings: type[Any]
  data: type[Any] | None
  make_batch: Callable[[Any, int, int], core.BatchedEnvironment]
  load: Callable[[Any, str], datasets.ImageDataset]
  read_programs: Callable[[agents.Trajectory], Any]
  figures: Callable[[Any, Any], Figures]


def kind_of(settings: Settings) -> str:
  """Returns the kind of an environment's settings, a key of `KINDS`."""
  return next(
      name for name, kind in KINDS.items() if type(settings) is kind.settings
  )


def true_objects(setup: Any) -> scene.Objects:
  """Returns what the held-out scenes of a run are made of, `[n, M]` each."""
  return scene.Objects(**_scenes(setup, 'test').objects)


def _paintings(setup: Any, split: str) -> datasets.ImageDataset:
  return datasets.load(
      setup.dataset,
      split,
      data_dir=setup.run.data_dir or None,
      size=setup.environment.canvas_size,
      channels=setup.environment.channels,
      download=setup.run.download,
  )


def _paint_batch(
    settings: painting.PaintingSettings, count: int, threads: int
) -> core.BatchedEnvironment:
  return painting.make_batch(
      count,
      dtype=np.uint8,
      num_threads=threads,
      **dataclasses.asdict(settings),
  )


def _strokes(trajectory: agents.Trajectory) -> stroke_metrics.StrokeUse:
  return stroke_metrics.stroke_use(
      np.asarray(trajectory.canvas), trajectory.action
  )


def _stroke_figures(setup: Any, strokes: stroke_metrics.StrokeUse) -> Figures:
  del setup
  return {'strokes': stroke_metrics.summarize(strokes)._asdict()}


def _scenes(setup: Any, split: str) -> datasets.SceneDataset:
  return scene_data.load(
      setup.environment,
      setup.data,
      split,
      data_dir=setup.run.data_dir,
      seed=setup.run.seed,
  )


def _scene_batch(
    settings: scene.SceneSettings, count: int, threads: int
) -> core.BatchedEnvironment:
  del threads  # NumPy's, one.
  return scene.make_batch(count, dtype=np.uint8, **dataclasses.asdict(settings))


def _object_figures(setup: Any, objects: scene.Objects) -> Figures:
  """Returns how many objects there are, and what is right about them."""
  if not setup.agent.conditional:
    return {'objects': {'objects': float(objects.present.sum(1).mean())}}
  true = scene.Objects(
      *(values[: len(objects.present)] for values in true_objects(setup))
  )
  size = setup.environment.grid_size

  def accuracy(chosen: np.ndarray) -> dict[str, Any]:
    predicted, right = (
        {part: values[chosen] for part, values in side._asdict().items()}
        for side in (objects, true)
    )
    return object_metrics.evaluate_objects(
        predicted, right, grid_shape=(size, size)
    )._asdict()

  num_true = true.present.sum(1)
  figures = {'objects': accuracy(num_true > 0)}
  if 0 < np.mean(num_true <= 2) < 1:
    figures['objects, scenes of 1 or 2'] = accuracy(num_true <= 2)
  return figures


KINDS = {
    'painting': Kind(
        settings=painting.PaintingSettings,
        data=None,
        make_batch=_paint_batch,
        load=_paintings,
        read_programs=_strokes,
        figures=_stroke_figures,
    ),
    'scene': Kind(
        settings=scene.SceneSettings,
        data=scene_data.SceneData,
        make_batch=_scene_batch,
        load=lambda setup, split: datasets.ImageDataset(
            _scenes(setup, split).images, None
        ),
        read_programs=lambda trajectory: scene.place(trajectory.action),
        figures=_object_figures,
    ),
}
