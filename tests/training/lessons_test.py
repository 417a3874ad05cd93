"""Lessons: programs of a source, disturbed while they are executed."""

import functools

import numpy as np
import pytest

from environments import painting
from environments import parts
from spiral_jax import types
from spiral_jax.training import lessons
from tests.agents import toys

SPEC = toys.painting_spec()
LENGTH, COUNT = 5, 400


def programs(seed=0, count=COUNT):
  rng = np.random.default_rng(seed)
  return types.uniform_programs(SPEC, LENGTH, count, rng)


def test_uniform_programs_have_all_values():
  program = programs(count=2000)
  for name, part in SPEC.items():
    assert program[name].shape == (LENGTH, 2000)
    assert program[name].dtype == np.int32
    shares = np.bincount(program[name].ravel()) / program[name].size
    np.testing.assert_allclose(shares, 1 / part.num_values, rtol=0.5)


def test_that_share_of_the_commands_is_disturbed():
  program = programs()
  rng = np.random.default_rng(1)
  other = lessons.disturb(rng, SPEC, program, 0.6)
  changed = {name: other[name] != program[name] for name in SPEC}
  # Some draws give the value that was there: at most the share is changed.
  assert 0.4 < np.any(list(changed.values()), axis=0).mean() <= 0.62
  assert not changed['flag'].any()  # It says whether others have a meaning.
  for name in ('end', 'control', 'size', 'pressure'):
    assert 0.1 < changed[name].mean() < 0.3
  np.testing.assert_array_equal(program['end'], programs()['end'])


def test_locations_mostly_go_to_a_neighbor():
  program = programs()
  other = lessons.disturb(np.random.default_rng(1), SPEC, program, 1.0)
  y, x = np.divmod(program['end'], toys.GRID)
  other_y, other_x = np.divmod(other['end'], toys.GRID)
  distance = np.maximum(abs(y - other_y), abs(x - other_x))
  is_moved = distance > 0
  assert 0.6 < (distance[is_moved] == 1).mean() < 0.9
  assert distance.max() > 1


def test_what_has_no_meaning_says_nothing():
  program = programs(count=2000)
  program['size'] = program['end'] % 2  # Tells, even where nothing is painted.
  cleaned = lessons.hide_inactive(np.random.default_rng(1), SPEC, program)
  is_painted = program['flag'] == 1
  for name in SPEC:
    is_same = cleaned[name] == program[name]
    assert is_same[is_painted].all()
    if name in ('flag', 'end'):  # These always have a meaning.
      assert is_same.all()
  others = cleaned['size'][~is_painted]
  num_values = SPEC['size'].num_values
  shares = np.bincount(others, minlength=num_values) / others.size
  np.testing.assert_allclose(shares, 1 / num_values, rtol=0.1)
  told = cleaned['end'][~is_painted] % 2
  assert abs(np.corrcoef(told, others)[0, 1]) < 0.05


@pytest.mark.parametrize('share', [0.0, 1.0])
def test_no_and_every_command(share):
  program = programs()
  other = lessons.disturb(np.random.default_rng(1), SPEC, program, share)
  is_same = np.all([other[name] == program[name] for name in SPEC], axis=0)
  assert is_same.mean() == 1.0 if share == 0.0 else is_same.mean() < 0.25


def make(disturbance=0.6, *, seed=0, conditional=True, noise_size=0):
  shape = (toys.SIZE, toys.SIZE, 1)
  environment = toys.environment(6, SPEC, shape, LENGTH)
  return lessons.Lessons(
      functools.partial(lessons.render, environment),
      6,
      lambda rng, count, params: (
          types.uniform_programs(SPEC, LENGTH, count, rng),
          params,
      ),
      action_spec=SPEC,
      disturbance=disturbance,
      conditional=conditional,
      noise_size=noise_size,
      seed=seed,
  )


def test_the_target_is_the_picture_of_what_is_imitated():
  lesson = make()(None, 0)
  environment = toys.environment(6, SPEC, (toys.SIZE, toys.SIZE, 1), LENGTH)
  np.testing.assert_array_equal(
      lesson.target, lessons.render(environment, lesson.imitated)[-1]
  )
  np.testing.assert_array_equal(
      lesson.canvas, lessons.render(environment, lesson.executed)
  )
  assert lesson.canvas.shape == (LENGTH + 1, 6, toys.SIZE, toys.SIZE, 1)
  assert (lesson.target != lesson.canvas[-1]).any()


def test_undisturbed_dreams_end_in_their_target():
  lesson = make(0.0)(None, 0)
  np.testing.assert_array_equal(lesson.target, lesson.canvas[-1])
  for name in SPEC:
    np.testing.assert_array_equal(lesson.executed[name], lesson.imitated[name])


def test_unconditional_dreams_have_noise_and_no_target():
  lesson = make(conditional=False, noise_size=4)(None, 0)
  assert lesson.target is None
  assert lesson.noise.shape == (6, 4)
  assert lesson.noise.dtype == np.float32


def test_dreams_continue_where_they_were():
  ours = make()
  ours(None, 0)
  theirs = make()
  theirs.set_state(ours.get_state())
  first, again = ours(None, 0), theirs(None, 5)
  np.testing.assert_array_equal(first.canvas, again.canvas)
  assert (first.canvas != make()(None, 0).canvas).any()
  assert (first.canvas != make(seed=1)(None, 0).canvas).any()


def test_painted_dreams_fit_an_agent():
  settings = painting.PaintingSettings(
      canvas_size=16, grid_size=8, episode_length=4
  )
  program = painting.TASK.sample_programs(
      settings, None, np.random.default_rng(0), 7
  )
  environment = painting.TASK.make_batch(settings, 7)
  canvas = lessons.render(environment, program)
  assert canvas.shape == (5, 7, 16, 16, 1)
  command = {name: values[0] for name, values in program.items()}
  parts.check_command(settings.action_spec(), command, (7,))


class Remembered:
  """A source of one program, which it was given an image of."""

  def __init__(self):
    self.calls = 0
    self.image = np.full((1, toys.SIZE, toys.SIZE, 1), 7, np.uint8)

  def __call__(self, rng, count, params):
    self.calls += 1
    assert params == 'newest'
    program = types.uniform_programs(SPEC, LENGTH, count, rng)
    return program, np.repeat(self.image, count, axis=0)

  def get_state(self):
    return {'calls': self.calls}

  def set_state(self, state):
    self.calls = int(state['calls'])


def test_images_of_the_source_are_targets_and_its_state_is_saved():
  def make(source, **kwargs):
    environment = toys.environment(6, SPEC, (toys.SIZE, toys.SIZE, 1), LENGTH)
    return lessons.Lessons(
        functools.partial(lessons.render, environment),
        6,
        source,
        action_spec=SPEC,
        disturbance=0.5,
        **kwargs,
    )

  source = Remembered()
  ours = make(source, conditional=True)
  lesson = ours('newest', 0)
  assert (lesson.target == 7).all() and lesson.target.shape[0] == 6
  assert make(source, conditional=False)('newest', 0).target is None
  other = Remembered()
  make(other, conditional=True).set_state(ours.get_state())
  assert ours.get_state() == {'lessons': 1, 'source': {'calls': 2}}
  assert other.calls == 2
