"""Trained agents in files: those that come with the package, saved ones, runs.

A saved agent is a folder of

  config.json  action spec, canvas, settings of the run, figures
  weights.npz  arrays by their path of names; nothing pickled
  CARD.md      data and its license, training, figures, known failures

`spiral_jax/weights` has one of each name; experiments/tools/export_weights.py
makes them.
"""

from collections.abc import Mapping
import json
import os
import pathlib
import shutil
import tempfile
from typing import Any, NamedTuple

from dm_env import specs
from flax import linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from spiral_jax import saved_config
from spiral_jax import types
from spiral_jax.agents import agent as agent_lib
from spiral_jax.agents import config as config_lib

FOLDER = pathlib.Path(__file__).parent
_FORMAT = 3  # Of config.json.
# Data sets stand for the agents that redraw them.
_OF_DATA = {'mnist': 'digits', 'omniglot': 'characters'}


class Pretrained(NamedTuple):
  """A trained agent, and what is known of it.

  Attributes:
    agent: pure functions of `params`.
    params: parameters of the policy.
    config: configuration of its network.
    action_spec: the parts of a command, in the order of decision.
    canvas_shape: (height, width, channels).
    environment: settings of the environment in which it was trained, by name;
      those of `environments.painting.make_batch`, for example.
    experiment: all settings of the run, as JSON has them.
    figures: evaluation on held-out images.
    card: text of CARD.md.
  """

  agent: agent_lib.Agent
  params: types.Params
  config: config_lib.AgentConfig
  action_spec: types.ActionSpec
  canvas_shape: tuple[int, int, int]
  environment: dict[str, Any] = {}
  experiment: dict[str, Any] = {}
  figures: dict[str, Any] = {}
  card: str = ''


def names() -> list[str]:
  """Returns the names of the weights that come with the package."""
  found = (path.parent.name for path in FOLDER.glob('*/config.json'))
  return sorted(name for name in found if not name.startswith('.'))


def load(
    name: str | os.PathLike[str], *, torso: nn.Module | None = None
) -> Pretrained:
  """Returns a trained agent.

  Args:
    name: one of `names()`; 'mnist' or 'omniglot' for the agents that redraw
      these; the folder of a training run; or a folder that `save` made.
    torso: the torso that the agent was made with, if it was not one of
      `AgentConfig`.

  Raises:
    ValueError: if there is nothing of that name, or its files are damaged.
    FileNotFoundError: if the folder of a run holds no checkpoint.
  """
  folder = FOLDER / _OF_DATA.get(str(name), str(name))
  if folder.name not in names() or folder.parent != FOLDER:
    folder = pathlib.Path(name).expanduser()
    if (folder / 'checkpoints').is_dir():
      from spiral_jax.training import (
          trained_agent,  # Late: it knows this module.
      )

      return trained_agent.restore(folder, torso=torso).pretrained()
    if not (folder / 'weights.npz').is_file():
      raise ValueError(
          f'no weights named {str(name)!r} come with the package, and no run '
          f'or saved agent is in {folder}; the names are: '
          f'{", ".join(names()) or "none"}'
      )
  try:
    return _read(folder, torso)
  except Exception as error:  # Readers of damaged files raise anything.
    if strict := _strict_switches():
      raise ValueError(
          f'networks of Flax do not work with {strict}; leave it as it is by '
          f'default, or, if the weights in {folder} are damaged, install the '
          f'package again ({error!r})'
      ) from error
    raise ValueError(
        f'weights in {folder} are damaged, or were made by another version or '
        f'with another torso ({error!r}); install the package again, or save '
        'them again'
    ) from error


def _strict_switches() -> str:
  """Returns those of JAX's switches that forbid what networks do."""
  strict = {
      'jax_numpy_rank_promotion': 'raise',
      'jax_numpy_dtype_promotion': 'strict',
  }
  return ', '.join(
      f'{name}={getattr(jax.config, name)}'
      for name, value in strict.items()
      if getattr(jax.config, name) == value
  )


def save(folder: str | os.PathLike[str], trained: Pretrained) -> None:
  """Saves a trained agent; `load` takes the folder.

  Arrays are kept as float16 where `trained.params` are float16, else as they
  are.

  Args:
    folder: a new folder; whole, or not there at all.
    trained: the agent.

  Raises:
    FileExistsError: if the folder exists.
    ValueError: if a parameter is not finite.
  """
  target = pathlib.Path(folder).expanduser().absolute()
  if target.exists():
    raise FileExistsError(f'{target} exists; name another folder, or delete it')
  arrays = _to_arrays(trained.params)
  config = {
      'format': _FORMAT,
      'canvas_shape': list(trained.canvas_shape),
      'action_spec': _describe(trained.action_spec),
      'agent': trained.config.__dict__,
      'environment': trained.environment,
      'experiment': trained.experiment,
      'figures': trained.figures,
  }
  target.parent.mkdir(parents=True, exist_ok=True)
  partial = pathlib.Path(tempfile.mkdtemp(dir=target.parent, prefix='.'))
  try:
    text = json.dumps(config, indent=2) + '\n'
    (partial / 'config.json').write_text(text, encoding='utf-8')
    np.savez_compressed(partial / 'weights.npz', **arrays)
    if trained.card:
      (partial / 'CARD.md').write_text(trained.card, encoding='utf-8')
    partial.chmod(0o755)  # mkdtemp grants the owner alone.
    partial.rename(target)
  except BaseException:
    shutil.rmtree(partial)
    raise


