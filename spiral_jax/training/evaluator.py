"""Evaluates an agent on held-out images; writes figures and pictures.

Axes: N images, T time (commands), B batch, H height, W width, C channels.
"""

from collections.abc import Iterable
import itertools
import json
import math
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
from spiral_jax.training import program_search
from spiral_jax.training import task as task_lib
from spiral_jax.training import trained_agent as trained_agent_lib

_CURVES = (
    'policy/l2',
    'policy/score',
    'policy/reward',
    'policy/dreams_nll',
    'policy/hindsight_nll',
    'policy/memory_nll',
    'policy/teacher_nll',
    'policy/color_nll',
    'recognizer/dreams_nll',
    'recognizer/memory_nll',
    'memory/error',
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
    recognizer: bool = False,
    search_seconds: float = 0.0,
    temperature: float = 1.0,
    on_device: bool = False,
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
    recognizer: evaluates the agent that learned to redraw images beside one
      that draws from noise; what is written goes into the folder `recognizer`.
    search_seconds: seconds of search for each image's program, which begins
      with the best of 16 samples of the agent; 0 means none.
    temperature: divisor of the logits of what is sampled, but for the untrained
      agent; below 1, pictures are more alike, and more of them are good.
    on_device: draws with the task's renderer in JAX, too, and says how many of
      the pictures are the same.

  Returns:
    Figures by name; None where there is none, as the share of no strokes.

  Raises:
    FileNotFoundError, ValueError: if there is no such checkpoint, or no data;
      or no renderer in JAX for `on_device`.
  """
  run_dir = pathlib.Path(run_dir).expanduser()
  trained = trained_agent_lib.restore(run_dir, step, task=task)
  out_dir = run_dir / dataset
  if recognizer:
    trained, out_dir = trained.recognizer(), run_dir / 'recognizer' / dataset
  figures = evaluate_agent(
      trained,
      out_dir,
      dataset=dataset,
      data_dir=data_dir,
      count=count,
      search_seconds=search_seconds,
      temperature=temperature,
      on_device=on_device,
  )
  made = []
  for name in ('curves.png', 'progress.png'):
    (out_dir / name).unlink(missing_ok=True)  # Of an earlier evaluation.
  if plots.curves(run_dir / 'metrics.jsonl', _CURVES, out_dir / 'curves.png'):
    made.append('curves.png')
  progress = None
  if not recognizer:  # The run's pictures are the generator's.
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
    search_seconds: float = 0.0,
    temperature: float = 1.0,
    on_device: bool = False,
) -> dict[str, Any]:
  """Evaluates an agent; writes `evaluation.json` and pictures.

  Args:
    trained: the agent of a run, or of saved weights.
    out_dir: folder to write to.
    dataset: as for `evaluate`, as are the rest.
    data_dir: folder of the data set.
    count: number of samples or reconstructions.
    search_seconds: as for `evaluate`.
    temperature: as for `evaluate`.
    on_device: as for `evaluate`.

  Returns:
    Figures by name; None where there is none, as the share of no strokes.

  Raises:
    FileNotFoundError, ValueError: if there is no data, or `out_dir` cannot be
      written to; if the agent takes no targets, and there is to be a search; or
      if there is no renderer in JAX for `on_device`.
  """
  if search_seconds:
    trained_agent_lib.check_conditional(trained)
  trained = _with_data(trained, dataset, data_dir)
  experiment = trained.experiment
  if on_device:
    experiment.make_device_renderer()  # Raises before anything is drawn.
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
  if temperature != 1.0:
    figures['temperature'] = temperature
  drawn = _draw(trained, count or 1000, test, metrics, temperature=temperature)
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
  if on_device:
    other = _draw(
        trained,
        count or 1000,
        test,
        metrics,
        greedy=is_conditional,
        temperature=temperature,
        on_device=True,
    )
    canvas = greedy.canvas if is_conditional else drawn.canvas
    figures['drawn in JAX'] = other.figures | {
        'same pictures': float((other.canvas == canvas).all((1, 2, 3)).mean()),
        'mean difference': float(
            np.abs(other.canvas - canvas.astype(np.float32)).mean() / 255
        ),
    }
  (out_dir / 'result_searched.png').unlink(missing_ok=True)
  if search_seconds:
    canvas, found = _search(trained, test, metrics, search_seconds)
    figures[f'{search_seconds:g} s of search'] = found
    plots.save(plots.grid(canvas, test.images), out_dir / 'result_searched.png')
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
    of_blank = metrics(blank, drawn.targets)
    figures['blank page'] = of_blank if is_conditional else of_blank['samples']
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
      f'{"; result_greedy.png, by its likeliest choices" * is_conditional}'
      f'{"; result_searched.png, after a search" * bool(search_seconds)}), '
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
    temperature: float = 1.0,
    on_device: bool = False,
) -> _Drawn:
  """Draws `count` pictures; a conditional agent's targets are `test`."""
  targets = test.images if trained.experiment.agent.conditional else None
  trajectories = trained_agent_lib.episodes(
      trained,
      count,
      targets,
      greedy=greedy,
      temperature=temperature,
      on_device=on_device,
  )
  first = next(trajectories)
  episodes = (
      jax.device_get((trajectory.canvas, dict(trajectory.action)))
      for trajectory in itertools.chain([first], trajectories)
  )
  canvas, figures = _measure(trained, episodes, count, targets, test, metrics)
  return _Drawn(canvas, targets, first, figures)


def _search(
    trained: trained_agent_lib.TrainedAgent,
    test: datasets.ImageDataset,
    metrics: digit_metrics_lib.DigitMetrics | None,
    seconds: float,
) -> tuple[np.ndarray, dict[str, Any]]:
  """Searches for programs of the images of `test`; returns as `_measure`."""
  found = program_search.find_programs(
      trained,
      test.images,
      seconds=seconds,
      seed=trained.experiment.run.seed + 1_000_003,
  )
  canvas, figures = _measure(
      trained,
      program_search.replay(trained, found.programs),
      len(test.images),
      test.images,
      test,
      metrics,
  )
  figures['renderings'] = float(found.num_renderings.mean())
  return canvas, figures


def _measure(
    trained: trained_agent_lib.TrainedAgent,
    episodes: Iterable[tuple[np.ndarray, dict[str, np.ndarray]]],
    count: int,
    targets: np.ndarray | None,
    test: datasets.ImageDataset,
    metrics: digit_metrics_lib.DigitMetrics | None,
) -> tuple[np.ndarray, dict[str, Any]]:
  """Returns final canvases `[count, H, W, C]` and their figures.

  Args:
    trained: the agent.
    episodes: canvases `[T + 1, B, H, W, C]` and commands `[T, B]`, of `count`
      episodes or more.
    count: number of episodes that matter.
    targets: images that they redraw, if any.
    test: held-out images.
    metrics: further figures, of digits.
  """
  task = trained.experiment.find_task()
  blank = None
  canvases, programs = [], []
  for canvas, action in episodes:
    blank = canvas[0, 0] if blank is None else blank
    canvases.append(canvas[-1])
    if task.read_programs is not None:
      programs.append(task.read_programs(canvas, action))
  canvas = np.concatenate(canvases)[:count]
  figures: dict[str, Any] = {}
  if targets is not None:
    figures |= evaluation.evaluate_reconstructions(
        canvas, targets, blank=blank
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
  return canvas, figures


def _rounded(value: Any) -> Any:
  """Returns figures for JSON, which knows no NaN: None stands for it."""
  if isinstance(value, dict):  # Whose order stays: jax.tree.map would sort.
    return {name: _rounded(inner) for name, inner in value.items()}
  if isinstance(value, float):
    return None if math.isnan(value) else round(float(value), 5)
  return value


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
  if value is None:
    return '-'
  if isinstance(value, list):
    return ' '.join(f'{number:.2f}' for number in value)
  return f'{value:.4g}' if isinstance(value, float) else f'{value}'
