"""Writes the programs of a run of scenes out: MJCF, JSON, large pictures.

  python experiments/export_scene.py --run_dir=runs/mujoco_scenes_cpu

makes, for each of the first held-out scenes (or samples, if the agent has no
targets), a folder with `program.json`, `scene.xml` for MuJoCo, `scene.png` of
512 x 512 pixels with shadows, and `target.png`. To walk around in one:

  python -m mujoco.viewer --mjcf=runs/mujoco_scenes_cpu/scenes/000/scene.xml
"""

from collections.abc import Sequence
import dataclasses
import pathlib

from absl import flags
import numpy as np
import rich.console

from environments import scene
from spiral_jax import training
from spiral_jax.training import cli
from spiral_jax.training import plots

_RUN_DIR = flags.DEFINE_string(
    'run_dir', None, 'folder of a run of scenes', required=True
)
_OUT_DIR = flags.DEFINE_string(
    'out_dir', '', 'folder to write to; empty, `scenes` in that of the run'
)
_COUNT = flags.DEFINE_integer('count', 8, 'programs', 1)
_SIZE = flags.DEFINE_integer(
    'size', 512, 'height and width of the large picture, pixels', 1, 4096
)
_SHADOWS = flags.DEFINE_boolean(
    'shadows', True, 'whether the large picture has shadows'
)
_GREEDY = flags.DEFINE_boolean(
    'greedy', True, 'the likeliest commands, instead of sampled ones'
)
_DATA_DIR = flags.DEFINE_string(
    'data_dir', '', 'folder of the scenes; empty, as in training'
)
_STEP = flags.DEFINE_integer('step', None, 'checkpoint; the latest if none')


def export(
    run_dir: pathlib.Path,
    out_dir: pathlib.Path,
    *,
    count: int = 8,
    size: int = 512,
    shadows: bool = True,
    greedy: bool = True,
    data_dir: str = '',
    step: int | None = None,
) -> list[scene.Program]:
  """Writes a folder for each of `count` programs.

  Args:
    run_dir: of a run of scenes.
    out_dir: of the folders `000`, `001`, ...
    count: of programs, at most as many as there are held-out scenes.
    size: height and width of the large picture, pixels.
    shadows: whether it has any.
    greedy: the agent decides for the likeliest value of each part.
    data_dir: folder of the scenes; empty, as in training.
    step: of the checkpoint; None, the latest.

  Returns:
    The programs.

  Raises:
    FileNotFoundError: if there is no such checkpoint.
    NoOpenGLError: if MuJoCo cannot draw here; says what to install.
    ValueError: if the run is of something else, or an argument is out of range.
  """
  agent = restored.load(run_dir, step)
  setup = agent.setup
  settings = setup.environment
  if not isinstance(settings, scene.SceneSettings):
    raise ValueError(f'{run_dir} is no run of scenes; name one by --run_dir')
  targets = None
  if setup.agent.conditional:
    if data_dir:
      run = dataclasses.replace(setup.run, data_dir=data_dir)
      setup = setup._replace(run=run)
    targets = run_setup.load_dataset(setup, 'test').images[:count]
    count = len(targets)
  actions: list[dict[str, np.ndarray]] = []
  for trajectory in training.episodes(agent, count, targets, greedy=greedy):
    batch = trajectory.action
    actions += [
        {name: np.asarray(values)[:, b] for name, values in batch.items()}
        for b in range(len(batch['kind'][0]))
    ]
  programs = [scene.Program(settings, action) for action in actions[:count]]
  for index, program in enumerate(programs):
    folder = out_dir / f'{index:03d}'
    # First what may fail: a machine without OpenGL is left no half of it.
    picture = program.render(size, shadows=shadows)
    plots.save(picture, folder / 'scene.png')
    (folder / 'program.json').write_text(program.to_json())
    (folder / 'scene.xml').write_text(
        program.to_mjcf(size=size, shadows=shadows)
    )
    if targets is not None:
      plots.save(targets[index], folder / 'target.png')
  return programs


def main(argv: Sequence[str]) -> None:
  """Writes what the flags say."""
  del argv
  run_dir = pathlib.Path(_RUN_DIR.value).expanduser()
  out_dir = run_dir / 'scenes'
  if _OUT_DIR.value:
    out_dir = pathlib.Path(_OUT_DIR.value).expanduser()
  programs = export(
      run_dir,
      out_dir,
      count=_COUNT.value,
      size=_SIZE.value,
      shadows=_SHADOWS.value,
      greedy=_GREEDY.value,
      data_dir=_DATA_DIR.value,
      step=_STEP.value,
  )
  rich.console.Console(highlight=False).print(
      f'{len(programs)} scenes in {out_dir}; to look at one in MuJoCo: python '
      f'-m mujoco.viewer --mjcf={out_dir}/000/scene.xml',
      soft_wrap=True,
  )


if __name__ == '__main__':
  cli.run(main)
