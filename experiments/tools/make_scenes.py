"""Makes pictures of random scenes, with their programs, as a data set.

For example, 50,000 scenes to train on, 2,000 held out, and a contact sheet:

  python experiments/tools/make_scenes.py

`spiral_jax.datasets` loads the files as data set 'scenes'.
"""

from collections.abc import Iterator, Sequence
import dataclasses
import pathlib

from absl import flags
import numpy as np
import rich.progress

from environments import scene
from environments.scene import dataset as dataset_lib
from spiral_jax import console as console_lib
from spiral_jax.datasets import scenes as scenes_lib
from spiral_jax.training import cli
from spiral_jax.training import flags as flags_lib
from spiral_jax.training import plots

_OUT_DIR = flags.DEFINE_string(
    'out_dir', '', "folder of the data set; empty means the user's cache"
)
_TRAIN_SCENES = flags.DEFINE_integer(
    'train_scenes', 50_000, 'number of scenes to train on', lower_bound=1
)
_HELD_OUT = flags.DEFINE_integer(
    'held_out', 2_000, 'number of scenes to evaluate on', lower_bound=1
)
_MAX_OBJECTS = flags.DEFINE_integer(
    'max_objects',
    5,
    'largest number of objects in a scene',
    lower_bound=1,
    upper_bound=20,
)
_SEED = flags.DEFINE_integer('seed', 0, 'seed of the scenes', lower_bound=0)
flags_lib.define(scene.SceneSettings)

_SHEET = 72  # Scenes on the contact sheet.


def make_scenes(
    settings: scene.SceneSettings,
    data: scene.SceneData,
    out_dir: pathlib.Path,
    *,
    seed: int = 0,
) -> None:
  """Writes train.npz, test.npz, a checksum of each, and contact_sheet.png.

  The splits have different seeds, and no picture in common.

  Args:
    settings: settings of the scenes.
    data: number and kind of scenes.
    out_dir: folder to write to.
    seed: the same seed gives the same files.

  Raises:
    NoOpenGLError: if there is no table of sprites yet, and no OpenGL to make
      it with.
    ValueError: if there are too few different scenes.
  """
  splits = dataset_lib.Splits(
      settings, data.train_scenes, data.held_out, data.max_objects, seed
  )
  console = console_lib.Console()
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
      """Yields pictures and moves the progress bar."""
      task = progress.add_task(split, total=total)
      for images in drawn:
        if split == 'train' and sum(map(len, sheet)) < _SHEET:
          sheet.append(images)
        yield images
        progress.advance(task, len(images))

    def save(
        split: str, objects: scene.Objects, drawn: Iterator[np.ndarray]
    ) -> pathlib.Path:
      path = out_dir / f'{split}.npz'
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
      out_dir / 'contact_sheet.png',
  )
  for path in paths:
    size = path.stat().st_size / 1e6
    console.print(f'{path}: {size:.1f} MB', soft_wrap=True)
  console.print(f'a first look: {out_dir}/contact_sheet.png', soft_wrap=True)


def main(argv: Sequence[str]) -> None:
  """Makes what the flags say."""
  del argv
  make_scenes(
      flags_lib.read(scene.SceneSettings),
      scene.SceneData(_TRAIN_SCENES.value, _HELD_OUT.value, _MAX_OBJECTS.value),
      scenes_lib.directory(_OUT_DIR.value),
      seed=_SEED.value,
  )


if __name__ == '__main__':
  cli.run(main)
