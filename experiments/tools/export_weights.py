r"""Makes weights that come with the package, with their card, from a run.

For example, after `python experiments/mnist.py
--flagfile=experiments/flags/mnist_cpu.flags`:

  python experiments/tools/export_weights.py --run_dir=runs/mnist_cpu \
      --name=digits --failures='Loops of 8 and 9 stay open.'

`agents.load('digits')` then loads them. The card's figures are those of the
run's evaluation.json files (experiments/evaluate.py); without one of this
checkpoint, the agent is evaluated now.

After a change of what is measured, the cards' figures are made anew:

  python experiments/tools/export_weights.py --measure_again --name=digits
"""

from collections.abc import Iterator, Sequence
import json
import pathlib
import re
import tempfile
from typing import Any

from absl import flags
import jax

from spiral_jax import agents
from spiral_jax import console as console_lib
from spiral_jax import datasets
from spiral_jax import training
from spiral_jax import weights
from spiral_jax.training import cli
from spiral_jax.training import flags as flags_lib
from spiral_jax.training import run_dir as run_dir_lib

_RUN_DIR = flags.DEFINE_string('run_dir', '', 'folder of the run to export')
_MEASURE_AGAIN = flags.DEFINE_boolean(
    'measure_again',
    False,
    'evaluates weights that come with the package, and writes the figures into '
    'their card and config.json; needs no run',
)
_STEP = flags.DEFINE_integer(
    'step', None, 'step of the checkpoint; by default the latest'
)
_NAME = flags.DEFINE_string(
    'name', None, 'name of the weights, for agents.load', required=True
)
_FAILURES = flags.DEFINE_string(
    'failures', '', 'known failures of the agent, for the card'
)
_FLAG_FILE = flags.DEFINE_string(
    'flag_file',
    '',
    'flag file of the run; empty means the one of experiments/flags with the '
    "name of the run's folder",
)
_DATA_TEXT = flags.DEFINE_string(
    'data', '', 'description of the data, for the card, if it is not known'
)
_LICENSE = flags.DEFINE_string(
    'license', '', 'license of the data, if it is not known'
)
_OUT_DIR = flags.DEFINE_string(
    'out_dir', str(weights.FOLDER), 'folder of all weights, a folder each'
)

