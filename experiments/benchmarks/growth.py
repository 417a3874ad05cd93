r"""Measures policy updates and drawing as work grows: a plot and a table.

The benchmark times one gradient step on a whole batch, and drawing that batch,
for several batch sizes, episode lengths and canvas sizes, the others as the
flags say; and drawing by several actors at once, a thread each. Costs are per
command, so that growth in proportion to work is a level line.

  python experiments/benchmarks/growth.py \
      --flagfile=experiments/flags/mnist_reward_cpu.flags --out_dir=runs/growth
"""

from collections.abc import Callable, Sequence
from concurrent import futures
import dataclasses
import json
import pathlib
from typing import Any, NamedTuple

from absl import flags
import jax
from matplotlib import figure
from matplotlib import ticker
import numpy as np

from spiral_jax import agents
from spiral_jax import training
from spiral_jax.driver import rollout
from spiral_jax.training import cli
from spiral_jax.training import plots
from spiral_jax.training import profiling

_EXPERIMENT = training.define_flags('environments.painting', dataset='mnist')
_TURNS = flags.DEFINE_integer(
    'turns', 5, 'number of measurements of each', lower_bound=1
)
_BATCH_SIZES = flags.DEFINE_list(
    'batch_sizes', '16,32,64,128,256', 'numbers of episodes in a batch'
)
_EPISODE_LENGTHS = flags.DEFINE_list(
    'episode_lengths', '5,10,20,50,100', 'numbers of commands in an episode'
)
_CANVAS_SIZES = flags.DEFINE_list(
    'canvas_sizes', '32,64,128,256', 'heights and widths, in pixels'
)
_ACTORS = flags.DEFINE_list(
    'actors', '1,2,4', 'numbers of threads that draw at once'
)
_OUT_DIR = flags.DEFINE_string(
    'out_dir', 'runs/growth', 'folder of the plot and the table'
)


class Cost(NamedTuple):
  """Median microseconds per command."""

  drawing: float
  update: float


def main(argv: Sequence[str]) -> None:
  """Prints a line for each size, and plots them all."""
  del argv
  experiment = _EXPERIMENT.value
  experiment = experiment.replace(
      learner=dataclasses.replace(
          experiment.learner, epochs=1, minibatches=1, reward='l2'
      ),
      agent=dataclasses.replace(experiment.agent, conditional=True),
  )
  growing = {
      'episodes a batch': _BATCH_SIZES,
      'commands an episode': _EPISODE_LENGTHS,
      'canvas, pixels': _CANVAS_SIZES,
  }
  costs: dict[str, dict[int, Cost]] = {}
  for axis, sizes in growing.items():
    print(f'{axis:20}   drawing    update  (microseconds per command)')
    costs[axis] = {}
    for size in map(int, sizes.value):
      cost = costs[axis][size] = measure(_with(experiment, axis, size))
      print(f'{size:20} {cost.drawing:9.0f} {cost.update:9.0f}', flush=True)
  print(f'{"actors":20}   drawing')
  actors = {}
  for count in map(int, _ACTORS.value):
    actors[count] = measure_actors(experiment, count)
    print(f'{count:20} {actors[count]:9.0f}', flush=True)
  out_dir = pathlib.Path(_OUT_DIR.value).expanduser()
  out_dir.mkdir(parents=True, exist_ok=True)
  plot(costs, actors, out_dir / 'growth.png')
  table: dict[str, Any] = {
      axis: {size: cost._asdict() for size, cost in row.items()}
      for axis, row in costs.items()
  }
  table['actors'] = actors
  (out_dir / 'growth.json').write_text(json.dumps(table, indent=2) + '\n')
  print(f'growth.png and growth.json in {out_dir}')


def _with(
    experiment: training.Experiment, axis: str, size: int
) -> training.Experiment:
  if axis == 'episodes a batch':
    return experiment.replace(batch_size=size)
  fields = {
      'commands an episode': 'episode_length',
      'canvas, pixels': 'canvas_size',
  }
  changed: dict[str, Any] = {fields[axis]: size}
  return experiment.replace(
      environment=dataclasses.replace(experiment.environment, **changed)
  )


def measure(experiment: training.Experiment) -> Cost:
  """Returns the costs of a command."""
  agent = experiment.make_agent()
  # Alternatives are no part of what is measured.
  config = dataclasses.replace(experiment.learner, corrections_weight=0.0)
  learner = agents.make_learner(agent, None, config, colors=experiment.colors())
  state = learner.init(jax.random.key(0))
  acting = jax.tree.map(np.array, state.params)
  draw = _rollout(experiment, agent, 0)
  trajectory = draw(acting, 0)

  def update() -> None:
    nonlocal state
    state, _ = learner.update(state, trajectory, None)
    jax.block_until_ready(state)

  drawing, updating = _medians([lambda: draw(acting, 0), update])
  commands = experiment.run.batch_size * experiment.environment.episode_length
  return Cost(1e6 * drawing / commands, 1e6 * updating / commands)


def measure_actors(experiment: training.Experiment, count: int) -> float:
  """Returns microseconds per command, drawn by `count` threads at once."""
  agent = experiment.make_agent()
  params = agent.init(jax.random.key(0))
  rollouts = [_rollout(experiment, agent, seed) for seed in range(count)]
  with futures.ThreadPoolExecutor(count) as pool:

    def draw_all() -> None:
      list(pool.map(lambda draw: draw(params, 0), rollouts))

    (seconds,) = _medians([draw_all])
  commands = experiment.run.batch_size * experiment.environment.episode_length
  return 1e6 * seconds / commands / count


def _rollout(
    experiment: training.Experiment, agent: agents.Agent, seed: int
) -> rollout.Rollout:
  batch = experiment.run.batch_size
  shape = batch, *experiment.canvas_shape
  targets = np.random.default_rng(0).integers(256, size=shape, dtype=np.uint8)
  return rollout.Rollout(
      experiment.make_environment(batch),
      jax.jit(agent.step),
      agent.initial_state(batch),
      noise_size=experiment.agent.noise_size,
      targets=lambda: targets,
      seed=seed,
  )


def _medians(functions: list[Callable[[], Any]]) -> list[float]:
  """Returns median seconds of each."""
  times = profiling.in_turns(functions, _TURNS.value, warm_up=1)
  return [float(np.median(row)) for row in times]


def plot(
    costs: dict[str, dict[int, Cost]],
    actors: dict[int, float],
    path: pathlib.Path,
) -> None:
  """Plots costs per command against sizes."""
  canvas = figure.Figure(figsize=(12, 3), layout='constrained')
  axes = canvas.subplots(1, len(costs) + 1, sharey=True)
  for ax, (name, row) in zip(axes, costs.items()):
    sizes = list(row)
    ax.plot(sizes, [cost.drawing for cost in row.values()], 'o-')
    ax.plot(sizes, [cost.update for cost in row.values()], 's-')
    ax.set_xlabel(name)
    ax.set_xscale('log', base=2)
    ax.set_xticks(sizes, sizes)
  axes[-1].plot(list(actors), list(actors.values()), 'o-')
  axes[-1].set_xlabel('actors')
  axes[-1].set_xticks(list(actors))
  axes[0].set_yscale('log', base=2)
  axes[0].yaxis.set_major_formatter(ticker.ScalarFormatter())
  axes[0].set_ylabel('microseconds per command')
  axes[0].legend(['drawing', 'policy update'], frameon=False)
  plots.save_plot(canvas, path)


if __name__ == '__main__':
  cli.run(main)
