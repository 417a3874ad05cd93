r"""Times whole training, from its start and against its parts.

The benchmark prints, of the training that the flags describe: the seconds from
start to first update, with an empty cache of compilations and then with a full
one; commands per second, and the largest memory; the rate of the same training
with XLA's convolutions instead of the native ones; and the rate that the parts
allow, each timed alone (drawing a batch, discriminator updates, a policy
update):

  python experiments/benchmarks/pipeline.py \
      --flagfile=experiments/flags/mnist_reward_cpu.flags

Parts that take turns on the same cores exceed 100% only if one uses what
another leaves idle. --discriminator_updates is an upper limit: the updates that
were made count.

With --learn_minutes, for a conditional agent, the benchmark instead trains for
that long with either kind of convolutions, and prints held-out errors.
"""

from collections.abc import Sequence
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time
from typing import IO, Any, NamedTuple

from absl import flags
import jax
import numpy as np

from spiral_jax import agents
from spiral_jax import training
from spiral_jax.training import actors
from spiral_jax.training import cli
from spiral_jax.training import profiling

_EXPERIMENT = training.define_flags('environments.painting', dataset='mnist')
_TURNS = flags.DEFINE_integer(
    'turns', 7, 'number of measurements of each part', lower_bound=1
)
_SECONDS = flags.DEFINE_float(
    'seconds',
    120.0,
    'seconds of training after its first update',
    lower_bound=1.0,
)
_WITH_PLAIN = flags.DEFINE_boolean(
    'plain', True, 'trains once more with the convolutions of XLA'
)
_LEARN_MINUTES = flags.DEFINE_float(
    'learn_minutes',
    0.0,
    'minutes of training with either kind of convolutions, whose errors are '
    'compared; 0 compares rates',
    lower_bound=0.0,
)
_FIGURES = flags.DEFINE_string(
    'figures',
    '',
    'file of JSON lines that figures are added to; empty for none',
)

_PROGRAM = pathlib.Path(__file__).resolve().parents[1] / 'mnist.py'

# Flags of the benchmark alone, not of the training.
_OWN = (
    '--turns',
    '--seconds',
    '--figures',
    '--plain',
    '--noplain',
    '--learn_minutes',
)

# Runs a program without the native convolutions.
_PLAIN = """
import runpy, sys
from spiral_jax.ops import native
native.is_built = lambda: False
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name='__main__')
"""


class Run(NamedTuple):
  """Measurements of a training run."""

  start: float  # Seconds from its start to the first update.
  rate: float  # Commands per second since then.
  memory: float  # Largest resident memory, MiB.
  discriminator_updates: float  # Per command.


class _Progress(NamedTuple):
  """Progress of a run, from its metrics."""

  seconds: float  # On the monotonic clock, when they were read.
  frames: int  # Commands that the policy has learned from.
  discriminator_updates: int


def main(argv: Sequence[str]) -> None:
  """Prints the figures."""
  del argv
  experiment = _EXPERIMENT.value
  if _LEARN_MINUTES.value and not experiment.agent.conditional:
    raise ValueError(
        '--learn_minutes compares errors on given images: add --conditional, '
        'or name a flag file that has it'
    )
  if _LEARN_MINUTES.value and not _WITH_PLAIN.value:
    raise ValueError(
        '--noplain leaves out what --learn_minutes compares with; leave out '
        'one of the two'
    )
  if _LEARN_MINUTES.value:
    _compare_learning(_LEARN_MINUTES.value)
  else:
    _compare_rates(experiment)


