"""Small worlds for agents: a renderer in numpy, specs, networks, trajectories.

Axes: T time (commands), B batch, H height, W width, C channels, P parts.
"""

import functools
from typing import NamedTuple

from dm_env import specs
from flax import linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from environments import core
from spiral_jax import agents
from spiral_jax import types
from spiral_jax.agents import agent as agent_lib
from spiral_jax.driver import rollout as rollout_lib
from spiral_jax.networks import action as action_lib

T, B, SIZE, GRID = 4, 3, 16, 8

NETWORK = dict(
    channels=4,
    torso_blocks=1,
    head_blocks=1,
    hidden_size=16,
    core_size=16,
    embedding_size=16,  # So many that each input passes some ReLU.
    map_size=4,
)
CONV = dict(torso='conv', location_head='deconv')
PATCHES = dict(torso='patches', location_head='spatial')
STATED = dict(
    CONV,
    architecture='stated',
    part_order=('control', 'end', 'pressure', 'size', 'flag'),
)


def painting_spec(color=False, grid=GRID):
  """Returns the parts of a painting command, on a small grid."""
  location = functools.partial(core.Part, grid**2, grid_shape=(grid, grid))
  ink = ('flag', (1,))
  spec = {
      'flag': core.Part(2),
      'end': location(),
      'control': location(active_if=ink),
      'size': core.Part(3, active_if=ink),
      'pressure': core.Part(4, active_if=ink),
  }
  if color:
    for name in ('red', 'green', 'blue'):
      spec[name] = core.Part(5, active_if=ink)
  return spec


class Stamps:
  """A renderer: a command stamps the cells of its locations.

  The shade of a stamp depends on all other parts of the command.
  """

  def __init__(self, count, spec, canvas_shape):
    self.count = count
    self._spec = spec
    self._shape = canvas_shape

  def action_spec(self):
    return self._spec

  def canvas_spec(self):
    return specs.BoundedArray(self._shape, np.uint8, 0, 255, 'canvas')

  def reset(self):
    self._canvas = np.full((self.count, *self._shape), 255, np.uint8)
    return self._canvas.copy()

  def step(self, command):
    shade = np.zeros(self.count, int)
    for name, part in self._spec.items():
      if part.grid_shape is None:
        shade = part.num_values * shade + command[name]
    for name, part in self._spec.items():
      if part.grid_shape is None:
        continue
      rows, columns = part.grid_shape
      height, width = self._shape[0] // rows, self._shape[1] // columns
      for n in range(self.count):
        y, x = divmod(int(command[name][n]), columns)
        self._canvas[
            n, y * height : (y + 1) * height, x * width : (x + 1) * width
        ] = (37 * shade[n] % 255)
    return self._canvas.copy()


def environment(count, spec, canvas_shape, episode_length):
  return core.BatchedEnvironment(
      Stamps(count, spec, canvas_shape), episode_length, np.uint8
  )


class PoolTorso(nn.Module):
  """A torso of one's own: means over the cells of the map, and two layers."""

  map_size: int

  @nn.compact
  def __call__(self, images, condition, planes):
    image = jnp.concatenate(images, axis=-1)
    count, height, width, channels = image.shape
    size = self.map_size
    cells = image.reshape(
        count, size, height // size, size, width // size, channels
    ).mean((2, 4))
    told = jnp.broadcast_to(
        condition[:, None, None], (count, size, size, condition.shape[-1])
    )
    features = nn.tanh(
        nn.Dense(4)(jnp.concatenate([cells, planes, told], axis=-1))
    )
    return features, nn.Dense(8)(features.reshape(count, -1))


class World(NamedTuple):
  """An agent whose policy is far from uniform, and what it painted."""

  agent: agents.Agent
  params: types.Params
  step: ...  # Jitted.
  unroll: ...  # Jitted.
  rollout: rollout_lib.Rollout
  trajectory: types.Trajectory
  config: agents.AgentConfig


# What an agent may be told: (configuration, whether in color).
KINDS = {
    'conditional': (dict(conditional=True), False),
    'unconditional': (dict(noise_size=5), False),
    'blind': (dict(conditional=True, blind=True), False),
    'color': (dict(conditional=True, noise_size=5), True),
}
NETWORKS = {'conv': CONV, 'patches': PATCHES, 'stated': STATED}
# Each takes compiling: all kinds and all networks, not all pairs of them.
WORLDS = [
    'conditional-patches',
    'unconditional-stated',
    'blind-conv',
    'color-conv',
]


