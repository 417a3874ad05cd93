r"""Figure 8 of the paper: held-out error over time, by reward.

Trains conditional agents one after another: with a discriminator or l2 as the
reward, each at the end of the episode only or at every command; and then a
blind agent with the best of these rewards. Where the only reward comes at the
end, the policy looks further ahead (--discount, --td_lambda): with the values
for rewards at every command, the first commands would hardly learn. For
example, figure 8a, and a part of it on scenes:

  python experiments/paper/figure8.py --out_dir=runs/figure8 --minutes=30
  python experiments/paper/figure8.py --out_dir=runs/figure8_scenes \
      --experiment=mujoco_scenes --reward_at=step --noblind

After Ctrl-C, the same command continues: finished runs are kept, and the one
that was stopped is resumed.
"""

from collections.abc import Callable, Sequence
import json
import pathlib
import subprocess
import sys
from typing import Any, NamedTuple

from absl import flags
import rich.table

from spiral_jax import console as console_lib
from spiral_jax.training import cli
from spiral_jax.training import plots
from spiral_jax.training import run_dir as run_dir_lib

_REWARD_TIMES = {'end': 'at the end', 'step': 'every command'}

_OUT_DIR = flags.DEFINE_string(
    'out_dir', 'runs/figure8', 'folder of the runs and of the picture'
)
_EXPERIMENT = flags.DEFINE_enum(
    'experiment',
    'mnist',
    ['mnist', 'omniglot', 'celeba', 'mujoco_scenes'],
    'program of experiments/ that trains',
)
_BASE = flags.DEFINE_string(
    'base',
    '',
    'flag file of a conditional agent, common to all runs; empty means the one '
    'of --experiment for two CPU cores that learns from rewards',
)
_REWARD_AT = flags.DEFINE_multi_enum(
    'reward_at',
    list(_REWARD_TIMES),
    list(_REWARD_TIMES),
    'time of rewards; may be repeated',
)
_BLIND = flags.DEFINE_boolean('blind', True, 'trains a blind agent as well')
_MINUTES = flags.DEFINE_float(
    'minutes',
    30.0,
    'minutes of training of each run; 0 means what --base says',
    lower_bound=0.0,
)

_EXPERIMENTS = pathlib.Path(__file__).resolve().parents[1]

# Flags by the time of rewards.
_FLAGS = {'end': ['--discount=0.95', '--td_lambda=0.95'], 'step': []}


class Figure(NamedTuple):
  """The runs of a figure.

  Attributes:
    experiment: program of experiments/ that trains.
    base: flag file of a conditional agent.
    minutes: minutes of training of each run; 0 means what `base` says.
    reward_at: times of rewards: 'end', 'step' or both.
    blind: trains a blind agent as well.
  """

  experiment: str
  base: pathlib.Path
  minutes: float
  reward_at: Sequence[str] = ('end', 'step')
  blind: bool = True


def figure8(out_dir: pathlib.Path, figure: Figure) -> None:
  """Trains what is not trained yet; writes `figure8.png` and prints a table.

  Args:
    out_dir: folder of the runs and of the picture.
    figure: the runs.

  Raises:
    ValueError: if a run failed.
  """
  rewards = {
      f'{reward}, {_REWARD_TIMES[at]}': [
          f'--reward={reward}',
          f'--reward_at={at}',
          *_FLAGS[at],
      ]
      for reward in ('discriminator', 'l2')
      for at in figure.reward_at
  }
  runs = {
      name: _train(name, variant, out_dir, figure)
      for name, variant in rewards.items()
  }
  best = min(runs, key=lambda name: _figures(runs[name])['error'])
  if figure.blind:
    runs[f'blind; {best}'] = _train(
        'blind', [*rewards[best], '--blind'], out_dir, figure
    )
  _show({name: _figures(run_dir) for name, run_dir in runs.items()})
  path = out_dir / 'figure8.png'
  plots.compare(
      {name: run_dir / 'metrics.jsonl' for name, run_dir in runs.items()},
      'held_out/l2',
      path,
      label='held-out l2 a pixel',
      baseline=('blank page', _figures(runs[best])['blank_error']),
  )
  print(f'picture in {path}')


def _train(
    name: str, variant: list[str], out_dir: pathlib.Path, figure: Figure
) -> pathlib.Path:
  """Returns the folder of a run, once it is trained and evaluated."""
  run_dir = out_dir / name.replace(', ', '_').replace(' ', '_')
  if (run_dir / 'evaluation.json').exists():
    return run_dir
  command = [
      sys.executable,
      str(_EXPERIMENTS / f'{figure.experiment}.py'),
      f'--flagfile={figure.base}',
      f'--run_dir={run_dir}',
      *variant,
  ]
  if figure.minutes:
    command.append(f'--minutes={figure.minutes}')
  if run_dir_lib.has_checkpoint(run_dir):
    command.append('--resume')
  print(f'{name}:', flush=True)
  code = subprocess.run(command, check=False).returncode
  if code == cli.INTERRUPTED:
    raise KeyboardInterrupt
  if code:
    raise ValueError(f'the run {name!r} in {run_dir} failed; see above')
  return run_dir


def _figures(run_dir: pathlib.Path) -> dict:
  return json.loads((run_dir / 'evaluation.json').read_text())


def _show(figures: dict[str, dict]) -> None:
  """Prints a table with a row for each run."""

  def share(value: float) -> str:
    return f'{value:.1%}'

  columns: list[tuple[str, Callable[[dict], Any], Callable[[Any], str]]] = [
      ('held-out l2', lambda f: f['error'], '{:.4f}'.format),
      ('of a blank page', lambda f: f['share_of_blank'], share),
      ('read as target', lambda f: f.get('read_as_target'), share),
      (
          'objects right',
          lambda f: f.get('objects', {}).get('right_count'),
          share,
      ),
      ('matched', lambda f: f.get('objects', {}).get('recall'), share),
      ('frames', lambda f: f['frames'], '{:,}'.format),
  ]
  rows = list(figures.values())
  columns = [c for c in columns if all(c[1](row) is not None for row in rows)]
  table = rich.table.Table()
  table.add_column('reward', no_wrap=True)
  for heading, _, _ in columns:
    table.add_column(heading)
  for name, row in figures.items():
    table.add_row(name, *(text(value(row)) for _, value, text in columns))
  console_lib.Console().print(table)


def main(argv: Sequence[str]) -> None:
  """Trains and plots as the flags say."""
  del argv
  flag_files = _EXPERIMENTS / 'flags'
  base = flag_files / f'{_EXPERIMENT.value}_reward_cpu.flags'
  if not base.exists():  # There, rewards are what is learned from anyway.
    base = flag_files / f'{_EXPERIMENT.value}_cpu.flags'
  if _BASE.value:
    base = pathlib.Path(_BASE.value).expanduser()
  figure8(
      pathlib.Path(_OUT_DIR.value).expanduser(),
      Figure(
          _EXPERIMENT.value,
          base,
          _MINUTES.value,
          _REWARD_AT.value,
          _BLIND.value,
      ),
  )


if __name__ == '__main__':
  cli.run(main)
