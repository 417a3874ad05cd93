"""Measures search at test time: errors of held-out images, by seconds.

Programs begin as the best of 16 samples of the agent, or as random ones, and
are improved for some seconds an image; where commands are covers, by these and
by running whole programs. Errors are shares of a blank page's and
of that of the best constant picture; for scenes there is also the share of
scenes in which everything is right. CPU seconds are those of all threads, with
the samples of the agent that a search begins with.

  python experiments/benchmarks/search.py --weights=digits
  python experiments/benchmarks/search.py --weights=scenes --rounds=400
"""

from collections.abc import Sequence
import time
from typing import Any

from absl import flags
import jax
import numpy as np

from spiral_jax import evaluation
from spiral_jax import search
from spiral_jax import training
from spiral_jax.training import cli
from spiral_jax.training import program_search

_WEIGHTS = flags.DEFINE_string(
    'weights', 'digits', 'weights that come with the package, or a run'
)
_COUNT = flags.DEFINE_integer(
    'count', 16, 'number of held-out images', lower_bound=1
)
_SECONDS = flags.DEFINE_list('seconds', '1,5', 'seconds of search an image')
_ROUNDS = flags.DEFINE_list(
    'rounds',
    '',
    'rounds of 16 renderings an image, in place of seconds: the same on every '
    'machine',
)
_STARTS = flags.DEFINE_multi_enum(
    'start',
    ['best of 16', 'random'],
    ['best of 16', 'random'],
    'programs that searches begin with',
)
_DATA_DIR = flags.DEFINE_string(
    'data_dir', '', 'folder of the data set; empty, as in training'
)
_SEED = flags.DEFINE_integer('seed', 0, 'random seed')


def main(argv: Sequence[str]) -> None:
  """Prints a line for each way to find programs."""
  del argv
  trained = training.restore(_WEIGHTS.value)
  training.check_conditional(trained)
  experiment = trained.experiment
  if _DATA_DIR.value:
    experiment = experiment.replace(data_dir=_DATA_DIR.value)
  test = experiment.load_images('test').spread(_COUNT.value)
  threads = program_search.num_threads()
  print(f'{_WEIGHTS.value}: {len(test.images)} images, {threads} threads')

  def show(name: str, programs: search.Programs, rate: float = 0.0) -> None:
    figures = _errors(trained, programs, test.images)
    line = (
        f'{name:41} {figures.share_of_blank:6.1%} of blank'
        f' {figures.share_of_constant:6.1%} of constant'
    )
    exact = _exact(trained, programs, test)
    if exact is not None:
      line += f'   all right {exact:6.1%}'
    print(
        line + (f'   {rate:8,.0f} programs per CPU second' if rate else ''),
        flush=True,
    )

  environment = experiment.make_environment(min(250, 16 * len(test.images)))
  for name, greedy in (('one sample', False), ('greedy', True)):
    drawn = search.sample(
        trained.agent,
        trained.params,
        environment,
        test.images,
        key=jax.random.key(_SEED.value),
        greedy=greedy,
    )
    show(name, drawn.programs)
  budgets: list[tuple[str, dict[str, Any]]] = [('', dict(rounds=0))]
  if _ROUNDS.value:
    budgets += [
        (f', {n} rounds of search', dict(rounds=int(n))) for n in _ROUNDS.value
    ]
  else:
    budgets += [
        (f', {n} s of search', dict(seconds=float(n))) for n in _SECONDS.value
    ]
  # Any proposals that are given are run as whole programs.
  spec = experiment.environment.action_spec()
  ways: dict[str, search.Propose | None] = {'': None}
  if getattr(environment.renderer, 'can_cover', False):
    ways[', whole'] = search.make_proposals(spec)
  runs = [
      (start, way, name, budget)
      for start in _STARTS.value
      for name, budget in budgets
      for way in (ways if name else [''])
  ]
  for start, way, name, budget in runs:
    begin = time.process_time()
    found = program_search.find_programs(
        trained,
        test.images,
        samples=16 if start == 'best of 16' else 0,
        propose=ways[way],
        seed=_SEED.value,
        **budget,
    )
    seconds = time.process_time() - begin
    rate = found.num_renderings.sum() / seconds if name else 0.0
    show(start + name + way, found.programs, rate)


def _errors(
    trained: training.TrainedAgent,
    programs: search.Programs,
    images: np.ndarray,
) -> Any:
  """Returns the errors of the pictures of programs, and of baselines."""
  canvases, blank = [], None
  for canvas, _ in program_search.replay(trained, programs):
    blank = canvas[0, 0]
    canvases.append(canvas[-1])
  return evaluation.evaluate_reconstructions(
      np.concatenate(canvases), images, blank=blank
  )


def _exact(
    trained: training.TrainedAgent, programs: search.Programs, test: Any
) -> float | None:
  """Returns the share of scenes that are right; None if it is not known."""
  task = trained.experiment.find_task()
  if test.programs is None:
    return None
  assert task.read_programs and task.summarize_programs
  found = [
      task.read_programs(*episode)
      for episode in program_search.replay(trained, programs)
  ]
  drawn = jax.tree.map(lambda *parts: np.concatenate(parts), *found)
  figures = task.summarize_programs(
      trained.experiment.environment, drawn, type(drawn)(**test.programs)
  )
  return figures.get('objects', {}).get('exact')


if __name__ == '__main__':
  cli.run(main)
