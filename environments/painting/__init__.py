"""Brush strokes on a canvas, drawn by libmypaint.

`make` gives a dm_env environment of one canvas, `make_batch` one of many that
are drawn in one call. A `Program` keeps an episode's commands, paints them
again at any size and hands them out in formats that other programs read.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

from environments import core
from environments.painting import library
from environments.painting import metrics
from environments.painting import prior
from environments.painting import program as program_lib
from environments.painting import renderer as renderer_lib
from environments.painting import settings as settings_lib
from environments.painting import single_strokes

PaintingRenderer = renderer_lib.PaintingRenderer
PaintingSettings = settings_lib.PaintingSettings
Program = program_lib.Program
SingleStrokes = single_strokes.SingleStrokes
fine_settings = single_strokes.fine_settings
check_is_painting = settings_lib.check_is_painting


def _summarize(
    settings: PaintingSettings, strokes: metrics.StrokeUse, true: Any
) -> dict[str, dict[str, Any]]:
  del settings, true
  return {'strokes': metrics.summarize(strokes)._asdict()}


TASK = core.Task(
    name=__name__,
    settings=PaintingSettings,
    make_renderer=lambda settings, count, num_threads: PaintingRenderer(
        settings, count, num_threads=num_threads
    ),
    read_programs=metrics.stroke_use,
    summarize_programs=_summarize,
    costs={
        'stroke_start': core.ActionCost(
            'flag',
            settings_lib.PAINT,
            'starting a continuous sequence of strokes',
            only_starts=True,
        )
    },
    colors=settings_lib.COLORS,
    sample_programs=prior.sample_programs,
    device_renderer=lambda settings: (
        'spiral_jax.renderers:make_strokes',
        library.read_brush(settings.brush, settings.brushes_path),
    ),
)


def make(**settings: Any) -> core.RenderEnvironment:
  """Returns an environment of one canvas.

  Args:
    **settings: fields of `PaintingSettings`: canvas_size=64, grid_size=32,
      brush='classic/pen', brush_sizes=(1, 2, 3), color=False, pressure=True,
      episode_length=20, background='white', brushes_path=None.

  Returns:
    A dm_env environment whose actions are dicts of ints (flag, end, control,
    size, pressure, red, green, blue: those that apply) and whose observation
    has `canvas`, float32 in [0, 1], `[H, W, C]`.

  Raises:
    ImportError, FileNotFoundError: if libmypaint or its brushes are missing.
    ValueError: if a setting is out of range, or the brush is unknown.
  """
  checked = PaintingSettings(**settings)
  return core.RenderEnvironment(
      PaintingRenderer(checked, count=1), checked.episode_length
  )


def make_batch(
    count: int,
    *,
    dtype: npt.DTypeLike = np.float32,
    num_threads: int = 1,
    **settings: Any,
) -> core.BatchedEnvironment:
  """Returns an environment of N = `count` canvases that stay in step.

  Args:
    count: number of canvases.
    dtype: type of the observed canvases `[N, H, W, C]`: float32 in [0, 1], or
      uint8, 0 to 255.
    num_threads: that share the canvases.
    **settings: as for `make`.

  Raises:
    ImportError, FileNotFoundError, ValueError: as `make` does.
  """
  checked = PaintingSettings(**settings)
  return core.BatchedEnvironment(
      PaintingRenderer(checked, count, num_threads=num_threads),
      checked.episode_length,
      dtype,
  )
