r"""Compares learning and acting with the same networks in PyTorch.

All are timed in turns, so that other work on the machine slows all alike: one
policy update (unroll, gradients, clipping, Adam), one discriminator update with
gradient penalty, one step of acting on 64 canvases, and this machine's rate of
float32 matrix products. Where JAX has a GPU, both run there, in TensorFloat-32
(JAX_PLATFORMS, if it is set, must include cpu as well: cuda,cpu). PyTorch is
not installed with the package:

  python -m pip install --editable '.[train,benchmark]'
  python experiments/benchmarks/learning.py \
      --flagfile=experiments/flags/mnist_reward_cpu.flags
  python experiments/benchmarks/learning.py \
      --flagfile=experiments/flags/mnist.flags --turns=3

With --trace_dir, a policy update and steps of acting are traced as well,
operation by operation, for https://ui.perfetto.dev; the kinds of operations
that took longest are printed. ffi_call are those in C.
"""

from collections.abc import Callable, Sequence
import dataclasses
import pathlib

from absl import flags
import jax
import jax.numpy as jnp
import numpy as np
import torch

from spiral_jax import agents
from spiral_jax import training
from spiral_jax.baselines import torch_agent
from spiral_jax.driver import rollout
from spiral_jax.training import cli
from spiral_jax.training import profiling

_EXPERIMENT = training.define_flags('environments.painting', dataset='mnist')
_FIGURES = flags.DEFINE_string(
    'figures',
    '',
    'file of JSON lines that figures are added to; empty for none',
)
_TURNS = flags.DEFINE_integer(
    'turns', 9, 'number of measurements of each', lower_bound=1
)
_TRACE_DIR = flags.DEFINE_string(
    'trace_dir',
    '',
    'folder of traces of an update and of acting; empty for none',
)

_ACTING = 64  # Canvases.
_SHOWN = 10  # Kinds of operations.


def main(argv: Sequence[str]) -> None:
  """Prints a table."""
  del argv
  _use_the_same_device()
  experiment = _EXPERIMENT.value
  episodes = experiment.run.batch_size // experiment.learner.minibatches
  experiment = experiment.replace(
      learner=dataclasses.replace(
          experiment.learner, epochs=1, minibatches=1, reward='l2'
      ),
      agent=dataclasses.replace(experiment.agent, conditional=True),
  )
  steps = experiment.environment.episode_length
  print(
      f'{jax.devices()[0].device_kind}, {torch.get_num_threads()} threads; '
      f'PyTorch {torch.__version__}, JAX {jax.__version__}; {steps} commands, '
      f'{_TURNS.value} turns; milliseconds: median (quartiles)'
  )
  agent = experiment.make_agent()
  trajectory = _trajectory(experiment, agent, episodes)
  rate = 2 * 2048**3 / np.median(profiling.in_turns([_product()], _TURNS.value))
  print(f'matrix products: {rate / 1e9:.0f} GFLOP/s')
  ours, flops = _policy_update(experiment, agent, trajectory)
  _trace('update', ours, calls=1)
  median = _compare(
      f'policy update, {episodes} episodes',
      ours,
      _torch_policy_update(experiment, agent, trajectory),
  )
  print(
      f'  {flops / 1e9:.1f} GFLOP: {flops / median / 1e9:.0f} GFLOP/s, '
      f'{flops / median / rate:.0%} of the rate of matrix products'
  )
  profiling.record(
      _FIGURES.value,
      profiling.Figure(
          'policy update, share of the rate of matrix products',
          flops / median / rate,
          '%',
      ),
  )
  size = experiment.run.batch_size
  _compare(
      f'discriminator update, {size} images',
      _discriminator_update(experiment, size),
      _torch_discriminator_update(experiment, size),
  )
  act = _acting(experiment, agent)
  _compare(f'acting, {_ACTING} canvases', act, _torch_acting(experiment, agent))
  _trace('acting', act, calls=50)


