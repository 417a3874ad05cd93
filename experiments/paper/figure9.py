"""Figure 9 of the paper: Metropolis-Hastings search for programs of scenes.

Each chain looks for the 20 objects, present or not, of one held-out picture;
see `spiral_jax.baselines.metropolis_hastings`. With the run of an agent, its
error in a single pass is shown beside, on the same pictures:

  python experiments/mcmc.py --run_dir=runs/mujoco_scenes_cpu
"""

from collections.abc import Callable, Sequence
import dataclasses
import json
import pathlib
import time
from typing import Any, NamedTuple

from absl import flags
import numpy as np
import rich.console
import rich.progress
import rich.table

from environments import scene
from environments.scene import dataset as dataset_lib
from spiral_jax import evaluation
from spiral_jax import training
from spiral_jax.baselines import metropolis_hastings
from spiral_jax.training import cli
from spiral_jax.training import flags as flags_lib
from spiral_jax.training import plots

_RUN_DIR = flags.DEFINE_string(
    'run_dir', '', 'run of an agent to compare with, and its scenes'
)
_OUT_DIR = flags.DEFINE_string(
    'out_dir', 'runs/mcmc', 'folder of figure and pictures'
)
_DATA_DIR = flags.DEFINE_string(
    'data_dir', '', "folder of make_scenes.py's files; empty, scenes are made"
)
_IMAGES = flags.DEFINE_integer('images', 100, 'held-out pictures', 1)
_EVALUATIONS = flags.DEFINE_integer(
    'evaluations', 2000, 'of the renderer, by each chain', 2
)
_OBJECTS = flags.DEFINE_integer(
    'objects', 20, 'that a chain may place, each present or not', 1
)
_MAX_OBJECTS = flags.DEFINE_integer(
    'max_objects', 5, 'objects in a scene that is made, at most', 1, 20
)
_COVARIANCE = flags.DEFINE_float(
    'covariance', 0.25, 'of the likelihood, of a pixel in [0, 1]'
)
_SEED = flags.DEFINE_integer('seed', 0, 'of chains, and scenes made', 0)
flags_lib.define(scene.SceneSettings)

_PICTURES = 10  # Shown of each kind.


class Problem(NamedTuple):
  """Pictures to find programs for, uint8 `[N, H, W, 3]`, and the agent's."""

  settings: scene.SceneSettings
  target: np.ndarray
  agent: dict[str, np.ndarray]  # By name; likewise.


def pose_to_agent(
    agent: training.TrainedAgent, images: int, data_dir: str = ''
) -> Problem:
  """Returns the first held-out pictures of a run, and what its agent makes.

  Args:
    agent: of a conditional run of scenes.
    images: number of pictures.
    data_dir: folder of the scenes; empty, as in training.

  Raises:
    ValueError: if it is another run, or there are fewer pictures.
  """
  setup = agent.setup
  settings = setup.environment
  if not isinstance(settings, scene.SceneSettings) or not (
      setup.agent.conditional
  ):
    raise ValueError(
        f'{setup.run.run_dir} is no run that reconstructs scenes; name one by '
        '--run_dir'
    )
  if data_dir:
    run = dataclasses.replace(setup.run, data_dir=data_dir)
    setup = setup._replace(run=run)
  target = _first(run_setup.load_dataset(setup, 'test').images, images)

  def draw(greedy: bool) -> np.ndarray:
    episodes = training.episodes(agent, images, target, greedy=greedy)
    return np.concatenate([e.canvas[-1] for e in episodes])[:images]

  return Problem(
      settings,
      target,
      {'agent, sampled': draw(False), 'agent, likeliest': draw(True)},
  )


def pose(
    settings: scene.SceneSettings,
    images: int,
    *,
    max_objects: int = 5,
    data_dir: str = '',
    seed: int = 0,
) -> Problem:
  """Returns held-out pictures, with no agent.

  Args:
    settings: of the scenes.
    images: number of pictures.
    max_objects: in a scene, if scenes are made.
    data_dir: folder of files by make_scenes.py; empty, scenes are made.
    seed: of scenes that are made.

  Raises:
    ValueError: if there are fewer pictures, or they do not fit the settings.
  """
  # There is nothing to train, so nothing to be held out from.
  data = dataset_lib.SceneData(1, images, max_objects)
  found = dataset_lib.load(settings, data, 'test', data_dir=data_dir, seed=seed)
  return Problem(settings, _first(found.images, images), {})


def _first(found: np.ndarray, images: int) -> np.ndarray:
  if len(found) < images:
    raise ValueError(
        f'there are {len(found)} held-out scenes, --images is {images}'
    )
  return found[:images]


def search(
    problem: Problem,
    *,
    evaluations: int,
    num_objects: int,
    covariance: float,
    seed: int,
    on_step: Callable[[int], None],
) -> tuple[metropolis_hastings.Chains, float]:
  """Returns a chain for each picture, and all evaluations a second."""
  count = len(problem.target)
  renderer = scene.SceneRenderer(problem.settings, count)
  spec = problem.settings.action_spec()
  num_values = {'present': 2} | {
      name: spec[name].num_values for name in scene.Objects._fields[1:]
  }
  start = time.perf_counter()
  chains = metropolis_hastings.sample(
      lambda state: renderer.render(scene.Objects(**_packed(state))),
      num_values,
      problem.target,
      num_blocks=num_objects,
      steps=evaluations - 1,  # The first is that of the initial state.
      covariance=covariance,
      seed=seed,
      on_step=on_step,
  )
  seconds = time.perf_counter() - start
  return chains, evaluations * count / seconds


