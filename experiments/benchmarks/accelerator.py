r"""Measures a training on this machine's accelerator, in minutes.

One command, which installs and downloads nothing: seconds of compiling with an
empty cache and a full one; equality with the CPU; commands per second of acting
and of updates, on host and device renderers, for batches of several sizes;
bfloat16 beside float32; a population in one program; whole training on either
renderer; and for what is left of --budget the training that the flags describe,
with its curve.

  python experiments/benchmarks/accelerator.py \
      --flagfile=experiments/flags/mnist.flags --out_dir=runs/accelerator

`figures.json` in that folder has all figures, `figures.md` a page of them. A
section that fails says why, and the next one follows.
"""

from collections.abc import Callable, Iterator, Sequence
import dataclasses
import functools
import json
import pathlib
import tempfile
import time
from typing import Any, NamedTuple

from absl import flags
import jax
from jax.experimental.compilation_cache import compilation_cache
import jax.numpy as jnp
import numpy as np

from spiral_jax import agents
from spiral_jax import console
from spiral_jax import training
from spiral_jax.driver import nodes
from spiral_jax.training import actors
from spiral_jax.training import cli
from spiral_jax.training import out_dir
from spiral_jax.training import profiling

_SECTIONS = {
    'compiling': 'Compiling',
    'equality': 'Equality with the CPU',
    'rates': 'Rates',
    'bfloat16': 'bfloat16',
    'population': 'Population',
    'host': 'Training, host renderer',
    'device': 'Training, device renderer',
    'curve': 'Training, to the end',
}

_EXPERIMENT = training.define_flags('environments.painting', dataset='mnist')
_BUDGET = flags.DEFINE_float(
    'budget', 9.0, 'minutes that all of it may take', lower_bound=0.0
)
_ONLY = flags.DEFINE_multi_enum(
    'only', list(_SECTIONS), list(_SECTIONS), 'sections to measure'
)
_BATCHES = flags.DEFINE_list(
    'batches', '64,256,1024', 'numbers of episodes in a batch'
)
_TURNS = flags.DEFINE_integer(
    'turns', 3, 'number of measurements of each rate', lower_bound=1
)
_MEMBERS = flags.DEFINE_integer(
    'members', 8, 'number of members of a population', lower_bound=1
)
_OUT_DIR = flags.DEFINE_string(
    'out_dir', 'runs/accelerator', 'folder of the figures; must be new'
)
_TO_END = 5.0  # Seconds that a training takes to end.
_TRAINING_SHARE = 0.12  # Of the budget, for each of two short trainings.


class Row(NamedTuple):
  """A figure: what it is of, its value, and its unit."""

  section: str
  name: str
  value: float
  unit: str


class Report:
  """Figures so far, and the time that is left."""

  def __init__(self, folder: pathlib.Path, minutes: float):
    self._folder = folder
    self._end = time.monotonic() + 60 * minutes
    self._section = ''
    self._rows: list[Row] = []
    self._faults: dict[str, str] = {}

  @property
  def seconds_left(self) -> float:
    """Seconds until the budget is spent."""
    return self._end - time.monotonic()

  def section(self, name: str, measure: Callable[['Report'], None]) -> None:
    """Measures a section, if there is time; an error ends it alone."""
    self._section = name
    console.say(f'{name}, {self.seconds_left:.0f} s left')
    try:
      if self.seconds_left <= 0:
        raise TimeoutError('there was no time left')
      measure(self)
    except Exception as error:
      self._faults[name] = f'{type(error).__name__}: {error}'
      console.say(f'  not measured: {self._faults[name]}')
    self._write()

  def add(self, name: str, value: float, unit: str) -> None:
    """Adds a figure to the section."""
    self._rows.append(Row(self._section, name, float(value), unit))
    console.say(f'  {name}: {value:,.4g} {unit}')
    self._write()

  def _write(self) -> None:
    found = dict(
        device=_device(),
        jax=jax.__version__,
        figures=[row._asdict() for row in self._rows],
        not_measured=self._faults,
    )
    (self._folder / 'figures.json').write_text(json.dumps(found, indent=1))
    lines = [f'# {_device()}', '', f'JAX {jax.__version__}.']
    for section in dict.fromkeys([row.section for row in self._rows]):
      lines += ['', f'## {section}', '', '| | |', '|---|---|']
      lines += [
          f'| {row.name} | {row.value:,.4g} {row.unit} |'
          for row in self._rows
          if row.section == section
      ]
    lines += [f'\n{k}: not measured ({v}).' for k, v in self._faults.items()]
    (self._folder / 'figures.md').write_text('\n'.join(lines) + '\n')


