"""Settings of a scene environment, and the commands it takes."""

import dataclasses

import numpy as np

from environments import core
from environments import reprs

KINDS = ('add', 'skip', 'change')
ADD, SKIP, CHANGE = range(3)
OBJECTS = ('sphere', 'box', 'cylinder', 'capsule')
COLORS = ('red', 'green', 'blue')

# The half width of each object's footprint, in units of its size; what is a
# disc, and what a square, from above.
_HALF_WIDTHS = {'sphere': 1.0, 'box': 0.9, 'cylinder': 0.9, 'capsule': 0.75}
_IS_SQUARE = {'sphere': False, 'box': True, 'cylinder': False, 'capsule': False}

# The shade of level 0: in black itself, no shape would show.
_DARKEST = 0.08


@dataclasses.dataclass(frozen=True)
class SceneSettings:
  """Settings of a scene environment.

  Lengths are in units of half the platform's side.

  Attributes:
    canvas_size: height and width of the canvas, in pixels.
    grid_size: number of locations in a row and in a column.
    span: distance of the outer locations from the platform's middle, in units
      of half the platform's side.
    sizes: sizes that a command can choose from, a sphere's radius in units of
      half the platform's side; other objects are a little narrower.
    shades: number of levels of red, green and blue that a command can choose
      from.
    episode_length: number of commands in an episode.
  """

  canvas_size: int = 64
  grid_size: int = 16
  span: float = 0.72
  sizes: tuple[float, ...] = (0.13, 0.2, 0.28)
  shades: int = 4
  episode_length: int = 20

  def __post_init__(self) -> None:
    """Checks the values.

    Raises:
      ValueError: that names the setting, its value and what it may be.
    """
    for name, low, high in (
        ('canvas_size', 8, 256),
        ('grid_size', 2, 64),
        ('shades', 2, 16),
        ('episode_length', 1, None),
    ):
      core.check_int(name, getattr(self, name), low, high)
    sizes = self.sizes
    if not isinstance(sizes, (tuple, list)) or not 1 <= len(sizes) <= 16:
      raise ValueError(
          f'sizes is {reprs.short(sizes)}, must be a tuple of 1 to 16 radii, as'
          ' (0.13, 0.2, 0.28)'
      )
    for size in sizes:
      if not core.is_number(size) or not 0.01 <= size <= 1:
        raise ValueError(
            f'sizes has {reprs.short(size)}, must be radii, 0.01 or more and 1'
            ' at most'
        )
    object.__setattr__(self, 'sizes', tuple(float(size) for size in sizes))
    if not core.is_number(self.span) or not 0 < self.span < 1:
      raise ValueError(
          f'span is {reprs.short(self.span)}, must be a number above 0 and'
          ' below 1'
      )
    # The slack is for sums of decimal fractions.
    if self.span + max(self.sizes) > 1 + 1e-9:
      raise ValueError(
          f'span is {self.span!r} and the largest of sizes'
          f' {max(self.sizes)!r}: objects would overhang the platform; their'
          ' sum must be 1 or less'
      )

  @property
  def channels(self) -> int:
    """Channels of the canvas: scenes are in color."""
    return 3

  def action_spec(self) -> dict[str, core.Part]:
    """Returns the parts of a command, in the order of decision."""
    grid = (self.grid_size, self.grid_size)
    # A skip has no object, and so none of what objects have.
    has_object = ('kind', (ADD, CHANGE))
    spec = {
        'kind': core.Part(len(KINDS), name='kind'),
        'object': core.Part(len(OBJECTS), active_if=has_object, name='object'),
        'location': core.Part(
            self.grid_size**2,
            grid_shape=grid,
            active_if=has_object,
            name='location',
        ),
        'size': core.Part(len(self.sizes), active_if=has_object, name='size'),
    }
    for name in COLORS:
      spec[name] = core.Part(self.shades, active_if=has_object, name=name)
    return spec

  def places(self) -> np.ndarray:
    """Returns x and y of all locations on the platform, float64 `[L, 2]`.

    As in the picture: the index goes along rows from left to right, rows go
    from the back to the front; x points right and y to the back.
    """
    steps = np.linspace(-self.span, self.span, self.grid_size)
    y, x = np.meshgrid(-steps, steps, indexing='ij')
    return np.stack([x.ravel(), y.ravel()], axis=-1)

  def footprints(self) -> tuple[np.ndarray, np.ndarray]:
    """Returns what objects cover of the platform, by object and size.

    Each footprint is a square with rounded corners around the location.

    Returns:
      Half the side of the square that is rounded, and the radius of its
      corners, which is added to it; float64 `[objects, sizes]` each.
    """
    sizes = np.array(self.sizes)
    half = np.array([[_HALF_WIDTHS[name]] for name in OBJECTS]) * sizes
    is_square = np.array([[_IS_SQUARE[name]] for name in OBJECTS])
    return np.where(is_square, half, 0.0), np.where(is_square, 0.0, half)

  def colors(self) -> np.ndarray:
    """Returns the shade, in [0, 1], of each level: float64 `[shades]`."""
    return np.linspace(_DARKEST, 1.0, self.shades)
