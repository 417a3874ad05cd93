"""An agent and its trajectories: the mistakes that others made, one by one."""

import dataclasses
import functools
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from environments import core
from spiral_jax import agents
from spiral_jax import types
from spiral_jax.losses import images as images_lib
from tests.agents import toys

T, B = toys.T, toys.B
WORLDS = pytest.mark.parametrize('name', toys.WORLDS)


def unroll_with(world, **fields):
  return world.unroll(world.params, world.trajectory._replace(**fields))


def change(array, where, by=1, values=None):
  """Returns a copy with `by` added at `where`, modulo the number of values."""
  array = np.array(array)
  array[where] += by
  if values is not None:
    array[where] %= values
  return array


def changed_rows(one, other):
  """Returns for each (t, b) whether anything differs, `[T, B]`."""
  return np.any(
      np.reshape(np.asarray(one) != np.asarray(other), (T, B, -1)), axis=-1
  )


# The learner sees what the actor did.


@WORLDS
def test_commands_are_scored_as_they_were_sampled(name):
  world = toys.world(name)
  out = world.unroll(world.params, world.trajectory)
  assert np.std(world.trajectory.log_prob) > 0.2  # Far from uniform.
  assert np.std(world.trajectory.value) > 0.01  # Tolerances are far below.
  np.testing.assert_allclose(
      out.log_prob, world.trajectory.log_prob, rtol=0, atol=1e-5
  )
  np.testing.assert_allclose(
      out.value, world.trajectory.value, rtol=0, atol=1e-5
  )


@WORLDS
@pytest.mark.parametrize('t', [0, 2, T - 1])
def test_a_command_leaves_all_before_it_untouched(name, t):
  world = toys.world(name)
  before = world.unroll(world.params, world.trajectory)
  action = {
      part.name: change(
          world.trajectory.action[part.name], t, 1, part.num_values
      )
      for part in world.agent.parts
  }
  after = unroll_with(world, action=action)
  time = np.arange(T)[:, None] + np.zeros((1, B))
  # The value of a canvas is that before its command.
  np.testing.assert_array_equal(
      changed_rows(before.value, after.value), time > t
  )
  np.testing.assert_array_equal(
      changed_rows(before.log_prob, after.log_prob), time >= t
  )
  np.testing.assert_array_equal(
      changed_rows(before.entropy, after.entropy), time >= t
  )


@pytest.mark.parametrize('name', ['color-conv', 'conditional-patches'])
def test_a_part_leaves_the_parts_before_it_untouched(name):
  world = toys.world(name)
  before = np.asarray(world.unroll(world.params, world.trajectory).entropy)
  for index, part in enumerate(world.agent.parts):
    action = dict(world.trajectory.action)
    action[part.name] = change(action[part.name], 1, 1, part.num_values)
    after = np.asarray(unroll_with(world, action=action).entropy)
    same = np.all(before[1] == after[1], axis=0)
    np.testing.assert_array_equal(
        same, np.arange(len(world.agent.parts)) <= index, part.name
    )


@WORLDS
def test_each_command_sees_the_one_before_it(name):
  world = toys.world(name)
  before = world.unroll(world.params, world.trajectory)
  for part in world.agent.parts:
    state = world.trajectory.initial_state
    previous = dict(state.previous)
    assert np.all(previous[part.name] == types.NO_COMMAND)
    previous[part.name] = np.array([-1, 1, -1], np.int32)
    after = unroll_with(world, initial_state=state._replace(previous=previous))
    changed = changed_rows(before.log_prob, after.log_prob)
    np.testing.assert_array_equal(changed[0], [False, True, False], part.name)
    # Later ones through the core, which may forget below what is compared.
    assert changed[1:, 1].any() and not changed[:, ::2].any(), part.name


# Recurrent state.


