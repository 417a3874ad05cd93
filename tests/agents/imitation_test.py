"""Imitation: what is scored, what is learned, and what is refused."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from spiral_jax import agents
from spiral_jax import types
from spiral_jax.agents import imitation
from tests.agents import toys

T, B = toys.T, toys.B


def other_commands(world, seed=3):
  rng = np.random.default_rng(seed)
  return {
      part.name: rng.integers(part.num_values, size=(T, B)).astype(np.int32)
      for part in world.agent.parts
  }


def lesson_of(world, imitated=None, **fields):
  trajectory = world.trajectory
  lesson = types.Lesson(
      canvas=trajectory.canvas,
      executed=trajectory.action,
      imitated=imitated or trajectory.action,
      target=trajectory.target,
      noise=trajectory.noise,
  )
  return lesson._replace(**fields)


def step_by_step(world, imitated):
  """Returns log-probs `[T, B]` of commands, each after those executed."""
  trajectory, found = world.trajectory, []
  for t in range(T):
    # What was executed before, then the command in question.
    action = {
        name: np.concatenate([values[:t], imitated[name][t:]])
        for name, values in trajectory.action.items()
    }
    out = world.unroll(world.params, trajectory._replace(action=action))
    found.append(out.log_prob[t])
  return np.stack(found)


@pytest.mark.parametrize('name', ['conditional-patches', 'color-conv'])
def test_imitated_commands_follow_those_that_were_executed(name):
  world = toys.world(name)
  imitated = other_commands(world)
  out = world.unroll(world.params, world.trajectory, imitated)
  np.testing.assert_allclose(
      out.log_prob, step_by_step(world, imitated), rtol=1e-4, atol=1e-5
  )
  own = world.unroll(world.params, world.trajectory)
  again = world.unroll(world.params, world.trajectory, world.trajectory.action)
  np.testing.assert_array_equal(own.log_prob, again.log_prob)
  assert np.abs(own.log_prob - out.log_prob).min() > 1e-3
  # The value is that of the canvas, whatever comes next.
  np.testing.assert_array_equal(own.value, out.value)


def test_loss_of_a_lesson_is_that_of_its_imitated_commands():
  world = toys.world('conditional-patches')
  imitated = other_commands(world)
  loss = jax.jit(functools.partial(imitation.lesson_loss, agent=world.agent))(
      world.params, lesson=lesson_of(world, imitated)
  )
  out = world.unroll(world.params, world.trajectory, imitated)
  assert loss == pytest.approx(-float(out.log_prob.mean()), rel=1e-5)


def test_hindsight_takes_results_for_targets():
  trajectory = toys.world('conditional-patches').trajectory
  lesson = imitation.hindsight(trajectory)
  np.testing.assert_array_equal(lesson.target, trajectory.canvas[-1])
  assert lesson.target.shape == trajectory.target.shape
  for commands in (lesson.executed, lesson.imitated):
    jax.tree.map(np.testing.assert_array_equal, commands, trajectory.action)


# Without Adam, a step of size 1 moves parameters by minus the gradient.
PLAIN = optax.sgd(1.0)
COLORS = ('red', 'green', 'blue')


@functools.cache
def table_learner(**config):
  return agents.make_learner(
      toys.table_agent(),
      toys.darkness,
      agents.LearnerConfig(**config),
      optimizer=PLAIN,
  )


def table_lesson(trajectory, seed=0):
  rng = np.random.default_rng(seed)
  imitated = {
      'flag': rng.integers(2, size=(T, B)).astype(np.int32),
      'end': rng.integers(16, size=(T, B)).astype(np.int32),
  }
  return types.Lesson(
      trajectory.canvas, trajectory.action, imitated, noise=trajectory.noise
  )


def moved(learner, trajectory, lessons):
  """Returns what an update moves each parameter by, and its logs."""
  state = learner.init(jax.random.key(0))
  before = jax.tree.map(np.array, state.params)
  state, logs = learner.update(
      state, trajectory, jnp.float32(1.0), None, lessons
  )
  return jax.tree.map(lambda a, b: np.asarray(a) - b, state.params, before), {
      name: float(value) for name, value in logs.items()
  }


def test_an_update_on_dreams_alone_raises_their_likelihood():
  trajectory = toys.table_trajectory()
  learner = table_learner(reward_weight=0.0, dreams_weight=2.0)
  change, logs = moved(learner, None, {'dreams': table_lesson(trajectory)})
  np.testing.assert_allclose(change['log_prob'], 2.0 / (T * B), rtol=1e-6)
  assert not change['value'].any() and not change['entropy'].any()
  assert logs['dreams_nll'] == 0.0
  assert 'value_loss' not in logs


def test_rewards_and_lessons_add_up_by_their_weights():
  trajectory = toys.table_trajectory()
  lesson = table_lesson(trajectory)
  reward, _ = moved(table_learner(), trajectory, None)
  both, logs = moved(
      table_learner(reward_weight=0.5, dreams_weight=2.0, memory_weight=1.0),
      trajectory,
      {'dreams': lesson, 'memory': lesson},
  )
  np.testing.assert_allclose(
      both['log_prob'],
      0.5 * reward['log_prob'] + 3.0 / (T * B),
      rtol=1e-4,
      atol=1e-7,
  )
  np.testing.assert_allclose(both['value'], 0.5 * reward['value'], rtol=1e-4)
  assert {'dreams_nll', 'memory_nll', 'value_loss'} <= set(logs)


def test_hindsight_imitates_what_the_agent_did():
  world = toys.world('conditional-patches')
  learner = agents.make_learner(
      world.agent,
      config=agents.LearnerConfig(reward_weight=0.0, hindsight_weight=1.0),
      optimizer=PLAIN,
  )
  state = learner.init(jax.random.key(0), jax.tree.map(jnp.copy, world.params))
  _, logs = learner.update(state, world.trajectory)
  out = world.unroll(
      world.params,
      world.trajectory._replace(target=world.trajectory.canvas[-1]),
  )
  assert logs['hindsight_nll'] == pytest.approx(
      -float(out.log_prob.mean()), rel=1e-4
  )


def test_minibatches_of_lessons_are_whole_programs():
  world = toys.world('conditional-patches')
  lesson = lesson_of(world, other_commands(world))
  columns = np.array([2, 0])
  taken = imitation.take_columns(lesson, columns)
  np.testing.assert_array_equal(taken.canvas, lesson.canvas[:, columns])
  np.testing.assert_array_equal(taken.target, lesson.target[columns])
  for name, values in lesson.imitated.items():
    np.testing.assert_array_equal(taken.imitated[name], values[:, columns])


def test_an_agent_learns_a_dream_by_heart():
  world = toys.world('conditional-patches')
  lesson = lesson_of(world, other_commands(world))
  learner = agents.make_learner(
      world.agent,
      config=agents.LearnerConfig(
          reward_weight=0.0, dreams_weight=1.0, learning_rate=0.02
      ),
  )
  state = learner.init(jax.random.key(1))
  losses = []
  for _ in range(60):
    state, logs = learner.update(state, None, None, None, {'dreams': lesson})
    losses.append(float(logs['dreams_nll']))
  assert losses[0] > 5.0
  assert losses[-1] < 1.0
  assert int(state.frames) == 60 * T * B


@pytest.mark.parametrize(
    'weights, has_trajectory, sources, words',
    [
        (dict(), False, (), 'there is no trajectory; give one'),
        (
            dict(reward_weight=0.0, dreams_weight=1.0),
            True,
            ('dreams',),
            'there is a trajectory; give None',
        ),
        (dict(dreams_weight=1.0), True, (), 'lessons are of no source'),
        (dict(), True, ('dreams',), 'those with a weight are of none'),
        (
            dict(dreams_weight=1.0),
            True,
            ('memory',),
            'lessons are of memory, and those with a weight are of dreams',
        ),
    ],
)
def test_what_has_no_weight_is_not_given(
    weights, has_trajectory, sources, words
):
  trajectory = toys.table_trajectory()
  learner = table_learner(**weights)
  state = learner.init(jax.random.key(0))
  lessons = {source: table_lesson(trajectory) for source in sources}
  with pytest.raises(ValueError, match=words):
    learner.update(
        state, trajectory if has_trajectory else None, None, None, lessons
    )


def test_lessons_that_do_not_fit_are_refused():
  trajectory = toys.table_trajectory()
  learner = table_learner(dreams_weight=1.0)
  state = learner.init(jax.random.key(0))
  lesson = table_lesson(trajectory)

  def update(lesson):
    learner.update(state, trajectory, None, None, {'dreams': lesson})

  with pytest.raises(ValueError, match="'end' of lessons from dreams has valu"):
    update(
        lesson._replace(
            imitated={**lesson.imitated, 'end': 16 + 0 * lesson.imitated['end']}
        )
    )
  with pytest.raises(ValueError, match=r"'flag' of lessons .* is \[3, 3\]"):
    update(
        lesson._replace(
            executed={n: v[:-1] for n, v in lesson.executed.items()}
        )
    )
  half = imitation.take_columns(lesson, np.array([0]))
  with pytest.raises(ValueError, match='of 1 programs, and the trajectory of'):
    update(half)


def test_nothing_to_learn_is_refused():
  with pytest.raises(ValueError, match='nothing is learned'):
    agents.LearnerConfig(reward_weight=0.0)


def test_advice_is_scored_after_the_parts_that_were_executed():
  world = toys.world('color-conv')
  action = dict(world.trajectory.action)
  names = [part.name for part in world.agent.parts]
  rng = np.random.default_rng(0)
  advice = {}
  for part in world.agent.parts:
    if part.name in ('red', 'blue'):
      values = rng.integers(part.num_values, size=(T, B)).astype(np.int32)
      values[0] = -1
      advice[part.name] = values

  def score(imitated=None, advice=None):
    return world.unroll(world.params, world.trajectory, imitated, advice)

  # Nothing follows blue: only its own log-probability changes.
  before = score(advice={'blue': action['blue']})
  own = before.advice_log_prob[..., names.index('blue')]
  changed = {**action, 'blue': np.maximum(advice['blue'], 0)}
  expected = score(changed).log_prob - before.log_prob + own
  out = score(advice={'blue': advice['blue']}).advice_log_prob
  np.testing.assert_allclose(
      out[..., names.index('blue')],
      np.where(advice['blue'] >= 0, expected, 0),
      rtol=1e-3,
      atol=1e-4,
  )
  assert np.count_nonzero(np.any(out, axis=(0, 1))) == 1
  red = score(advice={'red': advice['red']}).advice_log_prob
  both = score(advice=advice)
  np.testing.assert_allclose(both.advice_log_prob, red + out, rtol=1e-4)
  np.testing.assert_array_equal(both.log_prob, before.log_prob)
  is_move = np.asarray(action['flag']) == 0
  assert is_move.any() and not np.asarray(both.advice_log_prob)[is_move].any()
  assert score().advice_log_prob is None


def test_what_was_executed_is_scored_part_by_part():
  world = toys.world('color-conv')
  action = dict(world.trajectory.action)
  out = world.unroll(world.params, world.trajectory, None, action)
  assert out.part_log_prob.shape == (T, B, len(world.agent.parts))
  np.testing.assert_allclose(
      out.part_log_prob.sum(-1), out.log_prob, rtol=1e-5, atol=1e-6
  )
  np.testing.assert_array_equal(out.part_log_prob, out.advice_log_prob)
  assert not np.asarray(out.part_log_prob)[out.is_active == 0].any()


def test_the_best_colors_are_imitated_beside_the_reward():
  world = toys.world('color-conv')
  advice = imitation.best_colors(world.trajectory, world.agent.parts, COLORS)
  assert set(advice) == {'red', 'green', 'blue'}
  for name, values in advice.items():
    (part,) = (p for p in world.agent.parts if p.name == name)
    assert values.shape == (T, B) and values.dtype == jnp.int32
    assert values.min() >= -1 and values.max() < part.num_values
    np.testing.assert_array_equal(values < 0, advice['red'] < 0)

  def loss(weight):
    learner = agents.make_learner(
        world.agent,
        config=agents.LearnerConfig(reward='l2', best_colors_weight=weight),
        colors=COLORS,
        optimizer=PLAIN,
    )
    params = jax.tree.map(jnp.copy, world.params)
    state = learner.init(jax.random.key(0), params)
    state, logs = learner.update(state, world.trajectory)
    return state.params, logs

  (_, without), (_, logs) = loss(0.0), loss(0.5)
  assert 'color_nll' not in without
  expected = (
      -world.unroll(world.params, world.trajectory, None, advice)
      .advice_log_prob.sum(-1)
      .mean()
  )
  np.testing.assert_allclose(logs['color_nll'], expected, rtol=1e-4)
  np.testing.assert_allclose(
      logs['loss'], without['loss'] + 0.5 * expected, rtol=1e-4
  )


def test_best_colors_take_a_color_and_a_target():
  config = agents.LearnerConfig(reward='l2', best_colors_weight=0.5)
  world = toys.world('conditional-patches')
  with pytest.raises(ValueError, match='is 0.5 and no part .* paint in color'):
    agents.make_learner(world.agent, config=config)
  world = toys.world('color-conv')
  with pytest.raises(ValueError, match='no target'):
    imitation.best_colors(
        world.trajectory._replace(target=None), world.agent.parts, COLORS
    )


def alternatives_of(world, seed=0):
  """Returns two other values of each program, with results of noise."""
  rng, parts = np.random.default_rng(seed), world.agent.parts
  value = {part.name: np.full((T, B), -1, np.int32) for part in parts}
  result = {part.name: np.zeros((T, B), np.int32) for part in parts}
  for b in range(B):
    for k, slot in enumerate(rng.permutation(len(parts) * T)[:2]):
      part, time = parts[slot // T], slot % T
      value[part.name][time, b] = rng.integers(part.num_values)
      result[part.name][time, b] = k
  shape = (2, *world.trajectory.canvas.shape[1:])
  canvas = rng.integers(256, size=shape).astype(np.uint8)
  return types.Alternatives(value, result, canvas)


def test_alternatives_are_compared_where_they_were_tried():
  world = toys.world('color-conv')
  found = alternatives_of(world)
  trajectory = world.trajectory._replace(alternatives=found)
  # What nobody tried counts for nothing, however large.
  gain = np.array([[2.0, 0.0, 5.0], [-1.0, 3.0, -4.0], [99.0, 99.0, 99.0]])
  advice = imitation.compare(trajectory, gain, world.agent.parts)
  assert advice.gain.shape == (T, B, len(world.agent.parts))
  assert np.count_nonzero(advice.gain) == 5
  for number, part in enumerate(world.agent.parts):
    value, result = found.value[part.name], found.result[part.name]
    np.testing.assert_array_equal(advice.values[part.name], value)
    for time, b in zip(*np.nonzero(value >= 0)):
      # Of the mean size 3.
      expected = gain[result[time, b], b] / 3
      assert advice.gain[time, b, number] == pytest.approx(expected)
  known = [part.name for part in world.agent.parts]
  nothing = imitation.compare(trajectory, gain, world.agent.parts, known)
  assert not np.any(nothing.gain)
  assert all(np.all(v < 0) for v in map(np.asarray, nothing.values.values()))


def corrected(world, **config):
  """Returns parameters and logs of an update by alternatives."""
  learner = agents.make_learner(
      world.agent,
      config=agents.LearnerConfig(reward='l2', **config),
      colors=COLORS,
      optimizer=PLAIN,
  )
  params = jax.tree.map(jnp.copy, world.params)
  state = learner.init(jax.random.key(0), params)
  found = alternatives_of(world)
  # The first ones are perfect, the others are bad.
  found.canvas[0] = world.trajectory.target
  found.canvas[1] = 255 - world.trajectory.target
  trajectory = world.trajectory._replace(alternatives=found)
  state, logs = learner.update(state, trajectory)
  return trajectory, state.params, logs


@pytest.mark.parametrize('with_colors', [False, True])
def test_what_was_better_is_preferred_beside_the_reward(with_colors):
  world = toys.world('color-conv')
  weight = dict(best_colors_weight=0.5 * with_colors)
  _, without, expected = corrected(world, **weight)
  trajectory, params, logs = corrected(world, corrections_weight=0.25, **weight)
  assert 'corrections' not in expected
  assert logs['corrections'] > 0
  assert ('color_nll' in logs) == with_colors
  np.testing.assert_allclose(
      logs['loss'], expected['loss'] + 0.25 * logs['corrections'], rtol=1e-4
  )
  # Colors whose best values are known are left to these.
  gain = np.array([np.full(B, 1.0), np.full(B, -1.0)])
  advice = imitation.compare(
      trajectory, gain, world.agent.parts, COLORS if with_colors else ()
  )

  def preference(params):
    out = world.unroll(params, trajectory, None, advice.values)
    difference = out.advice_log_prob - out.part_log_prob
    return float(jnp.sum(advice.gain * difference))

  assert preference(params) > preference(without)


def test_corrections_take_alternatives_that_fit():
  world = toys.world('color-conv')
  config = agents.LearnerConfig(reward='l2', corrections_weight=1.0)
  learner = agents.make_learner(world.agent, config=config)
  state = learner.init(jax.random.key(0))
  with pytest.raises(ValueError, match='is 1.0, but the trajectory has no alt'):
    learner.update(state, world.trajectory)
  found = alternatives_of(world)
  flag = found.value['flag']

  def refused(words, **fields):
    bad = world.trajectory._replace(alternatives=found._replace(**fields))
    with pytest.raises(ValueError, match=words):
      learner.update(state, bad)

  refused(
      r"alternative 'flag' .* is \[3, 3\], must be \[4, 3\]",
      value=found.value | {'flag': flag[1:]},
  )
  refused(
      r'canvas of alternatives .* is \[2, 3, 15, 16, 3\]',
      canvas=found.canvas[:, :, 1:],
  )
  refused(
      "'flag' of alternatives has values from 2 to 4",
      value=found.value | {'flag': flag + 3},
  )
  refused(
      "results of part 'end' of alternatives are from 2 to .*are 2 canvases",
      result=found.result | {'end': found.result['end'] + 2},
  )
  refused(
      "a value of parts .*'flag'.*, must be of",
      value={'flag': flag},
  )
