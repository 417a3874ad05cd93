"""Saved configurations of runs: reads those of earlier versions.

A configuration is nested dicts, as JSON has them: `task` and `dataset` by name,
and a dict of fields each for `run`, `environment`, `agent`, `learner`,
`discriminator`, `costs` and `data`.
"""

from collections.abc import Mapping
from typing import Any

_RENAMED = {
    'colour': 'color',
    'colour_cost': 'color_cost',
    'colour_bins': 'color_bins',
    'lambda_': 'td_lambda',
    'normalise_advantages': 'normalize_advantages',
    'normalise_each_time': 'normalize_each_time',
}
# Environments of version 0.1, by the key of their settings.
_TASKS = {
    'painting': 'environments.painting',
    'scene': 'environments.scene',
}
# Costs of version 0.1 were the learner's.
_COSTS = {'stroke_start_cost': 'stroke_start', 'object_cost': 'object'}


def upgrade(config: Mapping[str, Any]) -> dict[str, Any]:
  """Returns a configuration under the names of this version.

  Args:
    config: as this or an earlier version saved it; not changed.
  """
  upgraded = {
      name: _renamed(part) if isinstance(part, Mapping) else part
      for name, part in config.items()
  }
  for kind in _TASKS.keys() & upgraded.keys():
    upgraded['task'] = _TASKS[kind]
    upgraded['environment'] = upgraded.pop(kind)
    learner = upgraded.get('learner', {})
    upgraded['costs'] = {
        name: learner.pop(field)
        for field, name in _COSTS.items()
        if field in learner
    }
  return upgraded


def _renamed(part: Mapping[str, Any]) -> dict[str, Any]:
  return {_RENAMED.get(name, name): value for name, value in part.items()}