def _packed(state: metropolis_hastings.State) -> dict[str, np.ndarray]:
  """Returns objects `[N, M]` without the places where no scene has any.

  Their order stays, so that the pictures are the same.
  """
  order = np.argsort(state['present'] == 0, axis=1, kind='stable')
  most = max(1, int(state['present'].sum(1).max()))
  packed = {
      name: np.take_along_axis(values, order[:, :most], axis=1)
      for name, values in state.items()
  }
  return packed | {'present': packed['present'] == 1}


def mcmc(
    problem: Problem,
    out_dir: pathlib.Path,
    *,
    evaluations: int = 2000,
    num_objects: int = 20,
    covariance: float = 0.25,
    seed: int = 0,
) -> dict[str, Any]:
  """Searches; writes figure9.png, pictures.png, mcmc.json; prints a table.

  Args:
    problem: from `pose`.
    out_dir: of the files; made where missing.
    evaluations: of the renderer by each chain.
    num_objects: that a chain may place.
    covariance: of the likelihood of a pixel in [0, 1].
    seed: of the chains.

  Returns:
    Figures by name, as in mcmc.json.

  Raises:
    ValueError: if an argument is out of range.
  """
  console = rich.console.Console(highlight=False)
  with rich.progress.Progress(console=console) as progress:
    task = progress.add_task('evaluations', total=evaluations)
    chains, rate = search(
        problem,
        evaluations=evaluations,
        num_objects=num_objects,
        covariance=covariance,
        seed=seed,
        on_step=lambda step: progress.update(task, completed=step + 1),
    )
  blank = scene.SceneRenderer(problem.settings).reset()[0]
  platform = evaluation.evaluate_reconstructions(
      chains.picture, problem.target, blank
  ).blank_error
  errors = {
      name: float(
          evaluation.reconstruction_error(canvas, problem.target).mean()
      )
      for name, canvas in problem.agent.items()
  }
  shown = sorted({1, *(-(-evaluations * i // 4) for i in range(1, 5))})
  best = np.minimum.accumulate(chains.error).mean(axis=1)
  figures = {
      'images': len(problem.target),
      'evaluations': evaluations,
      'evaluations_per_second': round(rate, 1),
      'accepted': float(chains.accepted.mean()),
      'empty_platform': platform,
      'errors': {n: float(chains.error[n - 1].mean()) for n in shown},
      'lowest_errors': {n: float(best[n - 1]) for n in shown},
      'agent': errors,
  }
  out_dir.mkdir(parents=True, exist_ok=True)
  (out_dir / 'mcmc.json').write_text(json.dumps(figures, indent=2) + '\n')
  plots.search(
      chains.error,
      out_dir / 'figure9.png',
      lines={**errors, 'empty platform': platform},
  )
  columns = slice(min(_PICTURES, len(problem.target)))
  plots.save(
      plots.tile(
          [
              images[columns]
              for images in (
                  problem.target,
                  chains.picture,
                  *problem.agent.values(),
              )
          ]
      ),
      out_dir / 'pictures.png',
  )
  _show(figures, errors, console)
  console.print(
      f'pictures in {out_dir}: figure9.png, pictures.png (targets, what the '
      f'search found{", what the agent drew" if errors else ""})',
      soft_wrap=True,
  )
  return figures


def _show(
    figures: dict[str, Any], errors: dict[str, float], console: Any
) -> None:
  table = rich.table.Table(
      '', 'l2 a pixel', 'of an empty platform', 'lowest so far'
  )
  platform = figures['empty_platform']
  table.add_row('empty platform', f'{platform:.4f}', f'{1:.0%}', '')
  for n, error in figures['errors'].items():
    table.add_row(
        f'search, {n:,} evaluations',
        f'{error:.4f}',
        f'{error / platform:.0%}',
        f'{figures["lowest_errors"][n]:.4f}',
    )
  for name, error in errors.items():
    table.add_row(name, f'{error:.4f}', f'{error / platform:.0%}', '')
  console.print(table)
  console.print(
      f'{figures["images"]} pictures; {figures["accepted"]:.1%} of proposals '
      f'accepted; {figures["evaluations_per_second"]:,.0f} evaluations a second'
  )


def main(argv: Sequence[str]) -> None:
  """Searches as the flags say."""
  del argv
  if _RUN_DIR.value:
    given = [
        field.name
        for field in dataclasses.fields(scene.SceneSettings)
        if flags.FLAGS[field.name].value is not None
    ]
    if given:
      raise ValueError(
          f'--{given[0]} is that of the run with --run_dir; leave one of them '
          'out'
      )
    run_dir = pathlib.Path(_RUN_DIR.value).expanduser()
    problem = pose_to_agent(
        restored.load(run_dir), _IMAGES.value, _DATA_DIR.value
    )
  else:
    problem = pose(
        flags_lib.read(scene.SceneSettings),
        _IMAGES.value,
        max_objects=_MAX_OBJECTS.value,
        data_dir=_DATA_DIR.value,
        seed=_SEED.value,
    )
  mcmc(
      problem,
      pathlib.Path(_OUT_DIR.value).expanduser(),
      evaluations=_EVALUATIONS.value,
      num_objects=_OBJECTS.value,
      covariance=_COVARIANCE.value,
      seed=_SEED.value,
  )


if __name__ == '__main__':
  cli.run(main)
