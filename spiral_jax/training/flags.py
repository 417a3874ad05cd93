"""Flags made of configuration dataclasses: one flag a field.

A flag that is not given leaves its field at the dataclass's default, so that a
default stands in one place. Nothing is defined when this module is imported.
"""

from collections.abc import Callable, Sequence
import dataclasses
import json
import pathlib
import re
import sys
import typing
from typing import Any, Literal, TypeVar

from absl import flags

from spiral_jax import agents
from spiral_jax import datasets
from spiral_jax import saved_config
from spiral_jax.training import config as config_lib
from spiral_jax.training import experiment as experiment_lib
from spiral_jax.training import run_dir as run_dir_lib
from spiral_jax.training import task as task_lib

# The groups of --help, in order.
GROUPS = ('run', 'environment', 'agent', 'learner', 'discriminator')

T = TypeVar('T')


class ExperimentFlags:
  """The flags of an experiment; `value` reads them, once they are parsed."""

  def __init__(self, task: str, dataset: str, flag_values: flags.FlagValues):
    self._default = {'task': task, 'dataset': dataset}
    self._flag_values = flag_values

  @property
  def value(self) -> experiment_lib.Experiment:
    """The experiment that the flags describe.

    With --resume, flags that were not given are those of the run.

    Raises:
      FileNotFoundError: if there is no run to resume.
      ValueError: if a flag is out of its range, or cannot change in a resumed
        run.
    """
    values = self._flag_values
    given: dict[str, Any] = {
        name: values[name].value
        for name in ('task', 'dataset')
        if values[name].present
    }
    saved = self._saved()
    if saved is not None:
      task = given.get('task', saved.task)
      base: dict[str, Any] = {**vars(saved), **given}
    else:
      task = given.get('task', self._default['task'])
      base = {**self._default, **given}
    found = task_lib.find_task(task)
    parts = {
        name: read(config_class, prefix, values, base.get(name))
        for name, (config_class, prefix, _) in _parts(found).items()
    }
    costs = dict(base.get('costs', {}))
    for name in found.costs:
      if values[f'{name}_cost'].value is not None:
        costs[name] = values[f'{name}_cost'].value
    experiment = experiment_lib.Experiment(
        task, base['dataset'], costs=costs, **parts
    )
    if saved is not None:
      run_dir_lib.check_unchanged(saved, experiment)
    return experiment

  def _saved(self) -> experiment_lib.Experiment | None:
    """Returns the experiment of the run that is to be resumed, if any."""
    values = self._flag_values
    if not values['resume'].value or not values['run_dir'].value:
      return None
    run_dir = pathlib.Path(values['run_dir'].value).expanduser()
    if not run_dir_lib.has_checkpoint(run_dir):
      return None  # What is missing is told where the folder is claimed.
    saved = run_dir_lib.load_experiment(run_dir)
    return saved.replace(run_dir=str(run_dir), resume=False)


def define_flags(
    task: str,
    dataset: str = '',
    *,
    argv: Sequence[str] | None = None,
    flag_values: flags.FlagValues = flags.FLAGS,
) -> ExperimentFlags:
  """Defines a flag for each field of an `Experiment`.

  The flags of the environment are those of the task that `argv` names.

  Args:
    task: dotted name of the default task.
    dataset: name of the default data set; empty means the images that the task
      makes.
    argv: command line on which --task is looked for; None means `sys.argv`.
    flag_values: where to define the flags.

  Returns:
    An object whose `value` is the experiment, once flags are parsed.

  Raises:
    SystemExit: with one line, if the task on the command line cannot be found.
  """
  flags.DEFINE_string(
      'task',
      task,
      'environment: dotted name of a module that offers a task',
      flag_values=flag_values,
      module_name='run',
  )
  flags.DEFINE_enum(
      'dataset',
      dataset,
      ['', *datasets.NAMES],
      'data set; empty means the images that the task makes',
      flag_values=flag_values,
      module_name='run',
  )
  argv = sys.argv if argv is None else argv
  try:
    found = task_lib.find_task(_given_task(argv, task))
  except ValueError as error:
    sys.exit(f'error: --task: {error}')
  for config_class, prefix, group in _parts(found).values():
    define(config_class, prefix, flag_values, group)
  for name, cost in found.costs.items():
    flags.DEFINE_float(
        f'{name}_cost',
        None,
        f'cost of {cost.description}, in units of the scaled reward'
        ' (default: 0.0)',
        flag_values=flag_values,
        module_name='learner',
    )
  return ExperimentFlags(task, dataset, flag_values)