def test_initial_state_is_empty():
  agent = toys.world('conditional-patches').agent
  core_state, previous = agent.initial_state(5)
  for x in core_state:
    np.testing.assert_array_equal(x, np.zeros((5, toys.NETWORK['core_size'])))
  assert set(previous) == {part.name for part in agent.parts}
  for x in previous.values():
    np.testing.assert_array_equal(x, np.full(5, -1))
    assert x.dtype == jnp.int32


@WORLDS
def test_every_episode_starts_from_the_initial_state(name):
  # The trajectory is that of a second episode: state that was carried over
  # from the first would show in its log-probabilities.
  world = toys.world(name)
  empty = world.agent.initial_state(B)
  for one, other in zip(
      jax.tree.leaves(world.trajectory.initial_state), jax.tree.leaves(empty)
  ):
    np.testing.assert_array_equal(one, other)
  out = unroll_with(world, initial_state=empty)
  np.testing.assert_allclose(
      out.log_prob, world.trajectory.log_prob, rtol=0, atol=1e-5
  )
  other = empty._replace(core=tuple(x + 1.0 for x in empty.core))
  changed = unroll_with(world, initial_state=other)
  assert np.all(np.abs(changed.log_prob - out.log_prob) > 1e-4)


def test_part_of_an_episode_goes_on_where_the_last_ended():
  world = toys.world('conditional-patches')
  t, whole = 2, world.trajectory
  state = world.agent.initial_state(B)
  key = toys.acting_key(0)
  actions = []
  for canvas in whole.canvas[:T]:
    if len(actions) == t:
      carried = state
    observation = types.Observation(canvas, whole.target, whole.noise)
    output, state = world.step(world.params, state, observation, key)
    actions.append(output.action)
  action = jax.tree.map(lambda *x: np.stack(x), *actions)
  complete = unroll_with(world, action=action)
  second = unroll_with(
      world,
      canvas=whole.canvas[t:],
      action=jax.tree.map(lambda x: x[t:], action),
      is_last=whole.is_last[t:],
      log_prob=whole.log_prob[t:],
      value=whole.value[t:],
      initial_state=carried,
  )
  np.testing.assert_allclose(
      second.log_prob, complete.log_prob[t:], rtol=0, atol=1e-5
  )
  np.testing.assert_allclose(
      second.value, complete.value[t:], rtol=0, atol=1e-5
  )


# Nothing is scrambled across the batch.


@WORLDS
def test_permuting_the_batch_permutes_the_outputs(name):
  world = toys.world(name)
  out = world.unroll(world.params, world.trajectory)
  order = np.array([2, 0, 1])

  def timed(x):
    return x[:, order]

  def untimed(x):
    return x[order]

  whole = world.trajectory
  permuted = unroll_with(
      world,
      canvas=timed(whole.canvas),
      action=jax.tree.map(timed, whole.action),
      initial_state=jax.tree.map(untimed, whole.initial_state),
      target=jax.tree.map(untimed, whole.target),
      noise=jax.tree.map(untimed, whole.noise),
  )
  for name in ('log_prob', 'value', 'entropy', 'is_active'):
    one, other = getattr(out, name), getattr(permuted, name)
    np.testing.assert_allclose(one[:, order], other, rtol=0, atol=1e-5)


@WORLDS
def test_an_episode_does_not_see_its_neighbors(name):
  world = toys.world(name)
  whole = world.trajectory
  before = world.unroll(world.params, whole)

  def other(x):
    return change(x, 1, 40)

  after = unroll_with(
      world,
      canvas=change(whole.canvas, (slice(None), 1), 40),
      action={
          part.name: change(
              whole.action[part.name], (slice(None), 1), 1, part.num_values
          )
          for part in world.agent.parts
      },
      target=jax.tree.map(other, whole.target),
      noise=jax.tree.map(other, whole.noise),
  )
  for one, two in zip(before[:3], after[:3]):
    np.testing.assert_array_equal(
        changed_rows(one, two), np.ones((T, 1)) * [False, True, False]
    )


