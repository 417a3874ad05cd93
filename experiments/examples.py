"""What the discriminator learns from: canvases of actors, and real images.

Axes: T time (commands), B batch, H height, W width, C channels.
"""

import numpy as np

import acting
from spiral_jax import agents


def from_trajectory(
    trajectory: agents.Trajectory, *, unfinished_share: float = 0.0
) -> dict[str, np.ndarray] | None:
  """Returns the replay's rows: `canvas` `[B, H, W, C]`, `target` if any.

  Args:
    trajectory: of T commands; one that does not end its episodes has none.
    unfinished_share: of the episodes, the first ones, that give not their last
      canvas but one before, of every time from the blank page on in turn.
  """
  if not trajectory.is_last.any():
    return None
  time = np.full(trajectory.canvas.shape[1], -1)
  unfinished = np.arange(round(unfinished_share * len(time)))
  time[unfinished] = unfinished % (len(trajectory.canvas) - 1)
  examples = {'canvas': trajectory.canvas[time, np.arange(len(time))]}
  if trajectory.target is not None:
    examples['target'] = trajectory.target
  return examples


class RealAndFake:
  """Adds real images to a sample of the replay.

  Conditional: the real image is the target itself (eq. 6 of the paper).
  """

  def __init__(self, stream: acting.ImageStream | None):
    self._stream = stream

  def __call__(self, examples):
    """Returns (real images, examples)."""
    real = self._stream() if self._stream else examples['target']
    return real, examples

  def get_state(self):
    """Returns the place in the data."""
    return self._stream.get_state() if self._stream else {}

  def set_state(self, state) -> None:
    """Goes on from there."""
    if self._stream:
      self._stream.set_state(state)
