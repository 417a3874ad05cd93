"""Figure 9 of the paper: Metropolis-Hastings search for programs of scenes.

Each chain searches for the 20 objects, present or not, of one held-out picture;
see `spiral_jax.baselines.metropolis_hastings`. With an agent, the error of its
single pass over the same pictures is shown as well, and with --proposal=agent
chains over the agent's programs, for which it proposes other commands. For
example, of a run, or with weights that come with the package:

  python experiments/paper/figure9.py --run_dir=runs/mujoco_scenes_cpu
  python experiments/paper/figure9.py --weights=scenes --proposal=agent
"""

from collections.abc import Callable, Sequence
import dataclasses
import json
import pathlib
import time
from typing import Any, NamedTuple

from absl import flags
import jax
import numpy as np
import rich.progress
import rich.table

from environments import scene
from spiral_jax import console as console_lib
from spiral_jax import evaluation
from spiral_jax import search as search_lib
from spiral_jax import training
from spiral_jax.baselines import metropolis_hastings
from spiral_jax.training import cli
from spiral_jax.training import flags as flags_lib
from spiral_jax.training import plots

_RUN_DIR = flags.DEFINE_string(
    'run_dir', '', 'folder of the run of an agent to compare with'
)
_WEIGHTS = flags.DEFINE_string(
    'weights',
    '',
    'name of weights that come with the package, or a folder of saved ones, '
    'instead of a run',
)
_STEP = flags.DEFINE_integer(
    'step', None, 'step of the checkpoint; by default the latest'
)
_OUT_DIR = flags.DEFINE_string(
    'out_dir', 'runs/figure9', 'folder of figures and pictures'
)
_DATA_DIR = flags.DEFINE_string(
    'data_dir',
    '',
    'folder of scenes that make_scenes.py wrote; empty means those of the run, '
    'or new ones',
)
_COUNT = flags.DEFINE_integer(
    'count', 100, 'number of held-out pictures', lower_bound=1
)
_EVALUATIONS = flags.DEFINE_integer(
    'evaluations',
    2000,
    'number of evaluations of the renderer by each chain',
    lower_bound=2,
)
_PROPOSAL = flags.DEFINE_enum(
    'proposal',
    'uniform',
    ['uniform', 'agent'],
    "agent adds chains over the agent's programs, whose proposals it makes; "
    'uniform leaves it at those of the paper',
)
_AGENT_EVALUATIONS = flags.DEFINE_integer(
    'agent_evaluations',
    200,
    'number of evaluations of the renderer by each chain with --proposal=agent',
    lower_bound=2,
)
_OBJECTS = flags.DEFINE_integer(
    'objects',
    20,
    'number of objects of a chain, each present or not',
    lower_bound=1,
)
_MAX_OBJECTS = flags.DEFINE_integer(
    'max_objects',
    5,
    'largest number of objects in a new scene',
    lower_bound=1,
    upper_bound=20,
)
_COVARIANCE = flags.DEFINE_float(
    'covariance', 0.25, 'covariance of the likelihood of a pixel in [0, 1]'
)
_SEED = flags.DEFINE_integer(
    'seed', 0, 'seed of the chains and of new scenes', lower_bound=0
)
flags_lib.define(scene.SceneSettings)

_PICTURES = 10  # Shown of each kind.
_BY_AGENT = 'by the agent'  # Name of its chains.


class Problem(NamedTuple):
  """Pictures whose programs are searched for.

  Attributes:
    settings: settings of the scenes.
    target: pictures, uint8 `[N, H, W, 3]`.
    agent: reconstructions by an agent, of the shape of `target`, by name.
    trained: that agent, if any.
  """

  settings: scene.SceneSettings
  target: np.ndarray
  agent: dict[str, np.ndarray]
  trained: training.TrainedAgent | None = None


def make_problem_of_agent(
    trained: training.TrainedAgent, count: int, data_dir: str = ''
) -> Problem:
  """Returns the first held-out pictures of a run, and its reconstructions.

  Args:
    trained: a conditional agent that makes scenes.
    count: number of pictures.
    data_dir: folder of the scenes; empty means those of the run.

  Raises:
    ValueError: if it is another agent, or there are fewer pictures.
  """
  experiment = trained.experiment
  settings = experiment.environment
  if not isinstance(settings, scene.SceneSettings) or not (
      experiment.agent.conditional
  ):
    raise ValueError(
        'this agent does not reconstruct scenes; name a run or weights of one '
        'that does, as --weights=scenes'
    )
  target = _load(experiment, count, data_dir)

  def draw(greedy: bool) -> np.ndarray:
    episodes = training.episodes(trained, count, target, greedy=greedy)
    return np.concatenate([e.canvas[-1] for e in episodes])[:count]

  return Problem(
      settings,
      target,
      {'agent, sampled': draw(False), 'agent, likeliest': draw(True)},
      trained,
  )


