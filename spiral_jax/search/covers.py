"""Protocols of renderers that say what their commands cover.

Axes: T commands, K trials, H height, W width, C channels.
"""

from collections.abc import Mapping
from typing import Protocol

import numpy as np


class Covers(Protocol):
  """Covers of commands, as `environments.painting.CommandCovers` has them."""

  @property
  def colors(self) -> tuple[str, ...]:
    """Names of the parts that are a command's color; none if it is black."""

  @property
  def handed_on(self) -> tuple[str, ...]:
    """Names of the parts on which the cover of the next command depends most.

    What else a brush remembers is left out until a program is taken.
    """

  @property
  def shades(self) -> np.ndarray:
    """Values that each color part chooses from, evenly spaced, float32."""

  @property
  def paper(self) -> np.ndarray:
    """Color of the paper, float32 `[C]`."""

  def draw(
      self, program: Mapping[str, np.ndarray], first: int = 0
  ) -> np.ndarray:
    """Makes a program the current one; returns uint8 `[n, H, W]`.

    These are the covers of the last n commands, at least of those from `first`
    on, the first one that has changed.
    """

  def try_commands(
      self, time: int, commands: Mapping[str, np.ndarray]
  ) -> np.ndarray:
    """Returns covers of commands in the place of one, uint8 `[K, H, W]`."""

  def follow(
      self, commands: Mapping[str, np.ndarray], which: np.ndarray
  ) -> np.ndarray:
    """Returns covers of commands after those that were tried last.

    Args:
      commands: int `[m]` a part.
      which: int `[m]`, the trials that they follow.

    Returns:
      uint8 `[m, H, W]`.
    """


class CoveringRenderer(Protocol):
  """A renderer that may say what its commands cover."""

  @property
  def can_cover(self) -> bool:
    """True if `make_covers` may be called."""

  def make_covers(self, length: int, count: int) -> Covers:
    """Returns covers for T = `length` commands and K = `count` trials."""
