"""The nodes of SPIRAL: actors, the two learners; functions are handed in.

A handed function that also has `get_state` and `set_state` (keys, a place in a
data set) is saved with its node.
"""

from collections.abc import Callable, Mapping, Sequence
import threading
from typing import Any, NamedTuple, Protocol

import jax
import jax.numpy as jnp
import numpy as np

from spiral_jax.driver import channel as channel_lib
from spiral_jax.driver import metrics as metrics_lib
from spiral_jax.driver import params as params_lib
from spiral_jax.driver import program as program_lib
from spiral_jax.driver import replay as replay_lib
from spiral_jax.driver import serialization

Logs = Mapping[str, Any]  # Scalars by name: numbers or arrays `[]`.


class RolloutFn(Protocol):
  """Acts for some commands: `rollout(params, version) -> Trajectory`.

  If it has state (see the top), another thread may ask for it meanwhile. If it
  has `close`, that is called when the program stops.
  """

  def __call__(self, params: Any, version: int) -> Any:
    """Returns a `types.Trajectory` whose params_version is `version`."""


class Actor:
  """Rolls the latest policy out; feeds the policy learner and the replay."""

  def __init__(
      self,
      name: str,
      *,
      rollout: RolloutFn,
      params: params_lib.ParamsStore | params_lib.LagBound,
      trajectories: channel_lib.Channel[Any],
      replay: replay_lib.Replay | None = None,
      final_examples: Callable[[Any], replay_lib.Examples | None] | None = None,
  ):
    """Creates an actor.

    Args:
      name: unique in its program.
      rollout: acts; called in this actor's thread only.
      params: where the policy learner publishes, or a bound on how old its
        parameters may be.
      trajectories: where trajectories go.
      replay: where final canvases go; None if no discriminator learns.
      final_examples: takes the replay's rows from a trajectory, None from one
        that has none.
    """
    self.name = name
    self._rollout = rollout
    self._params = params
    self._trajectories = trajectories
    self._replay = replay
    self._final_examples = final_examples

  def step(self) -> None:
    """Makes one trajectory."""
    params, version = self._params.latest()
    trajectory = self._rollout(params, version)
    if self._replay is not None and self._final_examples is not None:
      examples = self._final_examples(trajectory)
      if examples is not None:
        self._replay.insert(examples)
    self._trajectories.put(trajectory)

  def get_state(self) -> Any:
    """Returns the rollout's state."""
    return dict(rollout=_state_of(self._rollout))

  def set_state(self, state: Any) -> None:
    """Sets the rollout's state."""
    _set_state_of(self._rollout, state.get('rollout', {}))

  def close(self) -> None:
    """Tells the rollout that the program stops."""
    if hasattr(self._rollout, 'close'):
      self._rollout.close()


class PolicyUpdate(NamedTuple):
  """One update of a policy, for those who look on."""

  step: int  # Number of updates so far.
  frames: int  # Commands learned from so far.
  trajectory: Any  # That was learned from; see `types.Trajectory`.
  logs: Logs  # Reading them waits for the update to be computed.


class PolicyLearner:
  """Updates the policy on each trajectory and publishes it.

  Version v of the parameters is that after v updates; version 0 is published at
  once. Besides the update's own logs, writes `frames` (commands learned from)
  and `lag` (updates since the acting parameters were published). Updates on
  partial episodes write only these two.
  """

  def __init__(
      self,
      name: str,
      *,
      update: Callable[..., tuple[Any, Logs]],
      state: Any,
      params_of: Callable[[Any], Any],
      trajectories: channel_lib.Channel[Any],
      published: params_lib.ParamsStore,
      score_params: params_lib.ParamsStore | None = None,
      progress: Callable[[], float | None] | None = None,
      on_update: Callable[[PolicyUpdate], object] | None = None,
      metrics: metrics_lib.Writer | None = None,
      log_every: int = 1,
      max_updates: int | None = None,
      max_frames: int | None = None,
  ):
    """Creates a learner and publishes version 0.

    Args:
      name: unique in its program; prefix of its metrics.
      update: `(state, trajectory, score_params) -> (state, logs)`, or with
        `progress` as a fourth argument; may donate `state`, so the caller must
        not use the one handed in any more.
      state: learner state, a pytree of arrays.
      params_of: returns the part of a state that is published; it is copied.
      trajectories: channel of trajectories to learn from.
      published: store of the policy's parameters.
      score_params: store of the discriminator's parameters; None hands None on.
      progress: returns how much of the run is over, for `update`.
      on_update: called after each update, in this node's thread; it may raise
        `program.StopProgram`.
      metrics: writer of logs.
      log_every: period of logs, in updates; reading logs waits for the update
        to be computed.
      max_updates: updates after which there is no more work.
      max_frames: commands after which there is no more work.
    """
    self.name = name
    self.latest: Any = None  # Trajectory that ended its episodes, or None.
    self._learner = _Learner(
        name, update, state, params_of, published, metrics, log_every
    )
    self._trajectories = trajectories
    self._score_params = score_params
    self._progress = progress
    self._on_update = on_update
    self._max_updates = max_updates
    self._max_frames = max_frames
    self._frames = 0

  @property
  def version(self) -> int:
    """Number of updates made."""
    return self._learner.version

  @property
  def frames(self) -> int:
    """Number of commands learned from, T * B a trajectory."""
    return self._frames

  def step(self) -> None:
    """Learns from one trajectory.

    Raises:
      StopProgram: after the last update.
    """
    self._stop_if_done()
    trajectory = self._trajectories.get()
    batch = [trajectory, None]
    if self._score_params is not None:
      batch[1], _ = self._score_params.latest()
    if self._progress is not None:
      batch.append(self._progress())
    ends_episodes = np.any(trajectory.is_last)
    if ends_episodes:
      self.latest = trajectory
    with self._learner.lock:
      lag = self.version - int(trajectory.params_version)
      logs = self._learner.learn(*batch)
      self._frames += int(np.prod(trajectory.is_last.shape))
    progress = dict(frames=self._frames, lag=lag)
    if ends_episodes:
      self._learner.log({**progress, **logs})
    else:
      self._learner.log_progress(progress)
    if self._on_update is not None:
      self._on_update(
          PolicyUpdate(self.version, self._frames, trajectory, logs)
      )
    self._stop_if_done()

  def get_state(self) -> Any:
    """Returns the learner's state and counters."""
    with self._learner.lock:
      return dict(**self._learner.get_state(), frames=self._frames)

  def set_state(self, state: Any) -> None:
    """Sets state and counters, and publishes."""
    with self._learner.lock:
      self._learner.set_state(state)
      self._frames = int(state['frames'])

  def _stop_if_done(self) -> None:
    if (
        self._max_updates is not None and self.version >= self._max_updates
    ) or (self._max_frames is not None and self._frames >= self._max_frames):
      raise program_lib.StopProgram()


