"""Checkpoints of a run: a folder a step, complete or not there at all.

A step is written to a folder of its own, read back and compared, and then
renamed, so a program killed at any moment leaves its latest complete
checkpoint. Checksums beside its files tell later whether they still hold what
was written.
"""

from collections.abc import Mapping
import json
import os
import pathlib
import re
import shutil
from typing import Any, NamedTuple

import jax
import numpy as np

from spiral_jax.driver import checksums
from spiral_jax.driver import orbax_files

# Of steps that are not complete yet, or not any more.
_UNFINISHED = '.unfinished'
# What saves of earlier versions that were killed have left.
_LEFTOVER = re.compile(r'\d+\.orbax-checkpoint-tmp(-\d+)?')


class Checkpoint(NamedTuple):
  """A checkpoint, as `load` returns it."""

  step: int
  state: dict[str, Any]  # Plain state, as it was saved.
  config: dict[str, Any]  # JSON: tuples have become lists.


class SaveError(OSError):
  """Raised when a checkpoint cannot be saved; nothing of it is left.

  `errno` is the operating system's number, None if it is not the cause.
  """


class Checkpoints:
  """A run's folder of checkpoints, to which one program at a time saves.

  No thread is kept: `save` returns once the checkpoint is complete.
  """

  def __init__(
      self,
      path: str | os.PathLike[str],
      config: Mapping[str, Any] | None = None,
      *,
      max_to_keep: int = 3,
  ):
    """Creates the folder if it isn't there; removes what killed saves left.

    Args:
      path: the folder.
      config: the run's configuration, kept in each checkpoint: anything JSON.
      max_to_keep: older checkpoints are removed.
    """
    self.path = pathlib.Path(path).absolute()
    self._config = _as_json(config or {})
    self._max_to_keep = max_to_keep
    self.path.mkdir(parents=True, exist_ok=True)
    for found in list(self.path.iterdir()):
      if found.name == _UNFINISHED or _LEFTOVER.fullmatch(found.name):
        shutil.rmtree(found, ignore_errors=True)

  def latest_step(self) -> int | None:
    """Returns the step of the latest complete checkpoint, None without one."""
    return max(steps(self.path), default=None)

  def save(self, step: int, state: Mapping[str, Any]) -> None:
    """Saves plain state; does nothing if this step is saved already.

    Raises:
      SaveError: if it cannot be written, or does not read back as it was
        written; earlier checkpoints are as they were.
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
    unfinished = self.path / _UNFINISHED / str(step)
    try:
      self._write(unfinished, state)
      unfinished.rename(self.path / str(step))
    except (OSError, ValueError) as error:
      number = error.errno if isinstance(error, OSError) else None
      reason = ' '.join(str(error).split())
      message = (
          f'checkpoint {step} cannot be saved in {self.path} ({reason}); the '
          f'last one is {latest if latest is not None else "none"}'
      )
      failed = SaveError(message)
      failed.errno = number
      raise failed from error
    finally:
      shutil.rmtree(unfinished.parent, ignore_errors=True)
    self._remove_old()

  def restore(self, step: int | None = None) -> tuple[int, dict[str, Any]]:
    """Returns (step, state) of a checkpoint, by default the latest.

    Raises:
      FileNotFoundError, ValueError: as `load`.
    """
    checkpoint = load(self.path, step)
    return checkpoint.step, checkpoint.state

  def _write(self, folder: pathlib.Path, state: Mapping[str, Any]) -> None:
    """Writes a checkpoint, reads it back, and adds the checksums."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.parent.mkdir(parents=True, exist_ok=True)
    kept, empty = _without_empty(state)
    notes = dict(config=self._config, empty=empty)
    orbax_files.write(folder, kept, notes)
    try:
      found = orbax_files.read(folder)
    except Exception as error:  # Whatever the damage makes of orbax's reader.
      raise ValueError(f'does not read back: {error}') from error
    if not _is_equal(found, (kept, notes)):
      raise ValueError('reads back as another state')
    checksums.write(folder)

  def _remove_old(self) -> None:
    """Removes the oldest checkpoints, each of them at once."""
    found = steps(self.path)
    trash = self.path / _UNFINISHED
    for step in sorted(found)[: -self._max_to_keep]:
      trash.mkdir(exist_ok=True)
      found[step].rename(trash / str(step))
    shutil.rmtree(trash, ignore_errors=True)


