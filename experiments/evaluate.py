"""Evaluates an agent on held-out images; writes figures and pictures.

For example, on the official test split:

  python experiments/evaluate.py --run_dir=runs/mnist --data_dir=~/data/mnist

or on pictures of another origin than those it was trained on:

  python experiments/evaluate.py --run_dir=runs/omniglot --dataset=mnist

or with weights that come with the package:

  python experiments/evaluate.py --weights=portraits --out_dir=out
"""

import dataclasses
import json
import pathlib
from typing import Any, NamedTuple

from absl import flags
import jax
import numpy as np
import rich.console
import rich.table

import cli
import pictures
import process
import reading
import restored
import run_setup
from spiral_jax import agents
from spiral_jax import datasets
from spiral_jax import evaluation

_CURVES = (
    'policy/l2',
    'policy/score',
    'policy/reward',
    'discriminator/discriminator_distance',
    'policy/entropy',
    'policy/value_explained',
)


def evaluate(
    run_dir: pathlib.Path,
    *,
    dataset: str = '',
    data_dir: str = '',
    count: int = 1000,
    step: int | None = None,
) -> dict[str, Any]:
  """Evaluates a checkpoint; writes `evaluation.json` and pictures beside it.

  Args:
    run_dir: of a training run.
    dataset: its name in `spiral_jax.datasets`, for an agent that paints; what
      is written then goes into the folder of that name in `run_dir`. Empty, as
      in training.
    data_dir: folder of the data set; empty, as in training, or what comes with
      the package if `dataset` is given.
    count: samples, or reconstructions of held-out images, evenly spaced; 0, all
      images of the test split.
    step: of the checkpoint; None, the latest.

  Returns:
    Figures by name.

  Raises:
    FileNotFoundError, ValueError: if there is no such checkpoint, or no data.
  """
  agent = restored.load(run_dir, step)
  out = run_dir / dataset
  figures = evaluate_restored(
      agent, out, dataset=dataset, data_dir=data_dir, count=count
  )
  made = ['curves.png']
  pictures.curves(run_dir / 'metrics.jsonl', _CURVES, out / 'curves.png')
  progress = pictures.progress(
      run_dir / 'samples', lines=2 if agent.setup.agent.conditional else 1
  )
  if progress is not None:
    pictures.save(progress, out / 'progress.png')
    made.append('progress.png')
  rich.console.Console(highlight=False).print(
      f'over training, in the same folder: {", ".join(made)}', soft_wrap=True
  )
  return figures


def evaluate_restored(
    agent: restored.Restored,
    out: pathlib.Path,
    *,
    dataset: str = '',
    data_dir: str = '',
    count: int = 1000,
) -> dict[str, Any]:
  """Evaluates an agent; writes `evaluation.json` and pictures into `out`.

  Args:
    agent: of a run or of the package.
    out: the folder.
    dataset: as for `evaluate`, as are the rest.
    data_dir: of it.
    count: of samples or reconstructions.

  Returns:
    Figures by name.

  Raises:
    FileNotFoundError, ValueError: if there is no data.
  """
  agent = agent._replace(setup=_with_data(agent.setup, dataset, data_dir))
  test = run_setup.load_dataset(agent.setup, 'test')
  is_conditional = agent.setup.agent.conditional
  if is_conditional:
    test = test.spread(min(count or len(test.images), len(test.images)))
    count = len(test.images)
  read = reading.make_reader(agent.setup, test)
  figures: dict[str, Any] = {'step': agent.checkpoint.step}
  state = agent.checkpoint.state
  if state:  # Weights come without.
    figures['frames'] = int(state['policy']['frames'])
    figures['minutes'] = round(state['clock']['seconds'] / 60, 2)
  figures['test_images'] = len(test.images)
  targets = test.images if is_conditional else None
  drawn = _draw(agent, count or 1000, targets, read)
  figures |= drawn.figures
  if is_conditional:
    greedy = _draw(agent, count, targets, read, greedy=True)
    figures['greedy'] = greedy.figures
    pictures.save(
        pictures.grid(greedy.canvas, greedy.targets),
        out / 'result_greedy.png',
    )
  elif read is not None:
    # A classifier knows digits only, and is confident of many a scribble: what
    # it says of samples means something beside what it says of these. So do
    # distances in its features.
    key = jax.random.PRNGKey(agent.setup.run.seed)
    scribbler = agent._replace(params=agent.agent.init(key))
    scribbles = _draw(scribbler, count or 1000, targets, read)
    figures['untrained agent'] = scribbles.figures['samples']
  figures = _rounded(figures)
  _write(out / 'evaluation.json', figures)
  _show(figures)
  pictures.save(pictures.grid(drawn.canvas, drawn.targets), out / 'result.png')
  pictures.save(pictures.strokes(drawn.first.canvas), out / 'strokes.png')
  rich.console.Console(highlight=False).print(
      f'pictures in {out}: result.png (what it draws'
      f'{"; result_greedy.png, by its likeliest choices" * is_conditional}), '
      'strokes.png (command by command)',
      soft_wrap=True,
  )
  return figures


