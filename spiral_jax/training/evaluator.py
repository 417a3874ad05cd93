"""Evaluates an agent on held-out images; writes figures and pictures.

Axes: N images, T time (commands), B batch, H height, W width, C channels.
"""

import json
import os
import pathlib
from typing import Any, NamedTuple

import jax
import numpy as np
import rich.table

from spiral_jax import agents
from spiral_jax import console as console_lib
from spiral_jax import datasets
from spiral_jax import evaluation
from spiral_jax import files
from spiral_jax.training import digit_metrics as digit_metrics_lib
from spiral_jax.training import out_dir as out_dir_lib
from spiral_jax.training import plots
from spiral_jax.training import task as task_lib
from spiral_jax.training import trained_agent as trained_agent_lib

_CURVES = (
    'policy/l2',
    'policy/score',
    'policy/reward',
    'policy/dreams_nll',
    'policy/hindsight_nll',
    'policy/memory_nll',
    'discriminator/discriminator_distance',
    'policy/entropy',
    'policy/value_explained',
)


def evaluate(
    run_dir: str | os.PathLike[str],
    *,
    dataset: str = '',
    data_dir: str = '',
    count: int = 1000,
    step: int | None = None,
    task: 'str | task_lib.Task | None' = None,
) -> dict[str, Any]:
  """Evaluates a checkpoint; writes `evaluation.json` and pictures next to it.

  Args:
    run_dir: folder of a training run.
    dataset: name of another data set than in training; what is written then
      goes into the folder of that name in `run_dir`. Empty, as in training.
    data_dir: folder of the data set; empty, as in training, or the data that
      comes with the package if `dataset` is given.
    count: number of samples, or of reconstructions of held-out images, evenly
      spaced; 0 for all images of the test split.
    step: step of the checkpoint; None means the latest.
    task: the run's task, where it is not in the module that was saved.

  Returns:
    Figures by name.

  Raises:
    FileNotFoundError, ValueError: if there is no such checkpoint, or no data.
  """
  run_dir = pathlib.Path(run_dir).expanduser()
  trained = trained_agent_lib.restore(run_dir, step, task=task)
  out_dir = run_dir / dataset
  figures = evaluate_agent(
      trained, out_dir, dataset=dataset, data_dir=data_dir, count=count
  )
  made = []
  for name in ('curves.png', 'progress.png'):
    (out_dir / name).unlink(missing_ok=True)  # Of an earlier evaluation.
  if plots.curves(run_dir / 'metrics.jsonl', _CURVES, out_dir / 'curves.png'):
    made.append('curves.png')
  progress = plots.progress(
      run_dir / 'samples',
      lines=2 if trained.experiment.agent.conditional else 1,
  )
  if progress is not None:
    plots.save(progress, out_dir / 'progress.png')
    made.append('progress.png')
  if made:
    console_lib.Console().print(
        f'over training, in the same folder: {", ".join(made)}', soft_wrap=True
    )
  return figures


