"""Pictures and errors to look at while a run learns."""

from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from spiral_jax import agents
from spiral_jax import evaluation
from spiral_jax.driver import metrics as metrics_lib
from spiral_jax.driver import nodes
from spiral_jax.driver import params as params_lib
from spiral_jax.driver import rollout
from spiral_jax.training import experiment as experiment_lib
from spiral_jax.training import memory as memory_lib

Draw = Callable[[], agents.Trajectory | None]


def make_draw(
    experiment: experiment_lib.Experiment,
    agent: agents.Agent,
    params: params_lib.ParamsStore,
    environment: rollout.Environment,
    targets: np.ndarray | None,
) -> Callable[[], agents.Trajectory]:
  """Returns a function that draws whole episodes with the newest parameters.

  Args:
    experiment: configuration of which this is the agent.
    agent: the agent that draws.
    params: where its parameters are published.
    environment: environment that nobody else uses.
    targets: uint8 `[B, H, W, C]`, the same ones each time; None if the agent
      takes none.
  """
  run = experiment.run
  play = rollout.Rollout(
      environment,
      jax.jit(agent.step, static_argnames='greedy'),
      agent.initial_state(run.batch_size),
      noise_size=experiment.agent.noise_size,
      targets=None if targets is None else lambda: targets,
      seed=run.seed + 1_000_003,
      unroll_length=run.unroll_length,
  )

  def draw() -> agents.Trajectory:
    newest, version = params.peek()
    trajectory = play(newest, version)
    while not trajectory.is_last.any():
      trajectory = play(newest, version)
    return trajectory

  return draw


def measured(
    draw: Draw,
    redraw: Callable[[], agents.Trajectory] | None,
    policy: nodes.PolicyLearner,
    writer: metrics_lib.Writer,
    remembered: memory_lib.Memory | None,
) -> Draw:
  """Returns `draw`, which then writes metrics as well.

  They are the error of held-out images, `held_out/l2`, and that of what is
  remembered.

  Args:
    draw: returns what is looked at.
    redraw: returns reconstructions of held-out images, if there are any; None
      if `draw` does so.
    policy: tells the progress.
    writer: writer of all metrics.
    remembered: programs of training images, if any.
  """

  def draw_and_write() -> agents.Trajectory | None:
    shown = draw()
    redrawn = shown if redraw is None else redraw()
    figures: dict[str, Any] = {}
    if redrawn is not None and redrawn.target is not None:
      error = evaluation.reconstruction_error(
          redrawn.canvas[-1], redrawn.target
      )
      figures |= {
          'held_out/l2': error.mean(),
          'held_out/frames': policy.frames,
      }
    if remembered is not None:
      found = remembered.figures()
      figures |= {f'memory/{name}': value for name, value in found.items()}
    if figures:
      writer.write(policy.version, figures)
    return shown

  return draw_and_write