def _with_data(
    setup: run_setup.Setup, dataset: str, data_dir: str
) -> run_setup.Setup:
  """Returns a setup with other data, where any is named."""
  if dataset:
    _ = setup.painting  # Scenes have their own.
    setup = setup._replace(dataset=dataset)
  if dataset or data_dir:
    setup = setup._replace(
        run=dataclasses.replace(setup.run, data_dir=data_dir)
    )
  return setup


class _Drawn(NamedTuple):
  """What an agent drew, and how good it is."""

  canvas: np.ndarray  # uint8 [N, H, W, C].
  targets: np.ndarray | None  # Likewise.
  first: agents.Trajectory  # How some of it was drawn.
  figures: dict[str, Any]


def _draw(
    agent: restored.Restored,
    count: int,
    targets: np.ndarray | None,
    read: reading.Reader | None,
    *,
    greedy: bool = False,
) -> _Drawn:
  """Draws `count` pictures, of the targets if there are any."""
  renderer = run_setup.renderer_of(agent.setup)
  first = None
  canvases, programs = [], []
  for trajectory in restored.episodes(agent, count, targets, greedy=greedy):
    first = first or trajectory
    canvases.append(trajectory.canvas[-1])
    programs.append(renderer.read_programs(trajectory))
  assert first is not None
  canvas = np.concatenate(canvases)[:count]
  figures: dict[str, Any] = {}
  if targets is not None:
    figures |= evaluation.evaluate_reconstructions(
        canvas, targets, blank=first.canvas[0, 0]
    )._asdict()
  if read is not None:
    figures |= read(canvas, targets)
  figures |= renderer.figures(
      agent.setup,
      jax.tree.map(lambda *parts: np.concatenate(parts)[:count], *programs),
  )
  return _Drawn(canvas, targets, first, figures)


def _rounded(value: Any) -> Any:
  if isinstance(value, dict):  # Whose order stays: jax.tree.map would sort.
    return {name: _rounded(inner) for name, inner in value.items()}
  return round(float(value), 5) if isinstance(value, float) else value


def _write(path: pathlib.Path, figures: dict[str, Any]) -> None:
  path.parent.mkdir(parents=True, exist_ok=True)
  partial = path.with_name('.partial-' + path.name)
  partial.write_text(json.dumps(figures, indent=2) + '\n')
  partial.replace(path)


def _show(figures: dict[str, Any]) -> None:
  """Prints figures as a table, nested ones under their group's name."""
  table = rich.table.Table('figure', 'value', title='evaluation')

  def add_rows(group: dict[str, Any], prefix: str) -> None:
    for name, value in group.items():
      name = prefix + name.replace('_', ' ')
      if isinstance(value, dict):
        table.add_section()
        add_rows(value, f'{name}: ')
        table.add_section()
      else:
        table.add_row(name, _text(value))

  add_rows(figures, '')
  rich.console.Console(highlight=False).print(table)


def _text(value: Any) -> str:
  if isinstance(value, list):
    return ' '.join(f'{number:.2f}' for number in value)
  return f'{value:.4g}' if isinstance(value, float) else f'{value}'


def main() -> None:
  """Evaluates as the flags say."""
  process.prepare()
  options: dict[str, Any] = {
      'dataset': _DATASET.value,
      'data_dir': _DATA_DIR.value,
      'count': _COUNT.value,
  }
  if bool(_RUN_DIR.value) == bool(_WEIGHTS.value):
    raise ValueError(
        'name what to evaluate, one of the two: a run, as '
        '--run_dir=runs/mnist, '
        'or weights that come with the package, as --weights=digits'
    )
  if _WEIGHTS.value:
    if _STEP.value is not None:
      raise ValueError(
          f'--step={_STEP.value} is of a run; leave it out with --weights'
      )
    evaluate_restored(
        restored.load_weights(_WEIGHTS.value),
        pathlib.Path(_OUT_DIR.value or 'out').expanduser() / _DATASET.value,
        **options,
    )
    return
  if _OUT_DIR.value:
    raise ValueError(
        f'--out_dir={_OUT_DIR.value} goes with --weights; what is found of a '
        'run is written into its folder'
    )
  run_dir = pathlib.Path(_RUN_DIR.value).expanduser()
  evaluate(run_dir, step=_STEP.value, **options)


if __name__ == '__main__':
  _RUN_DIR = flags.DEFINE_string(
      'run_dir', '', 'folder of the run to evaluate; what is written goes there'
  )
  _WEIGHTS = flags.DEFINE_string(
      'weights', '', 'that come with the package, instead of those of a run'
  )
  _OUT_DIR = flags.DEFINE_string(
      'out_dir', '', 'folder of what is written with --weights; empty, out'
  )
  _DATASET = flags.DEFINE_enum(
      'dataset',
      '',
      ['', *datasets.NAMES],
      'another one than in training, of pictures the agent never saw',
  )
  _DATA_DIR = flags.DEFINE_string(
      'data_dir',
      '',
      'folder of the data set; empty, as in training, or with --dataset what '
      'comes with the package',
  )
  _COUNT = flags.DEFINE_integer(
      'count',
      1000,
      'samples or reconstructions; 0, all held-out images',
      lower_bound=0,
  )
  _STEP = flags.DEFINE_integer('step', None, 'checkpoint; the latest if none')
  cli.run(main)
