"""What actors and learners cost a frame, and what that makes of many actors.

A frame is one command on one canvas; an actor is one core that plays batches of
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

run_setup.define_flags()
_EPISODES = flags.DEFINE_integer('episodes', 8, 'that are measured', 1)
_TURNS = flags.DEFINE_integer('turns', 3, 'times each is measured', 1)
_ACTORS_PER_MACHINE = flags.DEFINE_integer(
    'actors_per_machine', 32, 'that share what their machine fetches', 1
)


class Costs(NamedTuple):
  """Of one frame, unless stated.

  Attributes:
    frames: of a trajectory, T * B.
    trajectory: bytes of a trajectory.
    params: bytes of the policy's parameters.
    acting: core-seconds of the network.
    painting: core-seconds of the renderer.
    policy: core-seconds of a gradient step.
    policy_flop: floating point operations of the same.
    discriminator: core-seconds of a discriminator update, for each of the
      images that it takes.
    updates: discriminator updates a trajectory, at most.
  """

  frames: int
  trajectory: int
  params: int
  acting: float
  painting: float
  policy: float
  policy_flop: float
  discriminator: float
  updates: float


def main(argv: Sequence[str]) -> None:
  """Prints costs and what they make of many actors."""
  del argv
  setup = run_setup.read_flags('mnist')
  costs = measure(setup, _EPISODES.value, _TURNS.value)
  print(f'a trajectory: {costs.frames:,} frames, {costs.trajectory:,} bytes')
  print(f'the policy: {costs.params:,} bytes')
  for name in ('acting', 'painting', 'policy', 'discriminator'):
    value = 1e6 * getattr(costs, name)
    unit = 'an image' if name == 'discriminator' else 'a frame'
    print(f'{name + ", core-microseconds " + unit:44}{value:10.1f}')
  print(f'policy, operations a frame: {costs.policy_flop / 1e9:.3f} GFLOP')
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
  """What the learners' machine has to bear, a second.

  Attributes:
    frames: that are painted.
    messages: trajectories, each of which is an update.
    bytes_in: of trajectories.
    bytes_out: of parameters: each machine fetches them once a trajectory of
      its actors, but no version twice.
    flops: operations of gradient steps.
  """

  frames: float
  messages: float
  bytes_in: float
  bytes_out: float
  flops: float


def load(costs: Costs, actors: int, actors_per_machine: int) -> Load:
  """Returns what so many actors make if nothing holds them up."""
  frames = actors / (costs.acting + costs.painting)
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


def measure(setup: training.Experiment, episodes: int, turns: int) -> Costs:
  """Returns the costs of a run of `setup`.

  Args:
    setup: of the run.
    episodes: that are played and learned from, of which costs are per frame.
    turns: times each is measured; the median counts.
  """
  agent = run_setup.make_agent(setup)
  environment = run_setup.make_environment(setup, episodes)
  steps = setup.environment.episode_length
  images = np.random.default_rng(0).integers(
      256, size=(episodes, *run_setup.canvas_shape(setup)), dtype=np.uint8
  )
  painting = 0.0

  class Timed:
    """Counts the seconds of painting."""

    count = episodes
    reset = staticmethod(environment.reset)

    @staticmethod
    def step(action):
      nonlocal painting
      start = time.process_time()
      time_step = environment.step(action)
      painting += time.process_time() - start
      return time_step

  act = rollout.Rollout(
      Timed(),
      jax.jit(agent.step),
      agent.initial_state(episodes),
      noise_size=setup.agent.noise_size,
      targets=(lambda: images) if setup.agent.conditional else None,
  )
  learner = agents.make_learner(
      agent,
      lambda params, canvas, target: canvas.mean((1, 2, 3)),
      dataclasses.replace(
          setup.learner, reward='discriminator', epochs=1, minibatches=1
      ),
  )
  state = learner.init(jax.random.PRNGKey(0))
  trajectory = act(state.params, 0)  # Compiles.
  flop = profiling.gradient_flops(agent, state.params, trajectory)
  painting = 0.0
  playing = _median(lambda: act(state.params, 0), turns)
  painted = painting / turns

  def update() -> None:
    nonlocal state
    state, _ = learner.update(state, trajectory, None)
    jax.block_until_ready(state)

  update()
  learning = _median(update, turns)
  frames = steps * episodes
  rows = setup.run.batch_size / episodes
  return Costs(
      frames=steps * setup.run.batch_size,
      trajectory=int(rows * _bytes(trajectory)),
      params=_bytes(state.params),
      acting=(playing - painted) / frames,
      painting=painted / frames,
      policy=learning / frames,
      policy_flop=flop / frames,
      discriminator=_discriminator(setup, images, turns) / episodes,
      updates=setup.run.discriminator_updates,
  )


def _discriminator(setup, images: np.ndarray, turns: int) -> float:
  """Returns core-seconds of an update on such images."""
  conditional = setup.agent.conditional
  learner = agents.make_discriminator_learner(
      agents.make_discriminator(
          images.shape[1:], conditional, setup.discriminator
      ),
      setup.discriminator,
  )
  state = learner.init(jax.random.PRNGKey(0))
  batch = [images[::-1], images] + [images] * conditional

  def update() -> None:
    nonlocal state
    state, _ = learner.update(state, *batch)
    jax.block_until_ready(state)

  update()
  return _median(update, turns)


def _median(function: Callable[[], object], turns: int) -> float:
  """Returns the core-seconds of a call."""
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
