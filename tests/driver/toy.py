"""A small program that learns something, to run whole or to be killed.

As a script: `python -m tests.driver.toy FOLDER` runs it in lockstep without
end, with checkpoints, from the latest one in the folder if there is any.
"""

import functools
import pathlib
import sys
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from spiral_jax.driver import checkpointer as checkpointer_lib
from spiral_jax.driver import checkpoints
from spiral_jax.driver import metrics
from spiral_jax.driver import nodes
from spiral_jax.driver import program as program_lib
from spiral_jax.driver import serialization

T, B = 3, 4


class Trajectory(NamedTuple):
  canvas: np.ndarray
  is_last: np.ndarray
  params_version: np.ndarray


class Learned(NamedTuple):
  params: dict
  momentum: jax.Array
  key: jax.Array


def learned(seed):
  key = jax.random.PRNGKey(seed)
  return Learned({'w': jnp.arange(2.0) + seed}, jnp.zeros(2), key)


class Rollout:
  """Noise around the policy's parameters."""

  def __init__(self, seed):
    self._rng = np.random.default_rng(seed)
    self._drawn = 0

  def __call__(self, params, version):
    self._drawn += 1
    noise = self._rng.normal(size=(T + 1, B, 2))
    canvas = (noise + np.asarray(params['w'])).astype(np.float32)
    is_last = np.zeros((T, B), bool)
    is_last[-1] = True
    return Trajectory(canvas, is_last, np.int32(version))

  def get_state(self):
    rng = serialization.rng_to_array(self._rng)
    return {'rng': rng, 'drawn': self._drawn}

  def set_state(self, saved):
    self._rng = serialization.rng_from_array(saved['rng'])
    self._drawn = saved['drawn']


class Data:
  """Pairs a sample of the replay with real rows."""

  def __init__(self, seed):
    self._rng = np.random.default_rng(seed)

  def __call__(self, examples):
    fake = examples['canvas']
    real = self._rng.normal(5.0, 1.0, fake.shape).astype(np.float32)
    return real, fake

  def get_state(self):
    return serialization.rng_to_array(self._rng)

  def set_state(self, saved):
    self._rng = serialization.rng_from_array(saved)


@functools.partial(jax.jit, donate_argnums=0)
def update_policy(learner, trajectory, score_params, *_):
  key, used = jax.random.split(learner.key)
  gradient = score_params['w'] + 0.01 * jax.random.normal(used, (2,))
  momentum = 0.9 * learner.momentum + gradient
  params = {'w': learner.params['w'] + 0.01 * momentum}
  logs = {'mean': jnp.mean(trajectory.canvas)}
  return Learned(params, momentum, key), logs


@functools.partial(jax.jit, donate_argnums=0)
def update_score(learner, real, fake):
  gradient = jnp.mean(real, 0) - jnp.mean(fake, 0)
  params = {'w': 0.9 * learner.params['w'] + 0.1 * gradient}
  return learner._replace(params=params), {'gap': jnp.mean(gradient)}


def build(updates, *, writer=None, num_actors=2, rollout=Rollout):
  """Returns (program, policy learner, score learner)."""
  program = program_lib.Program()
  trajectories = program.channel('trajectories', 2)
  policy_params = program.params('policy_params')
  score_params = program.params('score_params')
  replay = program.replay(5, B, samples_per_insert=2, seed=7)
  for i in range(num_actors):
    program.add(
        nodes.Actor(
            f'actor_{i}',
            rollout=rollout(i),
            params=policy_params,
            trajectories=trajectories,
            replay=replay,
            final_examples=lambda t: {'canvas': t.canvas[-1]},
        )
    )
  score = program.add(
      nodes.DiscriminatorLearner(
          'score',
          update=update_score,
          state=learned(2),
          params_of=lambda learner: learner.params,
          replay=replay,
          make_batch=Data(3),
          published=score_params,
          metrics=writer,
      ),
      steps_per_round=2,
  )
  policy = program.add(
      nodes.PolicyLearner(
          'policy',
          update=update_policy,
          state=learned(1),
          params_of=lambda learner: learner.params,
          trajectories=trajectories,
          score_params=score_params,
          published=policy_params,
          metrics=writer,
          max_updates=updates,
      ),
      steps_per_round=num_actors,
  )
  return program, policy, score


def run(folder, updates, every_rounds=2):
  """Runs in lockstep, resuming; returns the state of all parts."""
  folder = pathlib.Path(folder)
  writer = metrics.JsonLines(folder / 'metrics.jsonl')
  program, policy, _ = build(updates, writer=writer)
  kept = checkpoints.Checkpoints(folder / 'checkpoints', {'toy': True})
  checkpointer = checkpointer_lib.Checkpointer(
      'checkpointer',
      kept,
      {**program.stateful(), 'metrics': writer},
      step=lambda: policy.version,
      every_rounds=every_rounds,
  )
  program.add(checkpointer)
  if kept.latest_step() is not None:
    checkpointer.restore()
  program_lib.launch(
      program, lockstep=True, on_stop=lambda _: checkpointer.save()
  )
  writer.close()
  return {
      name: serialization.to_plain(part.get_state())
      for name, part in program.stateful().items()
  }


if __name__ == '__main__':
  run(sys.argv[1], None)
