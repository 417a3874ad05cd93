"""Evaluates a run's checkpoint on held-out images; writes figures, pictures.

For example, on the official test split:

  python experiments/evaluate.py --run_dir=runs/mnist --data_dir=~/data/mnist
"""

import dataclasses
import json
import pathlib
from typing import Any

from absl import flags
import jax
import numpy as np
import rich.console
import rich.table

import cli
import pictures
import process
import restored
import run_setup
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
  data_dir: str = '',
  count: int = 1000,
  step: int | None = None,
) -> dict[str, Any]:
  """Evaluates a checkpoint; writes `evaluation.json` and pictures beside it.

  Args:
    run_dir: of a training run.
    data_dir: folder of the data set; empty, as in training.
    count: samples, or reconstructions of held-out images; 0, all images of the
      test split.
    step: of the checkpoint; None, the latest.

  Returns:
    Figures by name.

  Raises:
    FileNotFoundError, ValueError: if there is no such checkpoint, or no data.
  """
  agent = restored.load(run_dir, step)
  setup, checkpoint = agent.setup, agent.checkpoint
  if data_dir:
    setup = setup._replace(
      run=dataclasses.replace(setup.run, data_dir=data_dir)
    )
  test = run_setup.load_dataset(setup, 'test')
  train = run_setup.load_dataset(setup, 'train')
  if setup.agent.conditional and not 0 < count <= len(test.images):
    count = len(test.images)
  count = count or 1000
  targets = test.images[:count] if setup.agent.conditional else None
  figures: dict[str, Any] = {
    'step': checkpoint.step,
    'frames': int(checkpoint.state['policy']['frames']),
    'minutes': round(checkpoint.state['clock']['seconds'] / 60, 2),
    'test_images': len(test.images),
  }
  first = None
  renderer = run_setup.renderer_of(setup)
  canvases, programs = [], []
  for trajectory in restored.episodes(agent, count, targets):
    first = first or trajectory
    canvases.append(trajectory.canvas[-1])
    programs.append(renderer.read_programs(trajectory))
  canvas = np.concatenate(canvases)[:count]
  classifier = None
  if train.labels is not None and test.labels is not None:
    classifier = evaluation.train_classifier(train.images, train.labels)
  if targets is not None:
    quality = evaluation.evaluate_reconstructions(canvas, targets)
    figures |= quality._asdict()
    if classifier is not None and test.labels is not None:
      read = evaluation.evaluate_recognition(
        classifier, canvas, targets, test.labels[:count]
      )
      figures['read_as_target'] = read.reconstructions
      figures['targets_read'] = read.targets
  elif classifier is not None:
    # As many real images as samples: Frechet distances depend on the number.
    report = evaluation.evaluate_samples(
      classifier, canvas, test.images[:count], reference=train.images
    )
    for name, quality in report._asdict().items():
      figures[name] = {
        key: np.round(value, 4).tolist()
        for key, value in quality._asdict().items()
      }
  programs = jax.tree.map(lambda *x: np.concatenate(x)[:count], *programs)
  figures |= renderer.figures(setup, programs)
  figures = jax.tree.map(_rounded, figures)
  _write(run_dir / 'evaluation.json', figures)
  _show(figures)
  assert first is not None
  pictures.save(pictures.grid(canvas, targets), run_dir / 'result.png')
  pictures.save(pictures.strokes(first.canvas), run_dir / 'strokes.png')
  progress = pictures.progress(
    run_dir / 'samples', lines=1 if targets is None else 2
  )
  if progress is not None:
    pictures.save(progress, run_dir / 'progress.png')
  pictures.curves(run_dir / 'metrics.jsonl', _CURVES, run_dir / 'curves.png')
  rich.console.Console(highlight=False).print(
    f'pictures in {run_dir}: result.png (what it draws), strokes.png (stroke '
    'by stroke), progress.png (over training), curves.png',
    soft_wrap=True,
  )
  return figures


def _rounded(value):
  return round(float(value), 5) if isinstance(value, float) else value


def _write(path: pathlib.Path, figures: dict[str, Any]) -> None:
  partial = path.with_name('.partial-' + path.name)
  partial.write_text(json.dumps(figures, indent=2) + '\n')
  partial.replace(path)


def _show(figures: dict[str, Any]) -> None:
  """Prints figures as a table, nested ones under their group's name."""
  table = rich.table.Table('figure', 'value', title='evaluation')
  for name, value in figures.items():
    if isinstance(value, dict):
      table.add_section()
      for key, inner in value.items():
        table.add_row(f'{name}: {key}'.replace('_', ' '), _text(inner))
      table.add_section()
    else:
      table.add_row(name.replace('_', ' '), _text(value))
  rich.console.Console(highlight=False).print(table)


def _text(value: Any) -> str:
  if isinstance(value, list):
    return ' '.join(f'{number:.2f}' for number in value)
  return f'{value:.4g}' if isinstance(value, float) else f'{value}'


def main() -> None:
  """Evaluates as the flags say."""
  process.prepare()
  evaluate(
    pathlib.Path(_RUN_DIR.value).expanduser(),
    data_dir=_DATA_DIR.value,
    count=_COUNT.value,
    step=_STEP.value,
  )


if __name__ == '__main__':
  _RUN_DIR = flags.DEFINE_string(
    'run_dir', None, 'folder of the run to evaluate', required=True
  )
  _DATA_DIR = flags.DEFINE_string(
    'data_dir', '', 'folder of the data set; empty, as in training'
  )
  _COUNT = flags.DEFINE_integer(
    'count',
    1000,
    'samples or reconstructions; 0, all held-out images',
    lower_bound=0,
  )
  _STEP = flags.DEFINE_integer('step', None, 'checkpoint; the latest if none')
  cli.run(main)
