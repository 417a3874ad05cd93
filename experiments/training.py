"""The wiring that all training scripts share, on one page.

    params (latest version wins)
      +------------------------------------------------+
      v                                                |
  actor 0..N  -- trajectories [T,B] -->  policy learner +
  (policy + renderer)                     ^
      |  final canvases                   | score params
      +--> replay --> discriminator learner <-- real images

A script calls `train` with a `run_setup.Setup`.
"""

import contextlib
import functools
import json
import pathlib
import threading
from typing import TYPE_CHECKING

import jax
import rich.console

import acting
import examples
import pictures
import run_folder
import run_setup
from spiral_jax import agents
from spiral_jax import evaluation
from spiral_jax.driver import checkpointer as checkpointer_lib
from spiral_jax.driver import checkpoints
from spiral_jax.driver import metrics
from spiral_jax.driver import nodes
from spiral_jax.driver import params as params_lib
from spiral_jax.driver import program as program_lib
from spiral_jax.driver import progress as progress_lib
from spiral_jax.driver import rollout

if TYPE_CHECKING:
  from spiral_jax.driver import ray_launcher


class Training:
  """A program ready to run: nodes, and what is saved of them."""

  def __init__(
      self,
      setup: run_setup.Setup,
      run_dir: pathlib.Path,
      cluster: 'ray_launcher.Cluster | None',
  ):
    """Builds all nodes of the picture above, and the folder.

    Args:
      setup: of the run, whose parts fit each other.
      run_dir: the folder.
      cluster: where actors play; None, in threads.

    Raises:
      ValueError: if the data do not fit.
      OSError: if data or libmypaint are missing.
    """
    run = setup.run
    self.setup = setup
    self.program = program_lib.Program()
    self.latest: agents.Trajectory | None = None
    # What may be wrong comes first, the folder of the run after it: a typo
    # leaves nothing behind.
    agent = run_setup.make_agent(setup)
    self._mesh = agents.make_mesh(run.devices)
    self._updating = threading.Lock()
    score = self._make_discriminator_learner(setup)
    spare = run_setup.make_environment(setup, run.batch_size)
    self._policy_learner = agents.make_learner(
        agent,
        score,
        setup.learner,
        blank_page=spare.reset().observation['canvas'][0],
        mesh=self._mesh,
    )
    held_out = run_setup.load_dataset(setup, 'test')
    images = run_setup.load_dataset(setup, 'train')
    self._counts: dict[str, int] = {}
    self.clock = run_folder.Clock()
    self.lines = metrics.JsonLines(run_dir / 'metrics.jsonl')
    self.writer = metrics.Fanout(
        self.lines,
        metrics.TensorBoard(run_dir / 'tensorboard'),
        progress_lib.Progress(
            'policy/frames',
            _progress_columns(setup),
            total_frames=run.frames or None,
            total_seconds=60 * run.minutes or None,
            elapsed=lambda: self.clock.seconds,
        ),
    )
    program = self.program
    # In lockstep each round is of whole episodes, so that it has results.
    pieces = setup.pieces if run.lockstep else 1
    trajectories = program.channel('trajectories', pieces)
    params = program.params('policy params')
    newest: params_lib.ParamsStore | params_lib.LagBound = params
    if run.max_lag >= 0 and not run.lockstep:
      newest = params_lib.LagBound(params, run.max_lag)
    replay = score_params = None
    if score is not None:
      replay = program.replay(
          run.replay_batches,
          run.batch_size,
          samples_per_insert=run.discriminator_updates,
          seed=run.seed,
      )
      score_params = program.params('score params')
    step = jax.jit(agent.step, static_argnames='greedy')
    for index in range(run.num_actors):
      name = f'actor {index}'
      if cluster is None:
        play: nodes.Rollout = acting.make_rollout(
            setup, index, agent, step, images
        )
      else:
        make = functools.partial(acting.make_remote_rollout, setup, index)
        play = cluster.rollout(name, make)
      program.add(
          nodes.Actor(
              name,
              rollout=play,
              params=newest,
              trajectories=trajectories,
              replay=replay,
              final_examples=functools.partial(
                  examples.from_trajectory,
                  unfinished_share=run.unfinished_share,
              ),
          ),
          steps_per_round=pieces,
      )
    keys = jax.random.split(jax.random.PRNGKey(run.seed))
    if replay is not None and score_params is not None:
      real = acting.ImageStream(images, run.batch_size, run.seed * 1000 + 999)
      program.add(
          nodes.DiscriminatorLearner(
              'discriminator',
              update=self._update_discriminator,
              state=self._discriminator_learner.init(keys[0]),
              params_of=lambda state: state.params,
              replay=replay,
              make_batch=examples.RealAndFake(
                  None if setup.agent.conditional else real
              ),
              published=score_params,
              metrics=self.writer,
              log_every=run.log_every,
          ),
          steps_per_round=max(1, int(run.discriminator_updates)),
      )
    self._params = params
    self._reconstruct = None
    if setup.agent.conditional:
      same = held_out.spread(run.batch_size).images
      self._reconstruct = rollout.Rollout(
          spare,
          step,
          agent.initial_state(run.batch_size),
          noise_size=setup.agent.noise_size,
          targets=lambda: same,
          seed=run.seed + 1_000_003,
          unroll_length=run.unroll_length,
      )
    self.learner = program.add(
        nodes.PolicyLearner(
            'policy',
            update=self._update_policy,
            state=self._policy_learner.init(keys[1]),
            params_of=lambda state: agents.on_one_device(state.params),
            trajectories=trajectories,
            published=params,
            score_params=score_params,
            metrics=self.writer,
            log_every=run.log_every,
            max_frames=run.frames or None,
        ),
        steps_per_round=pieces,
    )
    if cluster is not None:
      watch = functools.partial(self._watch, cluster)
      program.add(checkpointer_lib.Periodic('ray', watch, every_seconds=1))

  def paint(self) -> agents.Trajectory | None:
    """Returns what there is to look at, None if nothing was painted yet.

    Unconditional: the samples that were learned from last.  Conditional: the
    same held-out targets each time, whose error is written to the metrics as
    `held_out/l2`.
    """
    if self._reconstruct is None:
      return self.latest
    params, version = self._params.peek()
    trajectory = self._reconstruct(params, version)
    while not trajectory.is_last.any():
      trajectory = self._reconstruct(params, version)
    assert trajectory.target is not None
    error = evaluation.reconstruction_error(
        trajectory.canvas[-1], trajectory.target
    )
    self.writer.write(
        self.learner.version,
        {'held_out/l2': error.mean(), 'held_out/frames': self.learner.frames},
    )
    return trajectory

  def _make_discriminator_learner(self, setup: run_setup.Setup):
    """Returns the score of a discriminator, None if the reward needs none."""
    if setup.learner.reward != 'discriminator':
      return None
    discriminator = agents.make_discriminator(
        run_setup.canvas_shape(setup),
        setup.agent.conditional,
        setup.discriminator,
    )
    self._discriminator_learner = agents.make_discriminator_learner(
        discriminator, setup.discriminator, mesh=self._mesh
    )
    return discriminator.score

  def _watch(self, cluster) -> None:
    cluster.check()
    counts = cluster.counts()
    if counts != self._counts:
      self._counts = counts
      self.writer.write(self.learner.version, counts)

  def _update_discriminator(self, state, real, examples):
    images = [real, examples['canvas']]
    if 'target' in examples:
      images.append(examples['target'])
    return self._update(self._discriminator_learner, state, *images)

  def _update_policy(self, state, trajectory, score_params):
    if trajectory.is_last.any():
      self.latest = trajectory  # To be looked at.
    return self._update(
        self._policy_learner, state, trajectory, score_params, self._progress()
    )

  def _progress(self) -> float | None:
    """Returns how much of the learner's decay is over, None if by frames."""
    run = self.setup.run
    if not run.decay_by_clock:
      return None
    minutes = run.decay_minutes or run.minutes
    return min(self.clock.seconds / (60 * minutes), 1.0)

  def _update(self, learner, *state_and_batch):
    if self._mesh is None:
      return learner.update(*state_and_batch)
    # All devices must begin two updates in the same order, or each learner
    # waits for devices that wait for the other. Accelerators have queues; CPU
    # devices take programs as they come, so one has to end first.
    with self._updating:
      updated = learner.update(*state_and_batch)
      if jax.default_backend() == 'cpu':
        jax.block_until_ready(updated)
      return updated


