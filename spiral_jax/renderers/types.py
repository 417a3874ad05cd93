"""The contract of renderers that draw on the device, as pure functions.

Axes: B batch (canvases), H height, W width, C channels.
"""

from typing import Any, NamedTuple, Protocol

import chex

from spiral_jax import types

# What a renderer carries from one command to the next: any pytree of arrays,
# `[B, ...]` each.
State = Any


class Init(Protocol):
  """Clears canvases."""

  def __call__(self, batch: int) -> tuple[State, chex.Array]:
    """Returns the state of B = `batch` clear canvases, and these.

    They are uint8 `[B, H, W, C]`. `batch` is static under `jax.jit`.
    """


class Step(Protocol):
  """Draws one command on each canvas."""

  def __call__(
      self, state: State, command: types.Action
  ) -> tuple[State, chex.Array]:
    """Returns the next state, and the canvases, uint8 `[B, H, W, C]`.

    Args:
      state: what `init` or the last step returned.
      command: int32 `[B]` for each part; values out of range draw anything.
    """


class Renderer(NamedTuple):
  """A renderer that JAX can compile, batch and divide among devices.

  Attributes:
    init: see `Init`.
    step: see `Step`.
  """

  init: Init
  step: Step
