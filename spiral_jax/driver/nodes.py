"""The nodes of SPIRAL: actors, the two learners; functions are handed in.

A handed function that also has `get_state` and `set_state` (keys, a place in a
data set) is saved with its node.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np

from spiral_jax import types
from spiral_jax.driver import channel as channel_lib
from spiral_jax.driver import learner_state
from spiral_jax.driver import metrics as metrics_lib
from spiral_jax.driver import params as params_lib
from spiral_jax.driver import program as program_lib
from spiral_jax.driver import replay as replay_lib
from spiral_jax.driver import serialization
from spiral_jax.driver import state_lock as state_lock_lib

Logs = learner_state.Logs


class RolloutFn(Protocol):
  """Acts for some commands: `rollout(params, version) -> Trajectory`.

  If it has state (see the top), that is read after each trajectory. If it has
  `close`, that is called when the program stops.
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
    self.state_lock = state_lock_lib.StateLock()
    self._rollout = rollout
    self._params = params
    self._trajectories = trajectories
    self._replay = replay
    self._final_examples = final_examples
    # Plain state of the rollout after its last trajectory; None before that.
    self._state: Any = None

  def step(self) -> None:
    """Makes one trajectory."""
    if self._state is None:
      with self.state_lock.changing():
        self._state = _state_of(self._rollout)
    params, version = self._params.latest()
    trajectory = self._rollout(params, version)
    state, examples = _state_of(self._rollout), None
    if self._replay is not None and self._final_examples is not None:
      examples = self._final_examples(trajectory)
    with self.state_lock.changing():
      if self._replay is not None and examples is not None:
        self._replay.insert(examples)
      self._state = state
    self._trajectories.put(trajectory)

  def get_state(self) -> Any:
    """Returns the rollout's state after its last trajectory.

    One under way is not waited for; after `set_state` it is made again.
    """
    if self._state is None:
      return dict(rollout=_state_of(self._rollout))
    return dict(rollout=self._state)

  def set_state(self, state: Any) -> None:
    """Sets the rollout's state."""
    _set_state_of(self._rollout, state.get('rollout', {}))
    self._state = _state_of(self._rollout)

  def close(self) -> None:
    """Tells the rollout that the program stops."""
    if hasattr(self._rollout, 'close'):
      self._rollout.close()


class PolicyUpdate(NamedTuple):
  """One update of a policy, for those who look on."""

  step: int  # Number of updates so far.
  frames: int  # Commands learned from so far.
  # That was learned from, see `types.Trajectory`; None if only lessons were.
  trajectory: Any
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
      trajectories: channel_lib.Channel[Any] | None,
      published: params_lib.ParamsStore,
      lessons: Mapping[str, channel_lib.Channel[Any]] | None = None,
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
      update: `(state, trajectory, score_params, progress, lessons) -> (state,
        logs)`; all but the lessons, a dict by source, may be None. It may
        donate `state`, so the caller must not use the one handed in any more.
      state: learner state, a pytree of arrays.
      params_of: returns the part of a state that is published; it is copied.
      trajectories: channel of trajectories to learn from; None if it learns
        from lessons alone.
      published: store of the policy's parameters.
      lessons: channels of `types.Lesson` to imitate, by source.
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
    self.state_lock = state_lock_lib.StateLock()
    self.latest: Any = None  # Trajectory that ended its episodes, or None.
    self._learner = learner_state.LearnerState(
        name, update, state, params_of, published, metrics, log_every
    )
    self._trajectories = trajectories
    self._lessons = dict(lessons or {})
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
      NotFiniteError: if an update left a number that is not finite.
      StopProgram: after the last update.
    """
    self._stop_if_done()
    batch = self._get_batch()
    trajectory, *_, lessons = batch
    ends_episodes = trajectory is None or np.any(trajectory.is_last)
    if trajectory is not None and ends_episodes:
      self.latest = trajectory
    with self.state_lock.changing():
      with self._learner.lock:
        progress = {}
        if trajectory is not None:
          progress['lag'] = self.version - int(trajectory.params_version)
        frames = self._frames + types.num_commands(trajectory, lessons)
        logs = self._learner.learn(*batch, frames=frames)
        self._frames = progress['frames'] = frames
      if ends_episodes:
        self._learner.log({**progress, **logs})
      else:
        self._learner.log_progress(progress)
    if self._on_update is not None:
      self._on_update(
          PolicyUpdate(self.version, self._frames, trajectory, logs)
      )
    self._stop_if_done()

  def _get_batch(self) -> tuple[Any, Any, float | None, dict[str, Any]]:
    """Returns what the update takes besides its state."""
    trajectory = score_params = progress = None
    if self._trajectories is not None:
      trajectory = self._trajectories.get()
    lessons = {name: lane.get() for name, lane in self._lessons.items()}
    if self._score_params is not None:
      score_params, _ = self._score_params.latest()
    if self._progress is not None:
      progress = self._progress()
    return trajectory, score_params, progress, lessons

  def get_state(self) -> Any:
    """Returns the learner's state and counters."""
    with self._learner.lock:
      return dict(**self._learner.get_state(), frames=self._frames)

  def set_state(self, state: Any) -> None:
    """Sets state and counters, and publishes."""
    with self._learner.lock:
      self._learner.set_state(state)
      self._frames = int(state['frames'])

  @property
  def is_done(self) -> bool:
    """True once the last update was made."""
    return (
        self._max_updates is not None and self.version >= self._max_updates
    ) or (self._max_frames is not None and self._frames >= self._max_frames)

  def _stop_if_done(self) -> None:
    if self.is_done:
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
    self.state_lock = state_lock_lib.StateLock()
    self._learner = learner_state.LearnerState(
        name, update, state, params_of, published, metrics, log_every
    )
    self._replay = replay
    self._make_batch = make_batch

  @property
  def version(self) -> int:
    """Number of updates made."""
    return self._learner.version

  def step(self) -> None:
    """Learns from one sample.

    Raises:
      NotFiniteError: if an update left a number that is not finite.
    """
    rows = None
    while rows is None:
      self._replay.wait()
      with self.state_lock.changing():
        rows = self._replay.try_sample()  # None if another node was faster.
        if rows is not None:
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


def _state_of(part: Any) -> Any:
  if not isinstance(part, serialization.Stateful):
    return {}
  return serialization.to_plain(part.get_state())


def _set_state_of(part: Any, state: Any) -> None:
  if isinstance(part, serialization.PlainStateful):
    part.set_plain_state(state)
  elif isinstance(part, serialization.Stateful):
    part.set_state(serialization.from_plain(part.get_state(), state))
