"""Batches of the discriminator: canvases of actors, and real images.

Axes: T time (commands), B batch, H height, W width, C channels.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from spiral_jax import agents
from spiral_jax import datasets

Rows = Mapping[str, np.ndarray]


def from_trajectory(
    trajectory: agents.Trajectory, *, unfinished_share: float = 0.0
) -> dict[str, np.ndarray] | None:
  """Returns rows of the replay: `canvas` `[B, H, W, C]`, and any `target`.

  Args:
    trajectory: T commands; one that does not end its episodes has no rows.
    unfinished_share: share of the episodes, the first ones, that give an
      earlier canvas instead of the last one, of every time from the blank page
      on in turn.
  """
  if not trajectory.is_last.any():
    return None
  time = np.full(trajectory.canvas.shape[1], -1)
  unfinished = np.arange(round(unfinished_share * len(time)))
  time[unfinished] = unfinished % (len(trajectory.canvas) - 1)
  rows = {'canvas': trajectory.canvas[time, np.arange(len(time))]}
  if trajectory.target is not None:
    rows['target'] = trajectory.target
  return rows


class WithDataImages:
  """Adds images of the data to rows of an unconditional agent's replay."""

  def __init__(self, images: datasets.ImageStream):
    """Takes the next images of a stream at each call."""
    self._images = images

  def __call__(self, rows: Rows) -> tuple[np.ndarray, np.ndarray]:
    """Returns (real, fake)."""
    return self._images(), rows['canvas']

  def get_state(self) -> Any:
    """Returns the place in the data."""
    return self._images.get_state()

  def set_state(self, state: Any) -> None:
    """Continues from there."""
    self._images.set_state(state)


def with_target(rows: Rows) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
  """Returns (real, fake, target) of a conditional agent's rows.

  The real image is the target itself (eq. 6 of the paper).
  """
  return rows['target'], rows['canvas'], rows['target']