def _compare(name: str, ours: Callable, theirs: Callable) -> float:
  """Prints both and their ratio; returns our median in seconds."""
  times = 1e3 * np.array(profiling.in_turns([ours, theirs], _TURNS.value))
  for label, row in zip(('ours', 'PyTorch'), times):
    low, median, high = np.percentile(row, [25, 50, 75])
    print(f'{name:36}{label:8} {median:9.1f} ({low:.1f} to {high:.1f})')
  low, ratio, high = np.percentile(times[1] / times[0], [25, 50, 75])
  print(f'{"":36}{ratio:.2f}x as fast ({low:.2f} to {high:.2f})', flush=True)
  ours_ms, theirs_ms = np.median(times, axis=1)
  profiling.record(
      _FIGURES.value,
      profiling.Figure(
          name, ours_ms, 'ms', theirs_ms, 'PyTorch', ratio, (low, high)
      ),
  )
  return float(ours_ms) / 1e3


def _trace(name: str, function: Callable, calls: int) -> None:
  """Traces calls if --trace_dir is given; prints the longest operations."""
  if not _TRACE_DIR.value:
    return
  function()  # Compiles.
  kinds = profiling.trace(function, pathlib.Path(_TRACE_DIR.value, name), calls)
  total = sum(kinds.values())
  print(f'  traced, {1e3 * total:.1f} ms in operations:')
  for kind, seconds in list(kinds.items())[:_SHOWN]:
    print(f'    {kind:32} {1e3 * seconds:8.2f} ms, {seconds / total:.0%}')


def _use_the_same_device() -> None:
  """Lets PyTorch compute where JAX does, by its fastest settings there."""
  if jax.default_backend() != 'gpu':
    return
  if not torch.cuda.is_available():
    raise ValueError(
        'JAX computes on a GPU and this PyTorch cannot: install one built for '
        'CUDA, or set JAX_PLATFORMS=cpu'
    )
  torch.set_default_device('cuda')
  torch.backends.cudnn.benchmark = True
  torch.backends.cudnn.allow_tf32 = True  # JAX's default as well.
  torch.backends.cuda.matmul.allow_tf32 = True


def _tensor(array: np.ndarray) -> torch.Tensor:
  return torch.from_numpy(array).to(torch.get_default_device())


def _wait() -> None:
  if torch.cuda.is_available():
    torch.cuda.synchronize()


def _product() -> Callable:
  x = jnp.ones((2048, 2048))
  multiply = jax.jit(lambda x: x @ x)
  return lambda: multiply(x).block_until_ready()


def _trajectory(experiment, agent, episodes: int) -> agents.Trajectory:
  """Returns commands of an untrained agent on random targets."""
  rng = np.random.default_rng(0)
  shape = (episodes, *experiment.canvas_shape)
  act = rollout.Rollout(
      experiment.make_environment(episodes),
      jax.jit(agent.step),
      agent.initial_state(episodes),
      noise_size=experiment.agent.noise_size,
      targets=lambda: rng.integers(256, size=shape, dtype=np.uint8),
  )
  return act(agent.init(jax.random.key(0)), 0)


def _policy_update(experiment, agent, trajectory) -> tuple[Callable, float]:
  """Returns an update and its floating point operations."""
  # Alternatives are no part of what is measured.
  config = dataclasses.replace(experiment.learner, corrections_weight=0.0)
  learner = agents.make_learner(agent, None, config, colors=experiment.colors())
  state = learner.init(jax.random.key(0))

  def update():
    nonlocal state
    state, _ = learner.update(state, trajectory, None)
    jax.block_until_ready(state)

  return update, profiling.gradient_flops(agent, state.params, trajectory)


