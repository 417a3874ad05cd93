"""Figure 8a of the paper on MNIST: held-out error over time, by reward.

Trains five conditional agents one after another: discriminator or l2 reward,
each at the end of the episode only or at every command, and a blind agent with
the best of these rewards.  For example:

  python experiments/figure8.py --out_dir=runs/figure8 --minutes=30

A run that is there already is not trained again, one that was stopped goes on:
give the same command again after Ctrl-C.
"""

import json
import pathlib
import subprocess
import sys

from absl import flags
import rich.console
import rich.table

import cli
import pictures

_EXPERIMENTS = pathlib.Path(__file__).resolve().parent

# Flags that make each curve differ from the base.
_REWARDS = {
  f'{name}, {when}': [f'--reward={reward}', f'--reward_at={at}']
  for name, reward in (('discriminator', 'discriminator'), ('l2', 'l2'))
  for when, at in (('at the end', 'end'), ('every command', 'step'))
}


def figure8(out_dir: pathlib.Path, base: pathlib.Path, minutes: float) -> None:
  """Trains what is not trained yet; writes `figure8.png` and prints a table.

  Args:
    out_dir: of the runs, a folder each, and of the picture.
    base: flag file of a conditional agent.
    minutes: of training, of each run; 0, as `base` says.

  Raises:
    ValueError: if a run failed.
  """
  runs = {
    name: _train(name, variant, out_dir, base, minutes)
    for name, variant in _REWARDS.items()
  }
  best = min(runs, key=lambda name: _figures(runs[name])['error'])
  blind = f'blind; {best}'
  runs[blind] = _train(
    'blind', [*_REWARDS[best], '--blind'], out_dir, base, minutes
  )
  table = rich.table.Table(
    'reward', 'held-out l2', 'of a blank page', 'read as target', 'frames'
  )
  for name, run_dir in runs.items():
    figures = _figures(run_dir)
    table.add_row(
      name,
      f'{figures["error"]:.4f}',
      f'{figures["share_of_blank"]:.1%}',
      f'{figures["read_as_target"]:.1%}',
      f'{figures["frames"]:,}',
    )
  rich.console.Console(highlight=False).print(table)
  path = out_dir / 'figure8.png'
  pictures.compare(
    {name: run_dir / 'metrics.jsonl' for name, run_dir in runs.items()},
    'held_out/l2',
    path,
    label='held-out l2 a pixel',
    baseline=('blank page', _figures(runs[best])['blank_error']),
  )
  print(f'picture in {path}')


def _train(
  name: str,
  variant: list[str],
  out_dir: pathlib.Path,
  base: pathlib.Path,
  minutes: float,
) -> pathlib.Path:
  """Returns the folder of the run, trained and evaluated."""
  run_dir = out_dir / name.replace(', ', '_').replace(' ', '_')
  if (run_dir / 'evaluation.json').exists():
    return run_dir
  command = [
    sys.executable,
    str(_EXPERIMENTS / 'mnist.py'),
    f'--flagfile={base}',
    f'--run_dir={run_dir}',
    *variant,
  ]
  if minutes:
    command.append(f'--minutes={minutes}')
  if any(p.name.isdigit() for p in run_dir.glob('checkpoints/*')):
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


def main() -> None:
  """Trains and plots as the flags say."""
  figure8(
    pathlib.Path(_OUT_DIR.value).expanduser(),
    pathlib.Path(_BASE.value).expanduser(),
    _MINUTES.value,
  )


if __name__ == '__main__':
  _OUT_DIR = flags.DEFINE_string(
    'out_dir', 'runs/figure8', 'folder of the runs and of the picture'
  )
  _BASE = flags.DEFINE_string(
    'base',
    str(_EXPERIMENTS / 'flags' / 'mnist_cpu.flags'),
    'flag file of a conditional agent, with what the runs have in common',
  )
  _MINUTES = flags.DEFINE_float(
    'minutes', 30.0, 'of each run; 0, as --base says', lower_bound=0.0
  )
  cli.run(main)
