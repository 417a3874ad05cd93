import functools
import threading

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from spiral_jax.driver import nodes
from spiral_jax.driver import program as program_lib
from tests.driver import toy


class Records:

  def __init__(self):
    self.lines = []

  def write(self, step, values):
    self.lines.append((step, {k: float(v) for k, v in values.items()}))


def policy_learner(**settings):
  """Returns (learner, its channel, its published params)."""
  program = program_lib.Program()
  channel = program.channel('trajectories', 5)
  published = program.params('policy_params')
  defaults = dict(
      update=lambda state, *_: ({'w': state['w'] + 1}, {'loss': state['w']}),
      state={'w': jnp.zeros(2)[0]},
      params_of=lambda state: state,
  )
  learner = nodes.PolicyLearner(
      'policy',
      published=published,
      **{'trajectories': channel, **defaults, **settings},
  )
  return learner, channel, published


def trajectory(version=0, *, ends=True):
  is_last = np.zeros((toy.T, toy.B), bool)
  is_last[-1] = ends
  return toy.Trajectory(
      np.zeros((toy.T + 1, toy.B, 2)), is_last, np.int32(version)
  )


def test_actor_feeds_channel_and_replay_with_the_latest_params():
  program = program_lib.Program()
  params = program.params('params')
  channel = program.channel('c', 3)
  replay = program.replay(3, 6)
  actor = nodes.Actor(
      'actor',
      rollout=toy.Rollout(0),
      params=params,
      trajectories=channel,
      replay=replay,
      final_examples=lambda t: {'canvas': t.canvas[-1]},
  )
  params.publish({'w': np.zeros(2)}, 4)
  params.publish({'w': np.full(2, 1e6)}, 5)
  actor.step()
  made = channel.get()
  assert made.params_version == 5
  assert made.canvas.min() > 9e5
  sample = replay.sample()['canvas']
  assert all(
      any(np.array_equal(row, final) for final in made.canvas[-1])
      for row in sample
  )


def test_actor_works_without_replay():
  program = program_lib.Program()
  params, channel = program.params('params'), program.channel('c', 3)
  params.publish({'w': np.zeros(2)}, 0)
  nodes.Actor(
      'actor', rollout=toy.Rollout(0), params=params, trajectories=channel
  ).step()
  assert len(channel) == 1


def test_policy_learner_counts_publishes_and_logs():
  records = Records()
  learner, channel, published = policy_learner(metrics=records, log_every=2)
  assert published.latest() == ({'w': 0.0}, 0)
  for version in (0, 0, 1, 1):
    channel.put(trajectory(version))
    learner.step()
    assert published.latest() == ({'w': learner.version}, learner.version)
  assert learner.version == 4
  assert learner.frames == 4 * toy.T * toy.B
  assert records.lines == [
      (2, {'policy/frames': 24, 'policy/lag': 1, 'policy/loss': 1}),
      (4, {'policy/frames': 48, 'policy/lag': 2, 'policy/loss': 3}),
  ]


def test_policy_learner_logs_results_when_an_episode_ends():
  records = Records()
  learner, channel, _ = policy_learner(metrics=records, log_every=2)
  for ends in (False, False, False, False, True, True, False, True):
    channel.put(trajectory(ends=ends))
    learner.step()
  results = [step for step, logs in records.lines if 'policy/loss' in logs]
  assert results == [5, 6, 8]
  # Before the first of them, there is progress to tell of.
  assert records.lines[:2] == [
      (step, {'policy/frames': 12 * step, 'policy/lag': step - 1})
      for step in (2, 4)
  ]
  assert len(records.lines) == 5


def test_policy_learner_takes_a_lesson_of_each_source():
  program = program_lib.Program()
  lanes = {name: program.channel(name, 2) for name in ('dreams', 'memory')}
  got, records = [], Records()
  learner, channel, _ = policy_learner(
      lessons=lanes,
      metrics=records,
      update=lambda state, *batch: got.append(batch) or (state, {}),
  )
  for lane in (channel, *lanes.values()):
    lane.put(trajectory())
  learner.step()
  taught, score_params, progress, lessons = got[0]
  assert taught.canvas.shape[0] == toy.T + 1
  assert score_params is None and progress is None
  assert list(lessons) == ['dreams', 'memory']
  assert learner.frames == toy.T * toy.B  # Of the trajectory.


def test_policy_learner_learns_from_lessons_alone():
  program = program_lib.Program()
  lane, records = program.channel('dreams', 2), Records()
  learner, _, published = policy_learner(
      lessons={'dreams': lane},
      metrics=records,
      trajectories=None,
      update=lambda state, *batch: (state, {'given': float(batch[0] is None)}),
  )
  lane.put(trajectory())
  learner.step()
  assert published.latest()[1] == 1
  assert learner.latest is None
  assert records.lines == [
      (1, {'policy/frames': toy.T * toy.B, 'policy/given': 1.0})
  ]


