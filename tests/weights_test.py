"""Trained agents in files: saved, loaded, damaged, and of earlier versions."""

import functools
import json
import tracemalloc

import jax
import numpy as np
import pytest

from spiral_jax import agents
from spiral_jax import weights
from tests.agents import toys

SHAPE = (8, 8, 1)
CONFIG = agents.AgentConfig(
    **{**toys.NETWORK, **toys.PATCHES, 'torso_blocks': 0, 'head_blocks': 0},
    noise_size=2,
)
EXPERIMENT = json.loads(
    json.dumps(
        {
            'task': 'environments.painting',
            'dataset': 'mnist',
            'environment': {'grid_size': 8, 'brush_sizes': [1, 2]},
            'agent': CONFIG.__dict__,
            'learner': {'td_lambda': 0.9},
            'costs': {'stroke_start': 0.1},
        }
    )
)


def random_params(agent):
  """Returns what `agent.init` might, without compiling it."""
  rng = np.random.default_rng(0)
  shapes = jax.eval_shape(agent.init, jax.random.key(0))
  return jax.tree.map(
      lambda leaf: rng.normal(size=leaf.shape).astype(np.float32), shapes
  )


@functools.cache
def trained(torso=None):
  spec = toys.painting_spec()
  agent = agents.make_agent(spec, SHAPE, CONFIG, torso=torso)
  return weights.Pretrained(
      agent,
      random_params(agent),
      CONFIG,
      spec,
      SHAPE,
      environment={'grid_size': 8, 'brush_sizes': (1, 2)},
      experiment=EXPERIMENT,
      figures={'error': 0.5},
      card='# A card\n',
  )


@pytest.fixture(name='saved')
def _saved(tmp_path):
  """Returns the folder of a saved agent."""
  agents.save(tmp_path / 'saved', trained())
  return tmp_path / 'saved'


def assert_equal(one, two):
  jax.tree.map(np.testing.assert_array_equal, one, two)


def change_config(folder, **fields):
  path = folder / 'config.json'
  path.write_text(json.dumps({**json.loads(path.read_text()), **fields}))


def test_what_was_saved_is_loaded(saved):
  before, after = trained(), agents.load(saved)
  assert_equal(after.params, before.params)
  assert after._replace(
      agent=None, params=None, action_spec=None
  ) == before._replace(agent=None, params=None, action_spec=None)
  assert after.agent.parts == before.agent.parts
  assert list(after.action_spec) == list(before.action_spec)
  for name, part in before.action_spec.items():
    again = after.action_spec[name]
    assert again.num_values == part.num_values and again.name == name
    assert again.grid_shape == part.grid_shape
    assert again.active_if == part.active_if
  # What was loaded can be saved.
  agents.save(saved.parent / 'again', after)
  config = (saved / 'config.json').read_text()
  assert (saved.parent / 'again' / 'config.json').read_text() == config


def test_a_folder_in_the_home_folder(saved, monkeypatch):
  monkeypatch.setenv('HOME', str(saved.parent))
  assert_equal(agents.load('~/saved').params, trained().params)


def test_float16_is_kept_as_such(tmp_path):
  half = weights.to_half(trained().params)
  agents.save(tmp_path / 'half', trained()._replace(params=half))
  with np.load(tmp_path / 'half' / 'weights.npz') as arrays:
    assert {array.dtype for array in arrays.values()} == {np.dtype('f2')}
  loaded = agents.load(tmp_path / 'half').params
  assert {leaf.dtype.name for leaf in jax.tree.leaves(loaded)} == {'float32'}
  assert_equal(loaded, half)


@pytest.mark.parametrize('value', [7e4, -np.inf, np.nan])
def test_what_float16_does_not_hold_is_named(value):
  params = {'params': {'torso': {'bias': np.array([1.0, value])}}}
  with pytest.raises(ValueError, match='params/torso/bias holds .* 65504'):
    weights.to_half(params)


def test_a_folder_is_whole_or_not_there(tmp_path):
  first, *rest = jax.tree.leaves(trained().params)
  broken = jax.tree.unflatten(
      jax.tree.structure(trained().params), [first * np.nan, *rest]
  )
  with pytest.raises(ValueError, match='is not finite; take an earlier'):
    agents.save(tmp_path / 'new', trained()._replace(params=broken))
  with pytest.raises(TypeError):  # JSON has none of these.
    agents.save(tmp_path / 'new', trained()._replace(figures={'x': object()}))
  assert not list(tmp_path.iterdir())
  agents.save(tmp_path / 'new', trained())
  with pytest.raises(FileExistsError, match='new exists; name another'):
    agents.save(tmp_path / 'new', trained())
  assert [path.name for path in tmp_path.iterdir()] == ['new']


def test_a_torso_of_ones_own_is_given_again(tmp_path):
  torso = toys.PoolTorso(CONFIG.map_size)
  agents.save(tmp_path / 'own', trained(torso))
  loaded = agents.load(tmp_path / 'own', torso=torso)
  assert_equal(loaded.params, trained(torso).params)
  with pytest.raises(ValueError, match='with another torso'):
    agents.load(tmp_path / 'own')