def _torch_policy_update(experiment, agent, trajectory) -> Callable:
  network = _torch_policy(experiment, agent)
  optimizer = torch.optim.Adam(network.parameters(), lr=1e-4)
  canvas = trajectory.canvas[:-1]
  target = np.broadcast_to(trajectory.target, canvas.shape)
  steps, batch = canvas.shape[:2]
  both = _tensor(np.concatenate([canvas, target], axis=-1))
  images = both.permute(0, 1, 4, 2, 3)
  noise = torch.randn(batch, experiment.agent.noise_size).expand(
      steps, batch, -1
  )
  action = {
      name: _tensor(value).long().flatten()
      for name, value in trajectory.action.items()
  }
  previous = {
      name: _shift(value.view(steps, batch)).flatten()
      for name, value in action.items()
  }
  advantage = torch.randn(steps * batch)

  def update():
    _, log_prob, entropy, value, _ = network(
        torch_agent.see(images, experiment.agent), noise, previous, action
    )
    loss = (
        -(log_prob * advantage).mean()
        + 0.5 * (value - advantage).square().mean()
        - 0.01 * entropy.mean()
    )
    optimizer.zero_grad()
    loss.backward()
    torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
    optimizer.step()
    _wait()

  return update


def _shift(value: torch.Tensor) -> torch.Tensor:
  """Returns the values of the commands before, `[T, B]`; -1 at the start."""
  return torch.cat([torch.full_like(value[:1], -1), value[:-1]])


def _torch_policy(experiment, agent) -> torch_agent.Policy:
  network = torch_agent.Policy(
      agent.parts, experiment.canvas_shape, experiment.agent
  )
  _order(network)
  params = jax.eval_shape(agent.init, jax.random.key(0))
  count = sum(leaf.size for leaf in jax.tree.leaves(params))
  # PyTorch's LSTM has a second bias, which adds nothing.
  theirs = torch_agent.num_parameters(network) - 4 * experiment.agent.core_size
  assert theirs == count, (theirs, count)
  return network


def _order(network: torch.nn.Module) -> None:
  """Puts channels last, in which oneDNN convolves fastest."""
  network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]


def _discriminator_update(experiment, batch: int) -> Callable:
  shape = experiment.canvas_shape
  learner = agents.make_discriminator_learner(
      agents.make_discriminator(shape, False, experiment.discriminator),
      experiment.discriminator,
  )
  state = learner.init(jax.random.key(0))
  images = np.random.default_rng(0).random((2, batch, *shape), np.float32)

  def update():
    nonlocal state
    state, _ = learner.update(state, *images)
    jax.block_until_ready(state)

  return update


def _torch_discriminator_update(experiment, batch: int) -> Callable:
  size, _, channels = experiment.canvas_shape
  network = torch_agent.Discriminator(size, channels, experiment.discriminator)
  _order(network)
  optimizer = torch.optim.Adam(network.parameters(), lr=1e-4, betas=(0.5, 0.99))
  real, fake = torch.rand(2, batch, channels, size, size)
  real = real.contiguous(memory_format=torch.channels_last)
  fake = fake.contiguous(memory_format=torch.channels_last)

  def update():
    optimizer.zero_grad()
    torch_agent.discriminator_loss(network, real, fake).backward()
    optimizer.step()
    _wait()

  return update


def _acting(experiment, agent) -> Callable:
  params = agent.init(jax.random.key(0))
  step = jax.jit(agent.step)
  state = agent.initial_state(_ACTING)
  canvas = np.zeros((_ACTING, *experiment.canvas_shape), np.uint8)
  noise = np.zeros((_ACTING, experiment.agent.noise_size), np.float32)
  observation = agents.Observation(canvas, canvas, noise)
  key = jax.random.key(1)

  def act():
    jax.device_get(step(params, state, observation, key)[0])

  return act


def _torch_acting(experiment, agent) -> Callable:
  network = _torch_policy(experiment, agent)
  size, _, channels = experiment.canvas_shape
  # From the renderer, which paints in the host's memory.
  images = np.zeros((1, _ACTING, 2 * channels, size, size), np.uint8)
  noise = torch.zeros(1, _ACTING, experiment.agent.noise_size)
  previous = {part.name: torch.full((_ACTING,), -1) for part in agent.parts}

  @torch.inference_mode()
  def act():
    seen = torch_agent.see(_tensor(images), experiment.agent)
    command, *_ = network(seen, noise, previous, None)
    for value in command.values():
      value.cpu()

  return act


if __name__ == '__main__':
  cli.run(main)