def steps(path: str | os.PathLike[str]) -> dict[int, pathlib.Path]:
  """Returns the folders of the complete checkpoints in `path`, by step.

  Other files and folders, and links, are not looked at. Without a folder `path`
  there is no checkpoint.
  """
  try:
    found = list(pathlib.Path(path).iterdir())
  except (FileNotFoundError, NotADirectoryError):
    return {}
  return {
      int(folder.name): folder
      for folder in sorted(found)
      if re.fullmatch('[0-9]+', folder.name)
      and folder.is_dir()
      and not folder.is_symlink()
      and any(folder.iterdir())
  }


def load(path: str | os.PathLike[str], step: int | None = None) -> Checkpoint:
  """Loads one checkpoint, by default the latest complete one.

  Raises:
    FileNotFoundError: if there is none.
    ValueError: if its files are damaged; names the last one that is not.
  """
  found, step = _find(path, step)
  try:
    return _read(found[step])
  except ValueError as error:
    sound = _last_sound({s: f for s, f in found.items() if s < step})
    remedy = 'no earlier one is whole'
    if sound is not None:
      remedy = f'delete it to use the last good one, {sound}'
    raise ValueError(
        f'checkpoint {found[step]} is damaged ({error}); {remedy}'
    ) from error


def load_config(
    path: str | os.PathLike[str], step: int | None = None
) -> dict[str, Any]:
  """Returns the configuration of one checkpoint, by default the latest.

  Raises:
    FileNotFoundError, ValueError: as `load`.
  """
  found, step = _find(path, step)
  try:
    checksums.check(found[step])
    return orbax_files.read_notes(found[step])['config']
  except Exception:  # pylint: disable=broad-except
    return load(path, step).config  # Says what the damage is.


def _find(
    path: str | os.PathLike[str], step: int | None
) -> tuple[dict[int, pathlib.Path], int]:
  """Returns the folders of all checkpoints, and the step that is asked for."""
  path = pathlib.Path(path).absolute()
  if not path.is_dir():
    raise FileNotFoundError(
        f'no checkpoint folder {path}; name the folder of a run that has saved '
        'one'
    )
  found = steps(path)
  if not found or (step is not None and step not in found):
    raise FileNotFoundError(
        f'no checkpoint {"" if step is None else step} in {path}; '
        f'steps there: {sorted(found) or "none"}'
    )
  return found, max(found) if step is None else step


def _read(folder: pathlib.Path) -> Checkpoint:
  """Reads a checkpoint; raises ValueError if it is damaged."""
  checksums.check(folder)
  try:
    state, notes = orbax_files.read(folder)
    state = _with_empty(state, notes['empty'])
    return Checkpoint(int(folder.name), state, notes['config'])
  except Exception as error:
    raise ValueError(type(error).__name__) from error


def _last_sound(found: Mapping[int, pathlib.Path]) -> int | None:
  """Returns the last step whose checkpoint can be read, None without one."""
  for step in sorted(found, reverse=True):
    try:
      _read(found[step])
      return step
    except ValueError:
      continue
  return None


def _is_equal(one: Any, other: Any) -> bool:
  """Returns whether two states have the same leaves, bit by bit."""
  leaves, others = (jax.tree.leaves_with_path(tree) for tree in (one, other))
  return len(leaves) == len(others) and all(
      path == other_path
      and np.asarray(a).dtype == np.asarray(b).dtype
      and np.asarray(a).tobytes() == np.asarray(b).tobytes()
      for (path, a), (other_path, b) in zip(leaves, others)
  )


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
