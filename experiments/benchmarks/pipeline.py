"""Times whole training beside its parts, and from its start.

Prints, of the training that the flags name: the seconds from start to the first
update, with an empty cache of compilations and again with the one that the
first left; commands a second of the running script and the most memory it
holds; the rate of the same training with XLA's own convolutions instead of the
native ones; and beside it the rate that its parts allow, each timed alone with
nothing beside it (drawing a batch, discriminator updates, a policy update):

  python experiments/benchmarks/pipeline.py \
      --flagfile=experiments/flags/mnist_cpu.flags

Parts that take turns on the same cores cannot be faster than 100%, but for what
one leaves idle and another uses. --discriminator_updates is a bound: as many of
them count as there were.

With --learn_minutes, of a conditional agent, it only trains for so long with
either convolutions, and prints the errors on held-out images.
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

import jax
import numpy as np

from spiral_jax import agents
from spiral_jax import training
from spiral_jax.driver import rollout
from spiral_jax.training import cli
from spiral_jax.training import profiling

_SCRIPT = pathlib.Path(__file__).resolve().parents[1] / 'mnist.py'

# Flags of this script alone, not of the training.
_OWN = (
    '--turns',
    '--seconds',
    '--figures',
    '--plain',
    '--noplain',
    '--learn_minutes',
)

# A program that runs the script without the native convolutions.
_PLAIN = """
import runpy, sys
from spiral_jax.ops import native

run_setup.define_flags()
_TURNS = flags.DEFINE_integer('turns', 7, 'times each part is measured', 1)
_SECONDS = flags.DEFINE_float(
    'seconds', 120, 'of training, after its first update', 1
)
_PLAIN_TOO = flags.DEFINE_boolean(
    'plain', True, 'train once more with the convolutions of XLA'
)
_LEARN_MINUTES = flags.DEFINE_float(
    'learn_minutes',
    0,
    'of training, with either, whose errors are compared',
    0,
)
native.is_built = lambda: False
sys.argv = sys.argv[1:]
sys.path.insert(0, sys.argv[0].rpartition('/')[0])
runpy.run_path(sys.argv[0], run_name='__main__')
"""


class Run(NamedTuple):
  """What was seen of a training run."""

  start: float  # Seconds from its start to the first update.
  rate: float  # Commands a second since.
  memory: float  # Most that was resident, MiB.
  discriminator_updates: float  # For each command.


class _Progress(NamedTuple):
  """What the metrics of a run say of it."""

  seconds: float  # On the monotonic clock, when they were read.
  frames: int  # Commands that the policy has learned from.
  discriminator_updates: int


def main(argv: Sequence[str]) -> None:
  """Prints the figures."""
  del argv
  setup = run_setup.read_flags('mnist')
  if _LEARN_MINUTES.value and not setup.agent.conditional:
    raise ValueError(
        '--learn_minutes compares errors on given images: add --conditional, '
        'or name a flag file that has it'
    )
  if _LEARN_MINUTES.value and not _PLAIN_TOO.value:
    raise ValueError(
        '--noplain leaves out what --learn_minutes compares with: leave out one'
    )
  if _LEARN_MINUTES.value:
    _compare_learning(_LEARN_MINUTES.value)
  else:
    _compare_rates(setup)


def _compare_rates(setup: training.Experiment) -> None:
  """Prints how soon and how fast it trains, beside its parts."""
  with tempfile.TemporaryDirectory() as folder:
    cache = pathlib.Path(folder, 'cache')
    cold = train(pathlib.Path(folder, 'cold'), cache, seconds=0)
    print(f'start to first update, empty cache     {cold.start:8.1f} s')
    run = train(pathlib.Path(folder, 'run'), cache, seconds=_SECONDS.value)
    print(f'start to first update, from the cache  {run.start:8.1f} s')
    print(f'most memory                            {run.memory:8.0f} MiB')
    if _PLAIN_TOO.value:
      plain = train(
          pathlib.Path(folder, 'plain'),
          cache,
          seconds=_SECONDS.value,
          program=['-c', _PLAIN],
      )
  profiling.record('start to first update, empty cache', cold.start, 's')
  profiling.record('start to first update, from the cache', run.start, 's')
  profiling.record('most memory', run.memory, 'MiB')
  frames = setup.run.batch_size * setup.painting.episode_length // setup.pieces
  seconds = parts(setup, _TURNS.value, run.discriminator_updates * frames)
  total = sum(seconds.values())
  for name, value in seconds.items():
    print(f'{name:38} {1e3 * value:8.1f} ms a batch, {value / total:.0%}')
  print(f'its parts allow                        {frames / total:8.1f} /s')
  print(
      f'training does, over {_SECONDS.value:3.0f} s             {run.rate:8.1f}'
      f' /s, {run.rate * total / frames:.0%}'
  )
  profiling.record(
      'training',
      run.rate,
      'commands/s',
      frames / total,
      'its parts alone',
      run.rate * total / frames,
  )
  if _PLAIN_TOO.value:
    ratio = run.rate / plain.rate
    print(
        f'with convolutions of XLA               {plain.rate:8.1f} /s: '
        f'{ratio:.2f}x as fast'
    )
    profiling.record(
        'training',
        run.rate,
        'commands/s',
        plain.rate,
        'convolutions of XLA',
        ratio,
    )


def train(
    run_dir: pathlib.Path,
    cache: pathlib.Path,
    *,
    seconds: float,
    program: Sequence[str] = (),
) -> Run:
  """Runs the training script until `seconds` after its first update.

  Args:
    run_dir: of the run.
    cache: of compilations, which are added to it.
    seconds: how long, after the first update.
    program: arguments of Python's that run the script that they are followed
      by; none, Python does.

  Raises:
    RuntimeError: with what the script said, if it ended before.
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
      while first is None or time.monotonic() < first.seconds + seconds:
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
  """Starts the training script with this script's flags and `more_flags`."""
  arguments = [a for a in sys.argv[1:] if not a.startswith(_OWN)]
  return subprocess.Popen(
      [
          sys.executable,
          *program,
          str(_SCRIPT),
          *arguments,
          f'--run_dir={run_dir}',
          '--frames=0',
          *more_flags,
      ],
      env={**os.environ, 'XDG_CACHE_HOME': str(cache)},
      stdout=output,
      stderr=output,
  )


