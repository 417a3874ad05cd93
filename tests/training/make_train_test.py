"""Training as a pure function: compiled, mapped, divided among devices."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from spiral_jax import agents
from spiral_jax import training
from tests import tiny
from tests.own_renderer import rectangles
from tests.own_renderer import rectangles_in_jax

# An epsilon so large that Adam makes no steps of gradients that are rounding.
PLAIN = dict(reward='l2', reward_at='step', adam_epsilon=1e-3)
CLIPPED = PLAIN | dict(
    algorithm='clipped',
    epochs=2,
    minibatches=2,
    decay_frames=60,
    normalize_advantages=True,
)
SCORED = dict(adam_epsilon=1e-3)


def _experiment(**kwargs):
  return tiny.experiment('unused', **kwargs).replace(
      task=rectangles_in_jax.__name__,
      environment=rectangles.Settings(),
      data=None,
      costs={},
  )


def _images(count=40):
  rng = np.random.default_rng(0)
  return jnp.asarray(rng.integers(256, size=(count, 16, 16, 1)), jnp.uint8)


def _assert_close(one, other, **kwargs):
  jax.tree.map(
      functools.partial(np.testing.assert_allclose, **kwargs), one, other
  )


@pytest.mark.parametrize(
    'kwargs',
    [
        dict(conditional=True, learner=CLIPPED),
        dict(
            run=dict(discriminator_updates=2, unfinished_share=0.25),
            learner=SCORED,
        ),
        dict(conditional=True, learner=SCORED),
    ],
    ids=['l2', 'unconditional', 'conditional'],
)
def test_seeds_together_are_seeds_alone(kwargs):
  train = training.make_train(_experiment(**kwargs))
  keys = jax.random.split(jax.random.key(0), 2)
  images = _images()
  together = jax.vmap(train.init)(keys)
  step = jax.jit(jax.vmap(train.step, in_axes=(0, None)))
  alone, step_alone = train.init(keys[1]), jax.jit(train.step)
  first = alone
  for _ in range(3):
    together, logs = step(together, images)
    alone, logs_alone = step_alone(alone, images)
  assert alone.policy.frames == 3 * 24
  _assert_close(
      jax.tree.map(lambda x: x[1], together.policy.params),
      alone.policy.params,
      rtol=1e-4,
      atol=1e-5,
  )
  assert {'loss', 'entropy'} <= logs.keys() == logs_alone.keys()
  assert all(value.shape == (2,) for value in logs.values())
  moved = jax.tree.map(
      lambda a, b: np.abs(a - b).max(), first.policy.params, alone.policy.params
  )
  assert max(jax.tree.leaves(moved)) > 1e-5
  if alone.replay is not None:
    canvases = alone.replay.rows['canvas']
    assert canvases.shape[0] == 2 and alone.replay.num_batches == 3
    assert (canvases != 0).any(axis=(1, 2, 3, 4)).all()


def test_a_traced_update_is_the_update():
  """With as many gradient steps as the decay leaves."""
  train = training.make_train(_experiment(conditional=True, learner=CLIPPED))
  images = _images()
  state = train.init(jax.random.key(0))
  compiled = jax.jit(train.step)
  ours = jax.tree.map(jnp.copy, state)
  for _ in range(4):  # 2, 2, 1 and 1 epochs.
    ours, logs = train.step(ours, images)
    state, logs_compiled = compiled(state, images)
    _assert_close(ours.policy.params, state.policy.params, atol=2e-5)
    _assert_close(logs, logs_compiled, rtol=1e-3, atol=1e-4)


def test_members_may_differ_in_settings():
  train = training.make_train(_experiment(conditional=True, learner=PLAIN))
  factors = agents.Factors(
      learning_rate=jnp.array([1.0, 0.0]), entropy_cost=jnp.array([1.0, 5.0])
  )
  key = jax.random.key(0)
  first = jax.vmap(lambda f: train.init(key, f))(factors)
  step = jax.jit(jax.vmap(train.step, in_axes=(0, None)))
  state, _ = step(first, _images())
  moved = [
      max(
          float(np.abs(a[member] - b[member]).max())
          for a, b in zip(
              jax.tree.leaves(first.policy.params),
              jax.tree.leaves(state.policy.params),
          )
      )
      for member in range(2)
  ]
  assert moved[0] > 1e-5 and moved[1] == 0


def _moved(before, after, member):
  return max(
      float(np.abs(a[member] - b[member]).max())
      for a, b in zip(jax.tree.leaves(before), jax.tree.leaves(after))
  )


@pytest.mark.parametrize('conditional', [False, True])
def test_members_may_share_a_discriminator(conditional):
  experiment = _experiment(
      conditional=conditional,
      run=dict(unfinished_share=0.25),
      learner=SCORED,
  )
  train = training.make_train(experiment, members=3)
  factors = agents.Factors(learning_rate=jnp.array([1.0, 1.0, 0.0]))
  first = train.init(jax.random.key(0), factors)
  images, step = _images(), jax.jit(train.step)
  state, logs = first, {}
  for _ in range(3):
    state, logs = step(state, images)
  batch = experiment.run.batch_size
  assert state.replay.rows['canvas'].shape[:2] == (2, 3 * batch)
  assert (state.replay.rows['canvas'] != 0).any(axis=(2, 3, 4)).all()
  np.testing.assert_array_equal(state.policy.frames, [3 * 24] * 3)
  # One discriminator, which learns; three policies, two of which do.
  alone = training.make_train(experiment).init(jax.random.key(0))
  assert jax.tree.map(jnp.shape, state.discriminator) == jax.tree.map(
      jnp.shape, alone.discriminator
  )
  assert _moved(first.discriminator.params, state.discriminator.params, ...) > 0
  moved = [
      _moved(first.policy.params, state.policy.params, n) for n in range(3)
  ]
  assert moved[0] > 1e-5 and moved[1] > 1e-5 and moved[2] == 0
  assert logs['entropy'].shape == (3,)
  assert logs['discriminator_distance'].shape == ()
  canvases = state.replay.rows['canvas'][0].reshape(3, batch, -1)
  assert (canvases[0] != canvases[1]).any()  # They draw differently.


def test_members_learn_as_one_does():
  """The error of a page that one large rectangle covers falls, for each."""
  train = training.make_train(
      _experiment(
          conditional=True,
          learner=CLIPPED
          | dict(decay_frames=0, learning_rate=3e-3, scale_rewards=True),
          run=dict(batch_size=32),
      ),
      members=2,
  )
  images = jnp.full((1, 16, 16, 1), 80, jnp.uint8)
  state, step = train.init(jax.random.key(0)), jax.jit(train.step)
  errors = []
  for _ in range(60):
    state, logs = step(state, images)
    errors.append(np.asarray(logs['l2']))
  errors = np.array(errors)  # [60, 2]
  assert (errors[-5:].mean(0) < 0.5 * errors[:5].mean(0)).all(), errors


def test_a_number_of_members_below_one_is_refused():
  with pytest.raises(ValueError, match='members is 0'):
    training.make_train(_experiment(conditional=True, learner=PLAIN), members=0)


def test_seeds_may_be_divided_among_devices():
  train = training.make_train(_experiment(conditional=True, learner=PLAIN))
  states = jax.vmap(train.init)(jax.random.split(jax.random.key(0), 2))
  step = jax.vmap(train.step, in_axes=(0, None))
  mesh = jax.make_mesh(
      (1,), ('seeds',), axis_types=(jax.sharding.AxisType.Auto,)
  )
  seeds, everywhere = (
      jax.sharding.PartitionSpec(*axes) for axes in (('seeds',), ())
  )
  divided = jax.jit(
      jax.shard_map(
          step,
          mesh=mesh,
          in_specs=(seeds, everywhere),
          out_specs=seeds,
          check_vma=False,
      )
  )
  state, _ = divided(states, _images())
  expected, _ = jax.jit(step)(states, _images())
  _assert_close(state.policy.params, expected.policy.params, atol=1e-5)


def test_a_target_of_one_shade_is_learned():
  """The error of a page that one large rectangle covers falls by half."""
  train = training.make_train(
      _experiment(
          conditional=True,
          learner=CLIPPED
          | dict(decay_frames=0, learning_rate=3e-3, scale_rewards=True),
          run=dict(batch_size=32),
      )
  )
  images = jnp.full((1, 16, 16, 1), 80, jnp.uint8)
  state, step = train.init(jax.random.key(0)), jax.jit(train.step)
  errors = []
  for _ in range(60):
    state, logs = step(state, images)
    errors.append(float(logs['l2']))
  assert np.mean(errors[-5:]) < 0.5 * np.mean(errors[:5]), errors


@pytest.mark.parametrize(
    'changes, words',
    [
        (dict(run=dict(augment=('warp',))), 'augment is .*which make_train'),
        (
            dict(learner=dict(reward_weight=0.0, dreams_weight=1.0)),
            'dreams_weight is 1.0',
        ),
        (dict(learner=dict(corrections_weight=1.0)), 'corrections_weight is 1'),
        (dict(run=dict(num_actors=2, lockstep=False)), 'num_actors is 2'),
        (
            dict(run=dict(discriminator_updates=0.5, lockstep=False)),
            'discriminator_updates is 0.5, must be a whole number',
        ),
    ],
)
def test_what_needs_a_driver_is_refused(changes, words):
  with pytest.raises(ValueError, match=words):
    training.make_train(_experiment(conditional=True, **changes))


@pytest.mark.parametrize(
    'images',
    [
        jnp.zeros((2, 16, 16, 1), jnp.float32),
        jnp.zeros((0, 16, 16, 1), jnp.uint8),
        jnp.zeros((2, 8, 8, 1), jnp.uint8),
    ],
)
def test_other_images_are_refused(images):
  train = training.make_train(_experiment(conditional=True, learner=PLAIN))
  state = jax.eval_shape(train.init, jax.random.key(0))
  with pytest.raises(ValueError, match=r'must be uint8 .*one at least'):
    jax.eval_shape(train.step, state, images)