def test_the_format_of_version_0_1_is_read(saved):
  config = json.loads((saved / 'config.json').read_text())
  old = {
      'format': 2,
      'environment': 'painting',
      'canvas_shape': config['canvas_shape'],
      'action_spec': {
          name: {
              'num_values': part['num_values'],
              'grid_shape': part['grid_shape'],
              'counts_if': part['active_if'],
          }
          for name, part in config['action_spec'].items()
      },
      'setup': {
          'dataset': 'mnist',
          'painting': EXPERIMENT['environment'],
          'agent': config['agent'],
          'learner': {'lambda_': 0.9, 'stroke_start_cost': 0.1},
      },
      'figures': config['figures'],
  }
  (saved / 'config.json').write_text(json.dumps(old))
  loaded = agents.load(saved)
  assert_equal(loaded.params, trained().params)
  assert loaded.config == CONFIG
  assert loaded.experiment == EXPERIMENT
  assert loaded.environment == trained().environment
  assert loaded.agent.parts == trained().agent.parts


def test_a_name_that_is_not_there_is_refused_with_those_that_are(tmp_path):
  for name in ('nobody', tmp_path):
    with pytest.raises(ValueError) as error:
      agents.load(name)
    assert f'{str(name)!r}' in str(error.value)
    assert ', '.join(agents.names()) in str(error.value)


def truncate(folder):
  content = (folder / 'weights.npz').read_bytes()
  (folder / 'weights.npz').write_bytes(content[: len(content) // 2])


def lose_an_array(folder):
  with np.load(folder / 'weights.npz') as file:
    _, *rest = file.items()
  np.savez(folder / 'weights.npz', **dict(rest))


def reshape_an_array(folder):
  with np.load(folder / 'weights.npz') as file:
    (name, _), *rest = file.items()
  np.savez(folder / 'weights.npz', **{**dict(rest), name: np.zeros(77)})


def change_an_array(folder, change):
  with np.load(folder / 'weights.npz') as file:
    (name, array), *rest = file.items()
  np.savez(folder / 'weights.npz', **{name: change(array), **dict(rest)})


@pytest.mark.parametrize(
    'damage, words',
    [
        (truncate, ''),
        (
            lambda folder: change_an_array(folder, lambda a: a * np.nan),
            'is not of finite numbers',
        ),
        (
            lambda folder: change_an_array(folder, lambda a: a.astype(str)),
            'is not of finite numbers',
        ),
        (lose_an_array, 'has shape None, must be'),
        (reshape_an_array, r'has shape \(77,\), must be'),
        (lambda folder: (folder / 'config.json').write_text('{'), 'JSON'),
        (lambda folder: (folder / 'config.json').unlink(), 'FileNotFound'),
        (lambda folder: change_config(folder, format=4), 'format 4, must be 3'),
        (lambda folder: change_config(folder, agent={'x': 1}), "'x'"),
    ],
)
def test_damage_is_told(saved, damage, words):
  damage(saved)
  with pytest.raises(ValueError, match='are damaged.*save them again') as error:
    agents.load(saved)
  assert error.match(words)
  assert str(saved) in str(error.value)


def test_parts_of_many_values_cost_neither_time_nor_memory(saved):
  spec = json.loads((saved / 'config.json').read_text())['action_spec']
  spec['flag']['num_values'] = 10**9
  change_config(saved, action_spec=spec)
  tracemalloc.start()
  try:
    with pytest.raises(ValueError, match='has shape'):
      agents.load(saved)
    assert tracemalloc.get_traced_memory()[1] < 1 << 28
  finally:
    tracemalloc.stop()


def test_the_card_may_be_missing(saved):
  (saved / 'CARD.md').unlink()
  assert agents.load(saved).card == ''


# What comes with the package.


def test_names_are_those_of_the_package():
  assert agents.names() == [
      'characters',
      'characters_unconditional',
      'digits',
      'digits_unconditional',
      'portraits',
      'scenes',
  ]


@pytest.mark.parametrize('name', agents.names())
def test_what_comes_with_the_package_is_loaded(name):
  loaded = agents.load(name)
  assert loaded.config.conditional != name.endswith('_unconditional')
  assert loaded.canvas_shape[-1] == (
      3 if name in ('portraits', 'scenes') else 1
  )
  assert loaded.experiment['task'].startswith('environments.')
  assert loaded.environment['episode_length'] > 1
  assert loaded.card.startswith('#')
  for leaf in jax.tree.leaves(loaded.params):
    assert np.isfinite(leaf).all()
    assert np.std(leaf) > 0 or leaf.size == 1


@pytest.mark.parametrize(
    'data, name', [('mnist', 'digits'), ('omniglot', 'characters')]
)
def test_a_data_set_stands_for_the_agent_that_redraws_it(data, name):
  assert_equal(agents.load(data).params, agents.load(name).params)


def test_a_strict_switch_is_no_damage():
  with jax.numpy_rank_promotion('raise'):
    with pytest.raises(ValueError, match='jax_numpy_rank_promotion=raise'):
      weights.load('digits')
