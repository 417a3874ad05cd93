"""The wiring of a run, on one page: a function a node, as in the picture.

               params (latest version wins)
    +--------------------------------------------------+
    v                                                  |
actor 0..N  -- trajectories [T,B] -->  policy learner --+
(policy + renderers)                       ^   |
                              score params |   | final canvases
                                           |   v
          dataset -- real images --> discriminator learner <-- replay

Beside trajectories, the policy learner may imitate lessons: dreams of a prior,
the best programs that a search remembers of training images (an agent that
draws from noise then has a recognizer beside it), and what another agent draws
of them; see teachers.py.
"""

from collections.abc import Callable
import functools
import threading
from typing import TYPE_CHECKING, Any, NamedTuple

import jax

from spiral_jax import agents
from spiral_jax import datasets
from spiral_jax import types
from spiral_jax.driver import channel as channel_lib
from spiral_jax.driver import checkpointer
from spiral_jax.driver import metrics as metrics_lib
from spiral_jax.driver import nodes
from spiral_jax.driver import params as params_lib
from spiral_jax.driver import program as program_lib
from spiral_jax.driver import replay as replay_lib
from spiral_jax.training import actors
from spiral_jax.training import config as config_lib
from spiral_jax.training import discriminator_batches
from spiral_jax.training import memory as memory_lib
from spiral_jax.training import parts as parts_lib
from spiral_jax.training import pictures
from spiral_jax.training import run_dir as run_dir_lib
from spiral_jax.training import teachers as teachers_lib

if TYPE_CHECKING:
  from spiral_jax.driver import ray_launcher


class Wiring(NamedTuple):
  """A program ready to run, and what is looked at from outside."""

  program: program_lib.Program
  policy: nodes.PolicyLearner
  draw: Callable[[], agents.Trajectory | None]


class _Channels(NamedTuple):
  """Channels, parameters and replay that the nodes share."""

  trajectories: channel_lib.Channel[agents.Trajectory] | None
  # By learner and source.
  lessons: dict[tuple[str, str], channel_lib.Channel[types.Lesson]]
  params: params_lib.ParamsStore
  recognizer_params: params_lib.ParamsStore | None
  replay: replay_lib.Replay | None
  score_params: params_lib.ParamsStore | None


def build_program(
    parts: parts_lib.Parts,
    writer: metrics_lib.Writer,
    clock: run_dir_lib.Clock,
    *,
    cluster: 'ray_launcher.Cluster | None' = None,
    on_update: Callable[[nodes.PolicyUpdate], object] | None = None,
) -> Wiring:
  """Returns the program of the picture above.

  Args:
    parts: what `parts.make_parts` returned.
    writer: writer of all metrics.
    clock: seconds of the run; the first update of the policy starts it.
    cluster: Ray's, on which actors play; None for threads.
    on_update: called after each update of the policy, in its thread.
  """
  program = program_lib.Program()
  step = jax.jit(parts.agent.step, static_argnames='greedy')
  channels = _add_channels(program, parts)
  if channels.trajectories is not None:
    _add_actors(program, parts, channels, step, cluster)
  one_at_a_time = _one_at_a_time(parts.mesh)
  progress = _make_progress(parts.experiment.run, clock)
  remembered = _add_teachers(program, parts, channels)
  if parts.recognizer is not None:
    _add_recognizer(program, parts, channels, writer, progress, one_at_a_time)
  # Raw keys: checkpoints hold arrays.
  keys = jax.random.key_data(
      jax.random.split(jax.random.key(parts.experiment.run.seed))
  )
  if parts.discriminator_learner is not None:
    _add_discriminator(program, parts, channels, writer, keys[0], one_at_a_time)
  policy = _add_policy(
      program,
      parts,
      channels,
      writer,
      clock,
      progress,
      keys[1],
      one_at_a_time,
      on_update,
  )
  if cluster is not None:
    _add_watch(program, cluster, writer, policy)
  draw = _make_draw(parts, channels, writer, policy, remembered)
  return Wiring(program, policy, draw)


