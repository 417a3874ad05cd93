"""Makes pictures of random scenes with the programs that they were made by.

50,000 scenes to train on and 2,000 held out, with a contact sheet:

  python experiments/make_scenes.py

The files are loaded by `spiral_jax.datasets`, as dataset 'scenes'.
"""

from collections.abc import Iterator, Sequence
import dataclasses
import pathlib

from absl import flags
import numpy as np
import rich.console
import rich.progress

from environments import scene
from environments.scene import dataset as dataset_lib
from spiral_jax.datasets import scenes as scenes_lib
from spiral_jax.training import cli
from spiral_jax.training import flags as flags_lib
from spiral_jax.training import plots

_OUT_DIR = flags.DEFINE_string(
    'out_dir', '', "folder to write to; empty, the user's cache"
)
_COUNT = flags.DEFINE_integer('count', 50_000, 'scenes to train on', 1)
_HELD_OUT = flags.DEFINE_integer('held_out', 2_000, 'scenes to test on', 1)
_MAX_OBJECTS = flags.DEFINE_integer(
    'max_objects', 5, 'objects in a scene, at most', 1, 20
)
_SEED = flags.DEFINE_integer('seed', 0, 'of the scenes', 0)
flags_lib.define(scene.SceneSettings)

_SHEET = 72  # Scenes on the contact sheet.


def make_scenes(
    settings: scene.SceneSettings,
    folder: pathlib.Path,
    *,
    count: int = 50_000,
    held_out: int = 2_000,
    max_objects: int = 5,
    seed: int = 0,
) -> None:
  """Writes train.npz, test.npz, a checksum of each, and contact_sheet.png.

  The two are of different seeds, and no picture of the one is in the other.

  Args:
    settings: of the scenes.
    folder: to write to; made where missing.
    count: of scenes to train on.
    held_out: of scenes to test on.
    max_objects: in a scene.
    seed: the same gives the same files.

  Raises:
    NoOpenGLError: if there is no table of sprites yet, and no OpenGL to make
      it with.
    ValueError: if an argument is out of range, or there are too few different
      scenes.
  """
  splits = dataset_lib.Splits(settings, count, held_out, max_objects, seed)
  console = rich.console.Console(highlight=False)
  columns: list[str | rich.progress.ProgressColumn] = [
      '{task.description}',
      rich.progress.BarColumn(),
      rich.progress.MofNCompleteColumn(),
      rich.progress.TimeRemainingColumn(),
  ]
  sheet: list[np.ndarray] = []
  with rich.progress.Progress(*columns, console=console) as progress:

    def watched(
        split: str, total: int, drawn: Iterator[np.ndarray]
    ) -> Iterator[np.ndarray]:
      """Yields what is drawn; the bar follows."""
      task = progress.add_task(split, total=total)
      for images in drawn:
        if split == 'train' and sum(map(len, sheet)) < _SHEET:
          sheet.append(images)
        yield images
        progress.advance(task, len(images))

    def save(
        split: str, objects: scene.Objects, drawn: Iterator[np.ndarray]
    ) -> pathlib.Path:
      path = folder / f'{split}.npz'
      total = len(objects.present)
      scenes_lib.save(
          path,
          total,
          watched(split, total, drawn),
          objects=objects._asdict(),
          settings=dataclasses.asdict(settings),
      )
      return path

    paths = [save('train', splits.train, splits.draw_train())]
    test = splits.test()
    paths.append(save('test', test, splits.draw(test)))
  plots.save(
      np.kron(
          plots.grid(np.concatenate(sheet)[:_SHEET]),
          np.ones((2, 2, 1), np.uint8),
      ),
      folder / 'contact_sheet.png',
  )
  for path in paths:
    size = path.stat().st_size / 1e6
    console.print(f'{path}: {size:.1f} MB', soft_wrap=True)
  console.print(f'a look at them: {folder}/contact_sheet.png', soft_wrap=True)


def main(argv: Sequence[str]) -> None:
  """Makes what the flags say."""
  del argv
  make_scenes(
      flags_lib.read(scene.SceneSettings),
      scenes_lib.directory(_OUT_DIR.value),
      count=_COUNT.value,
      held_out=_HELD_OUT.value,
      max_objects=_MAX_OBJECTS.value,
      seed=_SEED.value,
  )


if __name__ == '__main__':
  cli.run(main)