def make_problem(
    settings: scene.SceneSettings,
    count: int,
    *,
    max_objects: int = 5,
    data_dir: str = '',
    seed: int = 0,
) -> Problem:
  """Returns held-out pictures without reconstructions.

  Args:
    settings: settings of the scenes.
    count: number of pictures.
    max_objects: largest number of objects in a new scene.
    data_dir: folder of the scenes; empty means new ones.
    seed: seed of new scenes.

  Raises:
    ValueError: if there are fewer pictures, or they do not fit the settings.
  """
  experiment = training.Experiment(
      'environments.scene',
      dataset='scenes',
      run=training.RunConfig(seed=seed),
      environment=settings,
      # There is nothing to train, so nothing to be held out from.
      data=scene.SceneData(1, count, max_objects),
  )
  return Problem(settings, _load(experiment, count, data_dir), {})


def _load(
    experiment: training.Experiment, count: int, data_dir: str
) -> np.ndarray:
  """Returns the first held-out pictures, uint8 `[count, H, W, 3]`."""
  if data_dir:
    experiment = experiment.replace(data_dir=data_dir)
  found = experiment.load_images('test').images
  if len(found) < count:
    raise ValueError(
        f'there are {len(found)} held-out scenes, --count is {count}'
    )
  return found[:count]


def search(
    problem: Problem,
    *,
    evaluations: int,
    num_objects: int,
    covariance: float,
    seed: int,
    on_step: Callable[[int], None],
) -> tuple[metropolis_hastings.Chains, float]:
  """Returns a chain for each picture, and the evaluations per second."""
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


def search_by_agent(
    problem: Problem, *, evaluations: int, covariance: float, seed: int
) -> tuple[np.ndarray, np.ndarray]:
  """Returns errors of chains whose proposals an agent makes, and pictures.

  A proposal replaces a command and all after it by what the agent samples on
  the canvas before it. The chains begin with uniformly drawn programs, of as
  many commands as the agent's.

  Args:
    problem: the pictures, with an agent.
    evaluations: number of evaluations of the renderer by each chain.
    covariance: covariance of the likelihood of a pixel in [0, 1].
    seed: seed of the chains.

  Returns:
    Mean squared errors, `[evaluations, N]`, and pictures of the final state.
  """
  assert problem.trained is not None
  count, settings = len(problem.target), problem.settings
  needed = search_lib.canvases_needed(
      scene.TASK.make_batch(settings, 1), settings.episode_length, 1
  )
  start_key, key = jax.random.split(jax.random.key(seed))
  chains = search_lib.run_chains(
      scene.TASK.make_batch(settings, needed * count),
      search_lib.random_programs(
          settings.action_spec(), settings.episode_length, count, key=start_key
      ),
      problem.target,
      key=key,
      rounds=evaluations - 1,  # The first is that of the initial state.
      score=search_lib.make_log_likelihood(covariance),
      propose=search_lib.make_agent_proposals(
          problem.trained.agent,
          problem.trained.params,
          scene.TASK.make_batch(settings, count),
          problem.target,
      ),
  )
  num_values = np.prod(problem.target.shape[1:])
  return chains.scores * (-2 * covariance / num_values), chains.canvases


def _packed(state: metropolis_hastings.State) -> dict[str, np.ndarray]:
  """Returns objects `[N, M]` without the columns where no scene has any.

  The order of objects stays, so that the pictures are the same.
  """
  order = np.argsort(state['present'] == 0, axis=1, kind='stable')
  most = max(1, int(state['present'].sum(1).max()))
  packed = {
      name: np.take_along_axis(values, order[:, :most], axis=1)
      for name, values in state.items()
  }
  return packed | {'present': packed['present'] == 1}


