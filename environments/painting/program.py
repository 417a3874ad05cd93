"""Painting programs: settings and commands, to save, replay and export.

Example, from an agent's actions, int `[T, B]` for each part:

```python
program = painting.Program(settings, {k: v[:, 0] for k, v in actions.items()})
pathlib.Path('drawing.json').write_text(program.to_json())
pathlib.Path('drawing.html').write_text(program.to_html(size=512))
```
"""

from collections.abc import Iterator, Mapping
import dataclasses
import types

import numpy as np

from environments import core
from environments import parts
from environments.painting import animation
from environments.painting import curves as curves_lib
from environments.painting import dab_record
from environments.painting import player
from environments.painting import program_json
from environments.painting import reduction
from environments.painting import renderer as renderer_lib
from environments.painting import settings as settings_lib
from environments.painting import stroke_shape
from environments.painting import svg
from environments.painting import trace as trace_lib

_MAX_BYTES = 2 << 30  # Of all frames of a program.
MAX_ASPECT = 100.0
_LARGEST_PAGE = 1024  # Pixels.
_MOST_FRAMES = 120  # Of a film.
_MEASURED = 512  # Pixels of the picture on which strokes are measured.
_MILLIMETERS = 100.0  # Default size of a plotter's picture.


@dataclasses.dataclass(frozen=True, eq=False)
class Program:
  """Commands of one episode, and the settings that give them a meaning.

  In the methods, `size` is the longer side of a picture in pixels; None means
  `settings.canvas_size`. At that size pictures equal those of the environment
  to the last bit. Larger ones are painted anew with more detail
  (see enlargement.py); smaller ones are scaled down. `brush` names another
  brush for the same commands.

  Attributes:
    settings: settings of the canvas and its commands.
    commands: int32 `[T]`, read-only, for each part of the settings' action
      spec, in its order. T may differ from `settings.episode_length`.
    aspect: width of the picture divided by its height. The picture is the top
      left of the square canvas; what lies beside it is cut off.
  """

  settings: settings_lib.PaintingSettings
  commands: Mapping[str, np.ndarray]
  aspect: float = 1.0

  def __post_init__(self) -> None:
    """Checks and copies the commands.

    Raises:
      ValueError: if a part is missing, unknown, not `[T]` ints or out of range,
        or there is no command, or the aspect is not between 1/100 and 100.
    """
    if not core.is_number(self.aspect) or not (
        1 / MAX_ASPECT <= self.aspect <= MAX_ASPECT
    ):
      raise ValueError(
          f'aspect is {self.aspect!r}, must be width divided by height, from'
          f' {1 / MAX_ASPECT:g} to {MAX_ASPECT:g}'
      )
    object.__setattr__(self, 'aspect', float(self.aspect))
    shape = np.shape(self.commands.get('flag', [0]))
    if len(shape) != 1 or shape == (0,):
      raise ValueError(
          f"part 'flag' of the commands has shape {shape}, must be [T], with"
          ' one command or more'
      )
    checked = parts.check_command(
        self.settings.action_spec(), self.commands, shape
    )
    for array in checked.values():
      array.setflags(write=False)
    object.__setattr__(self, 'commands', types.MappingProxyType(checked))

  def __len__(self) -> int:
    """Returns the number of commands, T."""
    return len(self.commands['flag'])

  def __eq__(self, other: object) -> bool:
    if not isinstance(other, Program):
      return NotImplemented
    return (self.settings, self.aspect) == (
        other.settings,
        other.aspect,
    ) and all(
        np.array_equal(array, other.commands[name])
        for name, array in self.commands.items()
    )

  def __hash__(self) -> int:
    arrays = (array.tobytes() for array in self.commands.values())
    return hash((self.settings, self.aspect, *arrays))

  def __reduce__(self):
    return Program, (self.settings, dict(self.commands), self.aspect)

  def __repr__(self) -> str:
    return f'Program({len(self)} commands, {self.settings})'

  # As text.

  def to_json(self) -> str:
    """Returns the program as JSON, for `from_json`."""
    return program_json.dump(self.settings, self.commands, self.aspect)

  @classmethod
  def from_json(cls, text: str) -> 'Program':
    """Returns the program that `to_json` wrote.

    Raises:
      ValueError: if the text is not a program, or of another version, or a
        setting or command is out of range; one line names the fault.
    """
    return cls(*program_json.load(text))

  def curves(self) -> list[curves_lib.Curve]:
    """Returns the curve of each command, in pixels of the canvas."""
    return curves_lib.curves(self.settings, self.commands)

  def shape(self, size: int | None = None) -> tuple[int, int]:
    """Returns the height and width of a picture, in pixels.

    Raises:
      ValueError: if the size is out of range.
    """
    side = self._side(size)
    return (
        max(1, round(side / max(self.aspect, 1.0))),
        max(1, round(side * min(self.aspect, 1.0))),
    )

  def to_svg(
      self,
      *,
      center_lines: bool = False,
      millimeters: float | None = None,
      brush: str | None = None,
  ) -> str:
    """Returns the strokes as SVG paths: quadratic Bézier curves.

    Each has the width, opacity and blur of what the brush painted, in several
    paths if its width changes. A stroke too short to leave paint is omitted.

    Args:
      center_lines: whether to write only center lines, for plotters: one path
        until the brush is lifted, without paper, widths or opacities.
      millimeters: longer side on paper. None means no physical size, but 100
        with `center_lines`.
      brush: name of another brush.

    Raises:
      ValueError: if `millimeters` is out of range or the brush is unknown.
      ImportError, FileNotFoundError: as `render` does, but for center lines.
    """
    if millimeters is not None and not 0 < millimeters <= 1e5:
      raise ValueError(
          f'millimeters is {millimeters}, must be above 0 and at most 100000'
      )
    if center_lines:
      return svg.center_lines(
          self.curves(),
          extent=self._extent(),
          millimeters=_MILLIMETERS if millimeters is None else millimeters,
      )
    # Painted larger, antialiasing hides less.
    size = max(self.settings.canvas_size, _MEASURED)
    shapes = map(stroke_shape.measure, self.recorded_dabs(size, brush))
    return svg.picture(
        [shape for shape in shapes if shape is not None],
        extent=self._extent(),
        scale=size / self.settings.canvas_size,
        background=self.settings.background,
        millimeters=millimeters,
    )

  def to_html(
      self,
      size: int | None = None,
      brush: str | None = None,
      title: str = 'A painting program',
  ) -> str:
    """Returns a self-contained web page that plays the program.

    The page draws the brush's dabs as libmypaint does, so its canvas shows the
    pixels of `frames(size, brush)`, give or take a few levels, at the size of
    the settings' canvas or above. Of brushes that do more than lay color on
    color, such as erasers, it holds the pictures.

    Raises:
      ImportError: if libmypaint is missing; or Pillow, for such brushes.
      ValueError, FileNotFoundError: as `render` does.
    """
    height, width = self.shape(size)
    if max(height, width) > _LARGEST_PAGE:
      raise ValueError(
          f'a page of {height} x {width} pixels is too large for browsers, must'
          f' be {_LARGEST_PAGE} or less; give a smaller size'
      )
    dabs = self.dabs(size, brush)
    return player.page(
        self.curves(),
        dabs if dabs is not None else self.frames(size, brush),
        shape=(height, width),
        extent=self._extent(),
        paper=self.settings.paper(),
        title=title,
    )

  def dabs(
      self, size: int | None = None, brush: str | None = None
  ) -> list[dab_record.Knots] | None:
    """Returns the dabs of each command on a picture of a size.

    None if they do not simply lay color on the canvas.

    Raises:
      ImportError, FileNotFoundError, ValueError: as `render` does.
    """
    found = []
    for dabs in self.recorded_dabs(size, brush):
      knots = dab_record.knots(dabs)
      if knots is None:
        return None
      found.append(knots)
    # A small picture is reduced from one of the canvas's own size.
    scale = self._side(size) / max(self._side(size), self.settings.canvas_size)
    return [
        k._replace(x=scale * k.x, y=scale * k.y, radius=scale * k.radius)
        for k in found
    ]

  def recorded_dabs(
      self, size: int | None = None, brush: str | None = None
  ) -> Iterator[np.ndarray]:
    """Yields the dabs of each command.

    Yields:
      Float32 `[D, 13]`, see `PaintingRenderer.step_and_record`.

    Raises:
      ImportError, FileNotFoundError, ValueError: as `render` does.
    """
    renderer = self._renderer(size, brush, records_dabs=True)
    try:
      renderer.reset()
      for t in range(len(self)):
        yield renderer.step_and_record(self._command(t))
    finally:
      renderer.close()

  # As pictures.

  def render(
      self, size: int | None = None, brush: str | None = None
  ) -> np.ndarray:
    """Returns the picture, uint8 `[H, W, C]`; see `shape`.

    Raises:
      ImportError: if libmypaint is missing.
      FileNotFoundError: if there is no folder of brushes.
      ValueError: if the size is out of range or the brush is unknown.
    """
    (canvas,) = self._paint(size, brush, [len(self)])
    return canvas

  def frames(
      self,
      size: int | None = None,
      brush: str | None = None,
      most: int | None = None,
  ) -> np.ndarray:
    """Returns the canvas before the first command and after each one.

    Args:
      size: longer side of the pictures, pixels.
      brush: name of another brush.
      most: largest number of frames, 2 or more; of more commands, as many are
        shown, at even distances. None shows all.

    Returns:
      uint8 `[T + 1, H, W, C]`, or fewer.

    Raises:
      ImportError, FileNotFoundError: as `render` does.
      ValueError: as `render` does, or if the frames would take 2 GiB or more.
    """
    height, width = self.shape(size)
    times = np.arange(len(self) + 1)
    if most is not None and most < len(times):
      times = np.rint(np.linspace(0, len(self), max(most, 2))).astype(int)
    needed = len(times) * height * width * self.settings.channels
    if needed >= _MAX_BYTES:
      raise ValueError(
          f'{len(times)} frames of {height} x {width} pixels need'
          f' {needed / 2**30:.1f} GiB, must be below {_MAX_BYTES / 2**30:g};'
          ' give a smaller size, or fewer frames by most'
      )
    return np.stack(list(self._paint(size, brush, times.tolist())))

  def trace(
      self,
      size: int | None = None,
      brush: str | None = None,
      moves: bool = True,
  ) -> np.ndarray:
    """Returns the picture with strokes colored by time.

    From the first stroke to the last, colors go from dark blue through red to
    orange. A faint dashed line shows each move, unless `moves` is false.

    Returns:
      uint8 `[H, W, 3]`, on white paper.

    Raises:
      ImportError: if matplotlib is missing, or as `render` does.
      ValueError, FileNotFoundError: as `render` does.
    """
    is_paint = self.commands['flag'] == settings_lib.PAINT
    shades = np.rint(
        trace_lib.colors(is_paint) * (settings_lib.NUM_SHADES - 1)
    ).astype(np.int32)
    colored = Program(
        dataclasses.replace(self.settings, color=True, background='white'),
        {**self.commands, **dict(zip(settings_lib.COLORS, shades.T))},
        self.aspect,
    )
    picture = colored.render(size, brush)
    if not moves:
      return picture
    return trace_lib.with_moves(
        picture,
        self.curves(),
        max(picture.shape[:2]) / self.settings.canvas_size,
    )

  def to_gif(
      self,
      size: int | None = None,
      brush: str | None = None,
      seconds_per_command: float = 0.2,
  ) -> bytes:
    """Returns an animated GIF of the program painting, in a loop.

    Raises:
      ImportError: if Pillow is missing, or as `frames` does.
      ValueError, FileNotFoundError: as `frames` does.
    """
    return animation.gif(
        self.frames(size, brush, _MOST_FRAMES),
        seconds_per_frame=seconds_per_command,
    )

  def to_mp4(
      self,
      size: int | None = None,
      brush: str | None = None,
      seconds_per_command: float = 0.2,
  ) -> bytes:
    """Returns an MP4 film (H.264) of the program painting.

    Raises:
      ImportError: if PyAV is missing, or as `frames` does.
      ValueError, FileNotFoundError: as `frames` does.
    """
    return animation.mp4(
        self.frames(size, brush, _MOST_FRAMES),
        seconds_per_frame=seconds_per_command,
    )

  def _paint(
      self, size: int | None, brush: str | None, times: list[int]
  ) -> Iterator[np.ndarray]:
    """Yields the picture after each of some numbers of commands, in order."""
    side = self._side(size)
    height, width = self.shape(size)
    renderer = self._renderer(size, brush)
    try:
      canvas = renderer.reset()
      drawn = 0
      for time in times:
        for t in range(drawn, time):
          command = self._command(t)
          if t + 1 < time:
            renderer.draw(command)
          else:
            canvas = renderer.step(command)
        drawn = time
        yield reduction.reduce(canvas[0], side)[:height, :width]
    finally:
      renderer.close()

  def _renderer(
      self, size: int | None, brush: str | None, records_dabs: bool = False
  ) -> renderer_lib.PaintingRenderer:
    settings = self.settings
    if brush is not None:
      settings = dataclasses.replace(settings, brush=brush)
    return renderer_lib.PaintingRenderer(
        settings,
        size=max(self._side(size), settings.canvas_size),
        records_dabs=records_dabs,
    )

  def _command(self, time: int) -> dict[str, np.ndarray]:
    return {k: v[time : time + 1] for k, v in self.commands.items()}

  def _extent(self) -> tuple[float, float]:
    """Returns the height and width of the picture in pixels of the canvas."""
    size = self.settings.canvas_size
    return size / max(self.aspect, 1.0), size * min(self.aspect, 1.0)

  def _side(self, size: int | None) -> int:
    """Returns the height and width of a picture, in pixels."""
    if size is None:
      return self.settings.canvas_size
    is_int = isinstance(size, (int, np.integer)) and not isinstance(size, bool)
    if not is_int or not 1 <= size <= settings_lib.MAX_CANVAS_SIZE:
      raise ValueError(
          f'size is {size!r}, must be an int, from 1 to'
          f' {settings_lib.MAX_CANVAS_SIZE}, pixels'
      )
    return int(size)
