"""Makes weights that come with the package, with their card, from a run.

For example, after `python experiments/mnist.py
--flagfile=experiments/flags/mnist_cpu.flags`:

  python experiments/export_weights.py --run_dir=runs/mnist_cpu --name=digits \
      --failures='Loops of 8 and 9 stay open.'

`agents.load('digits')` then has them. The figures of the card are those of the
run's evaluation.json files (evaluate.py), or, if there is none of this
checkpoint, of an evaluation now.
"""

from collections.abc import Iterator, Sequence
import json
import pathlib
import shutil
import tempfile
from typing import Any

from absl import flags
import numpy as np
import rich.console

from spiral_jax import datasets
from spiral_jax import training
from spiral_jax import weights
from spiral_jax.training import cli
from spiral_jax.training import run_dir as run_dir_lib

_RUN_DIR = flags.DEFINE_string(
    'run_dir', None, 'folder of the run to export', required=True
)
_NAME = flags.DEFINE_string(
    'name', None, 'of the weights, for agents.load', required=True
)
_FAILURES = flags.DEFINE_string(
    'failures', None, 'what is known to go wrong, for the card', required=True
)
_FLAG_FILE = flags.DEFINE_string(
    'flag_file',
    '',
    'that the run was told; empty, that of experiments/flags with the name '
    'of the folder of the run',
)
_DATA_TEXT = flags.DEFINE_string(
    'data', '', 'what the run learned from, for the card, if it is not known'
)
_LICENSE = flags.DEFINE_string('license', '', 'of that data')
_STEP = flags.DEFINE_integer('step', None, 'checkpoint; the latest if none')
_FOLDER = flags.DEFINE_string('folder', str(weights.FOLDER), 'of all weights')

_ROOT = pathlib.Path(__file__).resolve().parents[1]
_PORTRAITS = 'portraits'
# Of data sets: what they are, and under which license.
_DATA = {
    'mnist': (
        'MNIST, handwritten digits, by Yann LeCun and Corinna Cortes',
        'CC BY-SA 3.0',
    ),
    'omniglot': (
        'Omniglot, handwritten characters, by Brenden Lake, Ruslan '
        'Salakhutdinov and Joshua Tenenbaum',
        'MIT, Copyright (c) 2015 Brenden Lake',
    ),
    'celeba': (
        'CelebA, faces, by Ziwei Liu, Ping Luo, Xiaogang Wang and Xiaoou Tang',
        'for non-commercial research only',
    ),
    _PORTRAITS: (
        'official portraits of members of the United States Congress',
        'public domain',
    ),
    'scenes': ('scenes at random, as MuJoCo draws them', 'none needed'),
}


def export(
    run_dir: pathlib.Path,
    name: str,
    *,
    failures: str,
    flag_file: pathlib.Path,
    data: str = '',
    license: str = '',
    step: int | None = None,
    folder: pathlib.Path = weights.FOLDER,
) -> pathlib.Path:
  """Writes weights and card; their folder is there whole or not.

  Args:
    run_dir: of the run.
    name: of the weights.
    failures: what is known to go wrong, for the card.
    flag_file: that the run was told; the card lists what differs.
    data: what the run learned from; empty, what is known of its data set.
    license: of the data; empty, likewise.
    step: of the checkpoint; None, the latest.
    folder: of all weights.

  Returns:
    The folder of these weights.

  Raises:
    FileNotFoundError: if there is no such checkpoint or flag file.
    ValueError: if there are weights of that name, or something does not fit.
  """
  if not name.replace('_', '').isalnum():
    raise ValueError(
        f'--name={name} must be letters, digits and _, as --name=digits'
    )
  target = folder / name
  if target.exists():
    raise ValueError(
        f'{target} is there already; delete it first, or give another --name'
    )
  restored = restored_lib.load(run_dir, step)
  setup = restored.setup
  known = setup.dataset
  if known == 'celeba' and not setup.run.data_dir:
    known = _PORTRAITS
  if known not in _DATA and not (data and license):
    raise ValueError(
        f'the run learned from dataset {known!r}; say what it is by --data, '
        'and its license by --license'
    )
  known_data, known_license = _DATA.get(known, ('', ''))
  changes = _changes(setup, flag_file)
  figures = _figures(run_dir, restored.checkpoint.step)
  config = {
      'format': weights.FORMAT,
      'environment': renderers.kind_of(setup.environment),
      'canvas_shape': run_setup.canvas_shape(setup),
      'action_spec': weights.describe(setup.environment.action_spec()),
      'setup': _without_paths(run_setup.to_json(setup)),
      'figures': figures,
  }
  arrays = weights.to_arrays(restored.params)
  card = _card(
      name,
      setup,
      [
          ('data', data or known_data),
          ('license of the data', license or known_license),
          ('flag file', ' '.join([f'`{_shown(flag_file)}`', *changes])),
          ('commands learned from', f'{figures["frames"]:,}'),
          ('minutes of training', f'{figures["minutes"]:.1f}'),
          ('parameters', f'{sum(a.size for a in arrays.values()):,}'),
      ],
      figures,
      failures,
  )
  _write(target, config, arrays, card)
  return target


