"""Runs all benchmarks one after another; writes a table and a plot.

These are networks against PyTorch, renderers against slower ways to draw, and
training against its parts and from its start; ratios are medians over turns,
with quartiles:

  python -m pip install --editable '.[train,benchmark]'
  python experiments/benchmarks/speed.py --out_dir=runs/speed

They take some 40 minutes of a machine that does nothing else.
"""

from collections.abc import Sequence
import os
import pathlib
import platform
import subprocess
import sys
import tempfile

from absl import flags
from matplotlib import figure
import numpy as np

from spiral_jax.training import cli
from spiral_jax.training import plots
from spiral_jax.training import profiling

_FOLDER = pathlib.Path(__file__).resolve().parent
_SMALL = f'--flagfile={_FOLDER.parent}/flags/mnist_reward_cpu.flags'
_PAPER = f'--flagfile={_FOLDER.parent}/flags/mnist.flags'

# Benchmark and its flags, by section.
_SECTIONS: dict[str, tuple[str, Sequence[str]]] = {
    'small networks': ('learning', [_SMALL]),
    'networks of the paper': ('learning', [_PAPER, '--turns=3']),
    'painting': ('painting', []),
    'scenes': ('scenes', []),
    'small training': ('pipeline', [_SMALL]),
    'ten minutes of small training': (
        'pipeline',
        [_SMALL, '--learn_minutes=10'],
    ),
    # Cold starts and plain convolutions take minutes here.
    'training of the paper': ('pipeline', [_PAPER, '--turns=1', '--noplain']),
}

_OUT_DIR = flags.DEFINE_string(
    'out_dir', 'runs/speed', 'folder of the plot and the table'
)
_ONLY = flags.DEFINE_multi_enum(
    'only',
    [],
    list(_SECTIONS),
    'section to run; may be repeated; all sections without it',
)
_EXTRA = flags.DEFINE_multi_string(
    'extra', [], 'flag that is added to each benchmark; may be repeated'
)


def main(argv: Sequence[str]) -> None:
  """Runs, prints and writes."""
  del argv
  out_dir = pathlib.Path(_OUT_DIR.value).expanduser()
  out_dir.mkdir(parents=True, exist_ok=True)
  sections = {name: _run(name) for name in _ONLY.value or _SECTIONS}
  (out_dir / 'speed.md').write_text(table(sections))
  plot(sections, out_dir / 'speed.png')
  print(f'speed.md and speed.png in {out_dir}')


def _run(name: str) -> list[profiling.Figure]:
  """Returns the figures of a section."""
  script, arguments = _SECTIONS[name]
  print(f'-- {name}', flush=True)
  with tempfile.TemporaryDirectory() as folder:
    path = pathlib.Path(folder, 'figures')
    command = [
        sys.executable,
        str(_FOLDER / f'{script}.py'),
        f'--figures={path}',
        *arguments,
        *_EXTRA.value,
    ]
    code = subprocess.run(command, check=False).returncode
    if code == cli.INTERRUPTED:
      raise KeyboardInterrupt
    if code:
      raise ValueError(f'{script}.py failed for {name!r}; see above')
    return profiling.read_figures(path)


def table(sections: dict[str, list[profiling.Figure]]) -> str:
  """Returns all figures as Markdown."""
  lines = [
      f'{os.cpu_count()} cores, {_processor()}, Python '
      f'{platform.python_version()}.',
      '',
      '| | ours | beside | ratio |',
      '|---|---|---|---|',
  ]
  for name, figures in sections.items():
    lines.append(f'| **{name}** | | | |')
    for row in figures:
      theirs = ratio = ''
      if row.theirs is not None:
        theirs = f'{row.reference}: {_number(row.theirs, row.unit)}'
        ratio = f'{row.ratio:,.2f}'
        if row.quartiles:
          low, high = row.quartiles
          ratio += f' ({low:,.2f} to {high:,.2f})'
      ours = _number(row.ours, row.unit)
      lines.append(f'| {row.name} | {ours} | {theirs} | {ratio} |')
  return '\n'.join(lines) + '\n'


def _processor() -> str:
  """Returns its name, where Linux says it."""
  try:
    text = pathlib.Path('/proc/cpuinfo').read_text()
  except OSError:
    return platform.processor()
  names = [line for line in text.splitlines() if line.startswith('model name')]
  return names[0].partition(': ')[2] if names else platform.processor()


def _number(value: float, unit: str) -> str:
  if unit == '%':
    return f'{value:.0%}'
  return f'{value:,.{0 if value >= 100 else 1}f} {unit}'.rstrip()


def plot(
    sections: dict[str, list[profiling.Figure]], path: pathlib.Path
) -> None:
  """Plots the ratio of ours to each reference."""
  rows = [
      (name, row)
      for name, figures in sections.items()
      for row in figures
      if row.ratio is not None
  ]
  canvas = figure.Figure(
      figsize=(9, 1 + 0.45 * len(rows)), layout='constrained'
  )
  ax = canvas.subplots()
  labels = [f'{name}: {row.name}\nbeside {row.reference}' for name, row in rows]
  ratios = np.array([row.ratio for _, row in rows])
  ends = np.array([row.quartiles or (row.ratio, row.ratio) for _, row in rows])
  bars = ax.barh(
      labels, ratios, height=0.6, xerr=np.abs(ends - ratios[:, None]).T
  )
  ax.bar_label(bars, [f'{ratio:,.2f}x' for ratio in ratios], padding=3)
  ax.axvline(1.0, color='black', linewidth=0.8)
  ax.set_xscale('log')
  ax.margins(x=0.15)
  ax.invert_yaxis()
  ax.tick_params(labelsize=7)
  ax.set_xlabel('times as fast; quartiles of turns')
  plots.save_plot(canvas, path)


if __name__ == '__main__':
  cli.run(main)