def train(
    setup: run_setup.Setup, *, may_change: tuple[str, ...] = ()
) -> pathlib.Path:
  """Trains until the end that the setup names, or Ctrl-C.

  Args:
    setup: of the run.
    may_change: fields of the setup, dotted, in which a run that goes on may
      differ from its checkpoint, beside those of `run_folder.MAY_CHANGE`.

  Returns:
    The run's folder, which holds a checkpoint of the end.

  Raises:
    ValueError, OSError: in one line, of what the user can mend.
    KeyboardInterrupt: after Ctrl-C, once all is saved and how to go on is said.
    program.NodeError: if a node failed.
  """
  may_change += run_folder.MAY_CHANGE
  run_dir = run_folder.claim(setup, may_change)
  run_setup.check_fit(setup)
  with contextlib.ExitStack() as at_end:
    cluster = acting.connect(setup.run)
    if cluster is not None:
      at_end.callback(cluster.close)
    training = Training(setup, run_dir, cluster)
    at_end.callback(training.writer.close)
    stopped = _run(training, run_dir, may_change)
  if stopped is program_lib.Stopped.INTERRUPTED:
    rich.console.Console(highlight=False).print(
        f'stopped at frame {training.learner.frames:,}; the checkpoint is in '
        f'{run_dir}/checkpoints\ngo on with: {run_folder.resume_command()}',
        soft_wrap=True,
    )
    raise KeyboardInterrupt
  return run_dir


