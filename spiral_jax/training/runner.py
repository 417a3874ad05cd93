"""Trains an agent: actors, both learners, replay, checkpoints, pictures."""

from collections.abc import Callable, Collection
import contextlib
import functools
import json
import logging
import pathlib
import shlex

from flax import linen as nn
import optax

from spiral_jax import console
from spiral_jax.driver import checkpointer as checkpointer_lib
from spiral_jax.driver import checkpoints
from spiral_jax.driver import finite
from spiral_jax.driver import metrics
from spiral_jax.driver import nodes
from spiral_jax.driver import program as program_lib
from spiral_jax.driver import progress as progress_lib
from spiral_jax.driver import signals
from spiral_jax.training import actors
from spiral_jax.training import consistency
from spiral_jax.training import experiment as experiment_lib
from spiral_jax.training import parts as parts_lib
from spiral_jax.training import plots
from spiral_jax.training import run_dir as run_dir_lib
from spiral_jax.training import run_lock
from spiral_jax.training import trained_agent as trained_agent_lib
from spiral_jax.training import wiring as wiring_lib

_logger = logging.getLogger(__name__)


def train(
    experiment: experiment_lib.Experiment,
    *,
    on_update: Callable[[nodes.PolicyUpdate], object] | None = None,
    optimizer: optax.GradientTransformation | None = None,
    torso: nn.Module | None = None,
    may_change: Collection[str] = (),
) -> pathlib.Path:
  """Trains until the end that the experiment names, or a signal.

  Signals are Ctrl-C, SIGTERM and SIGHUP.

  Args:
    experiment: configuration of the run.
    on_update: called after each update of the policy, in its thread, with a
      `nodes.PolicyUpdate`; it ends the run by raising `StopProgram`.
    optimizer: replaces the policy's, as for `agents.make_learner`. To be given
      again when the run is resumed.
    torso: replaces the policy's, as for `agents.make_agent`. To be given again
      when the run is resumed or restored.
    may_change: dotted fields of the experiment in which a resumed run may
      differ from its checkpoint, besides `run_dir.MAY_CHANGE`.

  Returns:
    The run's folder, which holds a checkpoint of the end.

  Raises:
    ValueError, OSError: in one line, about what the user can mend.
    finite.NotFiniteError: a ValueError, if training diverged; names the first
      number that is not finite, and the last checkpoint, which is.
    signals.Interrupted: a KeyboardInterrupt, after a signal, once all is saved.
    program.NodeError: if a node failed.
  """
  run = experiment.run
  may_change = {*run_dir_lib.MAY_CHANGE, *may_change}
  run_dir = pathlib.Path(run.run_dir).expanduser()
  with contextlib.ExitStack() as at_end:
    lock = at_end.enter_context(contextlib.closing(run_lock.RunLock(run_dir)))
    if run.run_dir and run_dir.is_dir():
      lock.acquire()
    run_dir_lib.claim(experiment, may_change)
    consistency.check(experiment)
    initial_params = None
    if run.init_from and not run.resume:
      initial_params = trained_agent_lib.initial_params(experiment, torso)
    cluster = actors.connect(run)
    if cluster is not None:
      at_end.callback(cluster.close)
    # Mistakes are found before anything is written: a typo leaves no folder.
    parts = parts_lib.make_parts(
        experiment,
        optimizer=optimizer,
        torso=torso,
        initial_params=initial_params,
    )
    lock.acquire()
    run_dir_lib.claim(experiment, may_change)  # Nobody was faster.
    clock = run_dir_lib.Clock()
    lines = metrics.JsonLines(run_dir / 'metrics.jsonl')
    writer = metrics.Fanout(
        lines,
        metrics.TensorBoard(run_dir / 'tensorboard'),
        _make_progress(experiment, clock),
    )
    at_end.callback(writer.close)
    wiring = wiring_lib.build_program(
        parts, writer, clock, cluster=cluster, on_update=on_update
    )
    with signals.held() as received:
      stopped = _run(wiring, experiment, run_dir, lines, clock, received)
  # After the last line of the progress.
  if stopped is program_lib.Stopped.INTERRUPTED:
    console.say(
        f'stopped at frame {wiring.policy.frames:,}; the checkpoint is in '
        f'{run_dir}/checkpoints\nresume with: {run_dir_lib.resume_command()}'
    )
    raise signals.Interrupted(received[0])
  return run_dir


