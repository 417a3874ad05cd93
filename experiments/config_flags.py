"""Flags made of configuration dataclasses: one flag a field.

A flag that is not given leaves its field at the dataclass's default, so that a
default stands in one place.
"""

from collections.abc import Callable
import dataclasses
import re
import typing
from typing import Any, TypeVar

from absl import flags

# Flags belong to the scripts: their --help lists them.
flags.disclaim_key_flags()

T = TypeVar('T')


def define(
    config_class: type,
    prefix: str = '',
    flag_values: flags.FlagValues = flags.FLAGS,
) -> None:
  """Defines `--{prefix}{field}` for each field of a dataclass.

  Args:
    config_class: a dataclass whose docstring describes its attributes.
    prefix: of the flags' names.
    flag_values: where to define them.
  """
  helps = _attribute_docs(config_class)
  for field in dataclasses.fields(config_class):
    kind = _kind(config_class, field.name)
    help_text = f'{helps.get(field.name, "")} (default: {field.default})'
    _DEFINE[kind](
        f'{prefix}{field.name}', None, help_text, flag_values=flag_values
    )


def read(
    config_class: type[T],
    prefix: str = '',
    flag_values: flags.FlagValues = flags.FLAGS,
) -> T:
  """Returns a `config_class` with the flags that were given.

  Raises:
    ValueError: as `config_class` does, whose messages begin with the field's
      name; of a list that holds no numbers.
  """
  given: dict[str, Any] = {}
  for field in dataclasses.fields(config_class):  # type: ignore[arg-type]
    value = flag_values[f'{prefix}{field.name}'].value
    if value is None:
      continue
    if _kind(config_class, field.name) is tuple:
      value = _numbers(f'{prefix}{field.name}', value)
    given[field.name] = value
  try:
    return config_class(**given)
  except ValueError as error:
    raise ValueError(f'--{prefix}{error}') from None


_DEFINE: dict[type, Callable[..., Any]] = {
    bool: flags.DEFINE_boolean,
    int: flags.DEFINE_integer,
    float: flags.DEFINE_float,
    str: flags.DEFINE_string,
    tuple: flags.DEFINE_list,
}


def _kind(config_class: type, name: str) -> type:
  """Returns the type of a field without its None and its elements' type."""
  hint = typing.get_type_hints(config_class)[name]
  for candidate in (hint, *typing.get_args(hint)):
    kind = typing.get_origin(candidate) or candidate
    if kind in _DEFINE:
      return kind
  raise TypeError(f'{config_class.__name__}.{name}: no flag for {hint}')


def _numbers(name: str, items: list[str]) -> tuple[float, ...]:
  try:
    return tuple(float(item) if '.' in item else int(item) for item in items)
  except ValueError:
    raise ValueError(
        f'--{name}={",".join(items)} must be numbers, as --{name}=1,2,3'
    ) from None


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
