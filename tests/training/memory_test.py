"""Memory: the best programs of images so far, improved in turn and recalled."""

import jax
import numpy as np
import pytest

from spiral_jax import agents
from spiral_jax import search
from spiral_jax import types
from spiral_jax.training import lessons
from spiral_jax.training import memory
from tests.agents import toys

SPEC = toys.painting_spec()
LENGTH, COUNT, SHAPE = 3, 10, (toys.SIZE, toys.SIZE, 1)


def programs(seed, count):
  rng = np.random.default_rng(seed)
  return types.uniform_programs(SPEC, LENGTH, count, rng)


def pictures(program):
  count = program['end'].shape[1]
  environment = toys.environment(count, SPEC, SHAPE, LENGTH)
  return lessons.render(environment, program)[-1]


def images():
  return pictures(programs(9, COUNT))


def make():
  return memory.Memory(images(), SPEC, LENGTH)


def test_only_better_programs_are_kept():
  kept = make()
  indices = np.array([1, 4, 7])
  first, second = programs(0, 3), programs(1, 3)
  kept.offer(indices, first, np.array([0.5, 0.5, 0.5]))
  kept.offer(indices, second, np.array([0.4, 0.6, 0.5]))
  state = kept.get_state()
  np.testing.assert_allclose(state['errors'][indices], [0.4, 0.5, 0.5])
  for name, values in state['programs'].items():
    np.testing.assert_array_equal(values[:, 1], second[name][:, 0])
    np.testing.assert_array_equal(values[:, 4], first[name][:, 1])
    np.testing.assert_array_equal(values[:, 7], first[name][:, 2])
  assert np.isinf(np.delete(state['errors'], indices)).all()
  assert kept.figures() == {
      'images': 3.0,
      'error': pytest.approx((0.4 + 0.5 + 0.5) / 3),
  }


def test_only_what_has_a_program_is_recalled():
  kept, rng = make(), np.random.default_rng(0)
  assert kept.sample(rng, 5) is None
  assert kept.figures() == {'images': 0.0}
  kept.offer(np.array([2, 3]), programs(0, 2), np.array([0.1, 0.2]))
  recalled = kept.sample(rng, 50)
  assert set(recalled.indices) == {2, 3}
  np.testing.assert_array_equal(recalled.images, images()[recalled.indices])
  columns = recalled.indices - 2
  for name, values in programs(0, 2).items():
    np.testing.assert_array_equal(recalled.programs[name], values[:, columns])


def test_all_images_have_their_turn():
  kept = make()
  turns = [kept.take_turns(4).indices for _ in range(5)]
  assert sorted(np.concatenate(turns)) == sorted(2 * list(range(COUNT)))
  assert len(make().take_turns(99).indices) == COUNT


def test_a_memory_of_other_images_is_refused():
  other = memory.Memory(images()[:4], SPEC, LENGTH)
  with pytest.raises(ValueError, match='has 10 images, this one has 4'):
    other.set_state(make().get_state())


@pytest.fixture(scope='module')
def recognizer():
  config = agents.AgentConfig(**toys.NETWORK, **toys.PATCHES, conditional=True)
  agent = agents.make_agent(SPEC, SHAPE, config)
  return agent, agent.init(jax.random.key(0))


def make_wake(recognizer, kept=None, *, rounds=3, after=0):
  kept = kept or make()
  environment = toys.environment(
      5 * (search.NUM_PROPOSALS + LENGTH), SPEC, SHAPE, LENGTH
  )
  return memory.Wake(
      kept,
      environment,
      recognizer[0],
      images=5,
      samples=3,
      rounds=rounds,
      prior=lambda rng, count: programs(5, count),
      after=after,
  )


def test_searching_finds_programs_and_improves_them(recognizer):
  kept = make()
  wake = make_wake(recognizer, kept)
  means = []
  for turn in range(6):
    wake.search(recognizer[1])
    assert kept.figures()['images'] == min(5 * (turn + 1), COUNT)
    means.append(kept.figures()['error'])
  assert means[5] < 0.8 * means[1]
  # What is remembered is what programs give.
  state = kept.get_state()
  drawn = pictures(state['programs']).astype(float)
  errors = np.mean(((drawn - images()) / 255) ** 2, axis=(1, 2, 3))
  np.testing.assert_allclose(state['errors'], errors, rtol=1e-5)


def test_without_rounds_it_keeps_the_best_samples(recognizer):
  kept = make()
  make_wake(recognizer, kept, rounds=0).search(recognizer[1])
  assert kept.figures()['images'] == 5


def test_the_first_lessons_are_of_the_prior(recognizer):
  kept, rng = make(), np.random.default_rng(0)
  wake = make_wake(recognizer, kept, after=2)
  for _ in range(2):
    dream, targets = wake(rng, 7, recognizer[1])
    assert targets is None
    jax.tree.map(np.testing.assert_array_equal, dream, programs(5, 7))
  assert kept.figures()['images'] == 0
  resumed = make_wake(recognizer, after=2)
  resumed.set_state(wake.get_state())
  for lesson in (wake(rng, 7, recognizer[1]), resumed(rng, 7, recognizer[1])):
    assert lesson[1].shape == (7, *SHAPE)
  assert kept.figures()['images'] == 5


def test_it_continues_where_it_was(recognizer):
  ours, theirs = make_wake(recognizer), make_wake(recognizer)
  ours.search(recognizer[1])
  theirs.set_state(ours.get_state())
  rng = np.random.default_rng
  for wake in (ours, theirs):
    found, targets = wake(rng(0), 7, recognizer[1])
    assert targets.shape == (7, *SHAPE) and found['end'].shape == (LENGTH, 7)
  jax.tree.map(
      np.testing.assert_array_equal, ours.get_state(), theirs.get_state()
  )


def test_variations_are_near_what_is_remembered():
  kept = make()
  source = memory.make_variations(
      kept, SPEC, 0.3, lambda rng, count: programs(5, count)
  )
  rng = np.random.default_rng(0)
  dream, targets = source(rng, 8, None)
  assert targets is None
  np.testing.assert_array_equal(dream['end'], programs(5, 8)['end'])
  kept.offer(np.arange(COUNT), programs(0, COUNT), np.full(COUNT, 0.1))
  dream, targets = source(rng, 200, None)
  assert targets is None
  known = {tuple(column) for column in programs(0, COUNT)['flag'].T}
  assert {tuple(column) for column in dream['flag'].T} <= known
  same = np.all(
      [
          (dream[name][:, :, None] == values[:, None]).all(0)
          for name, values in programs(0, COUNT).items()
      ],
      axis=0,
  ).any(-1)
  assert 0.2 < same.mean() < 0.6


@pytest.mark.parametrize('part_cost, is_plain', [(0.02, True), (0.0, False)])
def test_plainer_programs_may_have_more_error(part_cost, is_plain):
  kept = memory.Memory(images(), SPEC, LENGTH, part_cost)
  index, other = np.array([3]), programs(1, 1)
  plain = {name: np.ones_like(values) for name, values in other.items()}
  fewer = search.num_changes(SPEC, other) - search.num_changes(SPEC, plain)
  assert fewer > 5  # So it is worth 0.1.
  kept.offer(index, plain, np.array([0.5]))
  kept.offer(index, other, np.array([0.41]))
  recalled = kept.sample(np.random.default_rng(0), 1)
  best, error = (plain, 0.5) if is_plain else (other, 0.41)
  np.testing.assert_array_equal(recalled.programs['end'], best['end'])
  np.testing.assert_allclose(recalled.errors, error)