def _changes(setup: training.Experiment, flag_file: pathlib.Path) -> list[str]:
  """Returns the flags by which a run differs from its flag file."""
  if not flag_file.is_file():
    raise FileNotFoundError(
        f'flag file {flag_file} does not exist; name that of the run by '
        '--flag_file'
    )
  kind = renderers.kind_of(setup.environment)
  values = flags.FlagValues()
  run_setup.define_flags(kind, values)
  try:
    values(['', f'--flagfile={flag_file}'])
  except flags.Error as error:
    raise ValueError(f'{flag_file} is not of this run: {error}') from None
  plain = run_setup.to_json(run_setup.read_flags(setup.dataset, kind, values))
  changes = []
  for part, saved in run_setup.to_json(setup).items():
    prefix = 'discriminator_' if part == 'discriminator' else ''
    for field, value in saved.items() if isinstance(saved, dict) else ():
      may_change = f'{part}.{field}' in run_dir_lib.MAY_CHANGE
      if not may_change and value != plain[part][field]:
        if isinstance(value, tuple):
          value = ','.join(map(str, value))
        changes.append(f'`--{prefix}{field}={value}`')
  return changes


def _figures(run_dir: pathlib.Path, step: int) -> dict[str, Any]:
  """Returns held-out figures, those of other data sets under their name."""
  figures = _evaluation(run_dir, step) or evaluate.evaluate(run_dir, step=step)
  for name in datasets.NAMES:
    other = _evaluation(run_dir / name, step)
    if other:
      for key in ('step', 'frames', 'minutes'):
        del other[key]
      figures[f'on {name}'] = other
  return figures


def _evaluation(folder: pathlib.Path, step: int) -> dict[str, Any] | None:
  path = folder / 'evaluation.json'
  figures = json.loads(path.read_text()) if path.exists() else {}
  return figures if figures.get('step') == step else None


def _without_paths(config: dict[str, Any]) -> dict[str, Any]:
  """Returns a run's settings without where things lay on its machine."""
  paths = ('run_dir', 'data_dir', 'brushes_path')
  return {
      part: {k: v for k, v in saved.items() if k not in paths}
      if isinstance(saved, dict)
      else saved
      for part, saved in config.items()
  }


def _shown(path: pathlib.Path) -> str:
  path = path.resolve()
  return str(path.relative_to(_ROOT)) if _ROOT in path.parents else path.name


