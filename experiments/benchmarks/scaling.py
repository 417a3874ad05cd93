r"""Measures costs per frame of actors and learners, and predicts larger runs.

A frame is one command on one canvas; an actor is one core that draws batches of
episodes. Times are core-seconds of this process, which other work on the
machine hardly changes; bytes are those of arrays as they are sent.

  python experiments/benchmarks/scaling.py \
      --flagfile=experiments/flags/mnist.flags
"""

from collections.abc import Callable, Sequence
import dataclasses
import time
from typing import NamedTuple

from absl import flags
import jax
import numpy as np

from spiral_jax import agents
from spiral_jax import training
from spiral_jax.driver import rollout
from spiral_jax.training import cli
from spiral_jax.training import profiling

_EXPERIMENT = training.define_flags('environments.painting', dataset='mnist')
_EPISODES = flags.DEFINE_integer(
    'episodes', 8, 'number of episodes that are measured', lower_bound=1
)
_TURNS = flags.DEFINE_integer(
    'turns', 3, 'number of measurements of each', lower_bound=1
)
_ACTORS_PER_MACHINE = flags.DEFINE_integer(
    'actors_per_machine',
    32,
    'number of actors that share the parameters that their machine fetches',
    lower_bound=1,
)


class Costs(NamedTuple):
  """Costs, per frame unless stated otherwise.

  Attributes:
    frames: frames of a trajectory, T * B.
    trajectory: bytes of a trajectory.
    params: bytes of the policy's parameters.
    acting: core-seconds of the network.
    rendering: core-seconds of the renderer.
    policy: core-seconds of a gradient step.
    policy_flop: floating point operations of a gradient step.
    discriminator: core-seconds of a discriminator update, per image.
    updates: largest number of discriminator updates per trajectory.
  """

  frames: int
  trajectory: int
  params: int
  acting: float
  rendering: float
  policy: float
  policy_flop: float
  discriminator: float
  updates: float


def main(argv: Sequence[str]) -> None:
  """Prints costs, and the load of many actors."""
  del argv
  experiment = _EXPERIMENT.value
  costs = measure(experiment, _EPISODES.value, _TURNS.value)
  print(f'a trajectory: {costs.frames:,} frames, {costs.trajectory:,} bytes')
  print(f'the policy: {costs.params:,} bytes')
  for name in ('acting', 'rendering', 'policy', 'discriminator'):
    value = 1e6 * getattr(costs, name)
    unit = 'per image' if name == 'discriminator' else 'per frame'
    print(f'{name + ", core-microseconds " + unit:44}{value:10.1f}')
  print(f'policy, operations per frame: {costs.policy_flop / 1e9:.3f} GFLOP')
  print()
  print(
      f'{"actors":>8}{"frames/s":>12}{"updates/s":>11}{"trajectories":>14}'
      f'{"parameters":>14}{"learner":>16}'
  )
  for actors in (64, 1000, 10000):
    row = load(costs, actors, _ACTORS_PER_MACHINE.value)
    print(
        f'{actors:8,}{row.frames:12,.0f}{row.messages:11,.1f}'
        f'{row.bytes_in / 1e6:9,.0f} MB/s{row.bytes_out / 1e6:9,.0f} MB/s'
        f'{row.flops / 1e12:11,.1f} TF/s'
    )


class Load(NamedTuple):
  """Load of the learners' machine, per second.

  Attributes:
    frames: frames that are drawn.
    messages: trajectories, each of which is an update.
    bytes_in: bytes of trajectories.
    bytes_out: bytes of parameters: each machine fetches them once for each
      trajectory of its actors, but no version twice.
    flops: operations of gradient steps.
  """

  frames: float
  messages: float
  bytes_in: float
  bytes_out: float
  flops: float


def load(costs: Costs, actors: int, actors_per_machine: int) -> Load:
  """Returns the load of actors that never wait."""
  frames = actors / (costs.acting + costs.rendering)
  messages = frames / costs.frames
  machines = -(-actors // actors_per_machine)
  fetches = machines * min(messages, messages / actors * actors_per_machine)
  return Load(
      frames=frames,
      messages=messages,
      bytes_in=messages * costs.trajectory,
      bytes_out=fetches * costs.params,
      flops=frames * costs.policy_flop,
  )


def measure(
    experiment: training.Experiment, episodes: int, turns: int
) -> Costs:
  """Returns the costs of a run.

  Args:
    experiment: configuration of the run.
    episodes: number of episodes that are drawn and learned from.
    turns: number of measurements of each, whose median counts.
  """
  agent = experiment.make_agent()
  environment = experiment.make_environment(episodes)
  steps = experiment.environment.episode_length
  images = np.random.default_rng(0).integers(
      256, size=(episodes, *experiment.canvas_shape), dtype=np.uint8
  )
  rendering: list[float] = []  # Core-seconds of each command.

  class Timed:
    """Environment that counts its core-seconds."""

    count = episodes
    reset = staticmethod(environment.reset)

    @staticmethod
    def step(action):
      start = time.process_time()
      time_step = environment.step(action)
      rendering.append(time.process_time() - start)
      return time_step

  act = rollout.Rollout(
      Timed(),
      jax.jit(agent.step),
      agent.initial_state(episodes),
      noise_size=experiment.agent.noise_size,
      targets=(lambda: images) if experiment.agent.conditional else None,
  )
  learner = agents.make_learner(
      agent,
      lambda params, images, targets=None: images.mean((1, 2, 3)),
      dataclasses.replace(
          experiment.learner,
          reward='discriminator',
          corrections_weight=0.0,  # Alternatives are no part of this.
          epochs=1,
          minibatches=1,
      ),
      colors=experiment.colors(),
  )
  state = learner.init(jax.random.key(0))
  trajectory = act(state.params, 0)  # Compiles.
  flop = profiling.gradient_flops(agent, state.params, trajectory)
  rendering.clear()
  playing = _median(lambda: act(state.params, 0), turns)
  rendered = steps * float(np.mean(rendering))

  def update() -> None:
    nonlocal state
    state, _ = learner.update(state, trajectory, None)
    jax.block_until_ready(state)

  update()
  learning = _median(update, turns)
  frames = steps * episodes
  rows = experiment.run.batch_size / episodes
  return Costs(
      frames=steps * experiment.run.batch_size,
      trajectory=int(rows * _bytes(trajectory)),
      params=_bytes(state.params),
      acting=(playing - rendered) / frames,
      rendering=rendered / frames,
      policy=learning / frames,
      policy_flop=flop / frames,
      discriminator=_discriminator(experiment, images, turns) / episodes,
      updates=experiment.run.discriminator_updates,
  )


def _discriminator(experiment, images: np.ndarray, turns: int) -> float:
  """Returns core-seconds of an update on these images."""
  conditional = experiment.agent.conditional
  learner = agents.make_discriminator_learner(
      agents.make_discriminator(
          images.shape[1:], conditional, experiment.discriminator
      ),
      experiment.discriminator,
  )
  state = learner.init(jax.random.key(0))
  batch = [images[::-1], images] + [images] * conditional

  def update() -> None:
    nonlocal state
    state, _ = learner.update(state, *batch)
    jax.block_until_ready(state)

  update()
  return _median(update, turns)


def _median(function: Callable[[], object], turns: int) -> float:
  """Returns core-seconds of a call, median over turns."""
  return float(
      np.median(
          profiling.in_turns(
              [function], turns, warm_up=0, clock=time.process_time
          )
      )
  )


def _bytes(tree) -> int:
  return sum(np.asarray(leaf).nbytes for leaf in jax.tree.leaves(tree))


if __name__ == '__main__':
  cli.run(main)
