"""Pictures of a run: grids, strokes one after another, progress, curves.

Axes: N images, T time (commands), B episodes, H height, W width, C channels.
Images are uint8.
"""

from collections.abc import Mapping, Sequence
import json
import os
import pathlib
from typing import Any

import numpy as np
from PIL import Image

_GAP = 2  # Pixels between images.
_GAP_SHADE = 225


def grid(
    canvas: np.ndarray,
    target: np.ndarray | None = None,
    *,
    rows: int = 6,
    columns: int = 12,
) -> np.ndarray:
  """Returns images in rows; with targets, each row of them above its own.

  Args:
    canvas: `[N, H, W, C]`; of more than fill the grid, evenly spaced ones,
      since data sets may lie in the order of their classes.
    target: likewise, or None.
    rows: number of rows of canvases.
    columns: images in a row.

  Returns:
    One image `[height, width, C]`.
  """
  columns = min(columns, len(canvas))
  rows = min(rows, len(canvas) // columns)
  spaced = np.linspace(0, len(canvas) - 1, rows * columns).astype(int)
  lines = []
  for chosen in spaced.reshape(rows, columns):
    if target is not None:
      lines.append(target[chosen])
    lines.append(canvas[chosen])
  return tile(lines)


def tile(lines: Sequence[np.ndarray]) -> np.ndarray:
  """Returns rows of images `[N, H, W, C]` as one image, with gaps."""
  padded = []
  for line in lines:
    border = ((0, 0), (0, _GAP), (0, _GAP), (0, 0))
    line = np.pad(line, border, constant_values=_GAP_SHADE)
    padded.append(np.concatenate(list(line), axis=1))
  return np.concatenate(padded, axis=0)


def strokes(canvas: np.ndarray, *, episodes: int = 8) -> np.ndarray:
  """Returns one row an episode: its canvas after each command.

  Args:
    canvas: `[T + 1, B, H, W, C]`.
    episodes: how many of them.
  """
  return tile([canvas[:, b] for b in range(min(episodes, canvas.shape[1]))])


def progress(
    folder: pathlib.Path, *, grids: int = 8, lines: int = 1
) -> np.ndarray | None:
  """Returns the top of saved grids, early to late: samples over training.

  Args:
    folder: folder of grids by frame, as `00012345.png`.
    grids: at most; chosen so that each is about as much later, in proportion,
      as the one before.
    lines: lines of each grid to keep; 2 where targets stand above canvases.
  """
  paths = sorted(folder.glob('*.png'))
  if not paths:
    return None
  last = len(paths) - 1
  chosen = sorted(
      {round(last ** (i / (grids - 1))) for i in range(grids)} | {0}
  )
  images = []
  for index in chosen[-grids:]:
    with Image.open(paths[min(index, last)]) as image:
      pixels = np.asarray(image)
    is_gap = np.all(pixels == _GAP_SHADE, axis=tuple(range(1, pixels.ndim)))
    # Each line of a grid ends with a gap.
    ends = np.flatnonzero(is_gap)[_GAP - 1 :: _GAP] + 1
    images.append(pixels[: ends[lines - 1]])
  return np.concatenate(images, axis=0)


def curves(
    metrics_path: pathlib.Path, names: Sequence[str], path: pathlib.Path
) -> bool:
  """Plots metrics of a run against its frames, one below the other.

  Args:
    metrics_path: JSON lines, as the driver writes them. Lines that a crash cut
      short are left out.
    names: names of the metrics; those that were never written are left out.
    path: path of the picture.

  Returns:
    True if there was something to plot, so that the picture was written.
  """
  from matplotlib import figure  # Late: it takes a second.

  records = _records(metrics_path)
  shown = {
      name: _by_frames(records, name)
      for name in names
      if any(record.get(name) is not None for record in records)
  }
  if not shown:
    return False
  plot = figure.Figure(figsize=(7, 1.9 * len(shown)), layout='constrained')
  axes = plot.subplots(len(shown), sharex=True, squeeze=False)[:, 0]
  for axis, (name, (x, y)) in zip(axes, shown.items()):
    axis.plot(x, y, linewidth=1.0)
    axis.set_ylabel(name.split('/')[-1].replace('_', ' '))
    axis.grid(alpha=0.3)
  axes[-1].set_xlabel('frames (commands)')
  save_plot(plot, path)
  return True


def _records(metrics_path: pathlib.Path) -> list[dict[str, Any]]:
  """Returns the whole lines of a file of metrics; none if it is missing."""
  records = []
  if metrics_path.is_file():
    for line in metrics_path.read_text(errors='replace').splitlines():
      try:
        record = json.loads(line)
      except ValueError:
        continue
      if isinstance(record, dict):
        records.append(record)
  return records


def _by_frames(
    records: Sequence[Mapping[str, Any]], name: str
) -> tuple[np.ndarray, np.ndarray]:
  """Returns the frames at which a metric was written, and its values.

  Only the policy's records have frames. The discriminator's, some between two
  of these, are where they were in time; those after the last are left out.
  """
  times, frames = [0.0], [0]
  for record in records:
    if 'policy/frames' in record:
      times.append(record['seconds'])
      frames.append(record['policy/frames'])
  written = [record for record in records if record.get(name) is not None]
  # All, of a run that has no frames yet.
  written = [r for r in written if r['seconds'] <= times[-1]] or written
  at = np.interp([record['seconds'] for record in written], times, frames)
  return at, np.array([record[name] for record in written])


def compare(
    metrics_paths: Mapping[str, pathlib.Path],
    metric: str,
    path: pathlib.Path,
    *,
    label: str,
    baseline: tuple[str, float] | None = None,
) -> None:
  """Plots one metric of several runs against their minutes.

  Args:
    metrics_paths: JSON lines of each run, by its name in the legend.
    metric: its name.
    path: path of the picture.
    label: label of the metric's axis.
    baseline: name and value of a horizontal line.
  """
  from matplotlib import figure  # Late: it takes a second.

  plot = figure.Figure(figsize=(7, 4.2), layout='constrained')
  axis = plot.subplots()
  for name, metrics_path in metrics_paths.items():
    records = [json.loads(line) for line in metrics_path.open()]
    records = [record for record in records if metric in record]
    axis.plot(
        [record['seconds'] / 60 for record in records],
        [record[metric] for record in records],
        label=name,
        linewidth=1.4,
    )
  if baseline is not None:
    axis.axhline(baseline[1], color='gray', linestyle=':', label=baseline[0])
  axis.set_ylim(bottom=0.0)
  axis.set_xlabel('minutes')
  axis.set_ylabel(label)
  axis.grid(alpha=0.3)
  axis.legend()
  save_plot(plot, path)


def search(
    curves: Mapping[str, np.ndarray],
    path: pathlib.Path,
    *,
    lines: Mapping[str, float],
) -> None:
  """Plots errors of chains against their evaluations, both on log scales.

  Args:
    curves: errors `[evaluations, N]` by name; shown are mean and quartiles.
    path: path of the picture.
    lines: name and value of horizontal lines.
  """
  from matplotlib import figure  # Late: it takes a second.

  plot = figure.Figure(figsize=(7, 4.2), layout='constrained')
  axis = plot.subplots()
  for index, (name, error) in enumerate(curves.items()):
    color = f'C{index}'
    x = np.arange(1, len(error) + 1)
    low, high = np.quantile(error, (0.25, 0.75), axis=1)
    axis.fill_between(x, low, high, alpha=0.2, linewidth=0, color=color)
    axis.plot(x, error.mean(1), label=name, linewidth=1.4, color=color)
  for index, (name, value) in enumerate(lines.items(), len(curves)):
    axis.axhline(
        value, label=name, color=f'C{index}', linestyle='--', linewidth=1.4
    )
  axis.set_xscale('log')
  axis.set_yscale('log')
  axis.set_xlabel('evaluations of the renderer')
  axis.set_ylabel('l2 a pixel')
  axis.grid(alpha=0.3)
  axis.legend()
  save_plot(plot, path)


def save(image: np.ndarray, path: pathlib.Path) -> None:
  """Writes an image `[H, W, C]` as PNG; the file is there whole or not."""
  path.parent.mkdir(parents=True, exist_ok=True)
  if image.shape[-1] == 1:
    image = image[..., 0]
  partial = path.with_name('.partial-' + path.name)
  Image.fromarray(image).save(partial, format='PNG')
  os.replace(partial, path)


def save_plot(plot: Any, path: pathlib.Path) -> None:
  """Writes a Matplotlib figure as PNG; the file is there whole or not."""
  path.parent.mkdir(parents=True, exist_ok=True)
  partial = path.with_name('.partial-' + path.name)
  plot.savefig(partial, dpi=110, format='png')
  os.replace(partial, path)
