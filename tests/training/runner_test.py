"""Training in lockstep: reproducible, resumable; what is refused, and how."""

import json
import os
import signal
import subprocess
import sys
import time
import types

from flax import linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
from PIL import Image
import pytest

from spiral_jax import agents
from spiral_jax import training
from spiral_jax.driver import checkpoints
from spiral_jax.driver import metrics
from spiral_jax.driver import program
from spiral_jax.training import discriminator_batches
from spiral_jax.training import run_dir as run_dir_lib
from tests import tiny


def state_of(run_dir):
  return checkpoints.load(run_dir / 'checkpoints').state


def assert_equal(one, other):
  """Compares all parameters, optimizers, keys and places in data."""
  for name in ('policy', 'discriminator', 'actor 0'):
    leaves = [
        jax.tree.flatten_with_path(state[name])[0] for state in (one, other)
    ]
    assert len(leaves[0]) == len(leaves[1])
    for (path, a), (_, b) in zip(*leaves):
      np.testing.assert_array_equal(a, b, err_msg=f'{name} {path}')


@pytest.fixture(scope='module')
def fifty_updates(tmp_path_factory):
  """Returns the state after 50 updates in one go."""
  folder = tmp_path_factory.mktemp('fifty')
  training.train(tiny.experiment(folder, run=dict(frames=50 * 24)))
  return state_of(folder)


def test_two_runs_with_one_seed_are_equal_after_50_updates(
    tmp_path, fifty_updates
):
  training.train(tiny.experiment(tmp_path, run=dict(frames=50 * 24)))
  state = state_of(tmp_path)
  assert state['policy']['version'] == 50
  assert_equal(state, fifty_updates)


def test_another_seed_gives_another_run(tmp_path, fifty_updates):
  training.train(tiny.experiment(tmp_path, run=dict(seed=1)))
  first, second = (
      jax.tree.leaves(state['policy']['learner']['params'])
      for state in (state_of(tmp_path), fifty_updates)
  )
  assert any(np.any(a != b) for a, b in zip(first, second))


def test_killed_and_resumed_is_as_if_never_killed(tmp_path, fifty_updates):
  arguments = tiny.flags(tmp_path) + ['--frames=1200']
  process = tiny.start_program('mnist.py', *arguments, '--checkpoint_rounds=4')
  folder = tmp_path / 'checkpoints'
  while not any(
      p.name.isdigit() and int(p.name) >= 8 for p in folder.glob('*')
  ):
    assert process.poll() is None, process.communicate()
    time.sleep(0.005)
  process.send_signal(signal.SIGKILL)
  process.communicate()
  assert process.returncode == -signal.SIGKILL
  assert 8 <= checkpoints.load(folder).step < 50
  training.train(
      tiny.experiment(tmp_path, run=dict(frames=50 * 24, resume=True))
  )
  assert_equal(state_of(tmp_path), fifty_updates)


def test_a_conditional_agent_may_have_noise_as_well(tmp_path):
  training.train(
      tiny.experiment(
          tmp_path, conditional=True, noise_size=3, learner=dict(reward='l2')
      )
  )
  assert (tmp_path / 'samples.png').exists()


@pytest.mark.parametrize(
    'reward, reward_at', [('l2', 'end'), ('discriminator', 'step')]
)
def test_conditional_runs_measure_held_out_error(tmp_path, reward, reward_at):
  training.train(
      tiny.experiment(
          tmp_path,
          conditional=True,
          blind=reward_at == 'end',
          learner=dict(reward=reward, reward_at=reward_at),
      )
  )
  records = [json.loads(line) for line in (tmp_path / 'metrics.jsonl').open()]
  errors = [r['held_out/l2'] for r in records if 'held_out/l2' in r]
  assert len(errors) == 1 and 0.0 < errors[0] < 1.0
  learned = [r for r in records if 'policy/frames' in r]
  assert [r['policy/frames'] for r in learned] == [24, 48, 72]
  # Targets above their reconstructions, and gaps of 2 pixels.
  with Image.open(tmp_path / 'samples.png') as image:
    assert image.size == (8 * 18, 2 * 18)


