"""Runs that draw in JAX: the same as those that the environment draws."""

import dataclasses
import functools
import json

import jax
import numpy as np
import pytest

from spiral_jax import training
from spiral_jax.driver import checkpoints
from spiral_jax.training import actors
from spiral_jax.training import teachers
from tests import tiny
from tests.own_renderer import rectangles
from tests.own_renderer import rectangles_in_jax

pytestmark = pytest.mark.usefixtures('scene_table')


def _own(run_dir, task=rectangles_in_jax, **kwargs):
  """Returns a run on a renderer of a package of its own."""
  return tiny.experiment(run_dir, **kwargs).replace(
      task=task.__name__,
      environment=rectangles.Settings(),
      data=None,
      costs={},
  )


# With targets and with noise, so that all that an episode begins with is there.
MAKES = {
    'own': _own,
    'scenes': functools.partial(
        tiny.scene_experiment, learner={'reward': 'l2'}
    ),
    'strokes': tiny.experiment,
}


def _rollouts(experiment):
  """Returns (on the host, on the device) and parameters of their agent."""
  agent = experiment.make_agent()
  step = jax.jit(agent.step, static_argnames='greedy')
  images = experiment.load_images('train')
  both = [
      actors.make_rollout(
          experiment.replace(on_device=on_device), 0, agent, step, images
      )
      for on_device in (False, True)
  ]
  return *both, agent.init(jax.random.key(1))


def _assert_close(one, other, *, atol=1e-5):
  """Asserts that trees are equal but for the rounding of floats."""
  for a, b in zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True):
    a, b = np.asarray(a), np.asarray(b)
    assert a.dtype == b.dtype
    np.testing.assert_allclose(a, b, rtol=1e-5, atol=atol)


@pytest.mark.parametrize('name', MAKES)
@pytest.mark.parametrize('unroll_length', [0, 2])
def test_trajectories_are_those_of_the_host(tmp_path, name, unroll_length):
  experiment = MAKES[name](tmp_path).replace(unroll_length=unroll_length)
  host, device, params = _rollouts(experiment)
  for version in range(4):  # Two episodes of two pieces, or four.
    here, there = (play(params, version) for play in (host, device))
    assert isinstance(there.canvas, jax.Array)
    assert there.canvas.dtype == np.uint8
    _assert_close(there, here)


def test_either_goes_on_where_the_other_stopped(tmp_path):
  host, device, params = _rollouts(MAKES['scenes'](tmp_path))
  host(params, 0)
  device.set_state(host.get_state())
  _assert_close(device(params, 1), host(params, 1))
  assert device.get_state().keys() == host.get_state().keys()
  host.set_state(device.get_state())
  _assert_close(host(params, 2), device(params, 2))


def _train(run_dir, **kwargs):
  """Returns the state of a run, and what it says of each update."""
  training.train(tiny.scene_experiment(run_dir, **kwargs))
  with (run_dir / 'metrics.jsonl').open() as lines:
    records = [json.loads(line) for line in lines]
  state = checkpoints.load(run_dir / 'checkpoints').state
  return state, [r for r in records if 'policy/frames' in r]


@pytest.mark.parametrize(
    'learner',
    [
        dict(reward='l2', reward_at='step', scale_rewards=True),
        dict(reward_weight=0.0, dreams_weight=1.0),
    ],
    ids=['rewards', 'dreams'],
)
def test_twenty_updates_are_those_of_the_host(tmp_path, learner):
  runs = []
  for on_device in (False, True):
    run = dict(frames=20 * 24, on_device=on_device)
    runs.append(_train(tmp_path / str(on_device), learner=learner, run=run))
  (host, told), (device, told_there) = runs
  assert host['policy']['version'] == device['policy']['version'] == 20
  # Adam divides gradients by their size. Where they nearly cancel, as for the
  # bias of the value, that makes rounding larger: here up to half a step of the
  # twenty.
  here, there = (part['policy']['learner']['params'] for part in (host, device))
  _assert_close(there, here, atol=5e-5)
  for here, there in zip(told, told_there, strict=True):
    np.testing.assert_allclose(
        there['policy/loss'], here['policy/loss'], rtol=1e-3, atol=1e-4
    )