# Each input matters where it should, and only there.


@WORLDS
@pytest.mark.parametrize('field', ['canvas', 'target', 'noise'])
def test_inputs_are_used(name, field):
  world = toys.world(name)
  before = world.unroll(world.params, world.trajectory)
  value = getattr(world.trajectory, field)
  is_used = {
      'canvas': not world.config.blind,
      'target': world.config.conditional,
      'noise': world.config.noise_size > 0,
  }[field]
  if value is None:
    assert not is_used
    return
  where = (2, 0) if field == 'canvas' else 0  # One canvas, or one episode.
  after = unroll_with(world, **{field: change(value, where, 100)})
  time, episode = np.arange(T)[:, None], np.arange(B)[None]
  affected = (episode == 0) & (time >= (2 if field == 'canvas' else 0))
  for one, other in (
      (before.value, after.value),
      (before.log_prob, after.log_prob),
  ):
    np.testing.assert_array_equal(changed_rows(one, other), affected & is_used)


def test_every_number_of_the_noise_is_used_whatever_its_sign():
  world = toys.world('color-conv')
  for sign in (-1.0, 1.0):
    noise = np.full_like(world.trajectory.noise, 3.0 * sign)
    before = unroll_with(world, noise=noise)
    for z in range(world.config.noise_size):
      after = unroll_with(
          world, noise=change(noise, (slice(None), z), 2.0 * sign)
      )
      # By some commands: from others the torso's few ReLUs may hide it.
      assert np.any(after.value != before.value)
      assert np.any(after.log_prob != before.log_prob)


def test_integers_are_images_of_255_shades():
  image = np.array([0, 51, 255], np.uint8)
  np.testing.assert_allclose(images_lib.to_float(image), [0.0, 0.2, 1.0])
  floats = np.array([0.0, 0.2, 1.0], np.float32)
  np.testing.assert_array_equal(images_lib.to_float(floats), floats)


def test_float_and_integer_canvases_are_the_same():
  world = toys.world('conditional-patches')
  floats = unroll_with(
      world,
      canvas=world.trajectory.canvas.astype(np.float32) / 255,
      target=world.trajectory.target.astype(np.float32) / 255,
  )
  np.testing.assert_allclose(
      floats.log_prob, world.trajectory.log_prob, rtol=0, atol=1e-5
  )


def test_a_blind_agent_may_have_nothing_to_look_at():
  for network in (toys.CONV, toys.PATCHES):
    config = agents.AgentConfig(
        **toys.NETWORK, **network, blind=True, noise_size=2
    )
    agent = agents.make_agent(toys.painting_spec(), (16, 16, 1), config)
    params = jax.eval_shape(agent.init, jax.random.key(0))
    observation = types.Observation(
        np.zeros((B, 16, 16, 1), np.uint8), None, np.zeros((B, 2), np.float32)
    )
    output, _ = jax.eval_shape(
        agent.step,
        params,
        agent.initial_state(B),
        observation,
        jax.random.key(0),
    )
    assert output.log_prob.shape == (B,)


# A policy over a space so small that all of it can be listed.


def tiny_spec(side):
  return {
      'flag': core.Part(2),
      'end': core.Part(side**2, grid_shape=(side, side)),
      'size': core.Part(3, active_if=('flag', (1,))),
  }