@pytest.mark.parametrize(
    'reward, lockstep', [('l2', True), ('discriminator', False)]
)
def test_episodes_are_learned_from_in_pieces(tmp_path, reward, lockstep):
  run = dict(unroll_length=1, frames=2 * 24, log_every=2, lockstep=lockstep)
  training.train(
      tiny.experiment(
          tmp_path, run=run, conditional=True, learner=dict(reward=reward)
      )
  )
  state = state_of(tmp_path)
  assert state['policy']['version'] == 6  # Two episodes of three pieces.
  begun = state['actor 0']['rollout']['episodes']
  assert begun == 2 or (begun == 3 and not lockstep)
  if reward == 'discriminator':
    assert state['replay']['inserts'] == 2
  records = [json.loads(line) for line in (tmp_path / 'metrics.jsonl').open()]
  # Only the last piece of an episode has a result.
  learned = [r['step'] for r in records if 'policy/l2' in r]
  assert learned == [3, 6]
  assert sum('held_out/l2' in r for r in records) == 1


@pytest.mark.parametrize('num_actors, max_lag', [(1, 1), (2, 0)])
def test_threads_train_as_well(tmp_path, num_actors, max_lag):
  run = dict(lockstep=False, num_actors=num_actors, max_lag=max_lag, frames=240)
  training.train(tiny.experiment(tmp_path, run=run))
  state = state_of(tmp_path)
  assert state['policy']['frames'] == 240
  assert state['discriminator']['version'] > 0
  lags = [
      json.loads(line).get('policy/lag')
      for line in (tmp_path / 'metrics.jsonl').open()
  ]
  assert all(0 <= lag <= max_lag for lag in lags if lag is not None)


@pytest.mark.parametrize('algorithm', ['vtrace', 'clipped'])
def test_nothing_is_compiled_after_the_first_rounds_nor_twice(
    tmp_path, algorithm
):
  num_compiled = 0
  after_update = []

  def listen(event, seconds, **kwargs):
    del seconds, kwargs
    nonlocal num_compiled
    num_compiled += event.endswith('backend_compile_duration')

  jax.monitoring.register_event_duration_secs_listener(listen)
  # A discount of its own: what other tests compiled would serve as well.
  learner = dict(algorithm=algorithm, discount=0.5)
  if algorithm == 'clipped':
    learner |= dict(epochs=2, minibatches=2)
  try:
    for name in ('first', 'second'):
      training.train(
          tiny.experiment(
              tmp_path / name, run=dict(frames=12 * 24), learner=learner
          ),
          on_update=lambda update: after_update.append(num_compiled),
      )
  finally:
    jax.monitoring.unregister_event_duration_listener(listen)
  assert len(after_update) == 2 * 12
  # The second round is the first with buffers that the first one left.
  assert 0 < after_update[2] == after_update[11]
  # A second run uses what the first one compiled.
  assert after_update[23] == after_update[11]


@pytest.mark.slow
def test_several_devices_train_and_one_continues(tmp_path):
  code = (
      'from spiral_jax import training\n'
      'from tests import tiny\n'
      'run = dict(devices=0, lockstep=False)\n'
      f'training.train(tiny.experiment({str(tmp_path)!r}, run=run))\n'
  )
  subprocess.run(
      [sys.executable, '-c', code],
      cwd=tiny.ROOT,
      env={
          **os.environ,
          'JAX_PLATFORMS': 'cpu',
          'XLA_FLAGS': (
              f'{os.environ["XLA_FLAGS"]} '
              '--xla_force_host_platform_device_count=2'
          ),
      },
      check=True,
  )
  assert state_of(tmp_path)['policy']['frames'] == 72
  run = dict(resume=True, lockstep=False, frames=96)
  training.train(tiny.experiment(tmp_path, run=run))
  assert state_of(tmp_path)['policy']['frames'] == 96


def test_a_node_that_fails_is_named(tmp_path):
  def fail(update):
    raise RuntimeError('no more')

  with pytest.raises(program.NodeError, match=r"'policy'.*no more"):
    training.train(
        tiny.experiment(tmp_path, run=dict(lockstep=False)), on_update=fail
    )


def test_whoever_looks_on_may_end_the_run(tmp_path):
  updates = []

  def look(update):
    updates.append(update)
    if update.step == 2:
      raise training.StopProgram

  training.train(tiny.experiment(tmp_path, run=dict(frames=0)), on_update=look)
  assert [update.frames for update in updates] == [24, 48]
  assert updates[1].trajectory.canvas.shape == (4, 8, 16, 16, 1)
  assert np.isfinite(updates[1].logs['loss'])
  assert state_of(tmp_path)['policy']['frames'] == 48