def _compare_learning(minutes: float) -> None:
  """Trains with either convolutions for so long; prints what was learned."""
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
  profiling.record(
      f"held-out l2 after {minutes:g} minutes, of a blank page's",
      shares['native'],
      '%',
      shares['XLA'],
      'convolutions of XLA',
      shares['XLA'] / shares['native'],
  )
  profiling.record(
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
  """Trains for so long; returns the figures of the run's evaluation."""
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
  """Returns what the metrics say, of which there may be none yet."""
  frames = updates = 0
  lines = path.read_text().splitlines() if path.exists() else []
  # From the end, as it is asked ten times a second; the last are enough, if
  # there is a discriminator at all.
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
  """Returns the most MiB that were resident so far; Linux."""
  status = pathlib.Path(f'/proc/{pid}/status').read_text()
  lines = dict(line.split(':', 1) for line in status.splitlines())
  return int(lines['VmHWM'].split()[0]) / 1024 if 'VmHWM' in lines else 0.0


def parts(
    setup: training.Experiment, turns: int, discriminator_updates: float
) -> dict[str, float]:
  """Returns seconds a batch, of episodes or pieces, of each part, medians.

  Args:
    setup: of the training.
    turns: in which each part is timed.
    discriminator_updates: a batch, where there is a discriminator.
  """
  batch = setup.run.batch_size
  agent = run_setup.make_agent(setup)
  images = run_setup.load_dataset(setup, 'train').images
  targets = images[np.arange(batch) % len(images)]
  is_conditional = setup.agent.conditional
  draw = rollout.Rollout(
      run_setup.make_environment(setup, batch),
      jax.jit(agent.step),
      agent.initial_state(batch),
      noise_size=setup.agent.noise_size,
      targets=(lambda: targets) if is_conditional else None,
      unroll_length=setup.run.unroll_length,
  )
  score = score_params = None
  work: dict[str, Any] = {}
  if setup.learner.reward == 'discriminator':
    discriminator = agents.make_discriminator(
        run_setup.canvas_shape(setup), is_conditional, setup.discriminator
    )
    score = discriminator.score
    score_learner = agents.make_discriminator_learner(
        discriminator, setup.discriminator
    )
    score_state = score_learner.init(jax.random.PRNGKey(1))
    score_params = discriminator.init(jax.random.PRNGKey(1))
  learner = agents.make_learner(agent, score, setup.learner)
  state = learner.init(jax.random.PRNGKey(0))
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