@functools.cache
def tiny(network, scale=0.2):
  """Returns (agent, params, observation [1], commands [N], log_prob [N])."""
  side = {'patches': 2, 'conv': 4}[network]
  config = agents.AgentConfig(
      **{**toys.NETWORK, 'map_size': 2}, **toys.NETWORKS[network], noise_size=2
  )
  agent = agents.make_agent(tiny_spec(side), (4, 4, 1), config)
  params = toys.sharpen(agent.init(jax.random.key(0)), scale)
  observation = types.Observation(
      canvas=np.full((1, 4, 4, 1), 100, np.uint8), noise=np.ones((1, 2))
  )
  commands = np.array(
      list(itertools.product(range(2), range(side**2), range(3)))
  ).astype(np.int32)
  count = len(commands)
  action = dict(zip(('flag', 'end', 'size'), commands.T))
  trajectory = toys.table_trajectory(
      canvas=np.full((2, count, 4, 4, 1), 100, np.uint8),
      action={name: values[None] for name, values in action.items()},
      initial_state=agent.initial_state(count),
      noise=np.ones((count, 2)),
  )
  out = jax.jit(agent.unroll)(params, trajectory)
  return agent, params, observation, action, out


@pytest.mark.parametrize('network', ['conv', 'patches'])
def test_probabilities_of_all_commands_add_up_to_one(network):
  _, _, _, action, out = tiny(network)
  probability = np.exp(np.asarray(out.log_prob[0], np.float64))
  assert probability.std() > 0.1 * probability.mean()
  moves, paints = action['flag'] == 0, action['flag'] == 1
  total_paint = probability[paints].sum()
  for size in range(3):  # Whatever the part that has no meaning says.
    total_move = probability[moves & (action['size'] == size)].sum()
    assert total_move + total_paint == pytest.approx(1.0, abs=1e-5)


@pytest.mark.parametrize('network', ['conv', 'patches'])
def test_a_part_without_meaning_does_not_count(network):
  _, _, _, action, out = tiny(network)
  log_prob = np.asarray(out.log_prob[0]).reshape(2, -1, 3)  # flag, end, size.
  np.testing.assert_array_equal(log_prob[0, :, 0], log_prob[0, :, 1])
  np.testing.assert_array_equal(log_prob[0, :, 0], log_prob[0, :, 2])
  assert np.all(np.ptp(log_prob[1], axis=-1) > 1e-3)
  np.testing.assert_array_equal(out.is_active[0, :, :2], 1.0)
  np.testing.assert_array_equal(out.is_active[0, :, 2], action['flag'])


@pytest.mark.parametrize('network', ['conv', 'patches'])
def test_entropies_are_those_of_the_listed_probabilities(network):
  _, _, _, _, out = tiny(network)
  log_prob = np.asarray(out.log_prob[0], np.float64).reshape(2, -1, 3)
  joint = np.exp(log_prob)
  joint[0, :, 1:] = 0.0  # A move is one command, whatever its size.
  flag = joint.sum((1, 2))
  end = joint.sum(2) / flag[:, None]
  size = joint[1] / joint[1].sum(1, keepdims=True)

  def entropy(p):
    return -np.sum(p * np.log(p), axis=-1)

  found = np.asarray(out.entropy[0]).reshape(2, -1, 3, 3)
  np.testing.assert_allclose(found[..., 0], entropy(flag), atol=1e-5)
  for f in range(2):
    np.testing.assert_allclose(found[f, ..., 1], entropy(end[f]), atol=1e-5)
  np.testing.assert_allclose(
      found[1, ..., 2], np.tile(entropy(size)[:, None], 3), atol=1e-5
  )
  # What the chain rule makes of it is the entropy of a command.
  nonzero = joint[joint > 0]
  parts = (
      entropy(flag)
      + flag @ entropy(end)
      + np.sum(joint[1].sum(1) * entropy(size))
  )
  assert parts == pytest.approx(-np.sum(nonzero * np.log(nonzero)), abs=1e-5)