def define(
    config_class: type,
    prefix: str = '',
    flag_values: flags.FlagValues = flags.FLAGS,
    group: str | None = None,
) -> None:
  """Defines `--{prefix}{field}` for each field of a dataclass.

  Args:
    config_class: a dataclass whose docstring describes its attributes.
    prefix: prefix of the flags' names.
    flag_values: where to define them.
    group: heading of the flags in --help; None means the calling program.
  """
  helps = _attribute_docs(config_class)
  where: dict[str, Any] = {} if group is None else {'module_name': group}
  for field in dataclasses.fields(config_class):
    kind, choices = _kind(config_class, field.name)
    help_text = f'{helps.get(field.name, "")} (default: {field.default})'
    arguments: list[Any] = [f'{prefix}{field.name}', None, help_text]
    if choices:
      arguments.insert(2, choices)
    _DEFINE[kind](*arguments, flag_values=flag_values, **where)


def read(
    config_class: type[T],
    prefix: str = '',
    flag_values: flags.FlagValues = flags.FLAGS,
    base: T | None = None,
) -> T:
  """Returns a `config_class` with the flags that were given.

  Args:
    config_class: a dataclass.
    prefix: prefix of the flags' names.
    flag_values: where the flags are defined.
    base: values of the other fields; None means the defaults.

  Raises:
    ValueError: as `config_class` does, whose messages begin with the field's
      name; of a list that holds no numbers.
  """
  given: dict[str, Any] = {}
  for field in dataclasses.fields(config_class):  # type: ignore[arg-type]
    value = flag_values[f'{prefix}{field.name}'].value
    if value is None:
      continue
    if _kind(config_class, field.name)[0] is tuple:
      value = _tuple(config_class, field.name, prefix, value)
    given[field.name] = value
  try:
    if base is None:
      return config_class(**given)
    return dataclasses.replace(base, **given)  # type: ignore[type-var]
  except ValueError as error:
    raise ValueError(f'--{prefix}{error}') from None


def expand_flag_files(argv: Sequence[str]) -> list[str]:
  """Returns arguments with flag files replaced by the flags in them.

  A flag file that another one names is looked for next to that one, then from
  the working directory.

  Args:
    argv: arguments, as in `sys.argv`.

  Raises:
    ValueError: if a file is missing, or includes itself.
  """
  return _expand(argv, [])


def _expand(
    arguments: Sequence[str], including: list[pathlib.Path]
) -> list[str]:
  """Expands the arguments of the last of nested files."""
  expanded: list[str] = []
  waiting = list(arguments)
  while waiting:
    argument = waiting.pop(0)
    if argument == '--':
      return [*expanded, argument, *waiting]
    match = re.fullmatch(r'--?flagfile(?:=(.*))?', argument)
    if not match:
      expanded.append(argument)
      continue
    name = match[1]
    if name is None:  # As in `--flagfile name`.
      name = waiting.pop(0) if waiting else ''
    path = _find_flag_file(name, including)
    lines = (line.strip() for line in path.read_text('utf-8').splitlines())
    content = [line for line in lines if line and line[0] != '#']
    expanded += _expand(content, [*including, path])
  return expanded


def _find_flag_file(name: str, including: list[pathlib.Path]) -> pathlib.Path:
  """Returns the path of a flag file."""
  path = pathlib.Path(name).expanduser()
  candidates = [folder / path for folder in (f.parent for f in including[-1:])]
  candidates.append(path)
  for candidate in candidates:
    if candidate.is_file():
      if candidate.resolve() in [file.resolve() for file in including]:
        raise ValueError(f'flag file {candidate} includes itself')
      return candidate
  by = f', which {including[-1]} includes,' if including else ''
  raise ValueError(f'flag file {name!r}{by} does not exist; name another')


