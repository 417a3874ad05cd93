"""Writes an agent's scenes as files: MJCF, JSON, large pictures.

For example, of a run, or with weights that come with the package:

  python experiments/tools/export_scene.py --run_dir=runs/mujoco_scenes_cpu
  python experiments/tools/export_scene.py --weights=scenes --out_dir=out

For each of the first held-out scenes (or samples, if the agent takes no
targets), a folder gets `program.json`, `scene.xml` for MuJoCo, `scene.png` with
shadows, and `target.png`. MuJoCo's viewer shows one from all sides:

  python -m mujoco.viewer --mjcf=runs/mujoco_scenes_cpu/scenes/000/scene.xml
"""

from collections.abc import Sequence
import pathlib

from absl import flags
import numpy as np

from environments import scene
from spiral_jax import console as console_lib
from spiral_jax import training
from spiral_jax.training import cli
from spiral_jax.training import plots

_RUN_DIR = flags.DEFINE_string(
    'run_dir', '', 'folder of the run of an agent that makes scenes'
)
_WEIGHTS = flags.DEFINE_string(
    'weights',
    'scenes',
    'name of weights that come with the package, or a folder of saved ones; '
    'ignored with --run_dir',
)
_STEP = flags.DEFINE_integer(
    'step', None, 'step of the checkpoint; by default the latest'
)
_OUT_DIR = flags.DEFINE_string(
    'out_dir',
    '',
    'folder of the scenes; empty means scenes in run_dir, or in out without a '
    'run',
)
_DATA_DIR = flags.DEFINE_string(
    'data_dir', '', 'folder of the data set; empty means that of the run'
)
_COUNT = flags.DEFINE_integer('count', 8, 'number of scenes', lower_bound=1)
_SIZE = flags.DEFINE_integer(
    'size',
    512,
    'height and width of the large picture, in pixels',
    lower_bound=1,
    upper_bound=4096,
)
_SHADOWS = flags.DEFINE_boolean(
    'shadows', True, 'adds shadows to the large picture'
)
_GREEDY = flags.DEFINE_boolean(
    'greedy', True, 'chooses the likeliest commands instead of sampling'
)


def export(
    trained: training.TrainedAgent,
    out_dir: pathlib.Path,
    *,
    count: int = 8,
    size: int = 512,
    shadows: bool = True,
    greedy: bool = True,
    data_dir: str = '',
) -> list[scene.Program]:
  """Writes a folder for each of `count` programs.

  Args:
    trained: an agent that makes scenes.
    out_dir: folder of the folders `000`, `001`, ...
    count: number of programs; at most the number of held-out scenes.
    size: height and width of the large picture, in pixels.
    shadows: adds shadows to the large picture.
    greedy: chooses the likeliest value of each part of a command.
    data_dir: folder of the data set; empty means that of the run.

  Returns:
    The programs.

  Raises:
    NoOpenGLError: if MuJoCo cannot draw here; names what to install.
    ValueError: if the agent makes something else, or an argument is out of
      range.
  """
  experiment = trained.experiment
  settings = experiment.environment
  if not isinstance(settings, scene.SceneSettings):
    raise ValueError(
        'this agent does not make scenes; name a run or weights of one that '
        'does, as --weights=scenes'
    )
  targets = None
  if experiment.agent.conditional:
    if data_dir:
      experiment = experiment.replace(data_dir=data_dir)
    targets = experiment.load_images('test').images[:count]
    count = len(targets)
  actions: list[dict[str, np.ndarray]] = []
  for trajectory in training.episodes(trained, count, targets, greedy=greedy):
    batch = trajectory.action
    actions += [
        {name: np.asarray(values)[:, b] for name, values in batch.items()}
        for b in range(len(batch['kind'][0]))
    ]
  programs = [scene.Program(settings, action) for action in actions[:count]]
  for index, program in enumerate(programs):
    folder = out_dir / f'{index:03d}'
    # First, since it fails without OpenGL: then nothing is written.
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
  out_dir = pathlib.Path(_RUN_DIR.value or 'out') / 'scenes'
  if _OUT_DIR.value:
    out_dir = pathlib.Path(_OUT_DIR.value)
  out_dir = out_dir.expanduser()
  programs = export(
      training.restore(_RUN_DIR.value or _WEIGHTS.value, _STEP.value),
      out_dir,
      count=_COUNT.value,
      size=_SIZE.value,
      shadows=_SHADOWS.value,
      greedy=_GREEDY.value,
      data_dir=_DATA_DIR.value,
  )
  console_lib.Console().print(
      f'{len(programs)} scenes in {out_dir}; to look at one in MuJoCo: python '
      f'-m mujoco.viewer --mjcf={out_dir}/000/scene.xml',
      soft_wrap=True,
  )


if __name__ == '__main__':
  cli.run(main)