def to_half(params: types.Params) -> types.Params:
  """Returns parameters as float16.

  Raises:
    ValueError: if one is beyond float16.
  """

  def convert(keys: tuple[Any, ...], leaf: Any) -> np.ndarray:
    array = np.asarray(leaf)
    limit = np.finfo(np.float16).max
    if not np.all(np.abs(array) <= limit):
      worst = array.flat[np.argmin(np.abs(array) <= limit)]
      raise ValueError(
          f'{_path(keys)} holds {worst}, and float16 ends at {limit:.0f}; take '
          'an earlier checkpoint'
      )
    return array.astype(np.float16)

  return jax.tree_util.tree_map_with_path(convert, params)


def _read(folder: pathlib.Path, torso: nn.Module | None) -> Pretrained:
  """Returns the agent that is saved in a folder."""
  config = json.loads((folder / 'config.json').read_text(encoding='utf-8'))
  config = _upgrade(config)
  agent_config = config_lib.AgentConfig(**config['agent'])
  action_spec = {
      name: _Part(
          name,
          facts['num_values'],
          facts['grid_shape'],
          facts['active_if'],
      )
      for name, facts in config['action_spec'].items()
  }
  height, width, channels = config['canvas_shape']
  agent = agent_lib.make_agent(
      action_spec, (height, width, channels), agent_config, torso=torso
  )
  with np.load(folder / 'weights.npz', allow_pickle=False) as file:
    arrays = dict(file)
  template = jax.eval_shape(agent.init, jax.random.key(0))
  card = folder / 'CARD.md'
  return Pretrained(
      agent,
      _from_arrays(template, arrays),
      agent_config,
      action_spec,
      (height, width, channels),
      environment={
          field: tuple(value) if isinstance(value, list) else value
          for field, value in config['environment'].items()
      },
      experiment=config['experiment'],
      figures=config['figures'],
      card=card.read_text(encoding='utf-8') if card.is_file() else '',
  )


def _upgrade(config: dict[str, Any]) -> dict[str, Any]:
  """Returns what config.json of this or an earlier format says."""
  if config['format'] == _FORMAT:
    return config
  if config['format'] != 2:
    raise ValueError(f'format {config["format"]}, must be {_FORMAT} or 2')
  experiment = saved_config.upgrade(config['setup'])
  action_spec = {
      name: {
          'num_values': facts['num_values'],
          'grid_shape': facts['grid_shape'],
          'active_if': facts['counts_if'],
      }
      for name, facts in config['action_spec'].items()
  }
  return {
      **config,
      'action_spec': action_spec,
      'agent': experiment['agent'],
      'environment': experiment['environment'],
      'experiment': experiment,
  }


def _describe(action_spec: types.ActionSpec) -> dict[str, dict[str, Any]]:
  """Returns an action spec as config.json has it."""
  return {
      name: {
          'num_values': int(part.num_values),
          'grid_shape': types.grid_shape(part),
          'active_if': types.active_if(part),
      }
      for name, part in action_spec.items()
  }


def _to_arrays(params: types.Params) -> dict[str, Any]:
  """Returns parameters by path of names.

  Raises:
    ValueError: if one is not finite.
  """
  arrays = {}
  for keys, leaf in jax.tree_util.tree_flatten_with_path(params)[0]:
    arrays[_path(keys)] = array = np.asarray(leaf)
    if not np.isfinite(array).all():
      raise ValueError(
          f'{_path(keys)} is not finite; take an earlier checkpoint'
      )
  return arrays


def _from_arrays(
    template: types.Params, arrays: Mapping[str, np.ndarray]
) -> types.Params:
  """Undoes `_to_arrays`, as float32.

  Raises:
    ValueError: if an array is missing, left over, not of its shape, or not of
      finite numbers.
  """
  leaves, treedef = jax.tree_util.tree_flatten_with_path(template)
  expected = {_path(keys): leaf.shape for keys, leaf in leaves}
  found = {path: array.shape for path, array in arrays.items()}
  if found != expected:
    differing = sorted(
        path
        for path in found.keys() | expected.keys()
        if found.get(path) != expected.get(path)
    )
    raise ValueError(
        f'{differing[0]} has shape {found.get(differing[0])}, must be '
        f'{expected.get(differing[0])}'
    )
  for path, array in arrays.items():
    if array.dtype.kind != 'f' or not np.isfinite(array).all():
      raise ValueError(f'{path} is not of finite numbers')
  return jax.tree.unflatten(
      treedef, [jnp.array(arrays[path], jnp.float32) for path in expected]
  )


def _path(keys: tuple[Any, ...]) -> str:
  return jax.tree_util.keystr(keys, simple=True, separator='/')


class _Part(specs.DiscreteArray):
  """A part of a command; see `types.grid_shape` and `types.active_if`."""

  def __init__(
      self,
      name: str,
      num_values: int,
      grid_shape: list[int] | None,
      active_if: list[Any] | None,
  ):
    super().__init__(num_values, name=name)
    self.grid_shape = None if grid_shape is None else tuple(grid_shape)
    self.active_if = None
    if active_if is not None:
      part, values = active_if
      self.active_if = part, tuple(values)