def _run(
    training: Training, run_dir: pathlib.Path, may_change: tuple[str, ...]
) -> program_lib.Stopped:
  """Trains, as `train` says; returns why it ended."""
  console = rich.console.Console(highlight=False)
  setup = training.setup
  program, learner = training.program, training.learner
  saved = checkpoints.Checkpoints(
      run_dir / 'checkpoints',
      run_setup.to_json(setup),
      may_change=may_change,
  )
  parts = {
      **program.stateful(),
      'metrics': training.lines,
      'clock': training.clock,
  }
  checkpointer = checkpointer_lib.Checkpointer(
      'checkpoints',
      saved,
      parts,
      step=lambda: learner.version,
      may_be_new=[name for name in parts if name.startswith('actor ')],
      every_seconds=60 * setup.run.checkpoint_minutes,
      every_rounds=setup.run.checkpoint_rounds or None,
  )
  if setup.run.resume:
    checkpointer.restore()
    console.print(f'going on from frame {learner.frames:,} of {run_dir}')
  else:
    # A run that died before its first checkpoint has left some.
    training.lines.set_state({'length': 0, 'seconds': 0.0})
  (run_dir / 'config.json').write_text(
      json.dumps(run_setup.to_json(setup), indent=2) + '\n'
  )
  draw = functools.partial(_draw, training, run_dir)
  if setup.run.picture_seconds > 0:
    program.add(
        checkpointer_lib.Periodic(
            'pictures', draw, every_seconds=setup.run.picture_seconds
        )
    )
  program.add(checkpointer)

  def is_over() -> bool:
    return 0 < 60 * setup.run.minutes <= training.clock.seconds

  def at_end(stopped: program_lib.Stopped) -> None:
    del stopped
    checkpointer.save()
    draw()

  console.print(f'training in {run_dir}; Ctrl-C stops and keeps everything')
  try:
    return program_lib.launch(
        program,
        stop_when=is_over,
        lockstep=setup.run.lockstep,
        on_stop=at_end,
    )
  except program_lib.NodeError as error:
    if isinstance(error.__cause__, (ChildProcessError, ConnectionError)):
      raise error.__cause__ from None  # No defect of ours.
    raise


def _draw(training: Training, run_dir: pathlib.Path) -> None:
  """Writes a grid of what the agent paints."""
  trajectory = training.paint()
  if trajectory is not None:
    grid = pictures.grid(trajectory.canvas[-1], trajectory.target)
    folder = run_dir / 'samples'
    pictures.save(grid, folder / f'{training.learner.frames:09d}.png')
    pictures.save(grid, run_dir / 'samples.png')


def _progress_columns(setup: run_setup.Setup) -> dict[str, str]:
  columns = {}
  if setup.agent.conditional:
    columns['l2'] = 'policy/l2'
  if setup.learner.reward == 'discriminator':
    columns['score'] = 'policy/score'
    columns['distance'] = 'discriminator/discriminator_distance'
  columns['entropy'] = 'policy/entropy'
  if setup.run.launcher == 'ray':
    columns |= {'actors': 'actors/alive', 'lag': 'policy/lag'}
  return columns