_ROOT = pathlib.Path(__file__).resolve().parents[2]
_PORTRAITS = 'portraits'
# Descriptions and licenses of data sets.
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
    out_dir: pathlib.Path = weights.FOLDER,
) -> pathlib.Path:
  """Writes weights and card; their folder is there whole or not at all.

  Args:
    run_dir: folder of the run.
    name: name of the weights.
    failures: known failures of the agent, for the card.
    flag_file: flag file of the run; the card lists the flags that differ.
    data: description of the data; empty means the known one of the data set.
    license: license of the data; empty means the known one of the data set.
    step: step of the checkpoint; None means the latest.
    out_dir: folder of all weights.

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
  target = out_dir / name
  if target.exists():
    raise ValueError(f'{target} exists; delete it, or give another --name')
  trained = training.restore(run_dir, step)
  experiment = trained.experiment
  known = experiment.dataset
  if known == 'celeba' and not experiment.run.data_dir:
    known = _PORTRAITS
  if known not in _DATA and not (data and license):
    raise ValueError(
        f'the run learned from data set {known!r}; describe it by --data, and '
        'give its license by --license'
    )
  known_data, known_license = _DATA.get(known, ('', ''))
  changes = _changes(experiment, flag_file)
  figures = _figures(run_dir, trained.step)
  num_params = sum(leaf.size for leaf in jax.tree.leaves(trained.params))
  card = _card(
      name,
      experiment,
      [
          ('data', data or known_data),
          ('license of the data', license or known_license),
          ('flag file', ' '.join([f'`{_shown(flag_file)}`', *changes])),
          ('commands learned from', f'{figures["frames"]:,}'),
          ('minutes of training', f'{figures["minutes"]:.1f}'),
          ('parameters', f'{num_params:,}'),
      ],
      figures,
      failures,
  )
  config = _without_paths(experiment.to_json())
  exported = trained.pretrained()._replace(
      params=weights.to_half(trained.params),
      environment=config['environment'],
      experiment=config,
      figures=figures,
      card=card,
  )
  agents.save(target, exported)
  return target


def measure_again(folder: pathlib.Path) -> dict[str, Any]:
  """Evaluates saved weights and rewrites the figures of their card.

  Args:
    folder: folder of the weights.

  Returns:
    The new figures.

  Raises:
    FileNotFoundError, ValueError: if there are no such weights.
  """
  trained = training.restore(folder)
  config = json.loads((folder / 'config.json').read_text())
  old = config['figures']
  kept = {k: old[k] for k in ('step', 'frames', 'minutes')}

  def evaluate(found: dict[str, Any], dataset: str = '') -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as out_dir:
      return training.evaluate_agent(
          trained,
          pathlib.Path(out_dir),
          dataset=dataset,
          count=_count(found),
      )

  figures = kept | evaluate(old)
  for key, found in old.items():
    if key.startswith('on '):
      figures[key] = evaluate(found, key.removeprefix('on '))
      del figures[key]['step']
  shown = {k: v for k, v in figures.items() if k not in ('frames', 'minutes')}
  table = '\n'.join(f'| {name} | {value} |' for name, value in _rows(shown))
  card = (folder / 'CARD.md').read_text()
  # The rows of the table after the one below the heading.
  card, count = re.subn(
      r'(?<=\| figure \| value \|\n\|---\|---\|\n)(\|.*\n)+',
      lambda _: table + '\n',
      card,
  )
  if count != 1:
    raise ValueError(f'{folder}/CARD.md has no table of figures')
  text = json.dumps({**config, 'figures': figures}, indent=2) + '\n'
  (folder / 'config.json').write_text(text)
  (folder / 'CARD.md').write_text(card)
  return figures


def _changes(
    experiment: training.Experiment, flag_file: pathlib.Path
) -> list[str]:
  """Returns the flags by which a run differs from its flag file."""
  if not flag_file.is_file():
    raise FileNotFoundError(
        f'flag file {flag_file} does not exist; name that of the run by '
        '--flag_file'
    )
  values = flags.FlagValues()
  told = training.define_flags(
      experiment.find_task().name,
      experiment.dataset,
      argv=[''],
      flag_values=values,
  )
  try:
    values(flags_lib.expand_flag_files(['', f'--flagfile={flag_file}']))
  except flags.Error as error:
    raise ValueError(f'{flag_file} is not of this run: {error}') from None
  plain = told.value.to_json()
  changes = []
  for part, saved in experiment.to_json().items():
    for field, value in saved.items() if isinstance(saved, dict) else ():
      name = f'{part}.{field}'
      if name in run_dir_lib.MAY_CHANGE or value == plain[part][field]:
        continue
      if isinstance(value, tuple):
        value = ','.join(map(str, value))
      changes.append(f'`--{run_dir_lib.flag_name(name)}={value}`')
  return changes


def _figures(run_dir: pathlib.Path, step: int) -> dict[str, Any]:
  """Returns held-out figures; those on other data sets are nested."""
  figures = _evaluation(run_dir, step) or training.evaluate(run_dir, step=step)
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
  """Returns a run's configuration without paths of its machine."""
  paths = {'run_dir', 'init_from', 'data_dir', 'brushes_path'}
  if config['lessons'].get('teacher') not in agents.names():
    paths.add('teacher')
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
    experiment: training.Experiment,
    facts: list[tuple[str, str]],
    figures: dict[str, Any],
    failures: str,
) -> str:
  """Returns the text of CARD.md."""
  height, width, channels = experiment.canvas_shape
  does = 'Draws from noise'
  if experiment.agent.conditional:
    does = 'Redraws given images'
  commands = experiment.environment.episode_length
  learner = experiment.learner
  taught = [name for name, w in learner.lesson_weights.items() if w]
  teacher = experiment.lessons.teacher
  if teacher in agents.names():
    taught[taught.index('teacher')] = f'what `{teacher}` redraws'
  sources = [f'{learner.reward} as the reward'] * bool(learner.reward_weight)
  sources += [f'imitation ({", ".join(taught)})'] * bool(taught)
  shown = {k: v for k, v in figures.items() if k not in ('frames', 'minutes')}
  return '\n'.join(
      [
          f'# {name}',
          '',
          f'{does}: {commands} commands on a canvas of {height} x {width} '
          f'pixels, {"in color" if channels == 3 else "gray"}. It learned by '
          f'{" and ".join(sources)}. `config.json` has all settings.',
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
    flag = f' --dataset={dataset}' if dataset else ''
    yield (
        f'    python experiments/evaluate.py --weights={name}{flag} '
        f'--count={_count(found)}'
    )


def _count(figures: dict[str, Any]) -> int:
  """Returns how many samples, or reconstructions, figures are of."""
  # Samples are as many as asked for, reconstructions as there are images.
  samples = figures.get('samples', {})
  return samples.get('num_images', figures['test_images'])


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


def main(argv: Sequence[str]) -> None:
  """Exports as the flags say."""
  del argv
  if _MEASURE_AGAIN.value:
    measure_again(pathlib.Path(_OUT_DIR.value).expanduser() / _NAME.value)
    return
  if not _RUN_DIR.value or not _FAILURES.value:
    raise ValueError(
        'name the run by --run_dir, and say by --failures what the agent fails '
        'at; or give --measure_again'
    )
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
      out_dir=pathlib.Path(_OUT_DIR.value).expanduser(),
  )
  size = sum(path.stat().st_size for path in target.iterdir())
  console_lib.Console().print(
      f'{size / 1e6:.2f} MB in {target}', soft_wrap=True
  )


if __name__ == '__main__':
  cli.run(main)