def main(argv: Sequence[str]) -> None:
  """Measures all sections."""
  del argv
  experiment = _EXPERIMENT.value
  folder = pathlib.Path(_OUT_DIR.value).expanduser()
  out_dir.check_new(folder)
  out_dir.prepare(folder)
  report = Report(folder, _BUDGET.value)
  bench = _Bench(experiment)
  sections: dict[str, Callable[[Report], None]] = {
      'compiling': bench.compiling,
      'equality': bench.equality,
      'rates': bench.rates,
      'bfloat16': bench.precision,
      'population': bench.population,
      'host': functools.partial(bench.training, on_device=False),
      'device': functools.partial(bench.training, on_device=True),
      'curve': bench.curve,
  }
  for name in _ONLY.value:
    report.section(_SECTIONS[name], sections[name])


class _Bench:
  """The sections."""

  def __init__(self, experiment: training.Experiment):
    self._experiment = experiment.replace(
        run=dataclasses.replace(
            experiment.run,
            resume=False,
            frames=0,
            lockstep=False,
            launcher='threads',
            picture_seconds=0,
            unroll_length=0,
        )
    )
    self._images = experiment.load_images('train')
    task = experiment.find_task()
    self._has_device_renderer = task.device_renderer is not None

  def _play(
      self, batch: int, *, on_device: bool, **agent: Any
  ) -> tuple[Any, Any, agents.Agent]:
    """Returns a rollout, parameters and the agent of both."""
    experiment = self._experiment.replace(
        batch_size=batch,
        on_device=on_device,
        agent=dataclasses.replace(self._experiment.agent, **agent),
    )
    made = experiment.make_agent()
    step = jax.jit(made.step, static_argnames='greedy')
    play = actors.make_rollout(experiment, 0, made, step, self._images)
    return play, made.init(jax.random.key(0)), made

  def _updates(
      self, batch: int, trajectory: agents.Trajectory, made: agents.Agent
  ) -> dict[str, Callable[[], object]]:
    """Returns updates of the learners, to be called again and again."""
    experiment = self._experiment
    score = score_params = None
    found: dict[str, Callable[[], object]] = {}
    if experiment.has_discriminator:
      discriminator = experiment.make_discriminator()
      score = discriminator.score
      learner = agents.make_discriminator_learner(
          discriminator, experiment.discriminator
      )
      state = learner.init(jax.random.key(1))
      score_params = jax.tree.map(np.asarray, state.params)
      real = np.resize(self._images.images, (batch, *experiment.canvas_shape))
      target = real if experiment.agent.conditional else None

      def discriminate() -> None:
        nonlocal state
        state, _ = learner.update(state, real, trajectory.canvas[-1], target)
        jax.block_until_ready(state)

      found['discriminator update'] = discriminate
    policy = agents.make_learner(
        made, score, experiment.learner, colors=experiment.colors()
    )
    learned = policy.init(jax.random.key(0))

    def update() -> None:
      nonlocal learned
      learned, _ = policy.update(learned, trajectory, score_params)
      jax.block_until_ready(learned)

    found['policy update'] = update
    return found

  def compiling(self, report: Report) -> None:
    """Seconds of first calls, with an empty cache and a full one."""
    before = jax.config.jax_compilation_cache_dir  # type: ignore[attr-defined]
    with tempfile.TemporaryDirectory() as folder:
      _use_cache(folder)
      try:
        for cache in ('empty cache', 'full cache'):
          jax.clear_caches()
          total = 0.0
          for name, seconds in self._first_calls():
            report.add(f'{name}, {cache}', seconds, 's')
            total += seconds
          report.add(f'all of it, {cache}', total, 's')
      finally:
        _use_cache(before)

  def _first_calls(self) -> Iterator[tuple[str, float]]:
    """Yields the seconds of each function's first call."""
    batch = self._experiment.run.batch_size
    begin = time.perf_counter()
    play, params, made = self._play(batch, on_device=False)
    jax.block_until_ready(params)
    yield 'parameters', time.perf_counter() - begin
    begin = time.perf_counter()
    trajectory = play(params, 0)
    yield 'acting', time.perf_counter() - begin
    if self._has_device_renderer:
      play, *_ = self._play(batch, on_device=True)
      begin = time.perf_counter()
      jax.block_until_ready(play(params, 0))
      yield 'episode on the device', time.perf_counter() - begin
    for name, update in self._updates(batch, trajectory, made).items():
      begin = time.perf_counter()
      update()
      yield name, time.perf_counter() - begin

  def equality(self, report: Report) -> None:
    """Differences of what this device and a CPU compute."""
    play, params, made = self._play(8, on_device=False)
    trajectory = play(params, 0)

    def gradients(params: Any) -> Any:
      def loss(params):
        out = made.unroll(params, trajectory)
        return (out.log_prob + out.value).mean(), (out.log_prob, out.value)

      return jax.grad(loss, has_aux=True)(params)

    here = jax.device_get(jax.jit(gradients)(params))
    with jax.default_device(jax.devices('cpu')[0]):
      there = jax.device_get(jax.jit(gradients)(jax.device_get(params)))
    for name, a, b in zip(
        ('log-probabilities', 'values'), here[1], there[1], strict=True
    ):
      report.add(f'{name}, largest difference', np.abs(a - b).max(), '')
    ours, theirs = (
        np.concatenate([np.ravel(leaf) for leaf in jax.tree.leaves(tree[0])])
        for tree in (here, there)
    )
    share = float(np.linalg.norm(ours - theirs) / np.linalg.norm(theirs))
    report.add('gradients, difference as a share', share, '')

  def rates(self, report: Report) -> None:
    """Commands per second of acting and of updates."""
    for batch in map(int, _BATCHES.value):
      play, params, made = self._play(batch, on_device=False)
      act = functools.partial(_wait_for, play, params)
      self._rate(report, 'acting, host renderer', batch, act)
      trajectory = play(params, 0)
      if self._has_device_renderer:
        play, *_ = self._play(batch, on_device=True)
        act = functools.partial(_wait_for, play, params)
        self._rate(report, 'acting, device renderer', batch, act)
        trajectory = play(params, 0)  # Updates need not fetch it.
      for name, update in self._updates(batch, trajectory, made).items():
        self._rate(report, name, batch, update)

  def precision(self, report: Report) -> None:
    """Rates of either type of features."""
    batch = int(_BATCHES.value[-1])
    for dtype in ('float32', 'bfloat16'):
      play, params, made = self._play(
          batch, on_device=False, compute_dtype=dtype
      )
      trajectory = play(params, 0)
      update = self._updates(batch, trajectory, made)['policy update']
      self._rate(report, f'policy update, {dtype}', batch, update)

  def population(self, report: Report) -> None:
    """Rates of members in turn, mapped, and with one discriminator."""
    # Decays by the clock and changed images need the host.
    experiment = self._experiment.replace(decay_by_clock=False, augment=())
    members = _MEMBERS.value
    images = jnp.asarray(self._images.images)
    alone = training.make_train(experiment)
    ways = {
        'one after the other': (alone.init, alone.step, members),
        'each with its discriminator': (
            lambda key: jax.vmap(alone.init)(jax.random.split(key, members)),
            jax.vmap(alone.step, in_axes=(0, None)),
            1,
        ),
    }
    if experiment.has_discriminator:
      ways['one discriminator'] = (
          *training.make_train(experiment, members=members),
          1,
      )
    for name, (init, step, times) in ways.items():
      self._rate(
          report,
          f'{members} members, {name}',
          members * experiment.run.batch_size,
          _stepper(init, step, images, times),
      )

  def _rate(
      self,
      report: Report,
      name: str,
      batch: int,
      function: Callable[[], object],
  ) -> None:
    """Adds the rate of a function that treats a batch of episodes."""
    length = self._experiment.environment.episode_length
    if report.seconds_left <= 0:
      raise TimeoutError('there was no time left')
    [seconds] = profiling.in_turns([function], _TURNS.value, warm_up=1)
    rate = batch * length / np.median(seconds)
    report.add(f'{name}, {batch} episodes', rate, 'commands/s')

  def training(self, report: Report, on_device: bool) -> None:
    """Whole training for a share of the budget."""
    share = _TRAINING_SHARE * 60 * _BUDGET.value
    self._train(report, min(share, report.seconds_left), on_device=on_device)

  def curve(self, report: Report) -> None:
    """Trains with what is left, and reports how errors fell."""
    seconds = report.seconds_left - _TO_END
    if seconds <= 0:
      raise TimeoutError('there was no time left')
    records = self._train(
        report, seconds, on_device=self._has_device_renderer, pictures=15
    )
    for record in records:
      for name in ('held_out/l2', 'discriminator/discriminator_distance'):
        if name in record:
          where = f'{name} after {record["seconds"]:.0f} s'
          report.add(where, record[name], '')

  def _train(
      self,
      report: Report,
      seconds: float,
      *,
      on_device: bool,
      pictures: float = 0,
  ) -> list[dict[str, Any]]:
    """Trains, adds start and rate to the report, and returns the metrics."""
    begin = time.monotonic()
    seen: list[tuple[float, int]] = []

    def on_update(update: nodes.PolicyUpdate) -> None:
      seen.append((time.monotonic(), update.frames))
      if seen[-1][0] > begin + seconds:  # Minutes do not count compiling.
        raise training.StopProgram

    with tempfile.TemporaryDirectory() as folder:
      run_dir = training.train(
          self._experiment.replace(
              run_dir=f'{folder}/run',
              minutes=seconds / 60,
              on_device=on_device,
              picture_seconds=pictures,
          ),
          on_update=on_update,
      )
      with (pathlib.Path(run_dir) / 'metrics.jsonl').open() as lines:
        records = [json.loads(line) for line in lines]
    if not seen:
      raise TimeoutError('there was no time for an update')
    report.add('start to first update', seen[0][0] - begin, 's')
    if len(seen) > 1:
      (first, frames), (last, more) = seen[len(seen) // 5], seen[-1]
      rate = (more - frames) / max(last - first, 1e-9)
      report.add('steady rate', rate, 'commands/s')
      report.add('25 million commands would take', 25e6 / rate / 60, 'minutes')
    return records


def _use_cache(folder: str | None) -> None:
  """Keeps compilations in a folder from now on."""
  jax.config.update('jax_compilation_cache_dir', folder)
  compilation_cache.reset_cache()


def _stepper(
    init: Callable[..., Any],
    step: Callable[..., Any],
    images: jax.Array,
    times: int,
) -> Callable[[], None]:
  """Returns a function that takes steps of a training."""
  state = jax.jit(init)(jax.random.key(0))
  compiled = jax.jit(step)

  def take() -> None:
    nonlocal state
    for _ in range(times):
      state, _ = compiled(state, images)
    jax.block_until_ready(state)

  return take


def _wait_for(play: Callable[..., Any], params: Any) -> None:
  """Plays, until it is done."""
  jax.block_until_ready(play(params, 0))


def _device() -> str:
  devices = jax.devices()
  return f'{len(devices)} x {devices[0].device_kind} ({devices[0].platform})'


if __name__ == '__main__':
  cli.run(main)
