import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from spiral_jax.networks import action as action_lib
from spiral_jax.networks import heads

PARTS = (
    action_lib.ActionPart('flag', 2),
    action_lib.ActionPart('end', 16, grid_shape=(4, 4)),
    action_lib.ActionPart('control', 16, (4, 4), active_if=('flag', (1,))),
    action_lib.ActionPart('size', 3, active_if=('flag', (1,))),
)
NAMES = [part.name for part in PARTS]
N, HIDDEN, MAP, CHANNELS = 6, 16, 2, 4
SPATIAL = pytest.mark.parametrize('spatial', [True, False])


def random(seed, *shape):
  values = np.random.default_rng(seed).normal(size=shape)
  return jnp.asarray(values, jnp.float32)


Z, FEATURE_MAP = random(0, N, HIDDEN), random(1, N, MAP, MAP, CHANNELS)


def command(seed=0):
  rng = np.random.default_rng(seed)
  return {
      part.name: rng.integers(part.num_values, size=N).astype(np.int32)
      for part in PARTS
  }


@functools.cache
def make(spatial):
  """Returns (params whose logits are far from zero, jitted functions)."""
  decoder = heads.Decoder(
      parts=PARTS, embedding_size=4, spatial=spatial, channels=4, num_blocks=1
  )
  params = decoder.init(jax.random.PRNGKey(0), Z, FEATURE_MAP, command(), None)
  leaves, tree = jax.tree.flatten(params)
  leaves = [
      leaf + 0.3 * random(index, *leaf.shape)
      for index, leaf in enumerate(leaves)
  ]
  params = jax.tree.unflatten(tree, leaves)

  def is_logits(module, method):
    del method
    return (module.name or '').endswith('_logits')

  @functools.partial(jax.jit, static_argnames='greedy')
  def decode(z, feature_map, action, key, greedy=False):
    """Returns (outputs, logits by part)."""
    outputs, captured = decoder.apply(
        params,
        z,
        feature_map,
        action,
        key,
        greedy,
        capture_intermediates=is_logits,
        mutable=['intermediates'],
    )
    logits = {
        name: captured['intermediates'][f'{name}_logits']['__call__'][0]
        for name in NAMES
    }
    return outputs, logits

  return decoder, params, decode


def log_softmax(logits):
  logits = np.asarray(logits, np.float64)
  return logits - np.log(np.sum(np.exp(logits), axis=-1, keepdims=True))


@SPATIAL
def test_log_prob_sums_the_parts_that_count(spatial):
  _, _, decode = make(spatial)
  action = command()
  (same, log_prob, entropy, counts, part_log_prob, advised), logits = decode(
      Z, FEATURE_MAP, action, None
  )
  assert advised is None
  expected = np.zeros(N)
  for index, name in enumerate(NAMES):
    np.testing.assert_array_equal(same[name], action[name])
    log_p = log_softmax(logits[name])
    assert log_p.std() > 0.3  # Else the test would see little.
    own = log_p[np.arange(N), action[name]]
    does_count = index < 2 or action['flag'] == 1
    np.testing.assert_array_equal(counts[:, index], np.ones(N) * does_count)
    expected += own * does_count
    np.testing.assert_allclose(
        part_log_prob[:, index], own * does_count, atol=1e-5
    )
    np.testing.assert_allclose(
        entropy[:, index], -np.sum(np.exp(log_p) * log_p, axis=-1), atol=1e-5
    )
  np.testing.assert_allclose(log_prob, expected, atol=1e-5)


@SPATIAL
def test_a_sample_is_scored_as_it_was_sampled(spatial):
  _, _, decode = make(spatial)
  sampled, _ = decode(Z, FEATURE_MAP, None, jax.random.PRNGKey(3))
  given, _ = decode(Z, FEATURE_MAP, sampled[0], None)
  for one, other in zip(jax.tree.leaves(sampled), jax.tree.leaves(given)):
    np.testing.assert_allclose(one, other, atol=1e-6)


@pytest.mark.parametrize('num_values', [1, 2, 3, 10, 256, 1000])
def test_uniform_numbers_become_values_by_their_probabilities(num_values):
  rng = np.random.default_rng(0)
  probs = rng.random(num_values) ** 4
  probs[1::3] = 0
  probs /= probs.sum()
  draws = 1 << (18 if num_values < 100 else 14)
  uniform = (np.arange(draws) + 0.5) / draws
  sample = jax.jit(heads._sample_categorical)
  value = sample(
      jnp.asarray(uniform, jnp.float32),
      np.broadcast_to(np.float32(probs), (draws, num_values)),
  )
  assert value.dtype == np.int32
  counts = np.bincount(value, minlength=num_values)
  assert not counts[1::3].any()
  np.testing.assert_allclose(counts / draws, probs, atol=2 / draws)
  # The last number below 1, and sums that are not quite 1.
  for total in (0.999, 1 - 2.0**-24, 1.0, 1 + 2.0**-23, 1.001):
    ends = sample(
        np.full((num_values,), 1 - 2.0**-24, np.float32),
        np.float32(total) * np.eye(num_values, dtype=np.float32),
    )
    np.testing.assert_array_equal(ends, np.arange(num_values))