def _given_task(argv: Sequence[str], default: str) -> str:
  """Returns the task of a command line, before its flags are parsed."""
  values = flags.FlagValues()
  flags.DEFINE_string('task', default, '', flag_values=values)
  flags.DEFINE_string('run_dir', '', '', flag_values=values)
  flags.DEFINE_boolean('resume', False, '', flag_values=values)
  try:
    values(expand_flag_files(argv) or [''], known_only=True)
  except (flags.Error, ValueError):
    return default  # The parser of all flags says what is wrong.
  if values['resume'].value and not values['task'].present:
    run_dir = pathlib.Path(str(values['run_dir'].value)).expanduser()
    try:
      return saved_config.upgrade(
          json.loads((run_dir / 'config.json').read_text())
      )['task']
    except (OSError, ValueError, KeyError, AttributeError):
      return default  # What is wrong is told where the run is resumed.
  return str(values['task'].value)


def _parts(task: task_lib.Task) -> dict[str, tuple[type, str, str]]:
  """Returns class, prefix of flags, and group of each part."""
  parts: dict[str, tuple[type, str, str]] = {
      'run': (config_lib.RunConfig, '', 'run'),
      'environment': (task.settings, '', 'environment'),
      'agent': (agents.AgentConfig, '', 'agent'),
      'learner': (agents.LearnerConfig, '', 'learner'),
      'discriminator': (
          agents.DiscriminatorConfig,
          'discriminator_',
          'discriminator',
      ),
      'lessons': (config_lib.LessonConfig, '', 'learner'),
  }
  if task.data is not None:
    parts['data'] = (task.data, '', 'environment')
  return parts


_DEFINE: dict[Any, Callable[..., Any]] = {
    bool: flags.DEFINE_boolean,
    int: flags.DEFINE_integer,
    float: flags.DEFINE_float,
    str: flags.DEFINE_string,
    tuple: flags.DEFINE_list,
    Literal: flags.DEFINE_enum,
}


def _kind(config_class: type, name: str) -> tuple[Any, list[str]]:
  """Returns a field's type, a key of `_DEFINE`, and its choices, if any."""
  hint = typing.get_type_hints(config_class)[name]
  if typing.get_origin(hint) is Literal:
    return Literal, list(typing.get_args(hint))
  for candidate in (hint, *typing.get_args(hint)):
    kind = typing.get_origin(candidate) or candidate
    if kind in _DEFINE:
      return kind, []
  raise TypeError(f'{config_class.__name__}.{name}: no flag for {hint}')


def _tuple(
    config_class: type, field: str, prefix: str, items: list[str]
) -> tuple[Any, ...]:
  """Returns the items of a list in the type of the field."""
  hint = typing.get_type_hints(config_class)[field]
  if str in typing.get_args(hint):
    return tuple(item.strip() for item in items)
  return _numbers(f'{prefix}{field}', items)


def _numbers(name: str, items: list[str]) -> tuple[float, ...]:
  try:
    return tuple(map(_number, items))
  except ValueError:
    raise ValueError(
        f'--{name}={",".join(items)} must be numbers, as --{name}=1,2,3'
    ) from None


def _number(text: str) -> float:
  try:
    return int(text)
  except ValueError:
    return float(text)


def _attribute_docs(config_class: type) -> dict[str, str]:
  """Returns the text of each attribute in the docstring's list of them."""
  _, _, section = (config_class.__doc__ or '').partition('Attributes:\n')
  docs: dict[str, str] = {}
  name = None
  for line in section.splitlines():
    start = re.match(r'    (\w+): (.*)', line)
    if start:
      name = start[1]
      docs[name] = start[2]
    elif name and line.strip():
      docs[name] += ' ' + line.strip()
  return docs