@pytest.mark.parametrize('network', ['conv', 'patches'])
def test_commands_are_sampled_as_often_as_their_probability_says(network):
  agent, params, observation, _, out = tiny(network, 0.1)
  n = 6000
  many = jax.tree.map(lambda x: np.repeat(x, n, axis=0), observation)
  output, state = jax.jit(agent.step)(
      params, agent.initial_state(n), many, jax.random.key(4)
  )
  side = out.log_prob.shape[1] // 6
  flag, end, size = (
      np.asarray(output.action[name]) for name in ('flag', 'end', 'size')
  )
  np.testing.assert_array_equal(state.previous['end'], end)
  index = 3 * (side * flag + end) + size * flag
  counts = np.bincount(index, minlength=6 * side).reshape(2, side, 3)
  expected = n * np.exp(np.asarray(out.log_prob[0])).reshape(2, side, 3)
  cells = np.concatenate([counts[0, :, 0], counts[1].ravel()])
  means = np.concatenate([expected[0, :, 0], expected[1].ravel()])
  chi_squared = np.sum((cells - means) ** 2 / means)
  degrees = len(cells) - 1
  # About four deviations of chi squared above its mean.
  assert chi_squared < degrees + 4 * np.sqrt(2 * degrees)


@pytest.mark.parametrize('network', ['conv', 'patches'])
def test_greedy_is_the_likeliest_value_of_each_part_in_turn(network):
  agent, params, observation, _, out = tiny(network)
  step = jax.jit(agent.step, static_argnames='greedy')
  outputs = [
      step(
          params,
          agent.initial_state(1),
          observation,
          jax.random.key(seed),
          greedy=True,
      )[0]
      for seed in range(3)
  ]
  for output in outputs[1:]:
    for one, other in zip(jax.tree.leaves(outputs[0]), jax.tree.leaves(output)):
      np.testing.assert_array_equal(one, other)
  joint = np.exp(np.asarray(out.log_prob[0], np.float64)).reshape(2, -1, 3)
  joint[0] /= 3  # Each move is listed three times.
  flag = np.argmax(joint.sum((1, 2)))
  end = np.argmax(joint[flag].sum(1))
  action = {name: int(value[0]) for name, value in outputs[0].action.items()}
  assert action['flag'] == flag
  assert action['end'] == end
  if flag == 1:
    assert action['size'] == np.argmax(joint[1, end])
  table = np.asarray(out.log_prob[0]).reshape(2, -1, 3)
  assert outputs[0].log_prob[0] == pytest.approx(
      table[flag, end, action['size']], abs=1e-5
  )


def test_temperature_divides_logits():
  world = toys.world('conditional-patches')
  observation = types.Observation(
      world.trajectory.canvas[0], world.trajectory.target
  )
  state = world.agent.initial_state(B)

  @jax.jit
  def step(key, temperature):
    return world.agent.step(
        world.params, state, observation, key, temperature=temperature
    )[0]

  def spread(temperature):
    """Returns how often flag 1 is decided, as a logit, for each canvas."""
    flags = [
        step(toys.acting_key(seed), temperature).action['flag']
        for seed in range(400)
    ]
    share = np.mean(flags, axis=0)
    return np.log(share / (1 - share))

  # The flag is decided first: its logits do not depend on other parts.
  np.testing.assert_allclose(spread(1.0), spread(2.0) * 2, atol=0.45)
  key = toys.acting_key(0)
  plain = world.step(world.params, state, observation, key)[0]
  same = step(key, 1.0)
  np.testing.assert_array_equal(plain.action['end'], same.action['end'])
  np.testing.assert_allclose(plain.log_prob, same.log_prob, rtol=1e-5)
  greedy = world.step(world.params, state, observation, key, greedy=True)[0]
  cold = step(key, 1e-4)
  for name, values in greedy.action.items():
    np.testing.assert_array_equal(cold.action[name], values)
  np.testing.assert_allclose(cold.log_prob, 0.0, atol=1e-3)


def test_a_temperature_that_is_not_above_zero_is_refused():
  world = toys.world('conditional-patches')
  observation = types.Observation(
      world.trajectory.canvas[0], world.trajectory.target
  )
  with pytest.raises(ValueError, match='temperature is 0, must be above 0'):
    world.agent.step(
        world.params,
        world.agent.initial_state(B),
        observation,
        toys.acting_key(0),
        temperature=0,
    )


