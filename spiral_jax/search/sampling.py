"""Programs that an agent samples: what a search begins with.

Axes: N images, S samples an image, M canvases, T commands, H height, W width, C
channels.
"""

from typing import NamedTuple

import jax
import numpy as np

from spiral_jax import agents
from spiral_jax import types
from spiral_jax.search import executor as executor_lib
from spiral_jax.search import improvement
from spiral_jax.search import scores as scores_lib


class Samples(NamedTuple):
  """Programs of an agent."""

  programs: dict[str, np.ndarray]  # int32 [T, M] a part.
  canvases: np.ndarray  # uint8 [M, H, W, C].
  log_probs: np.ndarray  # [T, M], of the commands.


def sample(
    agent: agents.Agent,
    params: types.Params,
    environment: executor_lib.Environment,
    targets: np.ndarray,
    *,
    key: jax.Array,
    temperature: float = 1.0,
    greedy: bool = False,
) -> Samples:
  """Returns a program of a conditional agent for each target.

  Args:
    agent: agent that redraws targets.
    params: its parameters.
    environment: environment of uint8 canvases, any number of them.
    targets: uint8 `[M, H, W, C]`.
    key: consumed.
    temperature: divides the logits of each part; see `agents.Agent.step`.
    greedy: decides for the likeliest value of each part.

  Raises:
    ValueError: if there are no targets, or as `agents.Agent.step`.
  """
  if not len(targets):
    raise ValueError('there are no targets; give one or more')
  step = jax.jit(agent.step, static_argnames='greedy')
  count = environment.count
  found = []
  for first in range(0, len(targets), count):
    part = targets[first : first + count]
    target = np.concatenate([part, np.repeat(part[-1:], count - len(part), 0)])
    key, keys = _split(key)
    state = agent.initial_state(count)
    time_step = environment.reset()
    outputs = []
    while not time_step.last():
      keys, step_key = _split(keys)
      output, state = step(
          params,
          state,
          types.Observation(time_step.observation['canvas'], target),
          step_key,
          greedy=greedy,
          temperature=temperature,
      )
      outputs.append(jax.device_get(output))
      time_step = environment.step(outputs[-1].action)
    actions = {
        name: np.stack([output.action[name] for output in outputs])
        for name in environment.action_spec()
    }
    found.append(
        Samples(
            {name: v[:, : len(part)] for name, v in actions.items()},
            time_step.observation['canvas'][: len(part)],
            np.stack([o.log_prob for o in outputs])[:, : len(part)],
        )
    )
  return Samples(
      {
          name: np.concatenate([s.programs[name] for s in found], axis=1)
          for name in found[0].programs
      },
      np.concatenate([s.canvases for s in found]),
      np.concatenate([s.log_probs for s in found], axis=1),
  )


def best_of(
    agent: agents.Agent,
    params: types.Params,
    environment: executor_lib.Environment,
    targets: np.ndarray,
    *,
    samples: int,
    key: jax.Array,
    temperature: float = 1.0,
    score: scores_lib.Score = scores_lib.negative_l2,
) -> improvement.Found:
  """Samples programs for each target, and returns the best.

  Args:
    agent: as for `sample`, as are the arguments that are not described here.
    params: parameters of the agent.
    environment: environment of uint8 canvases.
    targets: uint8 `[N, H, W, C]`.
    samples: number of samples for each target, S.
    key: consumed.
    temperature: divides the logits of each part.
    score: (canvases, targets), uint8 `[M, H, W, C]` each, to scores `[M]`.

  Raises:
    ValueError: if `samples` is below 1; or as `sample`.
  """
  if samples < 1:
    raise ValueError(f'samples is {samples}, must be 1 or more')
  repeated = np.repeat(targets, samples, axis=0)
  drawn = sample(
      agent,
      params,
      environment,
      repeated,
      key=key,
      temperature=temperature,
  )
  count = len(targets)
  scores = np.asarray(score(drawn.canvases, repeated)).reshape(count, samples)
  best = np.arange(count) * samples + scores.argmax(axis=1)
  return improvement.Found(
      {name: values[:, best] for name, values in drawn.programs.items()},
      scores.max(axis=1).astype(np.float64),
      drawn.canvases[best],
      np.full(count, samples),
  )


def random_programs(
    action_spec: types.ActionSpec, length: int, count: int, *, key: jax.Array
) -> dict[str, np.ndarray]:
  """Returns uniformly random programs, int32 `[T, N]` a part.

  Args:
    action_spec: the parts of a command.
    length: number of commands, T.
    count: number of programs, N.
    key: consumed.
  """
  rng = improvement.make_rng(key)
  return types.uniform_programs(action_spec, length, count, rng)


def _split(key: jax.Array) -> tuple[jax.Array, jax.Array]:
  first, second = jax.random.split(key)
  return first, second