@functools.cache
def world(name):
  """Returns the world of this name, with one trajectory of T commands."""
  kind, network = name.split('-')
  inputs, color = KINDS[kind]
  spec, canvas_shape = painting_spec(color), (SIZE, SIZE, 3 if color else 1)
  config = agents.AgentConfig(**NETWORK, **NETWORKS[network], **inputs)
  agent = agents.make_agent(spec, canvas_shape, config)
  params = sharpen(agent.init(jax.random.key(0)))
  step = jax.jit(agent.step, static_argnames='greedy')
  rng = np.random.default_rng(0)

  def targets():
    return rng.integers(256, size=(B, *canvas_shape)).astype(np.uint8)

  rollout = rollout_lib.Rollout(
      environment(B, spec, canvas_shape, T),
      step,
      agent.initial_state(B),
      noise_size=config.noise_size,
      targets=targets if config.conditional else None,
      seed=1,
  )
  rollout(params, 0)  # What is tested is not the first episode.
  return World(
      agent,
      params,
      step,
      jax.jit(agent.unroll),
      rollout,
      rollout(params, 1),
      config,
  )


def acting_key(seed):
  """Returns a key of the kind that rollouts hand to a step, which is compiled.

  Of another kind, the step would be compiled anew.
  """
  return np.asarray(jax.random.key_data(jax.random.key(seed)))


def sharpen(params, scale=0.2, seed=0):
  """Returns parameters that make all inputs matter and logits differ."""
  rng = np.random.default_rng(seed)
  return jax.tree.map(
      lambda x: x + jnp.asarray(rng.normal(size=x.shape) * scale, x.dtype),
      params,
  )


def table_agent(parts=(('flag', 2), ('end', 16))):
  """Returns an agent whose parameters are what it says of each command.

  `params[name][t, n]` is its log_prob, value or entropy of command t in the
  episode whose noise is n, so that gradients can be read off an update.
  """
  parts = tuple(action_lib.ActionPart(*part) for part in parts)

  def init(key):
    del key
    return table()

  def unroll(params, trajectory, imitated=None, advice=None):
    del advice
    action = trajectory.action if imitated is None else imitated
    episodes = trajectory.noise[:, 0].astype(jnp.int32)
    out = {name: value[:, episodes] for name, value in params.items()}
    is_active = (
        jnp.ones_like(out['entropy']).at[..., 1].set(action['flag'] == 1)
    )
    return types.UnrollOutput(**out, is_active=is_active)

  def initial_state(batch):
    none = np.full(batch, types.NO_COMMAND, np.int32)
    zeros = np.zeros((batch, 1), np.float32)
    return types.AgentState((zeros, zeros), {part.name: none for part in parts})

  return agent_lib.Agent(init, initial_state, None, unroll, parts)


def table(**values):
  """Returns parameters of `table_agent`, zeros where no value is given."""
  shapes = {'log_prob': (T, B), 'value': (T, B), 'entropy': (T, B, 2)}
  return {
      name: jnp.asarray(values.get(name, np.zeros(shape)), jnp.float32)
      for name, shape in shapes.items()
  }


def darkness(params, images, targets):
  """A score: the darkness of images, in units that are parameters."""
  del targets
  return params * (1.0 - jnp.mean(images, axis=(1, 2, 3)))


def darkness_of(trajectory):
  """Returns what `darkness` says of all canvases in numpy, `[T + 1, B]`."""
  return 1.0 - trajectory.canvas.mean((-3, -2, -1)) / 255.0


def table_trajectory(seed=0, **fields):
  """Returns a trajectory for `table_agent`; `fields` replace what is random."""
  rng = np.random.default_rng(seed)
  is_last = np.zeros((T, B), bool)
  is_last[-1] = True
  trajectory = types.Trajectory(
      canvas=rng.integers(256, size=(T + 1, B, 2, 2, 1)).astype(np.uint8),
      action={
          'flag': rng.integers(2, size=(T, B)).astype(np.int32),
          'end': rng.integers(16, size=(T, B)).astype(np.int32),
      },
      log_prob=np.zeros((T, B), np.float32),
      value=np.zeros((T, B), np.float32),
      is_last=is_last,
      bootstrap=np.zeros(B, np.float32),
      initial_state=table_agent().initial_state(B),
      target=None,
      noise=np.arange(B, dtype=np.float32)[:, None],
      params_version=np.int32(0),
  )
  trajectory = trajectory._replace(**fields)
  shape = next(iter(trajectory.action.values())).shape
  if shape != trajectory.is_last.shape:
    is_last = np.zeros(shape, bool)
    is_last[-1] = True
    none = np.zeros(shape, np.float32)
    trajectory = trajectory._replace(
        is_last=is_last, log_prob=none, value=none, bootstrap=None
    )
  return trajectory
