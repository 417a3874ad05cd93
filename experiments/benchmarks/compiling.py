r"""Lists what a training compiles: operations, and seconds of each stage.

The benchmark trains as the flags say for two updates, without the cache of
compilations, and prints a row for each function that JAX compiled:

  python experiments/benchmarks/compiling.py \
      --flagfile=experiments/flags/mnist_reward_cpu.flags

Operations are those of the lowered module, before XLA optimizes it. Threads
compile at once and share the cores, so seconds depend on what else compiles;
operations do not.
"""

import collections
from collections.abc import Sequence
import dataclasses
import pathlib
import re
import tempfile

import jax
from jax import monitoring
import rich.box
import rich.table

from spiral_jax import console
from spiral_jax import training
from spiral_jax.training import cli

_EXPERIMENT = training.define_flags('environments.painting', dataset='mnist')

# Stages of JAX's events, which name the function.
_STAGES = {
    '/jax/core/compile/jaxpr_trace_duration': 'tracing',
    '/jax/core/compile/jaxpr_to_mlir_module_duration': 'lowering',
    '/jax/core/compile/backend_compile_duration': 'compiling',
}
# In a module's text: `%3 = stablehlo.add`; not `return`, nor braces.
_OPERATION = re.compile(r'^\s*%\S+.* = ', re.MULTILINE)


@dataclasses.dataclass
class Compiled:
  """Figures of one function, all its shapes together."""

  modules: int = 0
  operations: int = 0
  tracing: float = 0.0  # Seconds, as the others.
  lowering: float = 0.0
  compiling: float = 0.0

  @property
  def seconds(self) -> float:
    """All stages together."""
    return self.tracing + self.lowering + self.compiling

  def add(self, other: 'Compiled') -> None:
    """Adds another function's figures to these."""
    for field in dataclasses.fields(self):
      value = getattr(self, field.name) + getattr(other, field.name)
      setattr(self, field.name, value)


def main(argv: Sequence[str]) -> None:
  """Prints a row for each function, the longest first."""
  del argv
  experiment = _EXPERIMENT.value
  per_update = experiment.run.batch_size * experiment.environment.episode_length
  with tempfile.TemporaryDirectory() as folder:
    root = pathlib.Path(folder)
    run = dataclasses.replace(
        experiment.run,
        frames=2 * per_update,
        lockstep=True,
        num_actors=1,
        decay_by_clock=False,
        run_dir=str(root / 'run'),
    )
    compiled = measure(experiment.replace(run=run), root / 'modules')
  table = rich.table.Table(box=rich.box.SIMPLE)
  table.add_column('function')
  for name in ('modules', 'operations', *_STAGES.values()):
    table.add_column(name, justify='right')
  total = Compiled()
  for name, row in sorted(compiled.items(), key=lambda item: -item[1].seconds):
    _add_row(table, name, row)
    total.add(row)
  _add_row(table, 'total', total)
  console.Console().print(table)


def measure(
    experiment: training.Experiment, folder: pathlib.Path
) -> dict[str, Compiled]:
  """Trains; returns what was compiled, by the name of the function.

  Args:
    experiment: a training that ends.
    folder: where the lowered modules are written.
  """
  compiled: dict[str, Compiled] = collections.defaultdict(Compiled)

  def add(event: str, duration_secs: float, **tags: str | int) -> None:
    if stage := _STAGES.get(event):
      name = str(tags['fun_name']).removeprefix('jit(').removesuffix(')')
      row = compiled[name]
      setattr(row, stage, getattr(row, stage) + duration_secs)

  monitoring.register_event_duration_secs_listener(add)
  cached = jax.config.jax_enable_compilation_cache  # type: ignore[attr-defined]
  jax.config.update('jax_enable_compilation_cache', False)
  jax.config.update('jax_dump_ir_to', str(folder))
  try:
    training.train(experiment)
  finally:
    monitoring.unregister_event_duration_listener(add)
    jax.config.update('jax_enable_compilation_cache', cached)
    jax.config.update('jax_dump_ir_to', '')
  for path in folder.iterdir():
    match = re.fullmatch(r'jax_ir\d+_jit_(.+)_compile\.mlir', path.name)
    if match:
      row = compiled[match[1]]
      row.modules += 1
      row.operations += len(_OPERATION.findall(path.read_text()))
  return dict(compiled)


def _add_row(table: rich.table.Table, name: str, row: Compiled) -> None:
  seconds = (f'{getattr(row, stage):.2f}' for stage in _STAGES.values())
  table.add_row(name, f'{row.modules:,}', f'{row.operations:,}', *seconds)


if __name__ == '__main__':
  cli.run(main)
