"""Checkpoints through orbax: a folder a step, complete or not there at all.

Orbax writes a step to a temporary folder and renames it, so a program killed at
any moment leaves its latest complete checkpoint. Importing this module doesn't
import orbax, which takes a second; saving and loading do.
"""

from collections.abc import Mapping
import json
import logging
import os
import pathlib
from typing import Any, NamedTuple

import numpy as np


class Checkpoint(NamedTuple):
  """A checkpoint, as `load` returns it."""

  step: int
  state: dict[str, Any]  # Plain state, as it was saved.
  config: dict[str, Any]  # JSON: tuples have become lists.


class Checkpoints:
  """A run's folder of checkpoints.

  Orbax keeps no thread: `save` returns once the checkpoint is complete.
  """

  def __init__(
      self,
      path: str | os.PathLike[str],
      config: Mapping[str, Any] | None = None,
      *,
      max_to_keep: int = 3,
  ):
    """Creates the folder if it isn't there.

    Args:
      path: the folder.
      config: the run's configuration, kept in each checkpoint: anything JSON.
      max_to_keep: older checkpoints are removed.
    """
    self.path = pathlib.Path(path).absolute()
    self._config = _as_json(config or {})
    ocp = _orbax()
    self._manager = ocp.CheckpointManager(
        self.path,
        options=ocp.CheckpointManagerOptions(
            max_to_keep=max_to_keep,
            enable_async_checkpointing=False,
            cleanup_tmp_directories=True,
        ),
    )

  def latest_step(self) -> int | None:
    """Returns the step of the latest complete checkpoint, None without one."""
    return self._manager.latest_step()

  def save(self, step: int, state: Mapping[str, Any]) -> None:
    """Saves plain state; does nothing if this step is saved already.

    Raises:
      ValueError: if a later step is there, from another run.
    """
    latest = self.latest_step()
    if latest is not None and step < latest:
      raise ValueError(
          f'{self.path} holds checkpoint {latest}, later than {step}; resume '
          'from it, or use another folder'
      )
    if step == latest:
      return
    ocp = _orbax()
    kept, empty = _without_empty(state)
    notes = dict(config=self._config, empty=empty)
    self._manager.save(
        step,
        args=ocp.args.Composite(
            state=ocp.args.StandardSave(kept), notes=ocp.args.JsonSave(notes)
        ),
    )

  def restore(self, step: int | None = None) -> tuple[int, dict[str, Any]]:
    """Returns (step, state) of a checkpoint, by default the latest.

    Raises:
      FileNotFoundError, ValueError: as `load`.
    """
    checkpoint = load(self.path, step)
    return checkpoint.step, checkpoint.state


def load(path: str | os.PathLike[str], step: int | None = None) -> Checkpoint:
  """Loads one checkpoint, by default the latest complete one.

  Raises:
    FileNotFoundError: if there is none.
    ValueError: if its files are damaged.
  """
  ocp = _orbax()
  step, restored = _load(
      path,
      step,
      state=ocp.args.StandardRestore(),
      notes=ocp.args.JsonRestore(),
  )
  state = _with_empty(restored['state'], restored['notes']['empty'])
  return Checkpoint(step, state, restored['notes']['config'])


def load_config(
    path: str | os.PathLike[str], step: int | None = None
) -> dict[str, Any]:
  """Returns the configuration of one checkpoint, by default the latest.

  Raises:
    FileNotFoundError, ValueError: as `load`.
  """
  _, restored = _load(path, step, notes=_orbax().args.JsonRestore())
  return restored['notes']['config']


def _load(
    path: str | os.PathLike[str], step: int | None, **args: Any
) -> tuple[int, Any]:
  """Returns the step of a checkpoint, and the items that `args` name."""
  path = pathlib.Path(path).absolute()
  if not path.is_dir():
    raise FileNotFoundError(
        f'no checkpoint folder {path}; name the folder of a run that has saved '
        'one'
    )
  ocp = _orbax()
  manager = ocp.CheckpointManager(
      path, options=ocp.CheckpointManagerOptions(create=False)
  )
  steps = sorted(manager.all_steps())
  if not steps or (step is not None and step not in steps):
    raise FileNotFoundError(
        f'no checkpoint {"" if step is None else step} in {path}; '
        f'steps there: {steps or "none"}'
    )
  step = steps[-1] if step is None else step
  try:
    return step, manager.restore(step, args=ocp.args.Composite(**args))
  except Exception as error:
    raise ValueError(
        f'checkpoint {path / str(step)} is damaged '
        f'({type(error).__name__}); delete it to use an earlier one: '
        f'{steps[: steps.index(step)] or "none"}'
    ) from error


def _orbax() -> Any:
  """Imports orbax, late, and keeps what isn't a warning out of the log."""
  import orbax.checkpoint as ocp

  # Orbax logs dozens of lines a save to absl's logger, at level INFO.
  logging.getLogger('absl').addFilter(_not_orbax_info)
  return ocp


def _not_orbax_info(record: logging.LogRecord) -> bool:
  return record.levelno >= logging.WARNING or 'orbax' not in record.pathname


def _as_json(config: Mapping[str, Any]) -> dict[str, Any]:
  return json.loads(json.dumps(config))


def _without_empty(
    state: Mapping[str, Any], keys: tuple[str, ...] = ()
) -> tuple[dict[str, Any], list[list[Any]]]:
  """Splits off arrays without elements, which orbax refuses to save.

  Returns:
    The rest of the state and [keys, dtype, shape] of each.
  """
  kept: dict[str, Any] = {}
  empty: list[list[Any]] = []
  for name, value in state.items():
    if isinstance(value, Mapping):
      kept[name], below = _without_empty(value, (*keys, name))
      empty += below
    elif isinstance(value, np.ndarray) and not value.size:
      empty.append([[*keys, name], value.dtype.name, list(value.shape)])
    else:
      kept[name] = value
  return kept, empty


def _with_empty(
    state: dict[str, Any], empty: list[list[Any]]
) -> dict[str, Any]:
  """Puts arrays without elements back."""
  for keys, dtype, shape in empty:
    node = state
    for key in keys[:-1]:
      node = node.setdefault(key, {})
    node[keys[-1]] = np.zeros(shape, dtype)
  return state