def test_a_run_starts_from_the_weights_of_another(tmp_path):
  first = training.train(tiny.experiment(tmp_path / 'first'))
  saved = state_of(first)['policy']['learner']['params']
  second = tiny.experiment(
      tmp_path / 'second',
      run=dict(init_from=str(first), frames=24),
      learner=dict(learning_rate=1e-30, reward='discriminator'),
  )
  training.train(second)
  for a, b in zip(
      jax.tree.leaves(saved),
      jax.tree.leaves(
          state_of(tmp_path / 'second')['policy']['learner']['params']
      ),
  ):
    np.testing.assert_array_equal(a, b)
  other = tiny.experiment(
      tmp_path / 'third', run=dict(init_from=str(first)), noise_size=4
  )
  with pytest.raises(ValueError, match='--init_from=.*another action space or'):
    training.train(other)
  assert not (tmp_path / 'third').exists()


def test_an_optimizer_and_a_torso_of_ones_own(tmp_path):
  class Torso(nn.Module):

    @nn.compact
    def __call__(self, images, condition, planes):
      x = nn.Conv(4, (2, 2), (2, 2))(jnp.concatenate(images, -1))
      return x, nn.Dense(8)(condition)

  parts = dict(optimizer=optax.sgd(0.0), torso=Torso())
  experiment = tiny.experiment(tmp_path)
  training.train(experiment, **parts)
  params = state_of(tmp_path)['policy']['learner']['params']['params']
  assert set(params['torso']) == {'Conv_0', 'Dense_0'}
  # Steps of size zero leave the first parameters.
  keys = jax.random.key_data(jax.random.split(jax.random.key(0)))
  first = training.make_parts(experiment, **parts).learner.init(keys[1])
  jax.tree.map(
      np.testing.assert_array_equal, params, dict(first.params['params'])
  )
  resumed = experiment.replace(resume=True, frames=96)
  with pytest.raises(ValueError, match='another optimizer.*optimizer='):
    training.train(resumed, torso=Torso())
  training.train(resumed, **parts)
  assert state_of(tmp_path)['policy']['frames'] == 96
  trained = training.restore(tmp_path, torso=Torso())
  (trajectory,) = training.episodes(trained, 4)
  assert trajectory.canvas.shape == (4, 4, 16, 16, 1)


# What is refused.


@pytest.mark.parametrize(
    'run, learner, agent, words',
    [
        (
            dict(batch_size=9),
            dict(algorithm='clipped', minibatches=4),
            {},
            ['--batch_size=9', '--minibatches=4'],
        ),
        (
            dict(batch_size=9, devices=2),
            {},
            {},
            ['--batch_size=9', '--devices=2'],
        ),
        (dict(batch_size=8, devices=8), {}, {}, ['devices is 8', 'has 1 ']),
        ({}, dict(reward='l2'), {}, ['--reward=l2', '--conditional']),
        (
            dict(unroll_length=2),
            {},
            {},
            ['--unroll_length=2', '--episode_length=3'],
        ),
        (
            dict(unroll_length=1, unfinished_share=0.5),
            {},
            {},
            ['--unroll_length=1', '--unfinished_share=0.5'],
        ),
        (dict(data_dir='/no/such/folder'), {}, {}, ['/no/such/folder']),
        (dict(resume=True), {}, {}, ['no checkpoint', '--resume', '--run_dir']),
        (dict(run_dir=''), {}, {}, ['run_dir is empty', '--run_dir=']),
    ],
)
def test_what_does_not_fit_is_refused(tmp_path, run, learner, agent, words):
  folder = tmp_path / 'run'
  setup = tiny.experiment(folder, learner=learner, **agent)
  setup = setup.replace(**run)
  with pytest.raises((ValueError, OSError)) as error:
    training.train(setup)
  for word in words:
    assert word in str(error.value)
  assert not folder.exists()


