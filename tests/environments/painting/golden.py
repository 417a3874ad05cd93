"""Episodes recorded from DeepMind's environment, as programs."""

import json
import pathlib

import numpy as np

from environments import painting

_FILE = pathlib.Path(__file__).parents[2] / 'data' / 'painting_golden.npz'
RECORD = json.loads(str(np.load(_FILE)['json']))


def settings_of(record) -> painting.PaintingSettings:
  recorded = record['settings']
  return painting.PaintingSettings(
      canvas_size=recorded['canvas_width'],
      grid_size=recorded['grid_width'],
      brush=recorded['brush_type'],
      brush_sizes=tuple(recorded['brush_sizes']),
      color=recorded['use_color'],
      pressure=recorded['use_pressure'],
      background=recorded['background'],
  )


def load(record):
  """Returns actions by part, int `[E, T]`, and canvases `[E, T + 1, ...]`."""
  index = record['index']
  with np.load(_FILE) as data:
    actions, canvases = data[f's{index}_actions'], data[f's{index}_canvas']
  parts = settings_of(record).action_spec()
  keys = RECORD['action_keys']
  return {name: actions[..., keys.index(name)] for name in parts}, canvases


def programs(brush=None):
  """Yields (program, its recorded canvases `[T + 1, H, W, C]`)."""
  for record in RECORD['sets']:
    settings = settings_of(record)
    if brush in (None, settings.brush):
      actions, canvases = load(record)
      for index, canvas in enumerate(canvases):
        commands = {name: part[index] for name, part in actions.items()}
        yield painting.Program(settings, commands), canvas


def correlation(large, small) -> float:
  """Returns that of pixels, of `large` averaged over blocks and of `small`."""
  size, factor = len(small), len(large) // len(small)
  blocks = large.reshape(size, factor, size, factor, -1).mean((1, 3))
  return float(np.corrcoef(blocks.ravel(), small.ravel())[0, 1])