class DiscriminatorLearner:
  """Updates the discriminator on samples of the replay and publishes it."""

  def __init__(
      self,
      name: str,
      *,
      update: Callable[..., tuple[Any, Logs]],
      state: Any,
      params_of: Callable[[Any], Any],
      replay: replay_lib.Replay,
      make_batch: Callable[[replay_lib.Examples], Sequence[Any]],
      published: params_lib.ParamsStore,
      metrics: metrics_lib.Writer | None = None,
      log_every: int = 1,
  ):
    """Creates a learner and publishes version 0.

    Args:
      name: unique in its program; prefix of its metrics.
      update: `(state, *batch) -> (state, logs)`; may donate `state`.
      state: learner state, a pytree of arrays.
      params_of: returns the part of a state that is published; it is copied.
      replay: replay of the agents' final canvases.
      make_batch: `rows of the replay -> batch`, as (real, fake): adds real
        images to a sample.
      published: store of the score's parameters.
      metrics: writer of logs.
      log_every: period of logs, in updates.
    """
    self.name = name
    self._learner = _Learner(
        name, update, state, params_of, published, metrics, log_every
    )
    self._replay = replay
    self._make_batch = make_batch

  @property
  def version(self) -> int:
    """Number of updates made."""
    return self._learner.version

  def step(self) -> None:
    """Learns from one sample."""
    rows = self._replay.sample()
    with self._learner.lock:
      logs = self._learner.learn(*self._make_batch(rows))
    self._learner.log(logs)

  def get_state(self) -> Any:
    """Returns the learner's state and that of `make_batch`."""
    with self._learner.lock:
      return dict(
          **self._learner.get_state(), make_batch=_state_of(self._make_batch)
      )

  def set_state(self, state: Any) -> None:
    """Sets what `get_state` returned, and publishes."""
    with self._learner.lock:
      self._learner.set_state(state)
      _set_state_of(self._make_batch, state.get('make_batch', {}))


class _Learner:
  """Common base of learners: state under a lock, versions, publishing, logs."""

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
    # Versions of the next logs of either kind, at the earliest.
    self._due = self._progress_due = log_every
    self._publish()

  def learn(self, *batch: Any) -> Logs:
    """Makes one update and publishes; the caller holds the lock."""
    self._state, logs = self._update(self._state, *batch)
    self.version += 1
    self._publish()
    return logs

  def log(self, logs: Logs) -> None:
    """Writes the first logs from every `log_every`-th update on."""
    if self._metrics is not None and self.version >= self._due:
      self._write(logs)
      self._set_due()

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
    """Returns plain state; the caller holds the lock."""
    return dict(
        learner=serialization.to_plain(self._state), version=self.version
    )

  def set_state(self, state: Any) -> None:
    """Sets what `get_state` returned; the caller holds the lock."""
    self._state = serialization.from_plain(self._state, state['learner'])
    self.version = int(state['version'])
    self._set_due()
    self._publish()

  def _set_due(self) -> None:
    self._due = self._progress_due = self._next_due()

  def _next_due(self) -> int:
    return (self.version // self._log_every + 1) * self._log_every

  def _publish(self) -> None:
    self._published.publish(_copy(self._params_of(self._state)), self.version)


@jax.jit
def _copy(tree: Any) -> Any:
  """Copies arrays: the originals are donated to the next update."""
  return jax.tree.map(jnp.copy, tree)


def _state_of(part: Any) -> Any:
  if not isinstance(part, serialization.Stateful):
    return {}
  return serialization.to_plain(part.get_state())


def _set_state_of(part: Any, state: Any) -> None:
  if isinstance(part, serialization.PlainStateful):
    part.set_plain_state(state)
  elif isinstance(part, serialization.Stateful):
    part.set_state(serialization.from_plain(part.get_state(), state))