@pytest.mark.parametrize('minutes, decay_minutes', [(2.0, 0.0), (1.0, 2.0)])
def test_the_decay_may_follow_the_clock(tmp_path, minutes, decay_minutes):
  run = dict(minutes=minutes, decay_minutes=decay_minutes, decay_by_clock=True)
  run['frames'] = 0
  run['lockstep'] = False  # Clocks are not reproducible.
  experiment = tiny.experiment(
      tmp_path, conditional=True, run=run, learner=dict(reward='l2')
  )
  given = []
  parts = training.make_parts(experiment)

  def update(state, trajectory, score_params, progress, lessons):
    del trajectory, score_params, lessons
    given.append(progress)
    return state, {}

  parts = parts._replace(learner=parts.learner._replace(update=update))
  clock = run_dir_lib.Clock()
  wiring = training.build_program(parts, metrics.Fanout(), clock)
  for seconds in (0.0, 30.0, 150.0):
    clock.set_state({'seconds': seconds})
    for node in wiring.program.nodes.values():
      node.step()
  assert given == pytest.approx([0.0, 0.25, 1.0], abs=0.1)
  with pytest.raises(ValueError, match='minutes is 0'):
    training.RunConfig(decay_by_clock=True)
  experiment = experiment.replace(learner=agents.LearnerConfig(decay_frames=9))
  with pytest.raises(ValueError, match='--decay_frames=9 and --decay_by_clock'):
    training.train(experiment.replace(run_dir=str(tmp_path / 'new')))


def test_the_clock_starts_with_the_first_update_and_continues(monkeypatch):
  now = [100.0]
  monkeypatch.setattr(run_dir_lib.time, 'monotonic', lambda: now[0])
  clock = run_dir_lib.Clock()
  clock.set_state({'seconds': 7.0})
  now[0] = 160.0  # It compiles.
  assert clock.get_state() == {'seconds': 7.0}
  clock.start()
  now[0] = 165.0
  clock.start()  # After the second update.
  now[0] = 170.0
  assert clock.seconds == 17.0
  clock.set_state({'seconds': 1.0})
  now[0] = 171.0
  assert clock.seconds == 2.0


def test_compiling_takes_no_minutes_and_an_ended_run_says_so(tmp_path, capsys):
  # The minutes are over before anything could be compiled.
  run = dict(frames=0, minutes=1e-6)
  training.train(tiny.experiment(tmp_path, run=run))
  output = capsys.readouterr().out
  assert 'compiling first' in output and 'nothing was learned' not in output
  saved = checkpoints.load(tmp_path / 'checkpoints').state
  assert saved['policy']['frames'] >= 24
  assert saved['clock']['seconds'] < 60
  training.train(tiny.experiment(tmp_path, run={**run, 'resume': True}))
  output = capsys.readouterr().out
  assert 'nothing was learned' in output and '--minutes' in output
  again = checkpoints.load(tmp_path / 'checkpoints').state
  assert again['policy']['frames'] == saved['policy']['frames']


def test_the_replay_takes_unfinished_canvases_of_all_times():
  canvas = np.arange(4)[:, None] * 10 + np.arange(8)  # [T + 1, B].
  ends = np.ones((3, 8), bool)
  trajectory = types.SimpleNamespace(canvas=canvas, target=None, is_last=ends)
  for share, expected in (
      (0.0, [30, 31, 32, 33, 34, 35, 36, 37]),
      (0.5, [0, 11, 22, 3, 34, 35, 36, 37]),
      (1.0, [0, 11, 22, 3, 14, 25, 6, 17]),
  ):
    rows = discriminator_batches.from_trajectory(
        trajectory, unfinished_share=share
    )
    assert rows['canvas'].tolist() == expected
    assert rows.keys() == {'canvas'}
  trajectory.target = canvas[0]
  rows = discriminator_batches.from_trajectory(trajectory)
  np.testing.assert_array_equal(rows['target'], canvas[0])
  trajectory.is_last = ~ends
  assert discriminator_batches.from_trajectory(trajectory) is None


def test_a_run_is_neither_overwritten_nor_resumed_as_another(tmp_path):
  training.train(tiny.experiment(tmp_path))
  before = (tmp_path / 'metrics.jsonl').read_bytes()
  with pytest.raises(ValueError, match=r'holds a run already.*--resume'):
    training.train(tiny.experiment(tmp_path))
  with pytest.raises(ValueError, match='noise_size'):
    training.train(
        tiny.experiment(tmp_path, run=dict(resume=True), noise_size=4)
    )
  assert (tmp_path / 'metrics.jsonl').read_bytes() == before


def test_an_experiment_survives_a_checkpoint(tmp_path):
  setup = tiny.experiment(tmp_path, conditional=True)
  saved = json.loads(json.dumps(setup.to_json()))
  assert training.Experiment.from_json(saved) == setup
  assert saved['environment']['grid_size'] == 8
  del saved['run']['replay_batches']  # Saved before this field was there.
  assert training.Experiment.from_json(saved).run.replay_batches == 20
  del saved['agent']
  with pytest.raises(ValueError, match="configuration is not one.*'agent'"):
    training.Experiment.from_json(saved)