def test_actor_leaves_pieces_of_episodes_out_of_the_replay():
  program = program_lib.Program()
  params, channel = program.params('params'), program.channel('c', 3)
  params.publish({'w': np.zeros(2)}, 0)
  replay = program.replay(3, 6)
  nodes.Actor(
      'actor',
      rollout=toy.Rollout(0),
      params=params,
      trajectories=channel,
      replay=replay,
      final_examples=lambda t: None,
  ).step()
  assert len(channel) == 1 and len(replay) == 0


def test_score_params_reach_the_update():
  program = program_lib.Program()
  score_params = program.params('score')
  score_params.publish('latest', 3)
  got = []
  learner, channel, _ = policy_learner(
      score_params=score_params,
      update=lambda state, t, score, *_: (
          got.append((t, score)) or state,
          {},
      ),
  )
  channel.put(trajectory())
  learner.step()
  assert got[0][1] == 'latest' and isinstance(got[0][0], toy.Trajectory)


@pytest.mark.parametrize('limit', [dict(max_updates=2), dict(max_frames=13)])
def test_policy_learner_ends_the_program_after_its_last_update(limit):
  learner, channel, published = policy_learner(**limit)
  for _ in range(3):
    channel.put(trajectory())
  learner.step()
  with pytest.raises(program_lib.StopProgram):
    learner.step()
  assert learner.version == published.version == 2
  with pytest.raises(program_lib.StopProgram):
    learner.step()
  assert learner.version == 2 and len(channel) == 1


def test_published_params_survive_donation():
  @functools.partial(jax.jit, donate_argnums=0)
  def update(state, trajectory, score_params, *_):
    del trajectory, score_params
    return {'w': state['w'] + 1}, {}

  state = {'w': jnp.arange(3.0)}
  learner, channel, published = policy_learner(update=update, state=state)
  first, _ = published.latest()
  for _ in range(3):
    channel.put(trajectory())
    learner.step()
  assert state['w'].is_deleted()  # Else the test shows nothing.
  np.testing.assert_array_equal(first['w'], [0, 1, 2])
  np.testing.assert_array_equal(published.latest()[0]['w'], [3, 4, 5])


def test_state_of_a_learner_while_it_is_donated():
  # Without the lock this reads deleted arrays sooner or later.
  @functools.partial(jax.jit, donate_argnums=0)
  def update(state, trajectory, score_params, *_):
    del trajectory, score_params
    return {'a': state['a'] + 1, 'b': state['b'] + 1}, {}

  learner, channel, _ = policy_learner(
      update=update, state={'a': jnp.zeros(1000), 'b': jnp.zeros(1000)}
  )

  def feed():
    for _ in range(200):
      channel.put(trajectory())
      learner.step()

  thread = threading.Thread(target=feed)
  thread.start()
  while thread.is_alive():
    state = learner.get_state()
    np.testing.assert_array_equal(state['learner']['a'], state['version'])
    np.testing.assert_array_equal(state['learner']['b'], state['version'])
    assert state['frames'] == state['version'] * toy.T * toy.B
  thread.join()
  assert learner.version == 200


def test_setting_a_learners_state_publishes_it():
  learner, channel, published = policy_learner()
  channel.put(trajectory())
  learner.step()
  saved = learner.get_state()
  other, _, other_published = policy_learner()
  other.set_state(saved)
  assert other.version == 1 and other.frames == learner.frames
  assert other_published.latest() == published.latest() == ({'w': 1.0}, 1)


def test_discriminator_learner_learns_from_replay_and_publishes():
  program = program_lib.Program()
  replay = program.replay(2, 4)
  published = program.params('score')
  records = Records()
  learner = nodes.DiscriminatorLearner(
      'score',
      state={'w': jnp.float32(0)},
      params_of=lambda state: state,
      update=lambda state, real, fake: (
          {'w': state['w'] + real.sum() - fake.sum()},
          {'fake': fake.sum()},
      ),
      replay=replay,
      make_batch=lambda e: (10 * e['x'], e['x']),
      published=published,
      metrics=records,
  )
  assert published.version == 0
  replay.insert({'x': np.ones(3, np.float32)})
  learner.step()
  assert published.latest() == ({'w': 36.0}, 1)
  assert records.lines == [(1, {'score/fake': 4.0})]
  assert learner.version == 1


def test_discriminator_learner_saves_its_place_in_the_data():
  def make():
    _, _, score = toy.build(1)
    program = program_lib.Program()
    replay = program.replay(2, 4)
    replay.insert({'canvas': np.zeros((4, 2), np.float32)})
    return nodes.DiscriminatorLearner(
        'score',
        update=toy.update_score,
        state=toy.learned(2),
        params_of=lambda learner: learner.params,
        replay=replay,
        make_batch=toy.Data(3),
        published=program.params('p'),
    )

  one, two = make(), make()
  one.step()
  two.set_state(one.get_state())
  one.step()
  two.step()
  jax.tree.map(np.testing.assert_array_equal, one.get_state(), two.get_state())


def test_log_every_is_checked():
  with pytest.raises(ValueError, match="log_every of node 'policy' is 0"):
    policy_learner(log_every=0)