def _card(
    name: str,
    setup: training.Experiment,
    facts: list[tuple[str, str]],
    figures: dict[str, Any],
    failures: str,
) -> str:
  """Returns the text of CARD.md."""
  height, width, channels = run_setup.canvas_shape(setup)
  does = 'Draws from noise'
  if setup.agent.conditional:
    does = 'Redraws given images'
  commands = setup.environment.episode_length
  shown = {k: v for k, v in figures.items() if k not in ('frames', 'minutes')}
  return '\n'.join(
      [
          f'# {name}',
          '',
          f'{does}: {commands} commands on a canvas of {height} x {width} '
          f'pixels, {"in color" if channels == 3 else "gray"}; the reward was '
          f'{setup.learner.reward}. `config.json` has all settings.',
          '',
          '| | |',
          '|---|---|',
          *(f'| {fact} | {text} |' for fact, text in facts),
          '',
          '## On held-out images',
          '',
          '| figure | value |',
          '|---|---|',
          *(f'| {figure} | {value} |' for figure, value in _rows(shown)),
          '',
          'Measured again, with weights rounded to float16, by',
          *_commands(name, figures),
          '',
          *(
              ['`greedy`: by the likeliest choices.', '']
              if 'greedy' in figures
              else []
          ),
          '## Known failures',
          '',
          failures,
          '',
      ]
  )


def _commands(name: str, figures: dict[str, Any]) -> Iterator[str]:
  """Yields the commands that measure the figures, in lines of Markdown."""
  others = {
      key.removeprefix('on '): found
      for key, found in figures.items()
      if key.startswith('on ')
  }
  yield ''
  for dataset, found in {'': figures, **others}.items():
    # Samples are as many as asked for, reconstructions as there are images.
    samples = found.get('samples', {})
    count = samples.get('num_images', found['test_images'])
    flag = f' --dataset={dataset}' if dataset else ''
    yield (
        f'    python experiments/evaluate.py --weights={name}{flag} '
        f'--count={count}'
    )


def _rows(
    figures: dict[str, Any], prefix: str = ''
) -> Iterator[tuple[str, str]]:
  """Yields (name, text) of figures, nested ones under their group's name."""
  for name, value in figures.items():
    name = prefix + name.replace('_', ' ')
    if isinstance(value, dict):
      yield from _rows(value, f'{name}: ')
    elif isinstance(value, list):
      yield name, ' '.join(f'{number:.4g}' for number in value)
    else:
      yield name, f'{value:.4g}' if isinstance(value, float) else f'{value:,}'


def _write(
    target: pathlib.Path,
    config: dict[str, Any],
    arrays: dict[str, np.ndarray],
    card: str,
) -> None:
  target.parent.mkdir(parents=True, exist_ok=True)
  partial = pathlib.Path(tempfile.mkdtemp(dir=target.parent, prefix='.'))
  try:
    text = json.dumps(config, indent=2) + '\n'
    (partial / 'config.json').write_text(text, encoding='utf-8')
    named: dict[str, Any] = {**arrays}
    np.savez_compressed(partial / 'weights.npz', **named)
    (partial / 'CARD.md').write_text(card, encoding='utf-8')
    partial.chmod(0o755)  # mkdtemp grants the owner alone.
    partial.rename(target)
  except BaseException:
    shutil.rmtree(partial)
    raise


def main(argv: Sequence[str]) -> None:
  """Exports as the flags say."""
  del argv
  run_dir = pathlib.Path(_RUN_DIR.value).expanduser()
  flag_file = _FLAG_FILE.value or str(
      _ROOT / 'experiments' / 'flags' / f'{run_dir.resolve().name}.flags'
  )
  target = export(
      run_dir,
      _NAME.value,
      failures=_FAILURES.value,
      flag_file=pathlib.Path(flag_file).expanduser(),
      data=_DATA_TEXT.value,
      license=_LICENSE.value,
      step=_STEP.value,
      folder=pathlib.Path(_FOLDER.value).expanduser(),
  )
  size = sum(path.stat().st_size for path in target.iterdir())
  rich.console.Console(highlight=False).print(
      f'{size / 1e6:.2f} MB in {target}', soft_wrap=True
  )


if __name__ == '__main__':
  cli.run(main)
