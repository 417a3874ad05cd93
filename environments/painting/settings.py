"""Settings of a painting environment, and the commands it takes."""

import dataclasses
import os
import re

import numpy as np

from environments import core
from environments import reprs

NUM_PRESSURES = 10
NUM_SHADES = 20
MAX_CANVAS_SIZE = 8192
ONE = 1 << 15  # 1.0 in libmypaint's fixed point.
COLORS = ('red', 'green', 'blue')  # Parts of a command.
PAINT = 1  # The value of part `flag` that draws; 0 moves the brush.


@dataclasses.dataclass(frozen=True)
class PaintingSettings:
  """Settings of a painting environment.

  Attributes:
    canvas_size: height and width of the canvas, in pixels.
    grid_size: number of locations in a row and in a column; location (y, x)
      lies at pixel `canvas_size / grid_size * (y, x)`.
    brush: name of a libmypaint brush, its path below the brushes folder without
      `.myb`.
    brush_sizes: radii that a command can choose from, in pixels. A single one
      leaves part `size` out of commands.
    color: lets commands choose red, green and blue, on a canvas of three
      channels; otherwise ink is black and the canvas has one channel.
    pressure: lets commands choose a pressure; otherwise it is full.
    episode_length: number of commands in an episode.
    background: color of the paper, 'white' or as '#ffe4c0'; or 'transparent',
      which looks black and on which ink keeps its full color however thin it
      is.
    brushes_path: folder of the brushes; empty looks in the usual places.
  """

  canvas_size: int = 64
  grid_size: int = 32
  brush: str = 'classic/pen'
  brush_sizes: tuple[float, ...] = (1, 2, 3)
  color: bool = False
  pressure: bool = True
  episode_length: int = 20
  background: str = 'white'
  brushes_path: str | None = None

  def __post_init__(self) -> None:
    """Checks the values.

    Raises:
      ValueError: that names the setting, its value and what it may be.
    """
    for name, low, high in (
        ('canvas_size', 1, MAX_CANVAS_SIZE),
        ('grid_size', 1, 4096),
        ('episode_length', 1, None),
    ):
      core.check_int(name, getattr(self, name), low, high)
    sizes = self.brush_sizes
    if not isinstance(sizes, (tuple, list)) or not sizes:
      raise ValueError(
          f'brush_sizes is {reprs.short(sizes)}, must be a tuple of one radius'
          ' or more, in pixels, as (1, 2, 3)'
      )
    object.__setattr__(self, 'brush_sizes', tuple(sizes))
    for size in sizes:
      if not core.is_number(size) or not 0 < size <= MAX_CANVAS_SIZE:
        raise ValueError(
            f'brush_sizes has {reprs.short(size)}, must be radii above 0, in'
            f' pixels, of {MAX_CANVAS_SIZE} at most'
        )
    if not isinstance(self.brush, str):
      raise ValueError(
          f'brush is {reprs.short(self.brush)}, must be the name of a brush,'
          " as 'classic/pen'"
      )
    path = self.brushes_path
    if path is not None and not isinstance(path, (str, os.PathLike)):
      raise ValueError(
          f'brushes_path is {reprs.short(path)}, must be the path of a folder'
          ' or None'
      )
    if path is not None:
      object.__setattr__(self, 'brushes_path', str(os.fspath(path)))
    if not isinstance(self.background, str) or not (
        self.background in ('white', 'transparent')
        or re.fullmatch('#[0-9a-fA-F]{6}', self.background)
    ):
      raise ValueError(
          f"background is {reprs.short(self.background)}, must be 'white',"
          " 'transparent' or a color as '#ffe4c0'"
      )
    red, green, blue, _ = self.paper()
    if not self.color and not red == green == blue:
      raise ValueError(
          f'background is {self.background!r}, must be a gray where ink is'
          ' black; or set color'
      )

  @property
  def channels(self) -> int:
    """Channels of the canvas: 3 in color, otherwise 1."""
    return 3 if self.color else 1

  def paper(self) -> tuple[int, int, int, int]:
    """Returns red, green, blue and alpha of a clear canvas, 0 to `ONE`."""
    if self.background == 'white':
      return ONE, ONE, ONE, ONE
    if self.background == 'transparent':
      return 0, 0, 0, 0
    red, green, blue = bytes.fromhex(self.background[1:])
    return (
        round(red * ONE / 255),
        round(green * ONE / 255),
        round(blue * ONE / 255),
        ONE,
    )

  def paper_shades(self) -> np.ndarray:
    """Returns the color of the paper, float32 `[C]`, in [0, 1]."""
    return np.array(self.paper()[: self.channels], np.float32) / ONE

  def action_spec(self) -> dict[str, core.Part]:
    """Returns the parts of a command, in the order of decision."""
    grid = (self.grid_size, self.grid_size)
    cells = self.grid_size**2
    ink = ('flag', (PAINT,))
    spec = {
        'flag': core.Part(2, name='flag'),
        'end': core.Part(cells, grid_shape=grid, name='end'),
        'control': core.Part(
            cells, grid_shape=grid, active_if=ink, name='control'
        ),
    }
    if len(self.brush_sizes) > 1:
      num_sizes = len(self.brush_sizes)
      spec['size'] = core.Part(num_sizes, active_if=ink, name='size')
    if self.pressure:
      spec['pressure'] = core.Part(
          NUM_PRESSURES, active_if=ink, name='pressure'
      )
    if self.color:
      for name in COLORS:
        spec[name] = core.Part(NUM_SHADES, active_if=ink, name=name)
    return spec


def check_is_painting(settings: object) -> PaintingSettings:
  """Returns `settings` if they are those of a painting environment.

  Raises:
    ValueError: if they are of another environment.
  """
  if isinstance(settings, PaintingSettings):
    return settings
  raise ValueError(
      f'the agent does not paint, its settings are {type(settings).__name__}; '
      'name a run or weights of an agent that paints'
  )