@SPATIAL
def test_samples_are_as_frequent_as_they_are_probable(spatial):
  decoder, params, _ = make(spatial)
  count = 20_000
  rows = jnp.zeros(count, int)  # All the same.

  @jax.jit
  def sample(key):
    return decoder.apply(params, Z[rows], FEATURE_MAP[rows], None, key)[:2]

  action, log_prob = sample(jax.random.PRNGKey(1))
  commands = np.stack([action[name] for name in NAMES], axis=-1)
  seen, first, counts = np.unique(
      commands, axis=0, return_index=True, return_counts=True
  )
  # The log-probability is of the parts that count: all of them, if the flag is.
  expected = count * np.exp(np.asarray(log_prob)[first])
  often = (expected > 20) & (seen[:, 0] == 1)
  assert often.sum() > 5
  z = (counts - expected)[often] / np.sqrt(expected[often])
  assert np.abs(z).max() < 4


@SPATIAL
def test_greedy_takes_the_likeliest_value_of_each_part(spatial):
  _, _, decode = make(spatial)
  (action, *_), logits = decode(Z, FEATURE_MAP, None, None, greedy=True)
  for name in NAMES:
    np.testing.assert_array_equal(action[name], np.argmax(logits[name], -1))
    assert action[name].dtype == np.int32
  assert len(np.unique(action['end'])) > 1


@SPATIAL
@pytest.mark.parametrize('changed', range(len(PARTS)))
def test_a_part_depends_on_those_before_it_only(spatial, changed):
  _, _, decode = make(spatial)
  action = command()
  _, before = decode(Z, FEATURE_MAP, action, None)
  part = PARTS[changed]
  other = {**action, part.name: (action[part.name] + 1) % part.num_values}
  _, after = decode(Z, FEATURE_MAP, other, None)
  for index, name in enumerate(NAMES):
    difference = np.abs(before[name] - after[name]).max(axis=-1)
    if index <= changed:
      np.testing.assert_array_equal(difference, np.zeros(N))
    else:
      assert np.all(difference > 1e-3), name


@SPATIAL
def test_rows_do_not_mix(spatial):
  _, _, decode = make(spatial)
  order = np.random.default_rng(5).permutation(N)
  action = command()
  outputs = decode(Z, FEATURE_MAP, action, None)
  permuted = decode(
      Z[order],
      FEATURE_MAP[order],
      {k: v[order] for k, v in action.items()},
      None,
  )
  for one, other in zip(jax.tree.leaves(outputs), jax.tree.leaves(permuted)):
    np.testing.assert_allclose(one[order], other, atol=1e-5)
  # The embedding and the mark of row 2 are of row 2's location.
  moved = {**action, 'end': action['end'].copy()}
  moved['end'][2] = (moved['end'][2] + 5) % 16
  _, logits = decode(Z, FEATURE_MAP, moved, None)
  changed = np.abs(logits['control'] - outputs[1]['control']).max(axis=-1) > 0
  np.testing.assert_array_equal(changed, np.arange(N) == 2)