def test_a_discriminator_scores_what_the_device_draws(tmp_path):
  run_dir = training.train(
      tiny.experiment(tmp_path, run=dict(on_device=True, lockstep=False))
  )
  trained = training.restore(run_dir)
  assert trained.step == 3 and 'discriminator' in trained.state
  assert (run_dir / 'samples.png').exists()


def test_dreams_are_drawn_on_the_device(tmp_path):
  learner = dict(reward_weight=0.0, dreams_weight=1.0)
  lessons = []
  for on_device in (False, True):
    experiment = tiny.scene_experiment(tmp_path, learner=learner)
    experiment = experiment.replace(on_device=on_device)
    [teacher], _ = teachers.make_teachers(
        experiment,
        experiment.make_agent(),
        None,
        experiment.load_images('train'),
    )
    lessons.append(teacher.lessons(None, 0))
  assert isinstance(lessons[1].canvas, jax.Array)
  _assert_close(lessons[1], lessons[0])


def test_a_task_without_such_a_renderer_is_refused(tmp_path):
  own = _own(tmp_path, rectangles, run=dict(on_device=True))
  with pytest.raises(ValueError, match='offers no renderer in JAX; give it a'):
    training.train(own)


def test_processes_of_ray_are_refused(tmp_path):
  with pytest.raises(
      ValueError, match="on_device is set and launcher is 'ray'"
  ):
    tiny.experiment(
        tmp_path, run=dict(on_device=True, launcher='ray', lockstep=False)
    )


def test_a_run_may_change_between_both(tmp_path):
  whole, _ = _train(tmp_path / 'whole', learner={'reward': 'l2'})
  run_dir = tmp_path / 'halves'
  _train(run_dir, learner={'reward': 'l2'}, run=dict(frames=24))
  halves, _ = _train(
      run_dir,
      learner={'reward': 'l2'},
      run=dict(resume=True, on_device=True),
  )
  _assert_close(
      halves['policy']['learner']['params'],
      whole['policy']['learner']['params'],
  )


def test_what_is_not_drawn_leaves_no_folder(tmp_path):
  run_dir = tmp_path / 'run'
  refused = tiny.experiment(run_dir, run=dict(on_device=True))
  charcoal = dataclasses.replace(refused.environment, brush='classic/charcoal')
  with pytest.raises(ValueError, match="'classic/charcoal' has offset_by_ran"):
    training.train(refused.replace(environment=charcoal))
  assert not run_dir.exists()


@pytest.mark.parametrize(
    'name, words',
    [
        ('no.such:thing', "'no.such:thing', which cannot be imported"),
        ('math:no_such', "'math:no_such', which cannot be imported"),
        (f'{__name__}:small', r'uint8 \[2, 4, 4, 1\] for two canvases, must'),
    ],
)
def test_a_renderer_that_does_not_fit_is_named(tmp_path, name, words):
  task = dataclasses.replace(
      rectangles.TASK, device_renderer=lambda settings: (name,)
  )
  own = _own(tmp_path).replace(task=task)
  with pytest.raises(ValueError, match=words):
    own.make_device_renderer()


def small(settings):
  """Returns a renderer of other canvases than those of `settings`."""
  return rectangles_in_jax.make(dataclasses.replace(settings, canvas_size=4))


@pytest.mark.parametrize('name', ['scenes', 'strokes'])
def test_an_evaluation_puts_both_renderers_beside_each_other(tmp_path, name):
  conditional = dict(conditional=True) if name == 'strokes' else {}
  experiment = MAKES[name](tmp_path / 'unused', **conditional)
  agent = experiment.make_agent()
  params = agent.init(jax.random.key(0))
  trained = training.TrainedAgent(experiment, agent, params, 0, {})
  figures = training.evaluate_agent(trained, tmp_path, count=6, on_device=True)
  greedy, drawn = figures['greedy'], figures['drawn in JAX']
  assert set(greedy) < set(drawn)
  assert drawn['error'] == pytest.approx(greedy['error'], abs=1e-3)
  assert drawn['mean difference'] < 1e-3
  if name == 'scenes':
    assert drawn['same pictures'] == 1
  assert 'drawn in JAX' not in training.evaluate_agent(
      trained, tmp_path, count=6
  )