def test_different_keys_sample_different_commands():
  world = toys.world('conditional-patches')
  observation = types.Observation(
      world.trajectory.canvas[0], world.trajectory.target
  )
  commands = [
      world.step(
          world.params,
          world.agent.initial_state(B),
          observation,
          toys.acting_key(seed),
      )[0].action
      for seed in (0, 0, 1)
  ]
  np.testing.assert_array_equal(commands[0]['end'], commands[1]['end'])
  assert np.any(commands[0]['end'] != commands[2]['end'])


# A torso of one's own.


def test_a_torso_of_ones_own_takes_canvases_that_others_refuse():
  spec, shape = toys.painting_spec(grid=4), (12, 12, 1)
  config = agents.AgentConfig(
      **toys.NETWORK, location_head='spatial', conditional=True, noise_size=2
  )
  with pytest.raises(ValueError, match='12 pixels is not'):
    agents.make_agent(spec, shape, config)
  agent = agents.make_agent(
      spec, shape, config, torso=toys.PoolTorso(config.map_size)
  )
  params = toys.sharpen(agent.init(jax.random.key(0)))
  torso = params['params']['torso']
  assert torso['Dense_0']['kernel'].shape[-1] == 4
  assert torso['Dense_1']['kernel'].shape == (4 * 4 * 4, 8)
  trajectory = toys.rollout_lib.Rollout(
      toys.environment(B, spec, shape, T),
      jax.jit(agent.step),
      agent.initial_state(B),
      noise_size=2,
      targets=lambda: np.full((B, *shape), 77, np.uint8),
  )(params, 0)
  unroll = jax.jit(agent.unroll)
  out = unroll(params, trajectory)
  assert np.std(trajectory.log_prob) > 0.2
  np.testing.assert_allclose(
      out.log_prob, trajectory.log_prob, rtol=0, atol=1e-5
  )
  np.testing.assert_allclose(out.value, trajectory.value, rtol=0, atol=1e-5)
  # It is what sees.
  torso['Dense_1'] = jax.tree.map(jnp.zeros_like, torso['Dense_1'])
  assert np.all(unroll(params, trajectory).value != out.value)


def test_help_tells_of_shapes():
  agent = toys.world('conditional-patches').agent
  for words in ('int32 `[B]`', '`[B, H, W, C]`', 'greedy'):
    assert words in agent.step.__doc__
  for words in ('`[T + 1, B, H, W, C]`', '`[T, B, P]`'):
    assert words in agent.unroll.__doc__


@pytest.mark.parametrize('name', ['conditional-patches', 'color-conv'])
def test_the_value_after_a_piece_is_that_of_the_whole(name):
  world = toys.world(name)
  whole = world.unroll(world.params, world.trajectory)
  trajectory, t = world.trajectory, T - 1
  piece = trajectory._replace(
      canvas=trajectory.canvas[: t + 1],
      bootstrap=np.zeros(B, np.float32),
      **{
          name: jax.tree.map(lambda x: x[:t], getattr(trajectory, name))
          for name in ('action', 'log_prob', 'value', 'is_last')
      },
  )
  out = jax.jit(world.agent.unroll)(world.params, piece)
  np.testing.assert_allclose(out.bootstrap, whole.value[t], atol=1e-5)
  assert world.unroll(world.params, trajectory).bootstrap is None


