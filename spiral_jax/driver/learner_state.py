"""The state of a learner node, from one update to the next."""

from collections.abc import Callable, Mapping
import threading
from typing import Any

import jax
import jax.numpy as jnp

from spiral_jax.driver import finite
from spiral_jax.driver import metrics as metrics_lib
from spiral_jax.driver import params as params_lib
from spiral_jax.driver import serialization

Logs = Mapping[str, Any]  # Scalars by name: numbers or arrays `[]`.


class LearnerState:
  """State under a lock, with versions, publishing, logs and a watch on it."""

  def __init__(
      self,
      name: str,
      update: Callable[..., tuple[Any, Logs]],
      state: Any,
      params_of: Callable[[Any], Any],
      published: params_lib.ParamsStore,
      metrics: metrics_lib.Writer | None,
      log_every: int,
  ):
    if log_every < 1:
      raise ValueError(
          f'log_every of node {name!r} is {log_every}; must be at least 1'
      )
    self.lock = threading.Lock()
    self.version = 0
    self._name = name
    self._update = update
    self._state = state
    self._params_of = params_of
    self._published = published
    self._metrics = metrics
    self._log_every = log_every
    self._watch = finite.Watch(name)
    # Versions of the next logs of either kind, at the earliest.
    self._due = self._progress_due = log_every
    self._publish()

  def learn(self, *batch: Any, frames: int | None = None) -> Logs:
    """Makes one update and publishes; the caller holds the lock.

    Args:
      *batch: what the update takes.
      frames: commands learned from, this batch's included.

    Raises:
      NotFiniteError: if an earlier update left a number that is not finite.
    """
    self._watch.check()
    self._state, logs = self._update(self._state, *batch)
    self.version += 1
    self._watch.add(self.version, frames, logs, self._publish())
    return logs

  def log(self, logs: Logs) -> None:
    """Writes the first logs from every `log_every`-th update on."""
    if self._metrics is not None and self.version >= self._due:
      self._write(logs)
      self._set_due()
      self._watch.check(wait=True)  # The update is computed: logs were read.
    else:
      self._watch.check()

  def log_progress(self, logs: Logs) -> None:
    """Writes at `log_every`; `log` is due as if this were not called."""
    if self._metrics is not None and self.version >= self._progress_due:
      self._write(logs)
      self._progress_due = self._next_due()

  def _write(self, logs: Logs) -> None:
    assert self._metrics is not None
    self._metrics.write(
        self.version, {f'{self._name}/{key}': logs[key] for key in logs}
    )

  def get_state(self) -> dict[str, Any]:
    """Returns plain state; the caller holds the lock.

    Raises:
      NotFiniteError: if it has diverged: such a state is worth nothing.
    """
    self._watch.check(wait=True)
    plain = serialization.to_plain(self._state)
    found = finite.first_not_finite(plain, only_nan=True)
    if found is not None:
      name, value = found
      raise finite.NotFiniteError(f'{self._name}/{name}', value, self.version)
    return dict(learner=plain, version=self.version)

  def set_state(self, state: Any) -> None:
    """Sets what `get_state` returned; the caller holds the lock.

    Raises:
      ValueError: if it does not fit, or has diverged.
    """
    restored = serialization.from_plain(self._state, state['learner'])
    found = finite.first_not_finite(state['learner'], only_nan=True)
    if found is not None:
      raise ValueError(
          f'{found[0]} is {found[1]}: it was saved after training '
          'had diverged; delete it to use an earlier one'
      )
    self._state = restored
    self.version = int(state['version'])
    self._watch.clear()
    self._set_due()
    self._publish()

  def _set_due(self) -> None:
    self._due = self._progress_due = self._next_due()

  def _next_due(self) -> int:
    return (self.version // self._log_every + 1) * self._log_every

  def _publish(self) -> Any:
    """Publishes a copy of the parameters, and returns it."""
    params = _copy(self._params_of(self._state))
    self._published.publish(params, self.version)
    return params


@jax.jit
def _copy(tree: Any) -> Any:
  """Copies arrays: the originals are donated to the next update."""
  return jax.tree.map(jnp.copy, tree)