def _run(
    wiring: wiring_lib.Wiring,
    experiment: experiment_lib.Experiment,
    run_dir: pathlib.Path,
    lines: metrics.JsonLines,
    clock: run_dir_lib.Clock,
    received: list[int],
) -> program_lib.Stopped:
  """Trains, as `train` says; returns why it ended.

  Args:
    wiring: the program.
    experiment: configuration of the run.
    run_dir: folder of the run.
    lines: its metrics.
    clock: its seconds.
    received: signals that were received so far.
  """
  program, policy, run = wiring.program, wiring.policy, experiment.run
  config = experiment.to_json()
  parts = {**program.stateful(), 'metrics': lines, 'clock': clock}
  kept = checkpoints.Checkpoints(run_dir / 'checkpoints', config)
  checkpointer = checkpointer_lib.Checkpointer(
      'checkpoints',
      kept,
      parts,
      step=lambda: policy.version,
      may_be_new=[name for name in parts if name.startswith('actor ')],
      every_seconds=60 * run.checkpoint_minutes,
      every_rounds=run.checkpoint_rounds or None,
  )
  if run.resume:
    try:
      checkpointer.restore()
    except ValueError as error:
      if 'opt_state' not in str(error) or 'diverged' in str(error):
        raise
      raise ValueError(
          f'the run in {run_dir} has another optimizer; continue it from '
          'Python by training.train(..., optimizer=...), with the one that it '
          f'was trained with ({error})'
      ) from error
    console.say(f'resuming from frame {policy.frames:,} of {run_dir}')
  else:
    # A run that died before its first checkpoint has left some.
    lines.set_state({'length': 0, 'seconds': 0.0})
  (run_dir / 'config.json').write_text(json.dumps(config, indent=2) + '\n')
  save_picture = functools.partial(_save_picture, wiring, run_dir)
  if run.picture_seconds > 0:
    program.add(
        checkpointer_lib.Periodic(
            'pictures', save_picture, every_seconds=run.picture_seconds
        )
    )
  program.add(checkpointer)

  def is_over() -> bool:
    return 0 < 60 * run.minutes <= clock.seconds

  def at_end(stopped: program_lib.Stopped) -> None:
    del stopped
    so_far = len(received)
    checkpointer.save_at_end(gives_up=lambda: len(received) > so_far)
    save_picture()

  console.say(f'training in {run_dir}; Ctrl-C stops and keeps everything')
  console.say('compiling first, which does not count as training time')
  before = policy.version
  try:
    stopped = program_lib.launch(
        program,
        stop_when=is_over,
        lockstep=run.lockstep,
        on_stop=at_end,
    )
  except (program_lib.NodeError, finite.NotFiniteError) as error:
    cause = error.__cause__ or error
    if isinstance(cause, finite.NotFiniteError):
      raise _diverged(cause, policy.frames, kept) from None
    if isinstance(cause, (ChildProcessError, ConnectionError)):
      raise cause from None  # No defect of ours.
    raise
  if policy.version == before:
    console.say(
        'nothing was learned: '
        + (
            'it was stopped before the first update'
            if stopped is program_lib.Stopped.INTERRUPTED
            else f'the run was at its end already, at {policy.frames:,} frames '
            f'and {clock.seconds / 60:.1f} minutes; --frames and --minutes say '
            'where it ends'
        )
    )
  return stopped


def _diverged(
    error: finite.NotFiniteError, frames: int, kept: checkpoints.Checkpoints
) -> finite.NotFiniteError:
  """Returns the error with its frame, the last good checkpoint and a remedy."""
  step = kept.latest_step()
  remedy = 'no checkpoint was saved before it'
  if step is not None:
    remedy = (
        f'the last good checkpoint is {kept.path / str(step)}; start another '
        f'run from it by --init_from={shlex.quote(str(kept.path.parent))}'
    )
  return error.with_remedy(
      error.frames or frames,
      f'training has diverged and was stopped; {remedy}, with a lower '
      '--learning_rate',
  )


def _save_picture(wiring: wiring_lib.Wiring, run_dir: pathlib.Path) -> None:
  """Writes a grid of what the agent draws; without room for it, warns."""
  trajectory = wiring.draw()
  if trajectory is None:
    return
  grid = plots.grid(trajectory.canvas[-1], trajectory.target)
  try:
    folder = run_dir / 'samples'
    plots.save(grid, folder / f'{wiring.policy.frames:09d}.png')
    plots.save(grid, run_dir / 'samples.png')
  except OSError as error:
    _logger.warning('a picture cannot be written: %s', error)


def _make_progress(
    experiment: experiment_lib.Experiment, clock: run_dir_lib.Clock
) -> progress_lib.Progress:
  """Returns the display of a run in the terminal."""
  run = experiment.run
  columns = {}
  learner = experiment.learner
  if experiment.agent.conditional and learner.reward_weight:
    columns['l2'] = 'policy/l2'
  if experiment.has_discriminator:
    columns['score'] = 'policy/score'
    columns['distance'] = 'discriminator/discriminator_distance'
  if learner.reward_weight:
    columns['entropy'] = 'policy/entropy'
  for source, weight in learner.lesson_weights.items():
    if weight:
      columns[source] = f'policy/{source}_nll'
  if run.launcher == 'ray':
    columns |= {'actors': 'actors/alive', 'lag': 'policy/lag'}
  return progress_lib.Progress(
      'policy/frames',
      columns,
      total_frames=run.frames or None,
      total_seconds=60 * run.minutes or None,
      elapsed=lambda: clock.seconds,
  )
