"""Composition of scenes from a table's sprites, in batches, in NumPy.

Sprites have different numbers of pixels. The pixels of all N scenes form one
long row, in which each scene has a contiguous stretch.

Axes: N scenes, M scenes that are drawn on, H height, W width, K pixels in the
row.
"""

from typing import NamedTuple

import numpy as np

from environments.scene import sprites as sprites_lib

# One pixel as a single item: copying its three bytes together is faster.
_PIXEL = np.dtype('V3')


class _Run(NamedTuple):
  """The pixels of one sprite in each of M scenes."""

  lengths: np.ndarray  # int [M], length of each scene's stretch.
  source: np.ndarray  # int [K], indices into the table.
  target: np.ndarray  # int [K], indices into the N canvases, flattened.


class Canvases:
  """N canvases to which objects are added; the latest one can be replaced.

  Where two objects are equally near, the later one is visible.
  """

  def __init__(self, table: sprites_lib.Table, count: int):
    """Initializes N = `count` empty platforms."""
    self._table = table
    self._count = count
    self._no_object = len(table.starts) - 2
    self._num_pixels = table.background_nearness.size
    self._brightness = table.brightness.ravel()
    # Layer 0 holds the canvases, layer 1 the canvases without their latest
    # object. The two differ only within that object's sprite.
    layers = (2, count, self._num_pixels)
    self._rgb = np.empty((*layers, 3), np.uint8)
    self._nearness = np.empty(layers, np.float32)
    self._pixels = self._rgb.view(_PIXEL).ravel()
    self._latest = np.empty(count, np.int64)
    self.reset()

  def reset(self) -> None:
    """Removes all objects."""
    self._rgb[:] = self._table.background.reshape(-1, 3)
    self._nearness[:] = self._table.background_nearness.ravel()
    self._latest[:] = self._no_object

  def picture(self) -> np.ndarray:
    """Returns a copy of the canvases, uint8 `[N, H, W, 3]`."""
    shape = (self._count, *self._table.background.shape)
    return self._rgb[0].reshape(shape).copy()

  def has_object(self) -> np.ndarray:
    """Returns true where there is an object to replace, bool `[N]`."""
    return self._latest != self._no_object

  def read(self, which: np.ndarray) -> np.ndarray:
    """Returns the canvases `which`, int `[M]`: uint8 `[M, H, W, 3]`."""
    shape = (len(which), *self._table.background.shape)
    return self._rgb[0].take(which, axis=0).reshape(shape)

  def copy(self, source: np.ndarray, target: np.ndarray) -> None:
    """Makes canvases `target`, int `[M]`, copies of canvases `source`."""
    for layers in (self._rgb, self._nearness):
      for layer in layers:
        layer[target] = layer[source]
    self._latest[target] = self._latest[source]

  def draw(
      self,
      adds: np.ndarray,
      replaces: np.ndarray,
      sprite: np.ndarray,
      levels: np.ndarray,
      which: np.ndarray | None = None,
  ) -> None:
    """Draws an object on some canvases.

    Args:
      adds: bool `[M]`, canvases to which the object is added.
      replaces: bool `[M]`, canvases whose latest object it replaces; must not
        overlap `adds`.
      sprite: int `[M]`, sprite of the object.
      levels: int `[M, 3]`, levels of its red, green and blue.
      which: int `[M]`, indices of the canvases, all different; None means all.
    """
    if which is None:
      which = np.arange(self._count)
    acts = adds | replaces
    latest = self._latest.take(which)
    # First, make the two layers equal under the latest object: as layer 0 where
    # it stays, as layer 1 where it is replaced.
    run = self._run(np.where(acts, latest, self._no_object), which)
    stretches = np.repeat(np.where(adds, 0, 1), run.lengths)
    depth = self._count * self._num_pixels
    self._move(
        run.target + stretches * depth, run.target + (1 - stretches) * depth
    )
    self._put(self._run(np.where(acts, sprite, self._no_object), which), levels)
    self._latest[which] = np.where(acts, sprite, latest)

  def _move(self, source: np.ndarray, target: np.ndarray) -> None:
    self._pixels[target] = self._pixels.take(source)
    nearness = self._nearness.reshape(-1)
    nearness[target] = nearness.take(source)

  def _put(self, run: _Run, levels: np.ndarray) -> None:
    """Draws sprites where they are nearest, with color levels `[M, 3]`."""
    nearness = self._nearness.reshape(-1)
    near = self._table.nearness.take(run.source)
    shows = np.flatnonzero(near >= nearness.take(run.target))
    target = run.target.take(shows)
    nearness[target] = near.take(shows)
    scene = np.repeat(np.arange(len(levels)), run.lengths).take(shows)
    shades = self._table.brightness.shape[-1]
    first = run.source.take(shows) * shades
    rgb = np.empty((len(shows), 3), np.uint8)
    for channel in range(3):
      level = levels[:, channel].take(scene)
      rgb[:, channel] = self._brightness.take(first + level)
    self._pixels[target] = rgb.view(_PIXEL).ravel()

  def _run(self, sprite: np.ndarray, which: np.ndarray) -> _Run:
    """Returns the pixels of sprites `[M]`, one on each of the canvases."""
    starts = self._table.starts.take(sprite).astype(np.int64)
    lengths = self._table.starts.take(sprite + 1) - starts
    ends = np.cumsum(lengths)
    # Index in the row, plus each stretch's offset between table and row.
    source = np.arange(ends[-1])
    source += np.repeat(starts - (ends - lengths), lengths)
    target = self._table.pixels.take(source).astype(np.int64)
    first = which * self._num_pixels
    target += np.repeat(first, lengths)
    return _Run(lengths, source, target)
