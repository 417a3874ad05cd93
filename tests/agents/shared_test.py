"""Equal arguments give the same functions, others do not."""

import dataclasses

import numpy as np

from spiral_jax import agents
from spiral_jax.agents import shared
from tests.agents import toys

SHAPE = (toys.SIZE, toys.SIZE, 1)


def make_agent(**config):
  return agents.make_agent(
      toys.painting_spec(), SHAPE, agents.AgentConfig(**toys.NETWORK, **config)
  )


def test_agents_of_equal_settings_are_one():
  agent = make_agent(noise_size=2)
  assert make_agent(noise_size=2).step is agent.step
  assert make_agent(noise_size=3).step is not agent.step


def test_learners_of_equal_settings_are_one():
  agent = make_agent(conditional=True)

  def make(page=255, **config):
    config = agents.LearnerConfig(reward='l2', **config)
    return agents.make_learner(agent, config=config, blank_page=page)

  assert make() is make()
  assert make(discount=0.5) is not make()
  gray, other = np.full(SHAPE, 200, np.uint8), np.full(SHAPE, 201, np.uint8)
  assert make(gray) is make(gray.copy())
  assert make(gray) is not make(other)
  assert make(np.uint8(255)) is not make(np.float32(255))


def test_a_page_that_is_drawn_on_is_not_that_of_the_learner():
  page = np.full(SHAPE, 200, np.uint8)
  agent = make_agent(conditional=True)

  def make():
    config = agents.LearnerConfig(reward='l2', blank_page_cost=1.0)
    return agents.make_learner(agent, config=config, blank_page=page)

  before = make()
  page[:] = 0
  assert make() is not before
  page[:] = 200
  assert make() is before


def test_what_cannot_be_hashed_is_made_anew():
  made = []

  @shared.shared
  def make(*args, **kwargs):
    made.append((args, kwargs))
    return len(made)

  assert make([1]) == 1 and make([1]) == 2
  assert make(a=1) == 3 and make(a=1) == 3
  assert make(a=True) == 4 and make(a=1.0) == 5


def test_only_the_last_ones_are_kept():
  calls = []

  @dataclasses.dataclass(frozen=True)
  class Settings:
    number: int

  @shared.shared
  def make(settings):
    calls.append(settings.number)

  for number in (*range(100), 0, 99):
    make(Settings(number))
  assert calls == [*range(100), 0]
