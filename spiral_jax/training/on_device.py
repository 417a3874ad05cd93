"""The whole of training as a pure function: episodes, rewards, both learners.

What the driver does with threads and channels is here one program, which may be
compiled, mapped over seeds and settings, and divided among devices.

Axes: T time (commands), B batch, H height, W width, C channels.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

from flax import linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from spiral_jax import agents
from spiral_jax import types
from spiral_jax.driver import device_rollout
from spiral_jax.training import consistency
from spiral_jax.training import discriminator_batches
from spiral_jax.training import experiment as experiment_lib


class Replay(NamedTuple):
  """The last K batches of canvases, for the discriminator."""

  rows: dict[str, jax.Array]  # uint8 `[K, B, H, W, C]` each; of M members, M B.
  num_batches: jax.Array  # int32 `[]`, batches so far.


class TrainState(NamedTuple):
  """All that training continues with."""

  policy: agents.LearnerState
  discriminator: agents.DiscriminatorState | None
  replay: Replay | None
  factors: agents.Factors
  key: jax.Array


class Train(NamedTuple):
  """Pure functions, to be compiled: else `step` donates parameters it is given.

  Attributes:
    init: (key, factors) -> TrainState. Factors of settings are those of a
      member of a population; they may be left out.
    step: (TrainState, images) -> (TrainState, logs). Plays B episodes, then
      updates the discriminator, if there is one, and the policy. Images, uint8
      `[n, H, W, C]`, are what is redrawn or imitated. Logs are scalars `[]` by
      name.
  """

  init: Callable[..., TrainState]
  step: Callable[[TrainState, jax.Array], tuple[TrainState, types.Logs]]


def make_train(
    experiment: experiment_lib.Experiment,
    *,
    torso: nn.Module | None = None,
    members: int | None = None,
) -> Train:
  """Returns training as pure functions.

  They differ from `train` in what needs a clock or the host: decays are by
  `decay_frames`, images are drawn with replacement and not changed at random,
  and nothing is learned from dreams or a memory. How long a run is, its folder,
  checkpoints and metrics are up to the caller. All gradient steps of a batch
  are compiled, `epochs * minibatches` of them.

  Args:
    experiment: configuration of the run, of a task that offers a renderer in
      JAX.
    torso: the policy's, as for `agents.make_agent`.
    members: number of policies that share one discriminator, M. It learns from
      the episodes of all, in as many updates as for one. The policies' states,
      factors and logs have a first axis of M. (To give each a discriminator of
      its own, map `init` and `step` instead.) None means one policy, without
      that axis.

  Raises:
    ValueError: if the experiment asks for what only `train` does, or `members`
      is below 1.
  """
  consistency.check(experiment)
  _check(experiment)
  if members is not None and members < 1:
    raise ValueError(f'members is {members}, must be 1 or more, or None')
  run, learner_config = experiment.run, experiment.learner
  batch, length = run.batch_size, experiment.environment.episode_length
  is_conditional = experiment.agent.conditional
  renderer = experiment.make_device_renderer()
  agent = experiment.make_agent(torso)
  score = discriminator_learner = None
  if experiment.has_discriminator:
    discriminator = experiment.make_discriminator()
    score = discriminator.score
    discriminator_learner = agents.make_discriminator_learner(
        discriminator, experiment.discriminator
    )
  _, blank = renderer.init(1)
  learner = agents.make_learner(
      agent,
      score,
      learner_config,
      blank_page=np.asarray(blank[0]),
      action_costs=experiment.action_costs(),
      colors=experiment.colors(),
  )
  is_last = np.zeros((length, batch), bool)
  is_last[-1] = True

  def init(
      key: jax.Array, factors: agents.Factors = agents.Factors()
  ) -> TrainState:
    """Returns the first state. The key is consumed."""
    policy_key, score_key, key = jax.random.split(key, 3)
    replay = score_state = None
    rows = batch if members is None else members * batch
    if discriminator_learner is not None:
      score_state = discriminator_learner.init(score_key)
      shape = (run.replay_batches, rows, *experiment.canvas_shape)
      names = ('canvas', 'target') if is_conditional else ('canvas',)
      replay = Replay(
          {name: jnp.zeros(shape, jnp.uint8) for name in names},
          jnp.zeros((), jnp.int32),
      )
    factors = agents.Factors(*(jnp.float32(factor) for factor in factors))
    if members is None:
      policy = learner.init(policy_key)
    else:
      factors = jax.tree.map(lambda x: jnp.broadcast_to(x, members), factors)
      policy = jax.vmap(learner.init)(jax.random.split(policy_key, members))
    return TrainState(policy, score_state, replay, factors, key)

  def play(
      params: types.Params, images: jax.Array, key: jax.Array
  ) -> tuple[types.Trajectory, dict[str, Any]]:
    """Returns B episodes, and rows of the replay."""
    image_key, noise_key, key = jax.random.split(key, 3)
    target = noise = None
    if is_conditional:
      target = images[jax.random.randint(image_key, (batch,), 0, len(images))]
    if experiment.agent.noise_size:
      noise = jax.random.normal(
          noise_key, (batch, experiment.agent.noise_size), jnp.float32
      )
    drawn, canvas = renderer.init(batch)
    state = agent.initial_state(batch)
    _, canvases, outputs = device_rollout.play(
        renderer,
        agent.step,
        params,
        device_rollout.Carry(drawn, canvas, state),
        target,
        noise,
        jax.random.key_data(jax.random.split(key, length)),
    )
    trajectory = types.Trajectory(
        canvas=canvases,
        action=outputs.action,
        log_prob=outputs.log_prob,
        value=outputs.value,
        is_last=is_last,
        bootstrap=None,
        initial_state=state,
        target=target,
        noise=noise,
        params_version=np.zeros((), np.int32),
    )
    rows = discriminator_batches.from_trajectory(
        trajectory, unfinished_share=run.unfinished_share
    )
    assert rows is not None
    # What is known before tracing must stay so: see `learn`.
    trajectory = trajectory._replace(is_last=None, params_version=None)
    return trajectory, rows

  def learn(
      policy: agents.LearnerState,
      trajectory: types.Trajectory,
      score_params: types.Params | None,
      factors: agents.Factors,
  ) -> tuple[agents.LearnerState, types.Logs]:
    """Updates a policy by its episodes."""
    trajectory = trajectory._replace(
        is_last=is_last, params_version=np.zeros((), np.int32)
    )
    return learner.update(policy, trajectory, score_params, factors=factors)

  def discriminate(
      state: agents.DiscriminatorState,
      replay: Replay,
      images: jax.Array,
      key: jax.Array,
  ) -> tuple[agents.DiscriminatorState, types.Logs]:
    """Updates the discriminator as often as a batch is for."""
    assert discriminator_learner is not None
    logs: types.Logs = {}
    kept = jnp.minimum(replay.num_batches, run.replay_batches)
    for update_key in jax.random.split(key, int(run.discriminator_updates)):
      row_key, image_key = jax.random.split(update_key)
      filled = kept * replay.rows['canvas'].shape[1]
      chosen = jax.random.randint(row_key, (batch,), 0, filled)
      rows = {
          name: values.reshape(-1, *values.shape[2:])[chosen]
          for name, values in replay.rows.items()
      }
      target = rows.get('target')
      real = target
      if real is None:
        places = jax.random.randint(image_key, (batch,), 0, len(images))
        real = images[places]
      state, logs = discriminator_learner.update(
          state, real, rows['canvas'], target
      )
    return state, logs

  def step(
      state: TrainState, images: jax.Array
  ) -> tuple[TrainState, types.Logs]:
    """Returns the next state, and logs."""
    _check_images(images, experiment.canvas_shape)
    play_key, score_key, key = jax.random.split(state.key, 3)
    play_all, learn_all = play, learn
    if members is not None:
      play_key = jax.random.split(play_key, members)
      play_all = jax.vmap(play, in_axes=(0, None, 0))
      learn_all = jax.vmap(learn, in_axes=(0, 0, None, 0))
    trajectory, rows = play_all(state.policy.params, images, play_key)
    score_state, replay = state.discriminator, state.replay
    logs: types.Logs = {}
    if score_state is not None:
      assert replay is not None
      if members is not None:
        rows = {k: v.reshape(-1, *v.shape[2:]) for k, v in rows.items()}
      replay = _insert(replay, rows)
      score_state, logs = discriminate(score_state, replay, images, score_key)
    policy, policy_logs = learn_all(
        state.policy,
        trajectory,
        None if score_state is None else score_state.params,
        state.factors,
    )
    next_state = TrainState(policy, score_state, replay, state.factors, key)
    return next_state, {**logs, **policy_logs}

  return Train(init, step)


def _insert(replay: Replay, rows: dict[str, jax.Array]) -> Replay:
  """Returns a replay with a batch more, in the place of the oldest."""
  place = replay.num_batches % len(replay.rows['canvas'])
  return Replay(
      {
          name: values.at[place].set(rows[name])
          for name, values in replay.rows.items()
      },
      replay.num_batches + 1,
  )


def _check(experiment: experiment_lib.Experiment) -> None:
  """Raises ValueError for what only a run with a driver does."""
  run, learner = experiment.run, experiment.learner
  refused: dict[str, Any] = {
      'decay_by_clock': run.decay_by_clock,
      'unroll_length': run.unroll_length,
      'launcher': run.launcher if run.launcher != 'threads' else '',
      'num_actors': run.num_actors if run.num_actors > 1 else 0,
      'devices': run.devices if run.devices != 1 else 0,
      'augment': run.augment,
      'init_from': run.init_from,
      'dreams_weight': learner.dreams_weight,
      'corrections_weight': learner.corrections_weight,
      'memory_weight': learner.memory_weight,
      'teacher_weight': learner.teacher_weight,
  }
  for name, value in refused.items():
    if value:
      raise ValueError(
          f'{name} is {value!r}, which make_train cannot do; leave it out, or '
          'train with training.train'
      )
  if experiment.has_discriminator and run.discriminator_updates % 1:
    raise ValueError(
        f'discriminator_updates is {run.discriminator_updates}, must be a '
        'whole number for make_train'
    )


def _check_images(images: jax.Array, shape: tuple[int, int, int]) -> None:
  """Raises ValueError if images are not those of the canvas."""
  if (
      images.dtype != np.uint8
      or images.ndim != 4
      or images.shape[1:] != shape
      or not len(images)
  ):
    raise ValueError(
        f'images are {images.dtype} {list(images.shape)}, must be uint8 '
        f'{["n", *shape]}, one at least'
    )