def figure9(
    problem: Problem,
    out_dir: pathlib.Path,
    *,
    evaluations: int = 2000,
    num_objects: int = 20,
    agent_evaluations: int = 0,
    covariance: float = 0.25,
    seed: int = 0,
) -> dict[str, Any]:
  """Searches; writes figure9.png, pictures.png, figure9.json; prints a table.

  Args:
    problem: the pictures.
    out_dir: folder to write to.
    evaluations: number of evaluations of the renderer by each chain.
    num_objects: number of objects of a chain, each present or not.
    agent_evaluations: the same by chains whose proposals the agent makes; 0
      leaves them out.
    covariance: covariance of the likelihood of a pixel in [0, 1].
    seed: seed of the chains.

  Returns:
    Figures by name, as in figure9.json.

  Raises:
    ValueError: if an argument is out of range.
  """
  console = console_lib.Console()
  terminal = console_lib.Console(stderr=True)
  with rich.progress.Progress(
      console=terminal, transient=True, disable=not terminal.is_terminal
  ) as progress:
    task = progress.add_task('evaluations', total=evaluations)
    chains, rate = search(
        problem,
        evaluations=evaluations,
        num_objects=num_objects,
        covariance=covariance,
        seed=seed,
        on_step=lambda step: progress.update(task, completed=step + 1),
    )
  curves = {'Metropolis-Hastings': chains.error}
  rows = [problem.target, chains.picture]
  if agent_evaluations:
    curves[_BY_AGENT], picture = search_by_agent(
        problem,
        evaluations=agent_evaluations,
        covariance=covariance,
        seed=seed,
    )
    rows.append(picture)
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
  tables = {name: _at_quarters(error) for name, error in curves.items()}
  figures = {
      'images': len(problem.target),
      'evaluations': evaluations,
      'evaluations_per_second': round(rate, 1),
      'accepted': float(chains.accepted.mean()),
      'empty_platform': platform,
      **tables['Metropolis-Hastings'],
      'agent': errors,
  }
  if agent_evaluations:
    figures['by_agent'] = tables[_BY_AGENT]
  out_dir.mkdir(parents=True, exist_ok=True)
  (out_dir / 'figure9.json').write_text(json.dumps(figures, indent=2) + '\n')
  plots.search(
      curves,
      out_dir / 'figure9.png',
      lines={**errors, 'empty platform': platform},
  )
  columns = slice(min(_PICTURES, len(problem.target)))
  plots.save(
      plots.tile(
          [images[columns] for images in (*rows, *problem.agent.values())]
      ),
      out_dir / 'pictures.png',
  )
  _show(figures, errors, console)
  console.print(
      f'pictures in {out_dir}: figure9.png, pictures.png (targets, what the '
      f'{"searches" if agent_evaluations else "search"} found'
      f'{", what the agent drew" if errors else ""})',
      soft_wrap=True,
  )
  return figures


def _at_quarters(error: np.ndarray) -> dict[str, dict[int, float]]:
  """Returns mean errors of chains, and of their best, by evaluations so far."""
  evaluations = len(error)
  shown = sorted({1, *(-(-evaluations * i // 4) for i in range(1, 5))})
  best = np.minimum.accumulate(error).mean(axis=1)
  return {
      'errors': {n: float(error[n - 1].mean()) for n in shown},
      'lowest_errors': {n: float(best[n - 1]) for n in shown},
  }


def _show(
    figures: dict[str, Any], errors: dict[str, float], console: Any
) -> None:
  table = rich.table.Table('', 'l2 a pixel', 'of empty', 'lowest so far')
  platform = figures['empty_platform']
  table.add_row('empty platform', f'{platform:.5f}', f'{1:.0%}', '')
  for name, group in (
      ('search', figures),
      (_BY_AGENT, figures.get('by_agent', {'errors': {}})),
  ):
    for n, error in group['errors'].items():
      table.add_row(
          f'{name}, {n:,} evaluations',
          f'{error:.5f}',
          f'{error / platform:.1%}',
          f'{group["lowest_errors"][n]:.5f}',
      )
  for name, error in errors.items():
    table.add_row(name, f'{error:.5f}', f'{error / platform:.1%}', '')
  console.print(table)
  console.print(
      f'{figures["images"]} pictures; {figures["accepted"]:.1%} of proposals '
      f'accepted; {figures["evaluations_per_second"]:,.0f} evaluations a second'
  )


def main(argv: Sequence[str]) -> None:
  """Searches as the flags say."""
  del argv
  name = _RUN_DIR.value or _WEIGHTS.value
  if name:
    given = [
        field.name
        for field in dataclasses.fields(scene.SceneSettings)
        if flags.FLAGS[field.name].value is not None
    ]
    if given:
      raise ValueError(
          f'--{given[0]} is that of the agent with --run_dir or --weights; '
          'leave one of the two out'
      )
    problem = make_problem_of_agent(
        training.restore(name, _STEP.value),
        _COUNT.value,
        _DATA_DIR.value,
    )
  else:
    if _PROPOSAL.value == 'agent':
      raise ValueError(
          '--proposal=agent needs an agent; name one with --run_dir or '
          '--weights, as --weights=scenes'
      )
    problem = make_problem(
        flags_lib.read(scene.SceneSettings),
        _COUNT.value,
        max_objects=_MAX_OBJECTS.value,
        data_dir=_DATA_DIR.value,
        seed=_SEED.value,
    )
  figure9(
      problem,
      pathlib.Path(_OUT_DIR.value).expanduser(),
      evaluations=_EVALUATIONS.value,
      num_objects=_OBJECTS.value,
      agent_evaluations=(
          _AGENT_EVALUATIONS.value if _PROPOSAL.value == 'agent' else 0
      ),
      covariance=_COVARIANCE.value,
      seed=_SEED.value,
  )


if __name__ == '__main__':
  cli.run(main)