def _add_channels(
    program: program_lib.Program, parts: parts_lib.Parts
) -> _Channels:
  run = parts.experiment.run
  # In lockstep each round is of whole episodes, so that it has results.
  capacity = parts.experiment.num_pieces if run.lockstep else 1
  trajectories, recognizer_params = None, None
  learner = parts.experiment.learner
  if learner.reward_weight or learner.hindsight_weight:
    trajectories = program.channel('trajectories', capacity)
  taught = [
      ('policy', source)
      for source in ('memory', 'dreams', 'teacher')
      if learner.lesson_weights[source]
  ]
  params = program.params('policy params')
  if parts.recognizer is not None:
    taught += [('recognizer', 'memory'), ('recognizer', 'dreams')]
    recognizer_params = program.params('recognizer params')
  lessons = {
      (learns, source): program.channel(f'{source} for {learns}', capacity)
      for learns, source in taught
  }
  if parts.discriminator_learner is None:
    return _Channels(
        trajectories, lessons, params, recognizer_params, None, None
    )
  replay = program.replay(
      run.replay_batches,
      run.batch_size,
      samples_per_insert=run.discriminator_updates,
      seed=run.seed,
  )
  return _Channels(
      trajectories,
      lessons,
      params,
      recognizer_params,
      replay,
      program.params('score params'),
  )


def _add_actors(
    program: program_lib.Program,
    parts: parts_lib.Parts,
    channels: _Channels,
    step: Any,
    cluster: 'ray_launcher.Cluster | None',
) -> None:
  experiment = parts.experiment
  run = experiment.run
  assert channels.trajectories is not None
  newest: params_lib.ParamsStore | params_lib.LagBound = channels.params
  if run.max_lag >= 0 and not run.lockstep:
    newest = params_lib.LagBound(channels.params, run.max_lag)
  for index in range(run.num_actors):
    name = f'actor {index}'
    if cluster is None:
      play: nodes.RolloutFn = actors.make_rollout(
          experiment,
          index,
          parts.agent,
          step,
          parts.train,
          parts.device_renderer,
      )
    else:
      make = functools.partial(
          actors.make_remote_rollout, experiment, index, parts.torso
      )
      play = cluster.rollout(name, make)
    actor = nodes.Actor(
        name,
        rollout=play,
        params=newest,
        trajectories=channels.trajectories,
        replay=channels.replay,
        final_examples=functools.partial(
            discriminator_batches.from_trajectory,
            unfinished_share=run.unfinished_share,
        ),
    )
    program.add(actor, steps_per_round=experiment.num_pieces)


def _add_teachers(
    program: program_lib.Program, parts: parts_lib.Parts, channels: _Channels
) -> memory_lib.Memory | None:
  """Adds nodes that make lessons: actors whose commands are not the agent's.

  Returns:
    What they remember, if anything.
  """
  teachers, remembered = teachers_lib.make_teachers(
      parts.experiment,
      parts.agent,
      parts.recognizer,
      parts.train,
      parts.device_renderer,
      parts.teacher,
  )
  for teacher in teachers:
    params: Any = channels.params
    if teacher.acts == 'recognizer':
      params = channels.recognizer_params
    node = nodes.Actor(
        teacher.name,
        rollout=teacher.lessons,
        params=params,
        trajectories=channels.lessons[teacher.learns, teacher.source],
    )
    program.add(node, steps_per_round=parts.experiment.num_pieces)
  return remembered


def _add_recognizer(
    program: program_lib.Program,
    parts: parts_lib.Parts,
    channels: _Channels,
    writer: metrics_lib.Writer,
    progress: Callable[[], float] | None,
    one_at_a_time: Callable[[Any], Any],
) -> None:
  """Adds the learner of the second agent."""
  run = parts.experiment.run
  assert parts.recognizer is not None
  assert channels.recognizer_params is not None
  learner = parts.recognizer.learner
  key = jax.random.fold_in(jax.random.key(run.seed), 0x5EED)
  node = nodes.PolicyLearner(
      'recognizer',
      update=one_at_a_time(learner.update),
      state=learner.init(jax.random.key_data(key)),
      params_of=lambda state: agents.on_one_device(state.params),
      trajectories=None,
      lessons=_lessons_for('recognizer', channels),
      published=channels.recognizer_params,
      progress=progress,
      metrics=writer,
      log_every=run.log_every,
  )
  program.add(node, steps_per_round=parts.experiment.num_pieces)


def _lessons_for(
    learns: str, channels: _Channels
) -> dict[str, channel_lib.Channel[types.Lesson]]:
  """Returns the channels of one learner, by source."""
  return {
      source: channel
      for (name, source), channel in channels.lessons.items()
      if name == learns
  }