@SPATIAL
def test_a_part_without_meaning_has_no_weight(spatial):
  decoder, params, _ = make(spatial)
  action = {**command(), 'flag': np.array([0, 1] * (N // 2), np.int32)}

  @jax.jit
  def gradients(seed):
    """Of the log-prob of rows that move, and that paint, in turn."""

    def log_prob(params):
      _, log_prob, *_ = decoder.apply(params, Z, FEATURE_MAP, action, None)
      return jnp.sum(log_prob * seed)

    return jax.grad(log_prob)(params)['params']

  moves = gradients(1.0 - action['flag'])
  paints = gradients(1.0 * action['flag'])
  for name in ('control_logits', 'size_logits'):
    assert all(np.all(g == 0) for g in jax.tree.leaves(moves[name]))
    assert any(np.any(g != 0) for g in jax.tree.leaves(paints[name]))
  for name in ('flag_logits', 'end_logits'):
    assert any(np.any(g != 0) for g in jax.tree.leaves(moves[name]))


@SPATIAL
def test_zero_parameters_decide_uniformly(spatial):
  decoder, params, _ = make(spatial)
  zeros = jax.tree.map(jnp.zeros_like, params)
  action = {**command(), 'flag': np.array([0, 1] * (N // 2), np.int32)}
  _, log_prob, entropy, *_ = jax.jit(decoder.apply)(
      zeros, Z, FEATURE_MAP, action, None
  )
  move, paint = -np.log(2 * 16), -np.log(2 * 16 * 16 * 3)
  np.testing.assert_allclose(log_prob, [move, paint] * (N // 2), rtol=1e-5)
  np.testing.assert_allclose(entropy, np.log([[2, 16, 16, 3]] * N), rtol=1e-5)


def test_parts_and_rows_are_sampled_independently():
  # Equal numbers of values would show one and the same random number.
  pair = (action_lib.ActionPart('one', 4), action_lib.ActionPart('other', 4))
  decoder = heads.Decoder(
      parts=pair, embedding_size=2, spatial=True, channels=2, num_blocks=0
  )
  n = 3200
  z, feature_map = jnp.zeros((n, 4)), jnp.zeros((n, 1, 1, 1))
  params = decoder.init(
      jax.random.PRNGKey(0), z, feature_map, None, jax.random.PRNGKey(0)
  )
  zeros = jax.tree.map(jnp.zeros_like, params)
  sampled, *_ = jax.jit(decoder.apply)(
      zeros, z, feature_map, None, jax.random.PRNGKey(1)
  )
  cells = np.asarray(4 * sampled['one'] + sampled['other'])
  counts = np.bincount(cells, minlength=16)
  chi_squared = np.sum((counts - n / 16) ** 2 / (n / 16))
  assert chi_squared < 37.7  # 99.9% of chi squared with 15 degrees.
  # Nor does a row repeat the one before.
  repeats = np.mean(cells[1:] == cells[:-1])
  assert repeats == pytest.approx(1 / 16, abs=0.02)


def test_spatial_logits_lie_where_the_map_does():
  # 2 x 3 sub-cells would not be square: 8 x 8 cells on a map of 4 x 4.
  head = heads.SpatialLocationHead(grid_shape=(8, 8), num_blocks=0)
  z, blank = jnp.zeros((16, HIDDEN)), jnp.zeros((16, 4, 4, CHANNELS))
  params = head.init(jax.random.PRNGKey(0), z, blank)
  params = jax.tree.map(lambda x: x + 1.0, params)
  marked = (
      blank.reshape(16, 16, CHANNELS)
      .at[np.arange(16), np.arange(16)]
      .set(1.0)
      .reshape(blank.shape)
  )  # Row n has its mark in cell n of the map.
  change = head.apply(params, z, marked) - head.apply(params, z, blank)
  grids = np.asarray(change).reshape(16, 8, 8) != 0
  expected = np.zeros((16, 8, 8), bool)
  for n in range(16):
    y, x = divmod(n, 4)
    expected[n, 2 * y : 2 * y + 2, 2 * x : 2 * x + 2] = True
  np.testing.assert_array_equal(grids, expected)


def test_spatial_logits_see_z_in_every_cell():
  head = heads.SpatialLocationHead(grid_shape=(4, 4), num_blocks=0)
  params = head.init(jax.random.PRNGKey(0), Z, FEATURE_MAP)
  moved = head.apply(params, Z + 1.0, FEATURE_MAP)
  assert np.all(moved != head.apply(params, Z, FEATURE_MAP))


@pytest.mark.parametrize('size', [4, 8, 32])
def test_deconv_logits_fill_the_grid(size):
  head = heads.DeconvLocationHead((size, size), channels=2, num_blocks=0)
  logits = head.init_with_output(jax.random.PRNGKey(0), Z)[0]
  assert logits.shape == (N, size * size)
  assert np.all(np.std(logits, axis=-1) > 0)


def test_attention_reads_the_cell_that_is_asked_for():
  attention = heads.CellAttention(num_heads=1, size=4)
  params = attention.init(jax.random.key(0), Z, FEATURE_MAP)['params']
  # Queries are the vector's first numbers, keys the places of cells.
  params['keys']['kernel'] = jnp.zeros((CHANNELS, 4))
  params['queries']['kernel'] = 100.0 * jnp.eye(HIDDEN, 4)
  params['places'] = jnp.eye(MAP * MAP, 4)
  for cell in range(MAP * MAP):
    query = jnp.zeros((N, HIDDEN)).at[:, cell].set(1.0)
    read = attention.apply({'params': params}, query, FEATURE_MAP)
    np.testing.assert_allclose(
        read, FEATURE_MAP.reshape(N, -1, CHANNELS)[:, cell], atol=1e-5
    )
  nowhere = attention.apply(
      {'params': params}, jnp.zeros((N, HIDDEN)), FEATURE_MAP
  )
  np.testing.assert_allclose(nowhere, FEATURE_MAP.mean((1, 2)), atol=1e-5)


def test_a_decoder_that_attends_sees_the_whole_map():
  plain, attending = (
      heads.Decoder(PARTS, 4, True, 4, num_blocks=0, attend=attend)
      for attend in (False, True)
  )
  other = FEATURE_MAP.at[:, 1, 1].add(5.0)
  # All locations are cell 0: only attention looks at the others.
  action = {name: 0 * values for name, values in command().items()}
  action['flag'] = action['flag'] + 1
  for decoder, sees in ((plain, False), (attending, True)):
    params = decoder.init(jax.random.key(0), Z, FEATURE_MAP, action, None)
    params = jax.tree.map(lambda x: x + 0.1, params)

    @jax.jit
    def entropies(feature_map, decoder=decoder, params=params):
      return decoder.apply(params, Z, feature_map, action, None)[2]

    change = np.abs(entropies(other) - entropies(FEATURE_MAP)).max(0)
    assert (change[3] > 1e-6) == sees  # The size, decided after locations.