def _compare_rates(experiment: training.Experiment) -> None:
  """Prints rates of training and of its parts."""
  with tempfile.TemporaryDirectory() as folder:
    cache = pathlib.Path(folder, 'cache')
    cold = train(pathlib.Path(folder, 'cold'), cache, seconds=0)
    print(f'start to first update, empty cache     {cold.start:8.1f} s')
    run = train(pathlib.Path(folder, 'run'), cache, seconds=_SECONDS.value)
    print(f'start to first update, from the cache  {run.start:8.1f} s')
    print(f'most memory                            {run.memory:8.0f} MiB')
    if _WITH_PLAIN.value:
      plain = train(
          pathlib.Path(folder, 'plain'),
          cache,
          seconds=_SECONDS.value,
          program=['-c', _PLAIN],
      )
  _record('start to first update, empty cache', cold.start, 's')
  _record('start to first update, from the cache', run.start, 's')
  _record('most memory', run.memory, 'MiB')
  length = experiment.environment.episode_length // experiment.num_pieces
  frames = experiment.run.batch_size * length
  seconds = parts(experiment, _TURNS.value, run.discriminator_updates * frames)
  total = sum(seconds.values())
  for name, value in seconds.items():
    print(f'{name:38} {1e3 * value:8.1f} ms per batch, {value / total:.0%}')
  print(f'its parts allow                        {frames / total:8.1f} /s')
  print(
      f'training does, over {_SECONDS.value:3.0f} s             {run.rate:8.1f}'
      f' /s, {run.rate * total / frames:.0%}'
  )
  _record(
      'training',
      run.rate,
      'commands/s',
      frames / total,
      'its parts alone',
      run.rate * total / frames,
  )
  if _WITH_PLAIN.value:
    ratio = run.rate / plain.rate
    print(
        f'with convolutions of XLA               {plain.rate:8.1f} /s: '
        f'{ratio:.2f}x as fast'
    )
    _record(
        'training',
        run.rate,
        'commands/s',
        plain.rate,
        'convolutions of XLA',
        ratio,
    )


def _record(name: str, *values: Any) -> None:
  profiling.record(_FIGURES.value, profiling.Figure(name, *values))


def train(
    run_dir: pathlib.Path,
    cache: pathlib.Path,
    *,
    seconds: float,
    program: Sequence[str] = (),
) -> Run:
  """Runs the training program until `seconds` after its first update.

  Args:
    run_dir: folder of the run.
    cache: folder of compilations, to which more are added.
    seconds: seconds of training after the first update.
    program: Python's arguments before the training program and its flags.

  Raises:
    RuntimeError: with its output, if the program ended before.
  """
  start = time.monotonic()
  with tempfile.TemporaryFile('w+') as output:
    script = _start(
        run_dir, cache, program, output, ['--log_every=1', '--minutes=1000']
    )
    try:
      memory = 0.0
      first: _Progress | None = None
      last: _Progress | None = None
      while (
          first is None
          or time.monotonic() < first.seconds + seconds
          or (seconds and last == first)  # A rate needs two updates.
      ):
        time.sleep(0.1)
        if script.poll() is not None:
          output.seek(0)
          raise RuntimeError(f'training ended early: {output.read()}')
        memory = max(memory, _resident(script.pid))
        now = _progress(run_dir / 'metrics.jsonl')
        if now.frames and (last is None or now.frames > last.frames):
          last = now
          first = first or last
    finally:
      script.kill()
      script.wait()
  assert last is not None
  elapsed, frames, updates = np.subtract(last, first)
  return Run(
      start=first.seconds - start,
      rate=frames / elapsed if elapsed else float('nan'),
      memory=memory,
      discriminator_updates=updates / frames if frames else float('nan'),
  )


def _start(
    run_dir: pathlib.Path,
    cache: pathlib.Path,
    program: Sequence[str],
    output: IO[str],
    more_flags: Sequence[str],
) -> subprocess.Popen:
  """Starts the training program with this one's flags and `more_flags`."""
  arguments = [a for a in sys.argv[1:] if not a.startswith(_OWN)]
  environment = {**os.environ, 'XDG_CACHE_HOME': str(cache)}
  environment.pop('JAX_COMPILATION_CACHE_DIR', None)  # It would be preferred.
  return subprocess.Popen(
      [
          sys.executable,
          *program,
          str(_PROGRAM),
          *arguments,
          f'--run_dir={run_dir}',
          '--frames=0',
          *more_flags,
      ],
      env=environment,
      stdout=output,
      stderr=output,
  )


def _compare_learning(minutes: float) -> None:
  """Trains with either kind of convolutions; prints held-out errors."""
  shares, frames = {}, {}
  with tempfile.TemporaryDirectory() as temporary:
    folder = pathlib.Path(temporary)
    for name, program in (('native', []), ('XLA', ['-c', _PLAIN])):
      figures = _learn(folder / name, folder / 'cache', program, minutes)
      shares[name] = figures['share_of_blank']
      frames[name] = figures['frames']
      print(
          f'after {minutes:g} minutes, convolutions of {name:8} held-out l2 '
          f'{figures["error"]:.4f}, {figures["share_of_blank"]:.1%} of a blank '
          f"page's; {frames[name]:,} commands",
          flush=True,
      )
  _record(
      f"held-out l2 after {minutes:g} minutes, of a blank page's",
      shares['native'],
      '%',
      shares['XLA'],
      'convolutions of XLA',
      shares['XLA'] / shares['native'],
  )
  _record(
      'commands in these minutes',
      frames['native'],
      '',
      frames['XLA'],
      'convolutions of XLA',
      frames['native'] / frames['XLA'],
  )


