"""Data parallelism: batches split over devices, parameters on each of them.

What is computed from one episode or image alone (the networks) runs on the
device that holds it; what takes the whole batch together (means, normalized
advantages) is XLA's to communicate, and so are the gradients' sums.

Axes: T time (commands), B batch, N images.
"""

import functools
from typing import Any, TypeVar

import jax
from jax.sharding import Mesh
from jax.sharding import NamedSharding
from jax.sharding import PartitionSpec
import numpy as np

from spiral_jax import types

AXIS = 'batch'  # The one axis of the mesh.

_REPLICATED = PartitionSpec()
_ROWS = PartitionSpec(AXIS)  # `[B, ...]`
_TIMED = PartitionSpec(None, AXIS)  # `[T, B, ...]`

_TRAJECTORY: dict[str, Any] = dict(
    canvas=_TIMED,
    action=_TIMED,
    log_prob=_TIMED,
    value=_TIMED,
    is_last=_TIMED,
    bootstrap=_ROWS,
    initial_state=_ROWS,
    target=_ROWS,
    noise=_ROWS,
    params_version=_REPLICATED,
    alternatives=_TIMED,
)

_LESSON: dict[str, Any] = dict(
    canvas=_TIMED,
    executed=_TIMED,
    imitated=_TIMED,
    target=_ROWS,
    noise=_ROWS,
)

L = TypeVar('L')


def make_mesh(num_devices: int) -> Mesh | None:
  """Returns a mesh of this process's devices; None of a single one.

  Args:
    num_devices: 0, all that there are.

  Raises:
    ValueError: if there are fewer.
  """
  devices = jax.local_devices()
  if num_devices > len(devices):
    raise ValueError(
        f'devices is {num_devices}, but this process has {len(devices)} of '
        f'platform {devices[0].platform!r}; give that many at most, or 0 for '
        'all'
    )
  devices = devices[: num_devices or None]
  return Mesh(np.array(devices), (AXIS,)) if len(devices) > 1 else None


def shard_unroll(unroll: Any, mesh: Mesh) -> Any:
  """Returns an agent's `unroll` that takes each episode where it lies.

  Raises:
    ValueError: when called, if the mesh does not divide B.
  """
  # Not left to XLA: it could neither flatten `[T, B]` to images without moving
  # them, nor split the native convolutions, which inside are whole calls.
  return lambda params, trajectory, imitated=None, advice=None: jax.shard_map(
      unroll,
      mesh=mesh,
      in_specs=(
          _REPLICATED,
          _present(trajectory),
          None if imitated is None else _TIMED,
          None if advice is None else _TIMED,
      ),
      out_specs=types.UnrollOutput(
          log_prob=_TIMED,
          value=_TIMED,
          entropy=_TIMED,
          is_active=_TIMED,
          bootstrap=None if trajectory.bootstrap is None else _ROWS,
          part_log_prob=None if advice is None else _TIMED,
          advice_log_prob=None if advice is None else _TIMED,
      ),
      check_vma=False,  # Native calls do not say how their results vary.
  )(params, trajectory, imitated, advice)


def shard_score(score: Any, mesh: Mesh) -> Any:
  """Returns a discriminator's `score` that takes each image where it lies.

  Raises:
    ValueError: when called, if the mesh does not divide N.
  """
  return lambda params, images, targets=None: jax.shard_map(
      score,
      mesh=mesh,
      in_specs=(_REPLICATED, _ROWS, None if targets is None else _ROWS),
      out_specs=_ROWS,
      check_vma=False,
  )(params, images, targets)


def shard_learner(learner: L, mesh: Mesh) -> L:
  """Returns a `Learner` that spreads its state and what it is given.

  It communicates between devices: of the learners on one mesh, only one at a
  time may be in its `update`, or two may wait for each other on different
  devices.
  """
  init, update = learner.init, learner.update  # type: ignore[attr-defined]

  @functools.wraps(update)
  def sharded_update(
      state,
      trajectory,
      score_params=None,
      progress=None,
      lessons=None,
      *further,
      **named,
  ):
    if trajectory is not None:
      trajectory = _put(trajectory, _present(trajectory), mesh)
    return update(
        _put(state, _REPLICATED, mesh),
        trajectory,
        _put(score_params, _REPLICATED, mesh),
        progress,
        {
            source: _put(lesson, _specs_of(lesson), mesh)
            for source, lesson in (lessons or {}).items()
        },
        *further,
        **named,
    )

  return learner._replace(  # type: ignore[attr-defined]
      init=lambda *args, **kwargs: _put(
          init(*args, **kwargs), _REPLICATED, mesh
      ),
      update=sharded_update,
  )


def shard_discriminator_learner(learner: L, mesh: Mesh) -> L:
  """Does for a `DiscriminatorLearner` what `shard_learner` does."""
  init, update = learner.init, learner.update  # type: ignore[attr-defined]

  @functools.wraps(update)
  def sharded_update(state, *images):
    return update(_put(state, _REPLICATED, mesh), *_put(images, _ROWS, mesh))

  return learner._replace(  # type: ignore[attr-defined]
      init=lambda *args: _put(init(*args), _REPLICATED, mesh),
      update=sharded_update,
  )


def replicate(tree: Any, mesh: Mesh | None) -> Any:
  """Says, while traced, that all of `tree` is on each device."""
  if mesh is None:
    return tree
  sharding = NamedSharding(mesh, _REPLICATED)
  return jax.lax.with_sharding_constraint(tree, sharding)


def on_one_device(tree: Any) -> Any:
  """Returns the first device's copy of replicated arrays, without copying."""
  return jax.tree.map(lambda x: x.addressable_data(0), tree)


def _present(trajectory: types.Trajectory) -> types.Trajectory:
  """Returns the specs of what a trajectory has."""
  specs: dict[str, Any] = {
      name: None if value is None else _TRAJECTORY[name]
      for name, value in trajectory._asdict().items()
  }
  return types.Trajectory(**specs)


def _specs_of(lesson: types.Lesson) -> types.Lesson:
  """Returns the specs of what a lesson has."""
  specs: dict[str, Any] = {
      name: None if value is None else _LESSON[name]
      for name, value in lesson._asdict().items()
  }
  return types.Lesson(**specs)


def _put(tree: Any, specs: Any, mesh: Mesh) -> Any:
  """Moves what is not there yet."""
  shardings = jax.tree.map(
      lambda spec: NamedSharding(mesh, spec),
      specs,
      is_leaf=lambda spec: isinstance(spec, PartitionSpec),
  )
  return jax.device_put(tree, shardings)
