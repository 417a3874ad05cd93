"""Dabs in a few knots."""

import numpy as np
import pytest

from environments.painting import dab_record


def _dabs(count, **columns):
  """Returns dabs along a line, `[D, 13]`."""
  dabs = np.zeros((count, 13), np.float32)
  dabs[:, 0] = np.linspace(0, 100, count)
  dabs[:, 2] = 5
  dabs[:, 6:9] = 0.5, 0.8, 1.0
  dabs[:, 9] = 1
  names = {'x': 0, 'y': 1, 'radius': 2, 'opacity': 6, 'alpha': 8}
  names |= {'lock_alpha': 11, 'colorize': 12}
  for name, values in columns.items():
    dabs[:, names[name]] = values
  return dabs


def test_what_is_linear_takes_two_knots():
  knots = dab_record.knots(_dabs(50, radius=np.geomspace(2, 8, 50)))
  np.testing.assert_array_equal(knots.number, [0, 49])
  np.testing.assert_allclose(knots.x, [0, 100])
  np.testing.assert_allclose(knots.radius, [2, 8], rtol=1e-5)


def test_what_bends_is_near_between_knots():
  t = np.linspace(0, 3, 400)
  dabs = _dabs(400, y=30 * np.sin(t), opacity=0.5 + 0.4 * np.cos(t))
  knots = dab_record.knots(dabs)
  assert 4 < len(knots.number) < 120
  number = np.arange(400)
  for column, values, near in ((1, knots.y, 0.02), (6, knots.opacity, 0.002)):
    found = np.interp(number, knots.number, values)
    assert np.abs(found - dabs[:, column]).max() <= near * 1.01


def test_what_is_strewn_is_kept_whole():
  rng = np.random.default_rng(0)
  dabs = _dabs(200, y=10 * rng.random(200))
  knots = dab_record.knots(dabs)
  assert len(knots.number) == 200
  np.testing.assert_array_equal(knots.y, dabs[:, 1])


@pytest.mark.parametrize(
    'change', [dict(alpha=0.5), dict(lock_alpha=0.1), dict(colorize=0.1)]
)
def test_other_ways_to_blend_have_no_knots(change):
  assert dab_record.knots(_dabs(5, **change)) is None


def test_no_dabs():
  assert len(dab_record.knots(_dabs(0)).number) == 0
  assert len(dab_record.knots(_dabs(1)).number) == 1