def _add_discriminator(
    program: program_lib.Program,
    parts: parts_lib.Parts,
    channels: _Channels,
    writer: metrics_lib.Writer,
    key: jax.Array,
    one_at_a_time: Callable[[Any], Any],
) -> None:
  run = parts.experiment.run
  learner, replay = parts.discriminator_learner, channels.replay
  assert learner is not None and replay is not None
  assert channels.score_params is not None
  make_batch: Any = discriminator_batches.with_target
  if not parts.experiment.agent.conditional:
    make_batch = discriminator_batches.WithDataImages(
        datasets.ImageStream(
            parts.train, run.batch_size, seed=run.seed * 1000 + 999
        )
    )
  node = nodes.DiscriminatorLearner(
      'discriminator',
      update=one_at_a_time(learner.update),
      state=learner.init(key),
      params_of=lambda state: state.params,
      replay=replay,
      make_batch=make_batch,
      published=channels.score_params,
      metrics=writer,
      log_every=run.log_every,
  )
  program.add(node, steps_per_round=max(1, int(run.discriminator_updates)))


def _add_policy(
    program: program_lib.Program,
    parts: parts_lib.Parts,
    channels: _Channels,
    writer: metrics_lib.Writer,
    clock: run_dir_lib.Clock,
    progress: Callable[[], float] | None,
    key: jax.Array,
    one_at_a_time: Callable[[Any], Any],
    on_update: Callable[[nodes.PolicyUpdate], object] | None,
) -> nodes.PolicyLearner:
  run = parts.experiment.run

  def after_update(update: nodes.PolicyUpdate) -> None:
    clock.start()
    if on_update is not None:
      on_update(update)

  node = nodes.PolicyLearner(
      'policy',
      update=one_at_a_time(parts.learner.update),
      state=parts.learner.init(key, parts.initial_params),
      params_of=lambda state: agents.on_one_device(state.params),
      trajectories=channels.trajectories,
      lessons=_lessons_for('policy', channels),
      published=channels.params,
      score_params=channels.score_params,
      progress=progress,
      on_update=after_update,
      metrics=writer,
      log_every=run.log_every,
      max_frames=run.frames or None,
  )
  return program.add(node, steps_per_round=parts.experiment.num_pieces)


def _make_progress(
    run: config_lib.RunConfig, clock: run_dir_lib.Clock
) -> Callable[[], float] | None:
  """Returns how much of the decay by clock is over; None if there is none."""
  if not run.decay_by_clock:
    return None
  minutes = run.decay_minutes or run.minutes
  return lambda: min(clock.seconds / (60 * minutes), 1.0)


def _add_watch(
    program: program_lib.Program,
    cluster: 'ray_launcher.Cluster',
    writer: metrics_lib.Writer,
    policy: nodes.PolicyLearner,
) -> None:
  """Adds a node that fails with the cluster, and counts its actors."""
  written: dict[str, int] = {}

  def watch() -> None:
    cluster.check()
    counts = cluster.counts()
    if counts != written:
      written.update(counts)
      writer.write(policy.version, counts)

  program.add(checkpointer.Periodic('ray', watch, every_seconds=1))


def _make_draw(
    parts: parts_lib.Parts,
    channels: _Channels,
    writer: metrics_lib.Writer,
    policy: nodes.PolicyLearner,
    remembered: memory_lib.Memory | None,
) -> pictures.Draw:
  """Returns a function that returns what there is to look at, or None.

  For an agent that draws from noise, the samples that were learned from last,
  or new ones if there are none. For a conditional one, the same held-out
  targets each time, whose error is written to the metrics; so is that of a
  recognizer.
  """
  experiment = parts.experiment
  targets = parts.held_out.spread(experiment.run.batch_size).images
  is_conditional = experiment.agent.conditional

  def draw_latest() -> agents.Trajectory | None:
    return policy.latest

  draw: pictures.Draw = draw_latest
  if is_conditional or channels.trajectories is None:
    draw = pictures.make_draw(
        experiment,
        parts.agent,
        channels.params,
        parts.spare,
        targets if is_conditional else None,
    )
  redraw = None
  if parts.recognizer is not None:
    assert channels.recognizer_params is not None
    redraw = pictures.make_draw(
        experiment.as_recognizer(),
        parts.recognizer.agent,
        channels.recognizer_params,
        experiment.make_environment(experiment.run.batch_size),
        targets,
    )
  return pictures.measured(draw, redraw, policy, writer, remembered)


def _one_at_a_time(
    mesh: jax.sharding.Mesh | None,
) -> Callable[[Any], Any]:
  """Returns a decorator of both learners' updates.

  All devices must begin two updates in the same order, or each learner waits
  for devices that wait for the other (see `sharding.shard_learner`).
  Accelerators have queues; CPU devices take programs as they come, so one has
  to end first.
  """
  if mesh is None:
    return lambda update: update
  lock = threading.Lock()

  def decorate(update: Any) -> Any:
    def locked(*args: Any) -> Any:
      with lock:
        updated = update(*args)
        if jax.default_backend() == 'cpu':
          jax.block_until_ready(updated)
        return updated

    return locked

  return decorate