def test_what_is_decided_before_what_it_depends_on_always_counts():
  config = agents.AgentConfig(
      **{**toys.NETWORK, **toys.STATED, 'part_order': ('size', 'flag')}
  )
  spec = {
      'flag': core.Part(2),
      'size': core.Part(3, active_if=('flag', (1,))),
  }
  agent = agents.make_agent(spec, (16, 16, 1), config)
  assert [part.name for part in agent.parts] == ['size', 'flag']
  params = toys.sharpen(agent.init(jax.random.key(0)))
  size, flag = np.divmod(np.arange(6, dtype=np.int32), 2)
  out = jax.jit(agent.unroll)(
      params,
      toys.table_trajectory(
          canvas=np.full((2, 6, 16, 16, 1), 100, np.uint8),
          action={'size': size[None], 'flag': flag[None]},
          initial_state=agent.initial_state(6),
          noise=None,
      ),
  )
  np.testing.assert_array_equal(out.is_active, 1.0)
  probability = np.exp(np.asarray(out.log_prob[0], np.float64))
  # Whether it moves depends on a size that then has no meaning.
  assert probability.sum() == pytest.approx(1, abs=1e-5)
  assert np.ptp(probability[flag == 0]) > 1e-3


def test_the_stated_network_has_the_shapes_of_figures_12_and_13():
  grid = functools.partial(core.Part, 1024, grid_shape=(32, 32))
  spec = {
      'flag': core.Part(2),
      'end': grid(),
      'control': grid(active_if=('flag', (1,))),
  }
  order = ('control', 'end', 'flag')
  config = agents.AgentConfig(
      conditional=True, architecture='stated', part_order=order
  )
  agent = agents.make_agent(spec, (64, 64, 3), config)
  params = jax.eval_shape(agent.init, jax.random.key(0))['params']
  torso, decoder = params['torso'], params['decoder']
  kernels = jax.tree.map(lambda x: x.shape, dict(torso))
  # No plane of coordinates: canvas and target, in color.
  assert kernels['Conv_0']['kernel'] == (5, 5, 6, 32)
  halving = [kernels[f'Conv_{i}']['kernel'] for i in (1, 2, 3)]
  assert halving == [(4, 4, 32, 32)] * 3
  blocks = [name for name in kernels if 'Block' in name]
  assert len(blocks) == 8
  assert kernels['Dense_0']['kernel'] == (8 * 8 * 32, 256)
  assert 'Dense_1' not in kernels
  assert params['condition']['kernel'].shape == (3 * 16, 32)
  assert len(params['flag_previous']) == 2  # A perceptron of two layers.
  head = jax.tree.map(lambda x: x.shape, dict(decoder['end_logits']))
  assert sum('Block' in name for name in head) == 8
  doublings = [name for name in head if 'Doubling' in name]
  assert len(doublings) == 3 and head['Conv_0']['kernel'] == (3, 3, 32, 1)
  assert decoder['end_refine']['kernel'].shape == (256 + 16, 256)


# What cannot be built says so.


