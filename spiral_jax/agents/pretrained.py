"""Weights that come with the package, by name.

The one module of this layer that opens files: those of a folder a name in
`spiral_jax/weights`, which experiments/export_weights.py makes:

  config.json  action spec, canvas, all settings of the run, held-out figures
  weights.npz  float16 arrays by their path of names; nothing pickled
  CARD.md      data and its licence, training, figures, known failures
"""

from collections.abc import Mapping
import json
import pathlib
from typing import Any, NamedTuple

from dm_env import specs
import jax
import jax.numpy as jnp
import numpy as np

from spiral_jax import types
from spiral_jax.agents import agent as agent_lib
from spiral_jax.agents import config as config_lib

FOLDER = pathlib.Path(__file__).parents[1] / 'weights'
FORMAT = 2  # Of config.json.
# Names of data sets, which stand for those of the agents that redraw them.
_OF_DATA = {'mnist': 'digits', 'omniglot': 'characters'}


class Pretrained(NamedTuple):
  """A trained agent, and what is known of it.

  Attributes:
    agent: pure functions of `params`.
    params: of the policy.
    config: of its network.
    environment: settings of the environment that it was trained in, by name:
      of `environments.painting.make_batch`, or that of the kind of the run.
    setup: all settings of the run, as JSON has them.
    figures: of its evaluation on held-out images.
    card: text of CARD.md.
  """

  agent: agent_lib.Agent
  params: types.Params
  config: config_lib.AgentConfig
  environment: dict[str, Any]
  setup: dict[str, Any]
  figures: dict[str, Any]
  card: str


def load(name: str) -> Pretrained:
  """Returns an agent whose weights come with the package.

  Args:
    name: one of `pretrained.names()`; or `mnist` or `omniglot`, of the agents
      that redraw these.

  Raises:
    ValueError: if there are no weights of that name, or their files are
      damaged.
  """
  name = _OF_DATA.get(name, name)
  if name not in names():
    raise ValueError(
        f'no weights named {name!r} come with the package; there are: '
        f'{", ".join(names()) or "none"}'
    )
  folder = FOLDER / name
  try:
    config = json.loads((folder / 'config.json').read_text(encoding='utf-8'))
    if config['format'] != FORMAT:
      raise ValueError(f'format {config["format"]}, must be {FORMAT}')
    setup = config['setup']
    agent_config = config_lib.AgentConfig(**setup['agent'])
    action_spec = {
        part: _Part(name=part, **facts)
        for part, facts in config['action_spec'].items()
    }
    height, width, channels = config['canvas_shape']
    agent = agent_lib.make_agent(
        action_spec, (height, width, channels), agent_config
    )
    with np.load(folder / 'weights.npz', allow_pickle=False) as file:
      arrays = dict(file)
    params = _from_arrays(
        jax.eval_shape(agent.init, jax.random.PRNGKey(0)), arrays
    )
    return Pretrained(
        agent,
        params,
        agent_config,
        environment={
            field: tuple(value) if isinstance(value, list) else value
            for field, value in setup[config['environment']].items()
        },
        setup=setup,
        figures=config['figures'],
        card=(folder / 'CARD.md').read_text(encoding='utf-8'),
    )
  except Exception as error:  # Readers of damaged files raise anything.
    raise ValueError(
        f'weights in {folder} are damaged ({error!r}); install the package '
        'again'
    ) from error


def names() -> list[str]:
  """Returns the names of all weights that come with the package."""
  found = (path.parent.name for path in FOLDER.glob('*/config.json'))
  return sorted(name for name in found if not name.startswith('.'))


def describe(action_spec: types.ActionSpec) -> dict[str, dict[str, Any]]:
  """Returns an action spec as config.json has it."""
  return {
      name: {
          'num_values': int(part.num_values),
          'grid_shape': types.grid_shape(part),
          'counts_if': types.counts_if(part),
      }
      for name, part in action_spec.items()
  }


def to_arrays(params: types.Params) -> dict[str, np.ndarray]:
  """Returns parameters as weights.npz has them, float16 by path of names.

  Raises:
    ValueError: if one is not finite in float16.
  """
  arrays = {}
  for keys, leaf in jax.tree_util.tree_flatten_with_path(params)[0]:
    with np.errstate(over='ignore'):
      array = np.asarray(leaf).astype(np.float16)
    if not np.isfinite(array).all():
      worst = np.asarray(leaf).flat[np.argmin(np.isfinite(array))]
      raise ValueError(
          f'{_path(keys)} holds {worst}, and float16 ends at '
          f'{np.finfo(np.float16).max:.0f}; take an earlier checkpoint'
      )
    arrays[_path(keys)] = array
  return arrays


class _Part(specs.DiscreteArray):
  """A part of a command; see `types.grid_shape` and `types.counts_if`."""

  def __init__(
      self,
      num_values: int,
      grid_shape: list[int] | None,
      counts_if: list[Any] | None,
      name: str,
  ):
    super().__init__(num_values, name=name)
    self.grid_shape = None if grid_shape is None else tuple(grid_shape)
    self.counts_if = None
    if counts_if is not None:
      part, values = counts_if
      self.counts_if = part, tuple(values)


def _from_arrays(
    template: types.Params, arrays: Mapping[str, np.ndarray]
) -> types.Params:
  """Undoes `to_arrays`.

  Raises:
    ValueError: if an array is missing, left over, or not of its shape.
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
  return jax.tree.unflatten(
      treedef, [jnp.array(arrays[path], jnp.float32) for path in expected]
  )


def _path(keys: tuple[Any, ...]) -> str:
  return jax.tree_util.keystr(keys, simple=True, separator='/')