def evaluate_agent(
    trained: trained_agent_lib.TrainedAgent,
    out_dir: pathlib.Path,
    *,
    dataset: str = '',
    data_dir: str = '',
    count: int = 1000,
) -> dict[str, Any]:
  """Evaluates an agent; writes `evaluation.json` and pictures.

  Args:
    trained: the agent of a run, or of saved weights.
    out_dir: folder to write to.
    dataset: as for `evaluate`, as are the rest.
    data_dir: folder of the data set.
    count: number of samples or reconstructions.

  Returns:
    Figures by name.

  Raises:
    FileNotFoundError, ValueError: if there is no data, or `out_dir` cannot be
      written to.
  """
  trained = _with_data(trained, dataset, data_dir)
  experiment = trained.experiment
  test = experiment.load_images('test')
  out_dir_lib.prepare(out_dir)
  is_conditional = experiment.agent.conditional
  if is_conditional:
    test = test.spread(min(count or len(test.images), len(test.images)))
    count = len(test.images)
  metrics = digit_metrics_lib.make_digit_metrics(experiment, test)
  figures: dict[str, Any] = {'step': trained.step}
  if trained.state:  # Saved weights come without.
    figures['frames'] = int(trained.state['policy']['frames'])
    figures['minutes'] = round(trained.state['clock']['seconds'] / 60, 2)
  figures['test_images'] = len(test.images)
  drawn = _draw(trained, count or 1000, test, metrics)
  figures |= drawn.figures
  if is_conditional:
    greedy = _draw(trained, count, test, metrics, greedy=True)
    figures['greedy'] = greedy.figures
    plots.save(
        plots.grid(greedy.canvas, greedy.targets),
        out_dir / 'result_greedy.png',
    )
  else:
    (out_dir / 'result_greedy.png').unlink(missing_ok=True)  # Of another agent.
  # Figures mean something next to those of scribbles and of nothing.
  key = jax.random.key(experiment.run.seed)
  untrained = trained._replace(params=trained.agent.init(key))
  scribbles = _draw(untrained, count or 1000, test, metrics)
  if is_conditional:
    figures['untrained agent'] = scribbles.figures
  elif metrics is not None:
    figures['untrained agent'] = scribbles.figures['samples']
  if metrics is not None:
    blank = np.broadcast_to(drawn.first.canvas[0, :1], drawn.canvas.shape)
    found = metrics(blank, drawn.targets)
    figures['blank page'] = found if is_conditional else found['samples']
  figures = _rounded(figures)
  text = json.dumps(figures, indent=2) + '\n'
  files.write_atomically(
      out_dir / 'evaluation.json', lambda stream: stream.write(text.encode())
  )
  _show(figures)
  plots.save(plots.grid(drawn.canvas, drawn.targets), out_dir / 'result.png')
  plots.save(plots.strokes(drawn.first.canvas), out_dir / 'strokes.png')
  console_lib.Console().print(
      f'pictures in {out_dir_lib.printable(out_dir)}: result.png (what it draws'
      f'{"; result_greedy.png, by its likeliest choices" * is_conditional}), '
      'strokes.png (command by command)',
      soft_wrap=True,
  )
  return figures


def _with_data(
    trained: trained_agent_lib.TrainedAgent, dataset: str, data_dir: str
) -> trained_agent_lib.TrainedAgent:
  """Returns an agent whose experiment has other data, if any is named."""
  experiment = trained.experiment
  if dataset:
    experiment = experiment.replace(dataset=dataset)
  if dataset or data_dir:
    experiment = experiment.replace(data_dir=data_dir)
  return trained._replace(experiment=experiment)


class _Drawn(NamedTuple):
  """Canvases of an agent, and their figures."""

  canvas: np.ndarray  # uint8 [N, H, W, C].
  targets: np.ndarray | None  # uint8 [N, H, W, C].
  first: agents.Trajectory  # How some of it was drawn.
  figures: dict[str, Any]


def _draw(
    trained: trained_agent_lib.TrainedAgent,
    count: int,
    test: datasets.ImageDataset,
    metrics: digit_metrics_lib.DigitMetrics | None,
    *,
    greedy: bool = False,
) -> _Drawn:
  """Draws `count` pictures; a conditional agent's targets are `test`."""
  task = trained.experiment.find_task()
  targets = test.images if trained.experiment.agent.conditional else None
  first = None
  canvases, programs = [], []
  for trajectory in trained_agent_lib.episodes(
      trained, count, targets, greedy=greedy
  ):
    first = first or trajectory
    canvases.append(trajectory.canvas[-1])
    if task.read_programs is not None:
      programs.append(
          task.read_programs(trajectory.canvas, dict(trajectory.action))
      )
  assert first is not None
  canvas = np.concatenate(canvases)[:count]
  figures: dict[str, Any] = {}
  if targets is not None:
    figures |= evaluation.evaluate_reconstructions(
        canvas, targets, blank=first.canvas[0, 0]
    )._asdict()
  if metrics is not None:
    figures |= metrics(canvas, targets)
  if task.summarize_programs is not None:
    drawn = jax.tree.map(lambda *p: np.concatenate(p)[:count], *programs)
    true = None
    if targets is not None and test.programs is not None:
      true = type(drawn)(**test.programs)
    figures |= task.summarize_programs(
        trained.experiment.environment, drawn, true
    )
  return _Drawn(canvas, targets, first, figures)


def _rounded(value: Any) -> Any:
  if isinstance(value, dict):  # Whose order stays: jax.tree.map would sort.
    return {name: _rounded(inner) for name, inner in value.items()}
  return round(float(value), 5) if isinstance(value, float) else value


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
  console_lib.Console().print(table)


def _text(value: Any) -> str:
  if isinstance(value, list):
    return ' '.join(f'{number:.2f}' for number in value)
  return f'{value:.4g}' if isinstance(value, float) else f'{value}'