@pytest.mark.parametrize(
    'spec, canvas_shape, config, words',
    [
        (None, (16, 12, 1), {}, ['16 x 12', 'square', 'map_size=4']),
        (None, (18, 18, 1), {}, ['18 x 18', 'multiple of map_size=4']),
        (None, (2, 2, 1), {}, ['2 x 2', 'multiple of map_size=4']),
        (None, (12, 12, 1), dict(torso='conv'), ['12 pixels', 'power of two']),
        (
            None,
            None,
            dict(mix_cells=True),
            ['mix_cells', "'conv'", 'leave it out'],
        ),
        (
            {
                'size': core.Part(2, active_if=('flag', (1,))),
                'flag': core.Part(2),
            },
            None,
            {},
            ["'size'", "'flag'", "['size', 'flag']"],
        ),
        (
            {
                'flag': core.Part(2),
                'size': core.Part(2, active_if=('flag', (2, 5))),
            },
            None,
            {},
            ["'size'", "'flag' is one of (2, 5)", '0 to 1'],
        ),
        (
            {'end': core.Part(32, grid_shape=(4, 8))},
            None,
            {},
            ["'end'", '4 x 8', 'square'],
        ),
        (
            {'end': core.Part(36, grid_shape=(6, 6))},
            None,
            toys.PATCHES,
            ["'end'", '6 x 6', 'multiple of map_size=4'],
        ),
        (
            {'end': core.Part(144, grid_shape=(12, 12))},
            None,
            toys.CONV,
            ["'end'", '12 x 12', 'power of two'],
        ),
        (
            {'end': core.Part(144, grid_shape=(12, 12))},
            None,
            dict(torso='patches', location_head='deconv'),
            ["'end'", '12 x 12', 'power of two'],
        ),
        (
            {'end': core.Part(4, grid_shape=(2, 2))},
            None,
            toys.CONV,
            ["'end'", '2 x 2', 'power of two from 4'],
        ),
        (
            None,
            None,
            dict(toys.STATED, part_order=('flag', 'end')),
            ['part_order is flag,end', 'flag,end,control,size,pressure'],
        ),
        (
            {'end': core.Part(16, grid_shape=(4, 4))},
            None,
            dict(toys.STATED, part_order=()),
            ["'end'", '4 x 4', 'power of two from 8'],
        ),
        (
            None,
            None,
            dict(toys.CONV, core_size=24),
            ['core_size', '24', 'multiple of 16'],
        ),
    ],
)
def test_networks_that_cannot_be_built_are_refused(
    spec, canvas_shape, config, words
):
  with pytest.raises(ValueError) as error:
    agents.make_agent(
        spec or toys.painting_spec(),
        canvas_shape or (16, 16, 1),
        agents.AgentConfig(**{**toys.NETWORK, **config}),
    )
  for word in words:
    assert word in str(error.value)


@pytest.mark.parametrize(
    'config, words',
    [
        (
            dict(conditional=True),
            ['conditional', 'target', 'conditional=False'],
        ),
        (dict(noise_size=3), ['3 noise', 'observation', 'noise']),
    ],
)
def test_an_observation_that_lacks_something_is_refused(config, words):
  agent = agents.make_agent(
      {'flag': core.Part(2)},
      (4, 4, 1),
      agents.AgentConfig(**toys.NETWORK, **toys.PATCHES, **config),
  )
  params = jax.eval_shape(agent.init, jax.random.key(0))
  observation = types.Observation(np.zeros((1, 4, 4, 1), np.uint8))
  with pytest.raises(ValueError) as error:
    jax.eval_shape(
        agent.step,
        params,
        agent.initial_state(1),
        observation,
        jax.random.key(0),
    )
  for word in words:
    assert word in str(error.value)


@pytest.mark.parametrize('name', ['conditional-patches', 'color-conv'])
def test_features_may_be_bfloat16(name):
  world = toys.world(name)
  agent = agents.make_agent(
      toys.painting_spec(world.trajectory.canvas.shape[-1] == 3),
      world.trajectory.canvas.shape[2:],
      dataclasses.replace(world.config, compute_dtype='bfloat16'),
  )
  plain = world.unroll(world.params, world.trajectory)
  unroll = jax.jit(agent.unroll)
  program = unroll.lower(world.params, world.trajectory).as_text()
  convolutions = [
      line for line in program.splitlines() if 'stablehlo.convolution' in line
  ]
  assert convolutions
  assert all('bf16' in line and 'f32' not in line for line in convolutions)
  out = unroll(world.params, world.trajectory)
  for one, other in zip(jax.tree.leaves(out), jax.tree.leaves(plain)):
    assert one.dtype == other.dtype == jnp.float32
  # Eight bits of precision; more would mean that float32 was at work.
  error = np.std(out.log_prob - plain.log_prob) / np.std(plain.log_prob)
  assert 1e-4 < error < 0.1
  np.testing.assert_allclose(out.value, plain.value, atol=0.1)
  gradients = jax.eval_shape(
      jax.grad(lambda p: agent.unroll(p, world.trajectory).log_prob.sum()),
      world.params,
  )
  for one, of in zip(jax.tree.leaves(gradients), jax.tree.leaves(world.params)):
    assert one.dtype == of.dtype == jnp.float32
