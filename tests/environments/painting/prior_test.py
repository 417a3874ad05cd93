import numpy as np
import pytest

from environments import painting
from environments import parts
from environments.painting import prior
from environments.painting import settings as settings_lib

COUNT = 500
SETTINGS = {
    'pen': painting.PaintingSettings(grid_size=16, episode_length=8),
    'color': painting.PaintingSettings(color=True, brush_sizes=(2, 4, 8)),
    'one size': painting.PaintingSettings(brush_sizes=(2,), pressure=False),
    'one command': painting.PaintingSettings(episode_length=1),
    'one place': painting.PaintingSettings(grid_size=1),
}


def sample(name, seed=0):
  rng = np.random.default_rng(seed)
  return prior.sample_programs(SETTINGS[name], None, rng, COUNT)


@pytest.mark.parametrize('name', SETTINGS)
def test_programs_are_commands_of_their_environment(name):
  settings, program = SETTINGS[name], sample(name)
  for t in range(settings.episode_length):
    command = {part: values[t] for part, values in program.items()}
    parts.check_command(settings.action_spec(), command, (COUNT,))


@pytest.mark.parametrize('name, share', [('pen', 0.8), ('color', 0.5)])
def test_programs_begin_with_a_move_and_then_draw(name, share):
  flag = sample(name)['flag']
  assert (flag[0] == 0).all()
  strokes = (flag == settings_lib.PAINT).sum(0)
  # The number of steps is uniform from 1 to T - 1.
  assert strokes.mean() == pytest.approx(share * len(flag) / 2, rel=0.1)
  assert strokes.max() > 0.6 * len(flag)


def test_a_pen_rests_when_it_is_done():
  program = sample('pen')
  flag, end = program['flag'], program['end']
  last = len(flag) - 1 - np.argmax(flag[::-1] == settings_lib.PAINT, axis=0)
  rests = np.arange(len(flag))[:, np.newaxis] > last + 1
  assert rests.any()
  assert (np.diff(end, axis=0)[rests[1:]] == 0).mean() > 0.7


def test_strokes_are_near_each_other_and_inside():
  y, x = np.divmod(sample('pen')['end'], 16)
  assert min(y.min(), x.min()) >= 2 and max(y.max(), x.max()) <= 14
  steps = np.hypot(np.diff(y, axis=0), np.diff(x, axis=0))
  anywhere = np.hypot(y[0] - np.roll(y[0], 1), x[0] - np.roll(x[0], 1))
  assert 1.0 < steps.mean() < 0.8 * anywhere.mean()


def test_a_pen_keeps_its_size_and_can_be_seen():
  program = sample('pen')
  assert (program['size'] == program['size'][0]).all()
  assert set(program['size'][0]) == {0, 1, 2}
  assert program['pressure'].min() == 4 and program['pressure'].max() == 9
  assert (np.ptp(sample('color')['size'], axis=0) > 0).mean() > 0.9


def test_programs_depend_on_the_random_numbers():
  assert (sample('pen')['end'] != sample('pen', seed=1)['end']).any()
  np.testing.assert_array_equal(sample('pen')['end'], sample('pen')['end'])
