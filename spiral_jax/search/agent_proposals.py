"""Proposals that an agent makes: other commands for a canvas that it sees.

Axes: M programs, T commands, H height, W width, C channels.
"""

from collections.abc import Mapping
from typing import Literal

import jax
import jax.numpy as jnp
import numpy as np

from spiral_jax import agents
from spiral_jax import types
from spiral_jax.search import executor as executor_lib
from spiral_jax.search import proposals as proposals_lib


def make_agent_proposals(
    agent: agents.Agent,
    params: types.Params,
    environment: executor_lib.Environment,
    targets: np.ndarray,
    *,
    commands: Literal['one', 'rest'] = 'rest',
) -> proposals_lib.Propose:
  """Returns proposals of a conditional agent.

  A command of each program is chosen at random. The agent sees the canvas
  before it and decides anew, for this command or for all from it on.

  The log ratio is exact where every part has a meaning. Of a part without one,
  the agent gives no probability: such parts are then to be taken for drawn by
  the agent, whatever the program that is sampled.

  Args:
    agent: agent that redraws targets.
    params: its parameters.
    environment: environment of M canvases, all its own.
    targets: uint8 `[M, H, W, C]`, one a program: for `improve`, those of the
      images, each repeated K times.
    commands: 'one' replaces one command, 'rest' it and all after it.

  Raises:
    ValueError: if there is not one target a canvas.
  """
  count = environment.count
  if len(targets) != count:
    raise ValueError(
        f'there are {len(targets)} targets and {count} canvases; give one each'
    )
  step = jax.jit(agent.step)
  score = jax.jit(agent.unroll)
  names = list(environment.action_spec())
  initial_state = agent.initial_state(count)

  def run(
      programs: Mapping[str, np.ndarray],
      is_new: np.ndarray,
      rng: np.random.Generator,
  ) -> types.Trajectory:
    """Runs programs; the agent decides where `is_new`, bool `[T, M]`."""
    canvases = [environment.reset().observation['canvas']]
    actions, log_probs, state = [], [], initial_state
    for t, is_new_t in enumerate(is_new):
      action = {name: programs[name][t] for name in names}
      log_prob = np.zeros(count, np.float32)
      if is_new.any():
        output, state = step(
            params, state, types.Observation(canvases[-1], targets), _key(rng)
        )
        sampled = jax.device_get(output)
        action = {
            name: np.where(is_new_t, sampled.action[name], values)
            for name, values in action.items()
        }
        log_prob = sampled.log_prob
        state = state._replace(
            previous={name: action[name] for name in state.previous}
        )
      canvases.append(environment.step(action).observation['canvas'])
      actions.append(action)
      log_probs.append(log_prob)
    shape = is_new.shape
    return types.Trajectory(
        canvas=np.stack(canvases),
        action={name: np.stack([a[name] for a in actions]) for name in names},
        log_prob=np.stack(log_probs),
        value=np.zeros(shape, np.float32),
        is_last=np.arange(shape[0])[:, np.newaxis] == np.full(count, shape[0]),
        bootstrap=None,
        initial_state=initial_state,
        target=targets,
        noise=None,
        params_version=np.zeros((), np.int32),
    )

  def propose(
      programs: proposals_lib.Programs, rng: np.random.Generator
  ) -> proposals_lib.Proposals:
    old = {name: np.asarray(programs[name], np.int32) for name in names}
    length = len(old[names[0]])
    start = rng.integers(length, size=count)
    times = np.arange(length)[:, np.newaxis]
    is_new = times == start if commands == 'one' else times >= start
    new = run(old, is_new, rng)
    if commands == 'one':
      # The canvases before the replaced command are those of both programs.
      back = score(params, new, old).log_prob
    else:
      back = score(params, run(old, np.zeros_like(is_new), rng)).log_prob
    ratio = np.where(is_new, np.asarray(back) - new.log_prob, 0.0).sum(axis=0)
    return proposals_lib.Proposals(dict(new.action), start, ratio)

  return propose


def _key(rng: np.random.Generator) -> jax.Array:
  return jax.random.key(jnp.uint32(rng.integers(1 << 32, dtype=np.uint32)))