def _learn(
    run_dir: pathlib.Path,
    cache: pathlib.Path,
    program: Sequence[str],
    minutes: float,
) -> dict[str, Any]:
  """Trains for `minutes`; returns the figures of the run's evaluation."""
  with tempfile.TemporaryFile('w+') as output:
    script = _start(run_dir, cache, program, output, [f'--minutes={minutes}'])
    try:
      failed = script.wait()
    finally:
      script.kill()
    if failed:
      output.seek(0)
      raise RuntimeError(f'training failed: {output.read()}')
  return json.loads((run_dir / 'evaluation.json').read_text())


def _progress(path: pathlib.Path) -> _Progress:
  """Returns the progress of a run, which may not have written any metrics."""
  frames = updates = 0
  lines = path.read_text().splitlines() if path.exists() else []
  # From the end, since it is read ten times a second; the last lines suffice.
  for line in lines[:-50:-1]:
    try:
      entry = json.loads(line)
    except ValueError:  # Half a line, being written.
      continue
    frames = frames or int(entry.get('policy/frames', 0))
    if not updates and any(name.startswith('discriminator/') for name in entry):
      updates = entry['step']
    if frames and updates:
      break
  return _Progress(time.monotonic(), frames, updates)


def _resident(pid: int) -> float:
  """Returns the largest resident memory so far, in MiB; on Linux only."""
  status = pathlib.Path(f'/proc/{pid}/status').read_text()
  lines = dict(line.split(':', 1) for line in status.splitlines())
  return int(lines['VmHWM'].split()[0]) / 1024 if 'VmHWM' in lines else 0.0


def parts(
    experiment: training.Experiment, turns: int, discriminator_updates: float
) -> dict[str, float]:
  """Returns the median seconds per batch, of episodes or pieces, of each part.

  Args:
    experiment: configuration of the run.
    turns: number of measurements of each part.
    discriminator_updates: number per batch, if there is a discriminator.
  """
  batch = experiment.run.batch_size
  agent = experiment.make_agent()
  images = experiment.load_images('train')
  targets = images.images[np.arange(batch) % len(images.images)]
  step = jax.jit(agent.step, static_argnames='greedy')
  draw = actors.make_rollout(experiment, 0, agent, step, images)
  score = score_params = None
  work: dict[str, Any] = {}
  if experiment.has_discriminator:
    discriminator = experiment.make_discriminator()
    score = discriminator.score
    score_learner = agents.make_discriminator_learner(
        discriminator, experiment.discriminator
    )
    score_state = score_learner.init(jax.random.key(1))
    score_params = discriminator.init(jax.random.key(1))
  learner = agents.make_learner(
      agent, score, experiment.learner, colors=experiment.colors()
  )
  state = learner.init(jax.random.key(0))
  acting = jax.tree.map(np.array, state.params)
  trajectory = draw(acting, 0)

  def update_policy() -> None:
    nonlocal state
    # As at the start of training: epochs may fall.
    state, _ = learner.update(state, trajectory, score_params, 0.0)
    jax.block_until_ready(state)

  def update_discriminator() -> None:
    nonlocal score_state
    score_state, _ = score_learner.update(
        score_state, targets, trajectory.canvas[-1], trajectory.target
    )
    jax.block_until_ready(score_state)

  work['drawing'] = 1.0, lambda: draw(acting, 0)
  if score is not None:
    work[f'{discriminator_updates:.2f} discriminator updates'] = (
        discriminator_updates,
        update_discriminator,
    )
  work['policy update'] = 1.0, update_policy
  times = profiling.in_turns([function for _, function in work.values()], turns)
  return {
      name: count * float(np.median(row))
      for (name, (count, _)), row in zip(work.items(), times)
  }


if __name__ == '__main__':
  cli.run(main)
